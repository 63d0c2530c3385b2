"""From a module and a loss to one functional ATen graph that says which source line each node is from.

The route of PyTorch's own transforms: the module's parameters and buffers become inputs
(``functional_call``), the backward pass is ``torch.autograd.grad`` inside the traced function,
``make_fx`` with fake tensors records ATen operators, ``functionalize`` removes mutations. Nothing is
computed: fake tensors have shapes and no data.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor, fx, nn
from torch._decomp import get_decompositions
from torch.func import functional_call, functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from lockstep.program import layers
from lockstep.program.infer import ProgramError

Loss = Callable[[Tensor, Tensor], Tensor]
_LIBRARIES = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
_COMMANDS = str(Path(__file__).parents[1] / "cli")
_LOCATION = "stack_trace"  # the metadata key that make_fx copies from the current meta to every node


class CaptureError(ProgramError):
    """A model that cannot become a program; the message says what in it, on which line, and what to do."""


@torch.library.custom_op("lockstep::dropout_mask", mutates_args=())
def dropout_mask(like: Tensor, probability: float, site: int) -> Tensor:
    """The factor dropout multiplies by: 0 or ``1 / (1 - probability)``, in the shape of ``like``.

    Stands for ``composites.dropout_mask`` in a graph; it has no values of its own.
    """
    raise CaptureError("Dropout inside a capture has no values; it is drawn when the program runs.")


@dropout_mask.register_fake
def _(like: Tensor, probability: float, site: int) -> Tensor:
    return torch.empty_like(like)


def _user_frame() -> str:
    """``file:line`` of the innermost frame that is neither PyTorch's nor Lockstep's.

    Empty where there is none: a model put together from PyTorch's modules alone, captured by a command.
    """
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    if frame.f_code.co_filename.startswith(_COMMANDS):
        return ""
    path = Path(frame.f_code.co_filename)
    with contextlib.suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return f"{path}:{frame.f_lineno}"


class _SourceLines(TorchFunctionMode):
    """Marks every node with the user's line, backward nodes with their forward's; replaces dropout.

    ``refused`` collects, a line each, the calls whose result has a shape or a Python value that depends on data.
    ``in_named_layer`` says whether a layer runs that was named for residual parts.
    """

    def __init__(self, in_named_layer: Callable[[], bool]) -> None:
        super().__init__()
        self.in_named_layer = in_named_layer
        self.seen: set[torch.autograd.graph.Node] = set()
        self.sites = 0
        self.refused: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        location, precise = _user_frame(), self.in_named_layer()
        with _located(location, precise):
            if func is nn.functional.dropout:
                result = self._dropout(*args, **(kwargs or {}))
            else:
                result = func(*args, **(kwargs or {}))
        if _depends_on_data(result):
            name = getattr(func, "__name__", str(func))
            self.refused.append(f"{location}: {name}: its result's shape or value leaves the program; it {_STATIC}")
        self._mark(result, location, precise)
        return result

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0.0:
            return x
        if not 0.0 <= p < 1.0:
            raise CaptureError(f"{_user_frame()}: dropout with probability {p}; it is at least 0 and below 1.")
        mask = dropout_mask(x.detach(), float(p), self.sites)
        self.sites += 1
        return x.mul_(mask) if inplace else x * mask

    def _mark(self, result: Any, location: str, precise: bool) -> None:
        outputs = result if isinstance(result, tuple | list) else (result,)
        pending = [t.grad_fn for t in outputs if isinstance(t, Tensor) and t.grad_fn is not None]
        while pending:
            node = pending.pop()
            if node in self.seen:
                continue
            self.seen.add(node)
            node.register_prehook(lambda _gradients: _set_place(location, precise))
            pending += [nested for nested, _ in node.next_functions if nested is not None]


_STATIC = (
    "depends on data (as .item(), nonzero, boolean indexing and if on a tensor do), and a program is static. Use"
    " torch.where or masks of fixed shape."
)


def _depends_on_data(result: Any) -> bool:
    """Whether a result under fake tensors is, or has in its shape, a number that only data can give."""
    if isinstance(result, torch.SymInt | torch.SymFloat | torch.SymBool):
        return True
    outputs = result if isinstance(result, tuple | list) else (result,)
    return any(isinstance(t, Tensor) and any(isinstance(n, torch.SymInt) for n in t.shape) for t in outputs)


def _set_place(location: str, precise: bool) -> None:
    fx_traceback.current_meta[_LOCATION] = location
    fx_traceback.current_meta[layers.META] = layers.PRECISE if precise else {}


@contextlib.contextmanager
def _located(location: str, precise: bool) -> Iterator[None]:
    before = {key: fx_traceback.current_meta.get(key) for key in (_LOCATION, layers.META)}
    _set_place(location, precise)
    try:
        yield
    finally:
        for key, value in before.items():
            fx_traceback.current_meta.pop(key, None)
            if value is not None:
                fx_traceback.current_meta[key] = value


def location_of(node: fx.Node) -> str:
    """The user's ``file:line`` an ATen node comes from; empty where it is none's."""
    return str(node.meta.get(_LOCATION) or "")


@dataclass(frozen=True, slots=True)
class Traced:
    """A functional ATen graph and what its inputs and outputs are.

    ``inputs`` are ``("parameter" | "buffer", name)``, ``("loss", buffer of the loss)``, ``("batch", "inputs" |
    "inputs.1" | ... | "targets")`` in the order of the placeholders; ``outputs`` are ``("loss", "")``,
    ``("output", "")`` (the first of several), ``("metric", name)``, ``("gradient", parameter)`` and
    ``("buffer", name)`` with the node of each (None: no gradient). ``residuals``: whether rules may ask for residual
    parts by themselves.
    """

    graph: fx.Graph
    attributes: dict[str, Tensor]
    inputs: list[tuple[str, str]]
    outputs: list[tuple[tuple[str, str], fx.Node | None]]
    residuals: bool


def trace(
    model: nn.Module,
    loss: Loss,
    metrics: Mapping[str, Loss],
    inputs: Sequence[Tensor],
    targets: Tensor,
    *,
    backward: bool,
    loss_scale: float = 1.0,
    residual: Collection[str] | None = (),
) -> Traced:
    """Trace one batch through model, loss and metrics, and with ``backward`` through the gradients.

    The gradients, not the loss, are ``loss_scale`` times their value. ``inputs`` (one an argument of the
    model) and ``targets`` give shapes and dtypes only. The model is traced in the mode (training or
    evaluation) it is in. ``residual`` as in ``capture``.
    """
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    buffers = dict(model.named_buffers())
    tables = dict(loss.named_buffers()) if isinstance(loss, nn.Module) else {}
    keys: list[tuple[str, str]] = []

    def step(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        tables: dict[str, Tensor],
        inputs: list[Tensor],
        targets: Tensor,
    ) -> Any:
        leaves = {n: p.detach().requires_grad_(n in trained and backward) for n, p in parameters.items()}
        state = {n: b.clone() for n, b in buffers.items()}
        with lines:
            output = functional_call(model, {**leaves, **state}, tuple(inputs), tie_weights=True)
            value = (
                functional_call(loss, tables, (output, targets))
                if isinstance(loss, nn.Module)
                else loss(output, targets)
            )
            given = tree_leaves(output)
            if not given or not all(isinstance(leaf, Tensor) for leaf in given):
                raise CaptureError("The model gives a tensor, or tensors in a tuple, a list or a dictionary.")
            watched = tree_map(Tensor.detach, output)
            measured = {n: metric(watched, targets) for n, metric in metrics.items()}
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise CaptureError("The loss of the model's output and the targets is a tensor of one number.")
        wanted = {n: leaf for n, leaf in leaves.items() if leaf.requires_grad}
        gradients = dict.fromkeys(wanted, None)
        if backward:
            seed = value.reshape(()) if loss_scale == 1.0 else value.reshape(()) * loss_scale
            found = torch.autograd.grad(seed, list(wanted.values()), allow_unused=True)
            gradients = dict(zip(wanted, found, strict=True))
        named: dict[tuple[str, str], Any] = {("loss", ""): value.reshape(()), ("output", ""): given[0]}
        named |= {("metric", n): v for n, v in measured.items()}
        named |= {("gradient", n): g for n, g in gradients.items()}
        named |= {("buffer", n): b for n, b in state.items()}
        keys[:] = list(named)
        return list(named.values())

    decompositions: Any = get_decompositions([torch.ops.aten.native_batch_norm.default])
    with (
        layers.watched(model, residual or ()) as in_named_layer,
        fx_traceback.preserve_node_meta(),
        sdpa_kernel(SDPBackend.MATH),
        _without_mkldnn(),
        _masks_as_given(),
        _explained(lines := _SourceLines(in_named_layer)),
    ):
        module = make_fx(step, decomposition_table=decompositions, tracing_mode="fake")(
            parameters, buffers, tables, list(inputs), targets
        )
        module.graph.eliminate_dead_code()
        if any(_mutates(node) for node in module.graph.nodes):
            module = _functional(module)
    inputs_of = [("parameter", n) for n in parameters] + [("buffer", n) for n in buffers]
    inputs_of += [("loss", n) for n in tables]
    inputs_of += [*(("batch", input_name(place)) for place in range(len(inputs))), ("batch", "targets")]
    (output_node,) = [node for node in module.graph.nodes if node.op == "output"]
    attributes = {
        str(node.target): getattr(module, str(node.target)) for node in module.graph.nodes if node.op == "get_attr"
    }
    outputs = list(zip(keys, output_node.args[0], strict=True))
    return Traced(module.graph, attributes, inputs_of, outputs, residual is not None)


def input_name(place: int) -> str:
    """What a model's argument is called, among a batch and among the constants."""
    return f"inputs.{place}" if place else "inputs"


