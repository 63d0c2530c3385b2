"""Convolutions of ResNet-18, forward and both gradients in a call, exact against torch's float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_input, conv2d_weight

from benchmarks.measure import Result, interleaved, ratio
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.native.library import describe
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.run import Runner, native_is_usable
from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.lowering.convolution import Geometry, forward, input_gradient, weight_gradient
from lockstep.program.lowering.registry import Context

BATCH = 16


class Shape(NamedTuple):
    """Channels in and out, image side, kernel side, stride."""

    channels: int
    filters: int
    side: int
    kernel: int
    stride: int

    @property
    def out(self) -> int:
        """Side of the output, with the padding that keeps an image's size at stride 1."""
        return (self.side + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1

    def __str__(self) -> str:
        return f"{self.channels}-{self.filters}_{self.side}x{self.side}_k{self.kernel}_s{self.stride}"


SHAPES = (
    Shape(1, 64, 28, 3, 1),
    Shape(64, 64, 28, 3, 1),
    Shape(64, 128, 28, 3, 2),
    Shape(128, 128, 14, 3, 1),
    Shape(128, 256, 14, 3, 2),
    Shape(256, 256, 7, 3, 1),
    Shape(256, 512, 7, 3, 2),
    Shape(512, 512, 4, 3, 1),
    Shape(64, 128, 28, 1, 2),
)


def exact(shape: Shape, x: Tensor, weight: Tensor, grad: Tensor) -> tuple[Callable[[], object], str]:
    """A call that does all three on f32 tensors, and the name of its route."""
    b = Builder()
    sources = [
        b.add_state(name, DType.F32, tuple(t.shape), frozen=True)
        for name, t in zip("xwg", (x, weight, grad), strict=True)
    ]
    both = (shape.kernel // 2,) * 2
    g = Geometry(
        BATCH, 1, shape.channels, shape.filters, (shape.side,) * 2, (shape.kernel,) * 2, (shape.out,) * 2,
        (shape.stride,) * 2, both, (1, 1),
    )  # fmt: skip
    c = cast(Context, SimpleNamespace(b=b, is_precise=False))
    made = [forward(c, sources[0], sources[1], g)]
    made += [input_gradient(c, sources[2], sources[1], g), weight_gradient(c, sources[2], sources[0], g)]
    for name, value in zip(("y", "dx", "dw"), made, strict=True):
        b.add_state(name, DType.F32, value.shape)
    program = b.finish([*sources, *made]).program
    state = [x, weight, grad]
    if native_is_usable(program):
        engine = NativeEngine(program, list(program.nodes[-1].inputs[3:]), [], 0, 1)
        out = engine.empty_outputs()
        return (lambda: engine.run(state, 0, out)), describe()
    runner = Runner(program, [], 0, native=False)
    full: list[Any] = [*state, *(torch.zeros(value.shape) for value in made)]
    return (lambda: runner.step(full, 0)), runner.name


def measure(quick: bool = False) -> Iterator[Result]:
    """``conv/SHAPE`` at one thread."""
    for shape in SHAPES:
        generator = torch.Generator().manual_seed(shape.side)
        x = torch.randn(BATCH, shape.channels, shape.side, shape.side, generator=generator)
        weight = torch.randn(shape.filters, shape.channels, shape.kernel, shape.kernel, generator=generator)
        grad = torch.randn(BATCH, shape.filters, shape.out, shape.out, generator=generator)
        options = {"stride": shape.stride, "padding": shape.kernel // 2}

        def eager(x: Tensor = x, weight: Tensor = weight, grad: Tensor = grad, o: dict[str, int] = options) -> object:
            dx = conv2d_input(x.shape, weight, grad, **o)
            return conv2d(x, weight, **o), dx, conv2d_weight(x, weight.shape, grad, **o)

        call, route = exact(shape, x, weight, grad)
        with torch_threads(1):
            ours, peer = interleaved(call, eager, 0.3 if quick else 2.0)
        yield ratio(f"conv/{shape}", ours, peer, f"batch {BATCH}, forward and both gradients by {route}, float32 torch")
