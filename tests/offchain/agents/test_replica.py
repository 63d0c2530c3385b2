"""A replica's states are the same whether they are kept, forgotten or computed again."""

from __future__ import annotations

import pytest

from lockstep.agents import replica as replicas
from lockstep.agents.replica import Replica, Workbench
from lockstep.cli.demo.stage import job
from lockstep.engine.checkpoint import state_root
from lockstep.engine.errors import LostRankError

STEPS = 5


@pytest.fixture
def bench() -> Workbench:
    return Workbench(job("mlp").workload, seed=11)


def roots(replica: Replica) -> list[bytes]:
    return [state_root(replica.state_after(step)) for step in range(STEPS)]


def test_states_kept_and_computed_again_are_the_same(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Replica(bench, 0, [], 0, 1).run()
    kept = Replica(bench, 1, start, 0, STEPS)
    assert roots(kept) == kept.state_roots
    monkeypatch.setattr(replicas, "KEPT_BYTES", 0)
    large = Replica(bench, 1, start, 0, STEPS)
    assert roots(large) == kept.state_roots
    assert state_root(large.state_after(1)) == kept.state_roots[1]  # back in time
    assert large.state_roots == kept.state_roots


def test_asking_in_order_for_states_too_large_to_keep_computes_each_step_once(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Replica(bench, 0, [], 0, 1).run()
    monkeypatch.setattr(replicas, "KEPT_BYTES", 0)
    computed: list[int] = []
    replica = Replica(bench, 1, start, 0, STEPS)
    compute = replica._compute
    monkeypatch.setattr(replica, "_compute", lambda state, step: (computed.append(step), compute(state, step))[1])
    roots(replica)
    assert computed == list(range(STEPS))


def test_new_segments_take_the_memory_of_old_ones(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Replica(bench, 0, [], 0, 1).run()
    first, second = (Replica(bench, 1, start, 0, STEPS) for _ in range(2))
    monkeypatch.setattr(replicas, "KEPT_BYTES", 3 * first._bytes // 2)
    expected = roots(first)
    assert first._states
    assert roots(second) == expected
    assert not first._states
    assert roots(first) == expected


def test_processes_share_a_replicas_steps_and_are_replaced_when_one_is_lost(bench: Workbench) -> None:
    start = Replica(bench, 0, [], 0, 1).run()
    wanted = Replica(bench, 1, start, 0, 3).state_roots
    shared = Workbench(bench.workload, bench.seed, processes=2)
    assert Replica(shared, 1, start, 0, 3).state_roots == wanted
    shared.step_runner.close()  # as if one had died
    with pytest.raises(LostRankError):
        Replica(shared, 1, start, 0, 3).run()
    assert Replica(shared, 1, start, 0, 3).state_roots == wanted
    shared.close()
