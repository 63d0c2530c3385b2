"""ATen's indexing by integer tensors: ``gather`` along the first axis, and exact sums for what is added back.

An index outside its axis, which PyTorch refuses when it runs, reads or writes some element or none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Operand, Value
from lockstep.program.graph import Shape, View
from lockstep.program.lowering.pointwise import out_dtype, where
from lockstep.program.lowering.registry import Context, lowers
from lockstep.program.ops import MAX_SCATTER_ROW

F32, I32 = DType.F32, DType.I32


def take(c: Context, x: Value, axis: int, index: Value) -> Value:
    """``x`` [.., R, ..] at i32 ``index`` [I..] of an axis -> [.., I.., ..]; 0 where the index is out of range."""
    axis %= len(x.shape)
    lead, rest = x.shape[:axis], x.shape[axis + 1 :]
    table = c.b.permute(x, [axis, *(a for a in range(len(x.shape)) if a != axis)])
    rows = c.b.reshape(c.b.gather(table, index), (math.prod(index.shape), math.prod(lead), math.prod(rest)))
    return c.b.reshape(c.b.permute(rows, (1, 0, 2)), (*lead, *index.shape, *rest))


def put_add(c: Context, x: Value, axis: int, index: Value, extent: int) -> Value:
    """The gradient of ``take``: f32 ``x`` [.., I.., ..] -> [.., extent, ..], exact sums of what shares an index."""
    count = math.prod(index.shape)
    lead, rest = x.shape[:axis], x.shape[axis + len(index.shape) :]
    flat = c.b.reshape(x, (math.prod(lead), count, math.prod(rest)))
    rows = c.b.reshape(c.b.permute(flat, (0, 2, 1)), (math.prod(lead) * math.prod(rest), count))
    added = c.b.scatter_add(rows, c.b.reshape(index, (count,)), extent)
    wide = c.b.reshape(added, (math.prod(lead), math.prod(rest), extent))
    return c.b.reshape(c.b.permute(wide, (0, 2, 1)), (*lead, extent, *rest))


@lowers("index_select")
def index_select(c: Context, x: Value, axis: int, index: Value) -> Value:
    """Elements of an axis by index."""
    return c.b.reshape(take(c, x, axis, index), c.shape)


@lowers("index_add")
def index_add(c: Context, x: Value, axis: int, index: Value, source: Value, *, alpha: float = 1) -> Value:
    """``x`` plus what was added to the elements of an axis by index, each an exact sum rounded once."""
    axis %= len(x.shape)
    added = put_add(c, source, axis, index, x.shape[axis])
    return c.b.add(x, c.b.mul(added, float(alpha)) if alpha != 1 else added)


# one index an element


def _places(c: Context, shape: Shape, axis: int, index: Value) -> Value:
    """Row-major places in ``shape`` of the elements ``index`` names along an axis, the other axes its own."""
    own = View(shape, (0,) * len(shape), tuple((a, 0 if a == axis else 1) for a in range(len(shape))))
    base = c.b.view(c.b.iota(shape), own, index.shape)
    return c.b.iadd(base, c.b.imul(index, math.prod(shape[axis + 1 :])))


def _is_named(c: Context, shape: Shape, axis: int, index: Value) -> Value:
    """i32 of ``shape``: 1 where ``index``, of extent 1 along the axis, names the element."""
    number = c.b.view(c.b.iota((shape[axis],)), View((shape[axis],), (0,), _only(shape, axis)), shape)
    return c.b.ieq(_along(c, index, axis, shape), number)


def _only(shape: Shape, axis: int) -> tuple[tuple[int, int], ...]:
    return tuple((0, int(a == axis)) for a in range(len(shape)))


def _along(c: Context, x: Value, axis: int, shape: Shape) -> Value:
    """``x``, of extent 1 along an axis, cropped to the other extents' and widened along it."""
    own = View(x.shape, (0,) * len(x.shape), tuple((a, 0 if a == axis else 1) for a in range(len(x.shape))))
    return c.b.view(x, own, shape)


def _single(c: Context, x: Value, axis: int, index: Value) -> bool:
    """Whether there is one index a row, and rows are whole: then no two can name the same element."""
    others = [(a, i) for n, (a, i) in enumerate(zip(x.shape, index.shape, strict=True)) if n != axis]
    return index.shape[axis] == 1 and all(a == i for a, i in others)


@lowers("gather")
def gather(c: Context, x: Value, axis: int, index: Value, *, sparse_grad: bool = False) -> Value:
    """The elements of an axis that an index of the output's shape names."""
    if not x.shape:
        return x
    axis %= len(x.shape)
    flat = c.b.reshape(c.b.materialise(x), (math.prod(x.shape),))
    return c.b.gather(flat, _places(c, x.shape, axis, index))


@lowers("scatter_add")
def scatter_add(c: Context, x: Value, axis: int, index: Value, source: Value) -> Value:
    """``x`` plus exact sums of the elements of ``source`` that name the same place."""
    b, axis = c.b, axis % len(x.shape)
    source = _cropped(c, source, index.shape)
    if _single(c, x, axis, index):
        part = b.select(_is_named(c, x.shape, axis, index), _along(c, b.materialise(source), axis, x.shape), 0.0)
        return part if x.is_literal and x.source.value == 0 else b.add(x, part)
    count, size = math.prod(index.shape), math.prod(x.shape)
    if count > MAX_SCATTER_ROW:
        raise c.refuse(
            f"{count} indices, one an element, are not carried: at most {MAX_SCATTER_ROW} are",
            "Index whole rows (index_add, nn.Embedding) or use a one-hot mask.",
        )
    places = b.reshape(_places(c, x.shape, axis, index), (count,))
    added = b.scatter_add(b.reshape(b.materialise(source), (1, count)), places, size)
    part = b.reshape(added, x.shape)
    return part if x.is_literal and x.source.value == 0 else b.add(x, part)


