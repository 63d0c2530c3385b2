"""Exact matmul, both operands quantised in the same call, against torch's float32 matmul."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measure import Result, interleaved, ratio
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.native.library import describe, load
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.routes import best_route
from lockstep.engine.run import native_is_usable
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes import contraction
from lockstep.program.builder import Builder
from lockstep.program.graph import Program
from lockstep.program.ops import Op

SIZES = (256, 512, 1024, 2048)


def product_program(rows: int, columns: int, length: int) -> Program:
    """f32 [rows, length] and [columns, length], state 0 and 1, to their product, which becomes state 2."""
    b = Builder()
    left = b.add_state("left", DType.F32, (rows, length), frozen=True)
    right = b.add_state("right", DType.F32, (columns, length), frozen=True)
    b.add_state("product", DType.F32, (rows, columns))
    return b.finish([left, right, b.contract(left, right)]).program


def exact_product(a: Tensor, b: Tensor, threads: int) -> tuple[Callable[[], object], str]:
    """A call that multiplies f32 a [M, K] by b [N, K] exactly, and the name of its route."""
    program = product_program(a.shape[0], b.shape[0], a.shape[1])
    if native_is_usable(program):
        engine = NativeEngine(program, [program.nodes[-1].inputs[2]], [], 0, threads)
        out = engine.empty_outputs()
        state = [a, b]
        return (lambda: engine.run(state, 0, out)), describe()
    route = best_route(Op.MATMUL)
    product = {"int8": contraction.matmul_int8, "float64": contraction.matmul_float64}[route.name]

    def through_torch() -> Tensor:
        ea, eb = contraction.exponent(a, -113), contraction.exponent(b, -113)
        return product(contraction.quantize(a, ea), ea, contraction.quantize(b, eb), eb)

    return through_torch, f"torch {route.name}"


def measure(quick: bool = False) -> Iterator[Result]:
    """``matmul/N`` at one thread, ``matmul/N/2_threads`` at two."""
    counts = [1] + ([2] if (os.cpu_count() or 1) > 1 else [])
    for threads in counts:
        for size in SIZES[:2] if quick else SIZES:
            generator = torch.Generator().manual_seed(size)
            a, b = (torch.randn(size, size, generator=generator) for _ in range(2))
            exact, route = exact_product(a, b, threads)
            with torch_threads(threads):
                ours, peer = interleaved(exact, lambda a=a, b=b: a @ b.t(), 0.3 if quick else 2.0)
            name = f"matmul/{size}" if threads == 1 else f"matmul/{size}/{threads}_threads"
            note = "" if load() is not None and "int8" in route else "; no int8 hardware or no compiler here"
            detail = (
                f"exact by {route}, quantisation of both included, against torch float32; {threads} thread(s){note}"
            )
            yield ratio(name, ours, peer, detail)
