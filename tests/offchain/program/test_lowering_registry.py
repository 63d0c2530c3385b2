"""Every rule is for an operator that exists, and takes that operator's arguments."""

from __future__ import annotations

import inspect

import torch

from lockstep.program.lowering import INSTEAD, RULES, nearest
from lockstep.program.lowering import random as random_family


def overload(name: str) -> torch._ops.OpOverload:
    """The operator a rule is registered for."""
    if name.startswith("lockstep."):
        return getattr(torch.ops.lockstep, name.removeprefix("lockstep.")).default
    base, _, variant = name.partition(".")
    return getattr(getattr(torch.ops.aten, base), variant or "default")


def test_every_rule_takes_the_arguments_of_its_operator() -> None:
    for name, rule in RULES.items():
        schema = overload(name)._schema
        positional = [None for argument in schema.arguments if not argument.kwarg_only]
        keywords = {argument.name: None for argument in schema.arguments if argument.kwarg_only}
        try:
            inspect.signature(rule).bind(None, *positional, **keywords)
        except TypeError as error:
            raise AssertionError(f"{name}: {error}: {schema}") from None


def test_every_rule_defaults_to_what_its_operator_does() -> None:
    """PyTorch leaves out arguments that have their default: with another one a rule would compute something else."""
    for name, rule in RULES.items():
        parameters = list(inspect.signature(rule).parameters.values())[1:]
        for argument, parameter in zip(overload(name)._schema.arguments, parameters, strict=False):
            if argument.kwarg_only or parameter.default is inspect.Parameter.empty or not argument.has_default_value():
                continue
            expected, given = argument.default_value, parameter.default
            same = (
                list(expected) == list(given) if isinstance(expected, list) and given is not None else expected == given
            )
            assert same or (not expected and not given), f"{name}: {parameter.name} is {given}, not {expected}"


def test_every_rule_gives_as_many_values_as_its_operator() -> None:
    for name, rule in RULES.items():
        annotation = str(inspect.signature(rule).return_annotation)
        several = annotation.startswith("tuple") or annotation in ("Pair", "Three")
        returns = overload(name)._schema.returns
        assert several == (len(returns) > 1 or "Tensor[]" in str(returns[0].type) or "List" in str(returns[0].type)), (
            name
        )


def test_nothing_that_is_carried_is_said_to_be_refused() -> None:
    carried = {name.split(".")[0] for name in RULES}
    assert not carried & (set(INSTEAD) - {"_to_copy"})
    for name in INSTEAD:
        assert nearest(name) == INSTEAD[name]


def test_draws_are_the_operators_of_the_random_family() -> None:
    assert {name for name, rule in RULES.items() if rule.__module__ == random_family.__name__} == (
        random_family.DRAWS | {"lockstep.dropout_mask"}
    )