def _cropped(c: Context, x: Value, shape: Shape) -> Value:
    for axis, extent in enumerate(shape):
        if x.shape[axis] != extent:
            x = c.b.slice(x, axis, 0, extent)
    return x


@lowers("scatter.value", "scatter.src")
def scatter(c: Context, x: Value, axis: int, index: Value, source: Operand) -> Value:
    """``x`` with one element of each row replaced; with more, which of two writes wins is not defined.

    The gradient of ``sort`` and ``topk`` is one with more, to distinct places.
    """
    axis %= len(x.shape)
    if isinstance(source, Value) and x.is_literal and x.source.value == 0 and c.is_permutation(index):
        return scatter_add(c, x, axis, index, source)
    if not _single(c, x, axis, index):
        raise c.refuse("carried with one index a row: of two that are equal neither is the last", "Use scatter_add.")
    wide = _along(c, _cropped(c, source, index.shape), axis, x.shape) if isinstance(source, Value) else source
    return where(c, _is_named(c, x.shape, axis, index), wide, x)


# x[i, :, j]


def _joined(c: Context, x: Value, indices: Sequence[Value | None]) -> tuple[list[int], int, Value, Shape]:
    """(order of axes, first indexed axis in that order, one index over the joined indexed axes, their extents).

    Indexed axes that are not neighbours come first, as in NumPy. Negative indices count from the end.
    """
    given = list(indices) + [None] * (len(x.shape) - len(indices))
    axes = [axis for axis, index in enumerate(given) if index is not None]
    neighbours = axes == list(range(axes[0], axes[-1] + 1))
    first = axes[0] if neighbours else 0
    rest = [axis for axis in range(len(x.shape)) if axis not in axes]
    order = [*rest[:first], *axes, *rest[first:]]
    chosen = [index for index in given if index is not None]
    shape = broadcast_shape([index.shape for index in chosen])
    flat: Value | None = None
    for axis, index in zip(axes, chosen, strict=True):
        extent = x.shape[axis]
        whole = c.b.select(c.b.ilt(index, 0), c.b.iadd(index, extent), index)
        whole = c.b.expand(whole, shape)
        flat = whole if flat is None else c.b.iadd(c.b.imul(flat, extent), whole)
    assert flat is not None
    return order, first, flat, tuple(x.shape[axis] for axis in axes)


def broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape that several widen to, aligned at the right."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(max(extents) for extents in zip(*padded, strict=True))


def _one_axis(c: Context, x: Value, order: Sequence[int], first: int, extents: Shape) -> Value:
    """``x`` with its axes in this order and the indexed ones joined into one."""
    moved = c.b.permute(x, order)
    return c.b.reshape(moved, (*moved.shape[:first], math.prod(extents), *moved.shape[first + len(extents) :]))


@lowers("index.Tensor", "_unsafe_index.Tensor")
def index(c: Context, x: Value, indices: Sequence[Value | None]) -> Value:
    """``x[i, :, j]`` by integer tensors."""
    order, first, flat, extents = _joined(c, x, indices)
    return c.b.reshape(take(c, _one_axis(c, x, order, first, extents), first, flat), c.shape)


def _is_mask(c: Context) -> bool:
    """Whether the index is one mask of truth values; refuses masks among integers."""
    given = [node for node in c.node.args[1] if node is not None]  # type: ignore[union-attr]
    masks = [str(node.meta["val"].dtype) == "torch.bool" for node in given]  # type: ignore[union-attr]
    if any(masks) and len(masks) > 1:
        raise c.refuse("a mask among other indices is not carried", "Use torch.where.")
    return all(masks)


@lowers("index_put", "_unsafe_index_put")
def index_put(c: Context, x: Value, indices: Sequence[Value | None], values: Value, accumulate: bool = False) -> Value:
    """Elements added at integer indices, or one number written where a mask holds."""
    if _is_mask(c):
        mask = next(index for index in indices if index is not None)
        lead = next(axis for axis, index in enumerate(indices) if index is not None)
        if math.prod(values.shape) != 1 or accumulate:
            raise c.refuse("carried for one number where a mask holds", "Use torch.where.")
        between = (*(1,) * lead, *mask.shape, *(1,) * (len(x.shape) - lead - len(mask.shape)))
        one = c.b.expand(c.b.cast(c.b.reshape(values, ()), out_dtype(c)), x.shape)
        wide = c.b.expand(c.b.reshape(mask, (1,) * (len(between) - len(x.shape)) + between), x.shape)
        return c.b.select(wide, one, x)
    if not accumulate:
        raise c.refuse(
            "assignment by an integer tensor is not carried: of two equal indices neither is the last",
            "Use torch.where with a mask, or index_add.",
        )
    order, first, flat, extents = _joined(c, x, indices)
    moved = tuple(x.shape[axis] for axis in order)
    shape = (*moved[:first], *flat.shape, *moved[first + len(extents) :])
    added = put_add(c, c.b.expand(values, shape), first, flat, math.prod(extents))
    back = [order.index(axis) for axis in range(len(order))]
    result = c.b.permute(c.b.reshape(added, moved), back)
    return result if x.is_literal and x.source.value == 0 else c.b.add(x, result)
