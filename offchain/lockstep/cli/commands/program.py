"""``lockstep program show``: a program as people read it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.console import output, table
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Connection, bundled
from lockstep.cli.training import Chosen, Training
from lockstep.program.ops import InputKind

if TYPE_CHECKING:
    from lockstep.cli.session import Session
    from lockstep.program.graph import Program

app = typer.Typer(help="Look at programs: what exactly a task trains.", no_args_is_help=True)

PROGRAM_LIMIT = 64 << 20
WHICH = ("step", "init", "predict")


@app.command()
@bundled
def show(
    connection: Connection,
    training: Training,
    source: Annotated[
        str,
        typer.Argument(
            metavar="TASK|FILE|sha256:...|NAME|FILE.py:FUNCTION",
            help="A task's number, a program file, an artifact of the store, or what `submit` takes.",
        ),
    ],
    which: Annotated[str, typer.Option("--which", metavar="|".join(WHICH), help="Which program of a task.")] = "step",
    nodes: Annotated[
        str | None,
        typer.Option("--nodes", metavar="FROM:TO", help="Only these nodes, TO excluded.", show_default="all"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Of a model that is captured.", show_default="what suits it"),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=2**32 - 1, help="Of a model of the zoo: how long a schedule is.")
    ] = 320,
    text: Annotated[bool, typer.Option("--text/--no-text", help="The program itself, not only its figures.")] = True,
) -> None:
    """Show a program: its text, how often each op occurs, the work of a step, and of a dispute the costliest leaf and
    the most moves.

    Whatever it is, it passes the checker first, as it would have to before anybody runs it.

    Examples:

        lockstep program show 1 --which init
        lockstep program show mlp --nodes 40:60
    """
    from lockstep.program.text import program_text

    if which not in WHICH:
        raise typer.BadParameter(f"{which!r} is none of {', '.join(WHICH)}.")
    chosen = _range(nodes)
    program = _find(connection, source, which, batch_size, training.chosen(steps))
    _check(program)
    console = output()
    if text:
        lines = program_text(program).splitlines()
        for line in lines if chosen is None else _within(lines, chosen):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print()
    _show_figures(program)


def _check(program: Program) -> None:
    """Refuse what is neither a step program nor an init program; a file does not say which it is."""
    from lockstep.program.spec import ProgramError, check_program

    try:
        check_program(program)
    except ProgramError:
        if any(source.kind is InputKind.STATE for node in program.nodes for source in node.inputs):
            raise
        check_program(program, init=True)


def _range(text: str | None) -> range | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{0,9}):(\d{0,9})|(\d{1,9})", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a range of nodes, such as 40:60 or 7.")
    if match.group(3):
        return range(int(match.group(3)), int(match.group(3)) + 1)
    return range(int(match.group(1) or 0), int(match.group(2) or 2**31))


def _within(lines: list[str], chosen: range) -> list[str]:
    """The lines of some nodes."""
    numbered = ((re.match(r"%(\d+) = ", line), line) for line in lines)
    return [line for match, line in numbered if match and int(match.group(1)) in chosen]


def _find(connection: Connection, source: str, which: str, batch_size: int | None, chosen: Chosen) -> Program:
    """The program that ``source`` names.

    Raises:
        CommandError: it names none, or options say how to train what is a program already

    """
    from lockstep.cli.session import Session

    file = Path(source)
    if chosen != Chosen() and (source.isdecimal() or source.startswith("sha256:") or file.is_file()):
        raise CommandError(f"{source} is a program and says already how it is trained; leave those options out.")
    if source.isdecimal():
        return _of_task(Session(connection), int(source), which)
    if source.startswith("sha256:"):
        return _decoded(Session(connection).store.get(source, PROGRAM_LIMIT), source)
    if file.is_file():
        if file.stat().st_size > PROGRAM_LIMIT:
            raise CommandError(f"{file} has more than {PROGRAM_LIMIT >> 20} MiB; it is no program file.")
        return _decoded(file.read_bytes(), source)
    return _captured(source, which, batch_size, chosen)


def _decoded(data: bytes, what: str) -> Program:
    from lockstep.program.encoding import EncodingError, decode_program

    try:
        return decode_program(data)[0]
    except EncodingError as error:
        raise CommandError(f"{what} is not a program: {error}") from None


def _of_task(session: Session, task: int, which: str) -> Program:
    """A task's program with its names; the measuring program stands on no chain."""
    from lockstep.agents.workload import load_workload
    from lockstep.storage.manifest import TaskManifest, get_manifest

    posted = session.lockstep.task(task)
    if which == "predict":
        name = get_manifest(session.store, posted.uri, TaskManifest).predict
        if name is None:
            raise CommandError(f"Task {task} came without a program that measures its result.")
        return _decoded(session.store.get(name, PROGRAM_LIMIT), name)
    workload = load_workload(session.store, posted.terms, posted.uri)
    if which == "init" and workload.init is None:
        raise CommandError(f"Task {task} has no init program: it starts from where another task ended.")
    return workload.program(0 if which == "init" else 1)


def _captured(source: str, which: str, batch_size: int | None, chosen: Chosen) -> Program:
    from lockstep.cli.sources import captured_task

    captured = captured_task(source, batch_size, chosen)
    if which == "predict":
        if captured.evaluate is None:
            raise CommandError(
                f"{source} comes without evaluation data, so there is no program that measures its result."
            )
        return captured.evaluate
    return captured.init if which == "init" else captured.step


def _show_figures(program: Program) -> None:
    """Ops by work, the work of a step, and the leaf a dispute would cost most to prove."""
    from lockstep.program.spec import MAX_LEAF_BYTES, leaf_bytes
    from lockstep.program.text import node_text
    from lockstep.program.work import node_work

    counts: Counter[str] = Counter()
    work: Counter[str] = Counter()
    worst, worst_bytes = 0, -1
    for index, node in enumerate(program.nodes):
        types = [program.input_type(source, node.shape) for source in node.inputs]
        name = node.op.name.lower()
        counts[name] += 1
        work[name] += node_work(node, types)
        size = leaf_bytes(node, types, len(program.nodes))
        if size > worst_bytes:
            worst, worst_bytes = index, size
    total = sum(work.values())
    shown = table("Ops", "op", "nodes", "work", "share", right=("nodes", "work", "share"))
    for name, units in work.most_common():
        shown.add_row(name, str(counts[name]), f"{units:,}", f"{100 * units / total:.1f} %")
    shown.add_row("all", str(len(program.nodes)), f"{total:,}", "", style="bold")
    console = output()
    console.print(shown)
    console.print()
    where = program.names.nodes.get(worst)
    lines = [
        f"Costliest leaf: {worst_bytes:,} of {MAX_LEAF_BYTES:,} bytes of calldata at most, for an element of",
        f"  {node_text(program.nodes[worst], worst)}" + (f"   # {where}" if where else ""),
    ]
    lines.append(_longest(program))
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _longest(program: Program) -> str:
    from lockstep.dispute.claims import MAX_SEGMENT_STEPS
    from lockstep.dispute.length import longest_dispute

    moves, node = longest_dispute(program, MAX_SEGMENT_STEPS)
    return (
        f"Longest dispute: {moves} moves a side, for one about node {node} in a segment of {MAX_SEGMENT_STEPS} steps."
    )
