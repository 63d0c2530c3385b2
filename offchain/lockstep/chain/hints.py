"""Sentences for the contracts' custom errors: what happened, and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lockstep.chain.amounts import amount_text
from lockstep.chain.types import SlotState, TaskState

LAST_TIME = 253_402_300_799
"""End of the year 9999, seconds: what a window that never closes is beyond."""


def _when(timestamp: int) -> str:
    if timestamp > LAST_TIME:
        return "the end of time"
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_SENTENCES: dict[str, str] = {
    "WrongTerms": "the terms given are not the task's; read them from its TaskSubmitted event, and from WorkCommitted "
    "the work root that they have since the solver committed.",
    "NotAllowed": "only {allowed} may do this, and the transaction came from {caller}; check --key.",
    "OwnTask": "a submitter cannot solve its own task; use another key.",
    "StakeBelowDeposit": "an application locks at least {deposit}, and {stake} were given.",
    "DrawPending": "the solver of task {id} is drawn among those who applied; wait until that is over.",
    "NothingToClose": "nobody applied for task {id}, or applications were closed before.",
    "NoApplication": "{account} has no application for task {id} that holds stake.",
    "NothingEarned": "task {task} has nothing to credit here: not judged yet, or from before a conviction.",
    "NoTicket": "segment {segment} of task {task} is no ticket: not audited, the first, or it changed nothing.",
    "NotWon": "segment {segment} of task {task} did not win.",
    "NotCommitted": "the roots are not those that were committed.",
    "AlreadyPaid": "this was paid before.",
    "AlreadyCredited": "this was credited before, in task {task}.",
    "BadProof": "a proof does not fold to its root; the artifacts may be damaged.",
    "BadOffer": "the offer is malformed: {what}.",
    "ProgramIsValid": "the program is valid at that place, so there is nothing to void.",
    "InsufficientStake": "account {account} has {free} free stake and {needed} is needed; deposit more stake first.",
    "EngagementExists": "this engagement is already locked; the call was made before.",
    "NothingToWithdraw": "nothing is owed to {account}.",
    "NoVerifier": "no registered verifier has the stake this task asks for; wait for one, or let the draw expire.",
    "NotDrawnVerifier": "the drawn verifier is {verifier}, not {caller}; others place blind claims.",
    "AlreadyClaimed": "{claimant} has a claim on this segment already.",
    "NoSecrets": "{verifier} has committed to no secrets, which drawn verifiers need; `lockstep verify` does it.",
    "BadOpening": "what was opened is not the secret that was in force: {what}.",
    "NothingToPay": "nothing is owed to {to}, or the treasury has no money to pay it with yet.",
    "AlreadyClosed": "this claim was closed before.",
    "AlreadyRequested": "this random value is already on its way.",
    "BadCheckpointProof": "the checkpoints are not under the solver's work root.",
    "BadClaim": "the claim is malformed: {what}.",
    "BadBlind": "the blind claim {commitment} is unknown, used, or was placed outside the claim window.",
    "DisputesOpen": "{count} disputes are still open on this segment; let them end first.",
    "NotDisputable": (
        "these claims cannot dispute each other: same claimant, other segment, equal end roots, or already convicted."
    ),
    "NotYourMove": "it is {mover}'s move.",
    "DoesNotFold": "what was shown does not fold to what stands on chain.",
    "LeafAgrees": (
        "the executor computes the very value the defender committed to ({value}), so this challenge cannot win."
    ),
    "PartAgrees": "the block's part is as it should be ({part}), so this challenge cannot win.",
    "LongRow": "the element's row has {length} elements, which one leaf does not carry; it is opened block by block.",
    "ShortRow": "the element's row has {length} elements, which one leaf carries; prove it as a leaf.",
    "DigestAgrees": "the digest entry is as it should be, so this challenge cannot win.",
    "ERC20InsufficientBalance": ("{sender} has {balance} and {needed} are needed; fund it, or use another account."),
    "ERC20InsufficientAllowance": "{spender} may spend {allowance} and {needed} are needed.",
    "TooLittleStake": "the account has {free} of free stake and {needed} is the least; deposit more first.",
    "NoSuchClaim": "there is no such claim in the segment's present round; `lockstep status TASK` lists them.",
    "NoSeat": "every seat on the panel is taken; `lockstep status --numbers` lists who sits there.",
    "AlreadySeated": "{account} has a seat, or had one that is not free yet; `lockstep reveal --leave` gives it up.",
    "NotSeated": "there is nobody in that seat.",
    "BadSecrets": "the tree has no secret for the next block that may be asked for; make a new one.",
    "SeatHeld": "the seat and its bond are held until block {untilBlock}; try again after it.",
    "WrongSecret": "the secret is not the one committed to; is this the seat's own journal?",
    "AlreadyRevealed": "seat {seat}'s secret for block {targetBlock} is out already.",
    "NothingMissing": "this draw lacks no secret.",
    "Unrevealed": "secrets for block {targetBlock} are missing; wait for them, or call time when their window is over.",
    "WrongRevealWindow": "secrets may be revealed from block {opens} to block {closes}.",
    "NotAudited": "task {task} is not being audited, or these are not its terms.",
    "NotOpen": "segment {segment} is not drawn, or its claim window is over: nothing of it can be demanded.",
    "NoSuchPiece": "there is no such piece to demand: look at its {what}.",
    "AlreadyDemanded": "this piece was demanded before; `lockstep status TASK` shows how that stands.",
    "NotWaiting": "{caller} is not the drawn verifier of segment {segment}, has claimed, or waits already.",
    "WrongAnswer": "what was posted is not what was demanded.",
    "TooMuch": "the faucet does not give that much at once: {amount}.",
}


_AMOUNTS = frozenset({"free", "needed", "balance", "allowance", "amount", "received", "stake", "deposit"})
"""Arguments that are amounts of the token, wherever they are numbers."""


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return amount_text(value) if name in _AMOUNTS and isinstance(value, int) else value


def sentence(error: str, arguments: dict[str, Any]) -> str:
    """One sentence for a decoded custom error; unknown errors list their arguments."""
    match error:
        case "WrongState":
            actual, needed = TaskState(arguments["actual"]).name, TaskState(arguments["needed"]).name
            return (
                f"task {arguments['id']} is {actual}, and this needs {needed}; `lockstep status` shows where it stands."
            )
        case "WrongSlot":
            return (
                f"segment {arguments['segment']} is {SlotState(arguments['actual']).name}; this does not fit its state."
            )
        case "SecretAwaited":
            return (
                f"the verifier may open its secret until {_when(arguments['deadline'])}; after that, close the claim."
            )
        case "DeadlinePassed":
            return f"the deadline was {_when(arguments['deadline'])}; anybody may now call the next step."
        case "DemandOverdue":
            return f"the answer was due at {_when(arguments['deadline'])}; anybody may now close the demand."
        case "DueTooLate":
            return (
                f"it would be due at {_when(arguments['deadline'])}, after the claim window, which only the drawn "
                "verifier's demands extend."
            )
        case "DeadlineNotPassed" | "ClockRunning" | "DemandPending":
            return f"the deadline is {_when(arguments['deadline'])}; try again after it."
        case "ClockExpired":
            return f"the clock ran out at {_when(arguments['deadline'])}; anybody may call timeout."
        case "WrongWindow" if not arguments["opens"]:
            return f"the window closed at {_when(arguments['closes'])}."
        case "WrongWindow" if arguments["closes"] > LAST_TIME:
            return f"this is possible from {_when(arguments['opens'])} on; try again then."
        case "WrongWindow":
            return f"the window is from {_when(arguments['opens'])} to {_when(arguments['closes'])}."
        case "WithdrawalNotReady":
            return f"the stake can be withdrawn from {_when(arguments['availableAt'])} on; try again then."
    shown = {name: _shown(name, value) for name, value in arguments.items()}
    template = _SENTENCES.get(error)
    if template is not None:
        try:
            return template.format(**shown)
        except (KeyError, IndexError):
            pass
    listed = ", ".join(f"{name} = {value}" for name, value in shown.items())
    return f"the contract answered {error}({listed})."
