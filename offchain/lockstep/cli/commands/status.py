"""``lockstep status``: what stands on chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import (
    duration_text,
    moment_text,
    output,
    parse_address,
    print_json,
    relative_text,
    short,
    table,
)
from lockstep.cli.keys import LOCAL_CHAIN
from lockstep.cli.options import Connection, Role, bundled

if TYPE_CHECKING:
    from lockstep.cli.report import Document

AMOUNTS = frozenset({"claim_bond", "blind_bond", "weight_unit", "opening_bond"})
DURATIONS = ("window", "delay", "clock", "increment")


@bundled
def status(
    connection: Connection,
    task: Annotated[
        int | None, typer.Argument(min=0, help="A task: its segments, claims, disputes.", show_default="all tasks")
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="ADDRESS", help="What an account has; may be repeated.", show_default=False),
    ] = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="The deployment's addresses and numbers.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; amounts are strings of base units.")] = False,
) -> None:
    """Show tasks, one task, accounts, or the deployment's numbers. Deadlines are by the chain's clock.

    Examples:

        lockstep status
        lockstep status 1
        lockstep status --account 0x70997970C51812dc3A010C7d01b50e0d17dc79C8
    """
    from lockstep.cli import report
    from lockstep.cli.session import Session

    accounts = [parse_address(address) for address in account or ()]
    lockstep = Session(connection).lockstep
    document: Document = {}
    if numbers:
        document["deployment"] = report.deployment_report(lockstep)
    if accounts:
        document["accounts"] = [report.account_report(lockstep, address) for address in accounts]
    if task is not None:
        document["task"] = report.task_report(lockstep, lockstep.task(task))
    if not document:
        document["now"] = lockstep.now()
        document["tasks"] = [report.task_line(lockstep, posted) for posted in lockstep.tasks()]
        if lockstep.client.chain_id == LOCAL_CHAIN:
            document["accounts"] = [
                report.account_report(lockstep, address) | {"role": role} for role, address in _local_accounts().items()
            ]
    if as_json:
        print_json(document)
        return
    for part, show in (
        ("deployment", _show_deployment),
        ("task", _show_task),
        ("tasks", lambda lines: _show_tasks(lines, document["now"])),
        ("accounts", _show_accounts),
    ):
        if part in document:
            show(document[part])


def _local_accounts() -> dict[Role, str]:
    from lockstep.chain.client import load_key
    from lockstep.cli.keys import well_known_key

    return {role: str(load_key(well_known_key(role)).address) for role in Role if role is not Role.DEPLOYER}


def _until(moment: int | None, now: int) -> str:
    return "" if moment is None else relative_text(moment, now)


def _show_tasks(lines: list[Document], now: int) -> None:
    shown = table(
        f"Tasks at {moment_text(now)}",
        *("task", "state", "submitter", "solver", "steps", "segments", "audits", "fee", "escrow", "deadline"),
        right=("task", "steps", "segments", "audits", "fee", "escrow"),
    )
    for line in lines:
        shown.add_row(
            str(line["task"]),
            line["state"],
            short(line["submitter"]),
            short(line["solver"]) if line["solver"] else "",
            str(line["steps"]),
            str(line["segments"]),
            str(line["audits"]),
            amount_text(int(line["fee"])),
            amount_text(int(line["escrow"])),
            _until(line["deadline"], now),
        )
    output().print(shown if lines else "No tasks yet; `lockstep submit mlp` posts one.")


def _show_accounts(lines: list[Document]) -> None:
    columns = ("wallet", "free_stake", "locked", "unbonding", "owed")
    shown = table(
        "Accounts",
        *("account", "role", "wallet", "free stake", "locked", "on its way out", "owed", "weight"),
        right=("wallet", "free stake", "locked", "on its way out", "owed", "weight"),
    )
    for line in lines:
        amounts = (amount_text(int(line[column])) for column in columns)
        shown.add_row(line["account"], str(line.get("role", "")), *amounts, str(line["weight"]))
    output().print(shown)


def _show_deployment(document: Document) -> None:
    addresses = table(f"Contracts on chain {document['chain']}, since block {document['block']}", "contract", "address")
    for name, address in document["addresses"].items():
        addresses.add_row(name, address)
    values = table("Numbers", "number", "value", right=("value",))
    for name, value in (document["parameters"] | document["disputes"]).items():
        values.add_row(name.replace("_", " "), _number_text(name, value))
    for name, value in document["reveals"].items():
        shown = amount_text(value) if name == "bond" else _number_text(name, value)
        values.add_row(f"reveal {name.replace('_', ' ')}", shown)
    for name, value in document["demands"].items():
        shown = amount_text(value) if name.endswith("fee") else duration_text(value) if name != "rate" else f"{value:,}"
        values.add_row(f"demand {name.replace('_', ' ')}", shown)
    for seat, account in enumerate(document["panel"], 1):
        values.add_row(f"revealer {seat}", account)
    values.add_row("treasury holds", amount_text(int(document["treasury"])))
    console = output()
    console.print(addresses)
    console.print()
    console.print(values)


def _number_text(name: str, value: int) -> str:
    if name in AMOUNTS:
        return amount_text(value)
    if name.endswith(DURATIONS) and name != "beacon_delay":
        return duration_text(value)
    if name.endswith("_bps"):
        return f"{value / 100:g} %"
    return f"{value:,}"


def _show_task(document: Document) -> None:
    now, console = document["now"], output()
    shown = table(f"Task {document['task']} is {document['state']}", "", "")
    for name, value in (
        ("submitter", document["submitter"]),
        ("solver", document["solver"] or "none yet"),
        ("deadline", _until(document["deadline"], now)),
        ("steps", f"{document['steps']} in segments of {document['segment_steps']}, seed {document['seed']}"),
        ("fee, escrow", f"{amount_text(int(document['fee']))}, {amount_text(int(document['escrow']))}"),
        ("wage, levy", f"{amount_text(int(document['wage']))} an audit, {amount_text(int(document['levy']))}"),
        ("starts from", document["parent"] and f"task {document['parent']}, at step {document['first_step']}"),
        ("applications", document["apply_until"] and _applications(document, now)),
        ("manifest", document["manifest"]),
        ("work root", document["work_root"]),
        ("final root", document["final_root"]),
    ):
        if value:
            shown.add_row(name, value)
    console.print(shown)
    _show_segments(document["audited"], now)
    _show_disputes(document["disputes"], now)
    _show_demands(document["demands"], now)


def _show_demands(lines: list[Document], now: int) -> None:
    if not lines:
        return
    shown = table(
        "Demands for data", *("segment", "of", "index", "run", "demander", "fee", "state", "answer due"), right=("fee",)
    )
    for line in lines:
        shown.add_row(
            str(line["segment"]),
            line["of"],
            str(line["index"]),
            str(line["run"]),
            short(line["demander"]),
            amount_text(int(line["fee"])),
            line["state"],
            relative_text(line["answer_until"], now) if line["state"] == "open" else "",
        )
    console = output()
    console.print()
    console.print(shown)


def _applications(document: Document, now: int) -> str:
    count = len(document["applicants"])
    return f"{count}, {'open' if now <= document['apply_until'] else 'closed'} {_until(document['apply_until'], now)}"


def _show_segments(lines: list[Document], now: int) -> None:
    if not lines:
        return
    segments = table(
        f"Audited segments at {moment_text(now)}",
        *("segment", "steps", "state", "round", "verifier", "disputes", "next"),
        right=("segment", "round", "disputes"),
    )
    made = table(
        "Claims",
        *("segment", "round", "claim", "claimant", "says", "trace", "standing"),
        right=("segment", "round", "claim"),
    )
    for line in lines:
        segments.add_row(
            str(line["segment"]),
            "start" if line["steps"] is None else f"{line['steps'][0]}-{line['steps'][1]}",
            line["state"],
            _round(line, line["round"]),
            line["verifier"],
            str(line["open_disputes"]),
            _next_window(line, now),
        )
        for claim in line["claims"]:
            made.add_row(
                str(line["segment"]),
                _round(line, claim["round"]),
                str(claim["claim"]),
                claim["claimant"],
                "passes" if claim["passes"] else "condemns",
                "yes" if claim["trace_root"] else "",
                _standing(claim),
            )
    console = output()
    console.print()
    console.print(segments)
    if made.row_count:
        console.print()
        console.print(made)


def _round(segment: Document, number: int) -> str:
    """A segment's round for people; one that was called up has no other."""
    return "called up" if segment["called_up"] else str(number)


