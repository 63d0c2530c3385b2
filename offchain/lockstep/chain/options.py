"""What a task has beyond the ordinary, one word of its terms; twin of ``contracts/types/TaskOptions.sol``."""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = ("mlp", "cnn", "rnn", "transformer")
"""Families of models a task may name; family 1 is the first. The contracts know numbers only."""


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Options of a task; all zero: it starts from its init program, and whoever accepts first solves it.

    ``parent``: the settled task whose final root it starts from; ``first_step``: STEP in the first step of segment 1;
    ``apply_deadline``: last second (timestamp) to apply where the solver is drawn; ``family``: 1 + index in
    ``FAMILIES``.
    """

    parent: int = 0
    first_step: int = 0
    apply_deadline: int = 0
    family: int = 0

    def pack(self) -> int:
        """The word, as the terms have it: ``parent u64 | firstStep u32 | applyDeadline u40 | family u8`` from below."""
        return self.parent | self.first_step << 64 | self.apply_deadline << 96 | self.family << 136

    @classmethod
    def unpack(cls, word: int) -> TaskOptions:
        """From the word; what is above the fields is not looked at (the market refuses it)."""
        return cls(word & 2**64 - 1, word >> 64 & 2**32 - 1, word >> 96 & 2**40 - 1, word >> 136 & 2**8 - 1)


def families_mask(names: tuple[str, ...]) -> int:
    """One bit a family, as applicants declare them; ``ValueError`` for a name that is none."""
    return sum(1 << FAMILIES.index(name) for name in set(names))
