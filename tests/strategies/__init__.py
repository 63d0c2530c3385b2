"""Random values, nodes and programs, valid by construction: what the tests of every layer draw from.

``random_node_case(rng)`` makes one node of any op with its inputs, ``random_program_case(rng)`` a whole
step on its own state and constants. Both take a NumPy generator, so that a seed names a case;
``node_cases`` and ``program_cases`` are the same as Hypothesis strategies.
"""

from tests.strategies.nodes import ALL_OPS, NodeCase, node_cases, per_op, random_node_case
from tests.strategies.programs import ProgramCase, program_cases, random_program_case
from tests.strategies.values import f32_arrays, f32_bits, f32_values, i32_values, values_of

__all__ = [
    "ALL_OPS",
    "NodeCase",
    "ProgramCase",
    "f32_arrays",
    "f32_bits",
    "f32_values",
    "i32_values",
    "node_cases",
    "per_op",
    "program_cases",
    "random_node_case",
    "random_program_case",
    "values_of",
]
