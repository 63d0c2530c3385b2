"""Parameter groups: another optimiser, or other settings, for parameters by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape
from lockstep.program.infer import ProgramError
from lockstep.program.optimisers.base import Optimiser, Result, Slot, Update


@dataclass(frozen=True, slots=True)
class Groups:
    """``default`` for all parameters but those whose name a pattern matches; the first that does decides.

    Patterns are those of file names, on the names of ``named_parameters``: ``"*.bias"``, ``"head.*"``::

        Groups(AdamW(1e-3), {"*.bias": AdamW(1e-3, weight_decay=0.0)})

    A pattern that matches nothing is a ``ProgramError``. A group's state is named ``PATTERN/NAME``.
    """

    default: Optimiser
    patterns: Mapping[str, Optimiser]

    def __post_init__(self) -> None:
        if not self.patterns or not all(self.patterns):
            raise ValueError(f"patterns are {list(self.patterns)}; there is one or more, and none is empty.")

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """The default's, then each group's, for the parameters it has."""
        slots = []
        for pattern, (optimiser, names) in self._groups(shapes).items():
            if pattern and not names:
                raise ProgramError(
                    f"No trained parameter is left for the pattern {pattern!r}; they are {', '.join(shapes)}."
                )
            own = optimiser.slots({name: shapes[name] for name in names}) if names else []
            slots += [replace(slot, name=_prefix(pattern) + slot.name) for slot in own]
        return slots

    def emit(self, b: Builder, update: Update) -> Result:
        """Each group's."""
        new: dict[str, Value] = {}
        slots: dict[str, Value] = {}
        for pattern, (optimiser, names) in self._groups(update.parameters).items():
            if not names:
                continue
            prefix = _prefix(pattern)
            own = {n.removeprefix(prefix): v for n, v in update.slots.items() if n.startswith(prefix)}
            moved, kept = optimiser.emit(
                b, Update({name: update.parameters[name] for name in names}, update.gradients, own)
            )
            new |= moved
            slots |= {prefix + name: value for name, value in kept.items()}
        return new, slots

    def _groups(self, parameters: Iterable[str]) -> dict[str, tuple[Optimiser, list[str]]]:
        """Optimiser and parameters by pattern; the default's is empty."""
        groups: dict[str, tuple[Optimiser, list[str]]] = {"": (self.default, [])}
        groups |= {pattern: (optimiser, []) for pattern, optimiser in self.patterns.items()}
        for name in parameters:
            pattern = next((p for p in self.patterns if fnmatchcase(name, p)), "")
            groups[pattern][1].append(name)
        return groups


def _prefix(pattern: str) -> str:
    return f"{pattern}/" if pattern else ""
