"""``lockstep result``: fetch what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.console import output
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Connection, bundled

if TYPE_CHECKING:
    from lockstep.chain.types import TaskState


@bundled
def result(
    connection: Connection,
    task: Annotated[int, typer.Argument(min=0, help="Number of the task.")],
    out: Annotated[
        Path, typer.Option("--out", help="Safetensors file to write; tensors have the model's names.")
    ] = Path("result.safetensors"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Fetch the trained weights, held to the root on chain, and print the test accuracy if the task can tell it.

    The weights are what the job produces once the task is settled; before that, and after a rejection, a warning says
    so.

    Example:

        lockstep result 1 --out digits.safetensors
    """
    from lockstep.agents.measure import measure
    from lockstep.agents.workload import WorkloadError, load_workload
    from lockstep.cli.session import Session
    from lockstep.cli.weights import write_weights
    from lockstep.engine.checkpoint import parse_checkpoint
    from lockstep.storage.manifest import WorkManifest, get_manifest

    if out.exists() and not force:
        raise CommandError(f"{out} is there already. Pass another --out, or --force to replace it.")
    session = Session(connection)
    lockstep, store = session.lockstep, session.store
    posted = lockstep.task(task)
    work, state = lockstep.work(task), lockstep.state(task)
    if work is None:
        raise CommandError(f"Task {task} has no result: it is {state.name.lower()}.")
    warning = _warning(state)
    if warning:
        session.note(f"warning: {warning}")
    workload = load_workload(store, posted.terms, posted.uri)
    manifest = get_manifest(store, work.uri, WorkManifest)
    data = store.get_buffer(manifest.checkpoints[-1], workload.checkpoint_limit)
    trained = parse_checkpoint(data, workload.step, work.final_root)
    trained = trained[: workload.own_state]
    write_weights(
        out,
        workload.native or workload.step,
        trained,
        {"root": work.final_root.hex(), "task": str(task)},
    )
    console = output()
    console.print(
        f"{out}: {len(trained)} tensors with the root {work.final_root.hex()}", soft_wrap=True, highlight=False
    )
    try:
        metrics = measure(store, posted.terms, posted.uri, workload, trained)
    except WorkloadError as error:
        session.note(f"warning: {error}")
        return
    for name, value in metrics.items():
        console.print(f"test {name} {value:.4f}", highlight=False)


def _warning(state: TaskState) -> str:
    """What people should know about a result in this state; empty if nothing."""
    from lockstep.chain.types import TaskState

    match state:
        case TaskState.SETTLED:
            return ""
        case TaskState.COMMITTED | TaskState.AUDITING:
            return "the audits are not over, so these weights may still turn out to be wrong."
        case TaskState.REJECTED:
            return "the audits condemned this work: these are not the weights the job produces."
        case _:
            return f"the task is {state.name.lower()}, so nobody stands for these weights."
