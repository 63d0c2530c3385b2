"""ATen's random draws: each call has a random site of its own, and STEP is the counter.

So draws are those of the task's seed, the same for everybody, and others at every step; they are not PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockstep.numerics.dtypes import DType
from lockstep.program import composites
from lockstep.program.emitter import Value
from lockstep.program.lowering.pointwise import out_dtype
from lockstep.program.lowering.registry import Context, lowers

DRAWS = frozenset(
    {"rand", "rand_like", "randn", "randn_like", "bernoulli", "bernoulli.p", "uniform", "normal_functional"}
    | {"randint", "randint.low", "randint_like", "randint_like.low_dtype", "randperm", "exponential"}
)
"""The operators below, by name."""


@lowers("lockstep.dropout_mask")
def dropout_mask(c: Context, like: Value, probability: float, site: int) -> Value:
    """0 with this probability, else ``1 / (1 - probability)``; one random site a call in the model."""
    if site not in c.sites:
        c.sites[site] = c.b.next_site()
    return composites.dropout_mask(c.b, c.shape, probability, site=c.sites[site])


@lowers("rand", "rand_like")
def rand(c: Context, *_rest: Any, **_options: Any) -> Value:
    """Uniform draws from [0, 1)."""
    return composites.uniform(c.b, c.shape)


@lowers("uniform")
def uniform(c: Context, _like: Value, low: float = 0.0, high: float = 1.0, **_options: Any) -> Value:
    """Uniform draws from [low, high)."""
    return composites.uniform(c.b, c.shape, float(low), float(high))


@lowers("randn", "randn_like")
def randn(c: Context, *_rest: Any, **_options: Any) -> Value:
    """Draws from the standard normal distribution."""
    return composites.normal(c.b, c.shape)


@lowers("normal_functional")
def normal(c: Context, _like: Value, mean: float = 0.0, std: float = 1.0, **_options: Any) -> Value:
    """Draws from a normal distribution."""
    drawn = composites.normal(c.b, c.shape, float(std))
    return c.b.add(drawn, float(mean)) if mean else drawn


@lowers("exponential")
def exponential(c: Context, _like: Value, rate: float = 1.0, **_options: Any) -> Value:
    """Draws from an exponential distribution, above 0: ``-log(u) / rate`` with ``u`` in (0, 1)."""
    return c.b.div(c.b.neg(c.b.log(composites.open_uniform(c.b, c.shape))), float(rate))


@lowers("bernoulli", "bernoulli.p")
def bernoulli(c: Context, x: Value, probability: float | None = None, **_options: Any) -> Value:
    """1 with a probability, one number or an element of the operand each; else 0."""
    limit = c.b.expand(x, c.shape) if probability is None else c.b.f32(float(probability), c.shape)
    drawn = c.b.lt(composites.uniform(c.b, c.shape), limit)
    return c.b.cast(drawn, out_dtype(c))


def _whole(c: Context, low: int, high: int) -> Value:
    """Uniform draws from the integers low to high - 1, to within one part in ``2^32 / (high - low)``."""
    drawn = c.b.iadd(c.b.umod(c.b.random_bits(c.shape), high - low), low)
    return c.b.cast(drawn, out_dtype(c))


@lowers("randint")
def randint(c: Context, high: int, _size: Sequence[int], **_options: Any) -> Value:
    """Uniform draws from the integers 0 to high - 1."""
    return _whole(c, 0, high)


@lowers("randint.low")
def randint_low(c: Context, low: int, high: int, _size: Sequence[int], **_options: Any) -> Value:
    """Uniform draws from the integers low to high - 1."""
    return _whole(c, low, high)


@lowers("randint_like")
def randint_like(c: Context, _like: Value, high: int, **_options: Any) -> Value:
    """Uniform draws from the integers 0 to high - 1."""
    return _whole(c, 0, high)


@lowers("randint_like.low_dtype")
def randint_like_low(c: Context, _like: Value, low: int, high: int, **_options: Any) -> Value:
    """Uniform draws from the integers low to high - 1."""
    return _whole(c, low, high)


@lowers("randperm")
def randperm(c: Context, n: int, **_options: Any) -> Value:
    """A permutation of 0 to n - 1."""
    return c.b.cast(c.b.shuffle(c.b.iota((n,)), n, c.b.step), DType.I32)
