"""The griefing table: played, kept as JSON, written into its page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.griefing import claim_moves, draw_moves, task_moves
from benchmarks.griefing.ground import Ground, new_world
from benchmarks.griefing.losses import Loss, Row
from lockstep.chain.amounts import TOKEN
from lockstep.chain.anvil import Anvil

ROOT = Path(__file__).resolve().parents[2]
DATA, PAGE = ROOT / "docs" / "data" / "griefing.json", ROOT / "docs" / "GRIEFING.md"
BEGIN, END = "<!-- griefing: written by python -m benchmarks.griefing -->", "<!-- end of griefing -->"

Move = Callable[[Ground], Row]
MOVES: tuple[Move, ...] = (
    task_moves.never_acknowledge,
    task_moves.give_back,
    task_moves.apply_and_vanish,
    task_moves.cancel_on_applicants,
    task_moves.never_commit,
    task_moves.invalid_program,
    draw_moves.silent_verifier,
    draw_moves.silent_verifiers_all_rounds,
    draw_moves.flee_after_acceptance,
    draw_moves.notice_before_acceptance,
    draw_moves.crowd_of_verifiers,
    draw_moves.worthless_tasks,
    draw_moves.fill_the_draws,
    draw_moves.withhold_secret,
    claim_moves.blind_never_opened,
    claim_moves.right_claim_for_delay,
    claim_moves.frivolous_challenge,
    claim_moves.false_claim,
    claim_moves.false_call,
)


def play(node: Anvil, folder: Path, move: Move) -> Row:
    """A move on a deployment of its own."""
    return move(Ground(new_world(node, folder / move.__name__), move.__name__))


def measure() -> Iterator[tuple[str, Row]]:
    """(function, row) of every move."""
    with tempfile.TemporaryDirectory(prefix="lockstep-griefing-") as folder, Anvil() as node:
        for move in MOVES:
            yield move.__name__, play(node, Path(folder), move)


def recorded() -> dict[str, Row]:
    """The rows as they were measured last, by function."""
    return {name: Row.from_dict(values) for name, values in json.loads(DATA.read_text()).items()}


def text(rows: dict[str, Row]) -> str:
    """The table."""
    lines = [
        "| move | who, whom | the attacker loses | the victim loses | ratio | shown by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        who = f"{row.attacker_role}, {row.victim_role}"
        remark = f". {row.remark[0].upper()}{row.remark[1:]}" if row.remark else ""
        what = f"{row.name}{remark} (`{row.calls}`)" if row.calls else f"{row.name}{remark}"
        lines.append(f"| {what} | {who} | {_loss(row.attacker)} | {_loss(row.victim)} | {_ratio(row)} | `{name}` |")
    return "\n".join(lines)


def _loss(loss: Loss) -> str:
    """A loss and what it is made of."""
    parts = [f"{loss.gas:,} gas"] if loss.gas else []
    if loss.tokens:
        parts.insert(0, f"{_tokens(abs(loss.tokens))} {'gained' if loss.tokens < 0 else 'of tokens'}")
    if loss.work:
        parts.append(f"{_tokens(loss.work)} of work")
    if loss.locked and loss.seconds:
        parts.append(f"{_tokens(loss.locked)} idle for {loss.seconds / 3600:.1f} h")
    return f"{_tokens(loss.total)}: {', '.join(parts)}" if parts else "nothing"


def _tokens(amount: int) -> str:
    return f"{amount / TOKEN:.6f}" if abs(amount) < TOKEN // 10 else f"{amount / TOKEN:.2f}"


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return "none" if row.victim.total == 0 else "gains"
    shown = f"{row.ratio:,.4f}" if row.ratio < 1 else f"{row.ratio:,.1f}"
    return f"**{shown}**" if row.ratio > 1 else shown


def write(rows: Sequence[tuple[str, Row]]) -> None:
    """Keep the rows, and write the page's table."""
    DATA.write_text(json.dumps({name: row.as_dict() for name, row in rows}, indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text(dict(rows))}\n\n{END}{after}")