def _mutates(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and bool(node.target._schema.is_mutable)


def _functional(module: fx.GraphModule) -> fx.GraphModule:
    """The same graph without mutations."""
    examples = [
        torch.empty(node.meta["val"].shape, dtype=node.meta["val"].dtype)
        for node in module.graph.nodes
        if node.op == "placeholder"
    ]

    def run(*values: Tensor) -> Any:
        return fx.Interpreter(module).run(*values)

    pure = make_fx(functionalize(run, remove="mutations"), tracing_mode="fake")(*examples)
    pure.graph.eliminate_dead_code()
    return pure


@contextlib.contextmanager
def _without_mkldnn() -> Iterator[None]:
    """With it a recurrent layer is one opaque operator.

    ``torch.backends.mkldnn.flags`` would do, but sets TF32 too, which warns.
    """
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


@contextlib.contextmanager
def _masks_as_given() -> Iterator[None]:
    """``nn.TransformerEncoder`` looks into its mask whether it is the causal one, to use another kernel.

    A trace has no values to look into, and no kernels; the mask is added either way.
    """
    with mock.patch(
        "torch.nn.modules.transformer._detect_is_causal_mask", lambda _mask, causal=None, _size=None: bool(causal)
    ):
        yield


@contextlib.contextmanager
def _explained(lines: _SourceLines) -> Iterator[None]:
    """PyTorch's tracing errors as sentences, and what the trace had to refuse before any of them."""
    try:
        yield
        failure = None
    except Exception as error:
        failure = error
    if lines.refused:
        listed = "\n".join(f"  {line}" for line in dict.fromkeys(lines.refused))
        raise CaptureError(f"The model uses what a program cannot carry:\n{listed}") from failure
    if isinstance(failure, CaptureError):
        raise failure
    if failure is not None:
        location = str(fx_traceback.current_meta.get(_LOCATION) or _line_of(failure))
        raise CaptureError(f"{location + ': ' if location else ''}{_advice(str(failure))}") from failure


def _line_of(error: BaseException) -> str:
    """``file:line`` of the innermost frame of a traceback that is the user's."""
    found, at = "", error.__traceback__
    while at is not None:
        path = at.tb_frame.f_code.co_filename
        if not path.startswith((*_LIBRARIES, _COMMANDS)):
            found = f"{path}:{at.tb_lineno}"
        at = at.tb_next
    return found


def _advice(message: str) -> str:
    first = message.strip().splitlines()[0] if message.strip() else "tracing failed"
    if "data-dependent" in message or "DataDependent" in message or "_local_scalar_dense" in message:
        return f"the step {_STATIC}"
    if "non-Fake Tensor" in message or "FakeTensor" in message:
        return (
            "a tensor that is neither a parameter nor a buffer is used. Register it with register_buffer, so that it"
            " becomes a constant of the program."
        )
    return f"PyTorch could not trace the step: {first}"
