"""One-step fraud anywhere: in every model of the zoo, one flipped bit in a node of every kind is convicted on chain.

The proofs are those of the player, the contracts those of a deployment; a right value convicts nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import deploy
from lockstep.chain.errors import Reverted
from lockstep.chain.parameters import LOCAL
from lockstep.cli.zoo import PRESETS
from lockstep.dispute.game import Claim
from lockstep.dispute.one_shot import OneShot
from lockstep.program.graph import Node
from lockstep.program.ops import Op
from tests.differential.dispute_harness import DeployedGame, DisputeHarness
from tests.differential.fraud import Case, Party, attributes_of, flips, operands_of
from tests.zoo import zoo_task

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

ACCUSED = "0x" + "d1" * 20
BEACON = bytes(range(32))
LIAR, HONEST, ACCUSER = 0, 1, 2
"""Places of the claims: with a lie in its trace, with a right one, and the accuser's."""
NODES_OF_A_KIND = 3
"""In long runs."""


class Courtroom:
    """A deployment, and an account that accuses there."""

    def __init__(self, node: Anvil) -> None:
        self.accuser = node.accounts[0].address
        self.deployment = deploy(Client(node.url, node.accounts[0].key), LOCAL)
        self.harness = DisputeHarness(node, self.deployment.addresses["OpExecutor"])


@pytest.fixture(scope="module")
def courtroom() -> Iterator[Courtroom]:
    with Anvil() as node:
        yield Courtroom(node)


class Trial:
    """A case in court: its claims, and what the chain says to a proof."""

    def __init__(self, courtroom: Courtroom, case: Case) -> None:
        self.courtroom, self.case = courtroom, case
        self.game = DeployedGame(courtroom.harness, courtroom.deployment, case.terms, BEACON)
        self.claim(HONEST, case.honest)
        accuser = replace(case.body(case.honest), end_root=case.opening.state_root)
        self.game.add_claim(Claim(case.ref(ACCUSER), courtroom.accuser, accuser))

    def claim(self, place: int, party: Party) -> None:
        """Post what a party claims at its place, whatever stood there."""
        self.game.add_claim(Claim(self.case.ref(place), ACCUSED, self.case.body(party)))

    def ask(self, proof: OneShot, place: int) -> None:
        """Ask the chain to convict the claim at a place by a proof; ``Reverted`` where it refuses."""
        self.game.ask_one_shot(proof, self.case.ref(place), self.case.ref(ACCUSER), self.courtroom.accuser)


def convict_everywhere(trial: Trial, name: str, kind: Callable[[Node], object], each: int) -> Counter[Op]:
    """Flip a bit in nodes of every kind, one after the other; how often each op was convicted of it."""
    case, convicted = trial.case, Counter[Op]()
    kinds = [kind(node) for node in case.program.nodes]
    for flip in flips(case.program, name, kinds, each):
        node = case.program.nodes[flip.node]
        case.lie(flip)
        trial.claim(LIAR, case.liar)
        proof, slander = case.accusation(), case.slander()
        assert (proof.path.node, proof.leaf.element) == (flip.node, flip.element)
        assert (slander.path.node, slander.leaf.element) == (flip.node, flip.element)
        trial.ask(proof, LIAR)
        with pytest.raises(Reverted) as refused:
            trial.ask(slander, HONEST)
        assert refused.value.error == "LeafAgrees", (node, flip, str(refused.value))
        assert refused.value.arguments["value"] == case.element_bytes(flip), (node, flip)
        convicted[node.op] += 1
    # So far the chain was only asked; the last proof is also sent.
    before = trial.game.convictions()
    assert trial.game.one_shot(proof, case.ref(LIAR), case.ref(ACCUSER), trial.courtroom.accuser)
    assert trial.game.convictions() == before + 1
    return convicted


@pytest.mark.parametrize("name", PRESETS)
def test_flipped_bit_in_a_node_of_every_kind_is_convicted(courtroom: Courtroom, name: str) -> None:
    trial = Trial(courtroom, Case(zoo_task(name)))
    convicted = convict_everywhere(trial, name, attributes_of, 1)
    assert set(convicted) == {node.op for node in trial.case.program.nodes}


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in PRESETS if name != "gpt-mini"])
def test_flipped_bit_in_many_nodes_of_the_whole_model_is_convicted(courtroom: Courtroom, name: str) -> None:
    """At full size, operands of every origin; without GPT-mini, of which an opened step has 12.7 GiB of tensors."""
    trial = Trial(courtroom, Case(zoo_task(name, full=True)))
    convicted = convict_everywhere(trial, name, operands_of, NODES_OF_A_KIND)
    print(f"{name}: {sum(convicted.values())} flipped bits in nodes of {len(convicted)} ops convicted")
    assert set(convicted) == {node.op for node in trial.case.program.nodes}