def _next_window(line: Document, now: int) -> str:
    if line["state"] != "drawn":
        return ""
    for name, moment in (
        ("claims close", line["claims_until"]),
        ("blind claims open until", line["unblind_until"]),
        ("disputes open until", line["disputes_until"]),
    ):
        if now <= moment:
            return f"{name} {relative_text(moment, now)}"
    return "disputes run" if line["open_disputes"] else "can be settled"


def _standing(claim: Document) -> str:
    forced = claim["forced_error"]
    if forced and forced["made"]:
        found = f"forced error, found by {forced['finders'] or 'nobody'}"
    elif forced:
        found = "told to err, and did not"
    elif claim["digest_convicted"]:
        found = "digest convicted"
    elif claim["convicted"]:
        found = "convicted"
    else:
        found = ""
    return ", ".join(filter(None, (found, "judged" if claim["judged"] else "")))


def _show_disputes(lines: list[Document], now: int) -> None:
    if not lines:
        return
    shown = table(
        "Disputes",
        *("dispute", "segment", "claim", "defender", "challenger", "about", "phase", "to move", "until"),
        right=("dispute", "segment", "claim"),
    )
    for line in lines:
        about = "end root" if line["digest_entry"] is None else f"digest entry {line['digest_entry']}"
        over: Any = line["outcome"]
        shown.add_row(
            str(line["dispute"]),
            str(line["segment"]),
            str(line["defender_claim"]),
            short(line["defender"]),
            short(line["challenger"]),
            about,
            (over or line["phase"]).replace("_", " "),
            line["to_move"] or "",
            _until(line["move_until"], now),
        )
    console = output()
    console.print()
    console.print(shown)
