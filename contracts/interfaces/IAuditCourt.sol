// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskState, TaskTerms} from "./ITaskMarket.sol";

/// @notice What a claimant states about a segment.
struct ClaimBody {
    bytes32 startRoot; // C_{i-1}; zero for the init segment
    bytes32 checkpointRoot; // C_i, as the solver committed it
    bytes32 endRoot; // what the claimant says the segment ends in
    bytes digest; // 8 bytes a step
    bytes32 commitment; // drawn verifier's: binds its digest (`Opening`); a blind claim's: step + 1 of the entry it names, or anything above 64
    bytes32 traceRoot; // zero: no trace published
}

/// @notice Names a claim: its segment, draw round and position in that round. Position 0 is the drawn verifier's.
struct ClaimRef {
    uint256 task;
    uint32 segment;
    uint8 round;
    uint16 index;
}

/// @notice A drawn verifier's secret for a task, and what its claim on one segment needs of it.
struct Opening {
    uint32 segment;
    uint8 round;
    uint32 tree; // number of the verifier's tree, from 0
    bytes32 secret;
    bytes32[] proof; // siblings from the leaf up
    bytes8 entry; // what the forced entry should have been; unused where none was forced
    ClaimBody[] body; // the claim's, where an entry was forced; else none
}

/// @notice What the court stores of a claim.
struct ClaimRecord {
    bytes32 bodyHash; // keccak256(abi.encode(ClaimBody))
    bytes32 endRoot; // zero when it passes: then it is the checkpoint, which the body names
    address claimant;
    uint40 order; // 0 for the drawn verifier, the first; for a blind claim when it was committed. Equal times: by index
    bool passes; // end root equals the checkpoint
    bool convicted; // as defender, about the end root
    bool digestConvicted; // as defender, about the digest
    bool closed; // deposit and bond are gone from its engagement
    uint16 openDisputes; // in which it is the defender
    address digestFinder; // who convicted the digest
}

/// @notice Where a drawn segment stands.
enum SlotState {
    None,
    Drawn,
    Redrawing, // the drawn verifier was silent, or all claims were convicted
    Passed,
    Failed,
    Withheld, // the solver did not answer a demand for what a replay needs: at its cost
    Moot // void, or no drawn verifier claimed in any round: at nobody's cost but the misses
}

/// @notice What the court stores of a drawn segment.
struct Slot {
    SlotState state;
    uint8 round; // 255: the segment was not drawn but called up
    uint8 misses;
    address verifier; // drawn, or who called the segment up
    uint64 claimDeadline; // last second for claims, of this round
    uint16 claims; // places taken in this round, the drawn verifier's included whether it has claimed or not
    uint16 openDisputes;
    uint16 standing; // index + 1 of the standing claim once final; 2^16 - 1: the start was malformed, or data withheld
    bytes32 beaconValue; // of this round; a called-up segment's is the task's
    bool held; // deposit and bond of `verifier` lie in the tasks' pool of the vault: nobody else has claimed, and nobody was judged
}

/// @notice What the market needs to know to pay when a task ends.
struct Conclusion {
    TaskState outcome; // Settled, Rejected, Unavailable or Void
    bool solverAtFault; // false for an Unavailable that is nobody's fault
    address[] verifiers; // each earns a wage
    uint96[] stakes; // what each of them has back: deposit and bond where its claim is closed with the task, else 0
    address[] finders; // of the fraud, with their exact shares of the pot
    uint96[] shares;
}

/// @title Draws of segments and verifiers, claims, windows, finality, judgement.
interface IAuditCourt {
    event VerifierRegistered(address indexed verifier, uint64 weight);
    event SecretsCommitted(address indexed verifier, uint32 number, bytes32 root, uint64 firstTask, uint64 lastTask);
    event AuditsDrawn(uint256 indexed task, bytes32 beaconValue, uint32[] segments);
    event DrawStalled(uint256 indexed task, uint32 segment, uint256 candidate);
    event SegmentDrawn(
        uint256 indexed task,
        uint32 indexed segment,
        uint8 round,
        address indexed verifier,
        bytes32 beaconValue,
        uint64 claimDeadline
    );
    /// @notice A segment that was not drawn is to be looked at: a volunteer's claim, posted with this event, condemns it.
    event SegmentCalled(uint256 indexed task, uint32 indexed segment, address indexed volunteer, uint64 claimDeadline);
    event BlindPlaced(bytes32 indexed commitment, address indexed claimant, uint40 order);
    event BlindForfeited(bytes32 indexed commitment, address indexed claimant);
    event BlindReclaimed(bytes32 indexed commitment, address indexed claimant);
    event ClaimPosted(
        uint256 indexed task,
        uint32 indexed segment,
        uint8 round,
        uint16 index,
        address indexed claimant,
        ClaimBody body,
        uint40 order
    );
    event ClaimConvicted(uint256 indexed task, uint32 indexed segment, uint8 round, uint16 index, bool digest);
    event StartMalformed(uint256 indexed task, uint32 indexed segment, address by);
    /// @notice The drawn verifier waits for data: its round's windows moved.
    event ClaimsExtended(uint256 indexed task, uint32 indexed segment, uint8 round, uint64 claimDeadline);
    event SegmentMissed(
        uint256 indexed task, uint32 indexed segment, uint8 round, address indexed verifier, uint96 slashed
    );
    event SegmentRedrawn(uint256 indexed task, uint32 indexed segment, uint8 round);
    event SegmentFinal(uint256 indexed task, uint32 indexed segment, uint8 round, SlotState state, uint16 standing);
    /// @notice An opened secret says that entry `step` was to be wrong. `made`: it was, as told; `finders`: who is paid for having named it.
    event ForcedError(
        uint256 indexed task,
        uint32 indexed segment,
        uint8 round,
        address indexed verifier,
        uint8 step,
        bool made,
        uint8 finders
    );
    /// @notice A claim was judged. A lone one that stood, and awaits no secret, is closed with its task: then `SegmentFinal` and the vault's `Paid`
    /// say it.
    event ClaimClosed(uint256 indexed task, uint32 indexed segment, uint8 round, uint16 index, uint96 slashed);

    /// @notice Thrown outside the window a call belongs to.
    error WrongWindow(uint64 opens, uint64 closes);
    /// @notice Thrown when a segment is not in the state a call needs.
    error WrongSlot(uint32 segment, SlotState actual);
    /// @notice Thrown when a claim body is malformed; `what` names the field.
    error BadClaim(string what);
    /// @notice Thrown when the checkpoints do not fold to the work root.
    error BadCheckpointProof();
    /// @notice Thrown when the caller is not the drawn verifier.
    error NotDrawnVerifier(address caller, address verifier);
    /// @notice Thrown when a blind commitment is unknown, used, or of another time.
    error BadBlind(bytes32 commitment);
    /// @notice Thrown when a claimant posts twice in a round.
    error AlreadyClaimed(address claimant);
    /// @notice Thrown when a solver would condemn its own work.
    error OwnWork(uint256 task);
    /// @notice Thrown when as many segments of a task were called up as may be.
    error TooManyCalls(uint256 task);
    /// @notice Thrown when a module function is called by anybody else.
    error NotModule(address caller);
    /// @notice Thrown when nobody is registered to be drawn; `expireUndrawn` is the way out.
    error NoVerifier();
    /// @notice Thrown when a caller's free stake makes no unit of weight.
    error TooLittleStake(uint256 free, uint256 needed);
    /// @notice Thrown when a verifier enters the draws without a tree of secrets, or commits to one without a root.
    error NoSecrets(address verifier);
    /// @notice Thrown when an opening is not of the secret that was in force; `what` names the field.
    error BadOpening(string what);
    /// @notice Thrown when a claim is to be closed whose secret may still be opened.
    error SecretAwaited(uint64 deadline);
    /// @notice Thrown when a task is not in the state a call needs.
    error WrongTaskState(uint256 task, TaskState actual);
    /// @notice Thrown when the terms passed are not the task's.
    error WrongTerms(uint256 task);
    /// @notice Thrown when a claim does not exist, or not in the current round.
    error NoSuchClaim();
    /// @notice Thrown when a claim was closed before.
    error AlreadyClosed();
    /// @notice Thrown when disputes keep a segment open.
    error DisputesOpen(uint16 count);

    /// @notice Enters the caller into the draws with its free stake, or `most` of it, or brings its weight up to date; never with less than is on
    /// duty already. A draw uses the weights from
    /// before the block whose hash decides it, and takes an account at the lesser of that weight and its free stake. That stake is on duty then, and
    /// notice given before is void.
    function registerVerifier(uint96 most) external;
    /// @notice Commits the caller to a tree of secrets for draws decided after this block: 2^14 leaves `keccak256(secret)`, inner nodes
    /// `keccak256(left || right)`, leaf `task % 2^14` for a task. It serves for the tasks that `SecretsCommitted` names; where forced errors are
    /// on, a verifier is passed over in draws for others.
    function commitSecrets(bytes32 root) external;
    /// @notice Gives notice, the vault's withdrawal delay; called again after that, takes the caller out of the draws. A withdrawal that was asked
    /// for is notice, too.
    function retireVerifier() external;
    /// @notice Anybody: lowers the weight of a verifier whose free stake has become less.
    function refreshVerifier(address verifier) external;
    /// @notice Draws the task's segments and their verifiers once the beacon has a value. Where too many drawn accounts lack the stake,
    /// it records how far it came, and the next call goes on from there.
    function drawAudits(TaskTerms calldata terms) external;
    /// @notice The same, and the caller's claim on a segment that it is drawn for, as `postClaim` takes it; nothing at all where it is not drawn.
    function drawAndClaim(
        TaskTerms calldata terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof
    ) external;
    /// @notice Draws a verifier anew for a segment that was missed or whose claims were all convicted.
    function redraw(TaskTerms calldata terms, uint32 segment) external;
    /// @notice Drawn verifier, in the claim window.
    /// @param checkpointProof Range proof of the leaves C_{i-1}, C_i under the work root; inclusion proof of C_0 for the init segment.
    function postClaim(
        TaskTerms calldata terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof
    ) external returns (uint16 index);
    /// @notice Anybody but the solver, until the claim window of the first draw is over: calls up a segment that was not drawn, by a claim that
    /// condemns it; deposit and bond are locked. The claim has the first place of the segment's only round, whose claim window begins now.
    /// @param checkpointProof As for `postClaim`.
    function callUp(
        TaskTerms calldata terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof
    ) external;
    /// @notice Anybody: a claim that does not say what it is about; the flat bond is locked.
    /// @param commitment `keccak256(abi.encode(claimant, task, segment, round, keccak256(abi.encode(body)), salt))`.
    function placeBlind(bytes32 commitment) external;
    /// @notice Claimant, in the unblind window: opens a blind claim placed between draw and claim deadline.
    function unblind(
        TaskTerms calldata terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof,
        bytes32 salt
    ) external returns (uint16 index);
    /// @notice Claimant: takes the flat bond back when the task was voided, or its start found malformed or withheld, before it could unblind.
    function reclaimBlind(TaskTerms calldata terms, uint32 segment, uint8 round, bytes32 bodyHash, bytes32 salt)
        external;
    /// @notice Anybody, when no window it could belong to is open any more: the flat bond goes to the treasury.
    function forfeitBlind(address claimant, bytes32 commitment) external;
    /// @notice Decides a segment after its windows and disputes; may start a redraw.
    /// @param maxSteps How many claims to look at in this call; each is looked at twice. What is left goes on in the next.
    function finalize(TaskTerms calldata terms, uint32 segment, uint256 maxSteps) external;
    /// @notice Judges one claim after the task ended: deposit back or slashed, finders paid. A drawn verifier's, where forced errors are on, is
    /// judged by `openSecret`; by this call only once the time for that is over, and then it is slashed.
    function closeClaim(TaskTerms calldata terms, uint32 segment, uint8 round, uint16 index) external;
    /// @notice Anybody who has the secret, after the task ended: judges a drawn verifier's claim. What it says follows from what is on chain, so
    /// whoever calls can change nothing about it.
    function openSecret(TaskTerms calldata terms, Opening calldata opening) external;

    /// @notice Dispute game: a claim lost as defender, in the dispute window or while a dispute against it is open.
    function convict(ClaimRef calldata ref, bool digest, address winner) external;
    /// @notice Dispute game: an entry of a claim's digest was proven to be another than `entry`, which the state has.
    function convictDigest(ClaimRef calldata ref, uint8 step, bytes8 entry, address winner) external;
    /// @notice Dispute game: counts disputes open against a claim.
    function disputeOpened(ClaimRef calldata ref) external;
    function disputeClosed(ClaimRef calldata ref) external;
    /// @notice Start checker: the checkpoint an open segment starts from does not have the program's shape. Data demands: what a replay of an
    /// open segment needs was demanded and not answered in time. The segment fails at the solver's cost, and its claims are whole.
    function failStart(uint256 task, uint32 segment, address by) external;
    /// @notice Data demands: moves the end of a drawn segment's claim window, in all by at most the longest claim window a round.
    function extendClaims(uint256 task, uint32 segment, uint64 deadline) external;
    /// @notice Market: finalizes what is left, closes what is simple, and says who is paid.
    /// @param voided Whether the program was found invalid.
    /// @param finderPot What finders of the fraud share if the task is rejected.
    /// @param called Segments that were called up.
    function conclude(TaskTerms calldata terms, bool voided, uint96 finderPot, uint256 called)
        external
        returns (Conclusion memory);

    function slotOf(uint256 task, uint32 segment) external view returns (Slot memory);
    function claimOf(ClaimRef calldata ref) external view returns (ClaimRecord memory);
    /// @notice Deadlines of a segment's current round: claims and blind claims up to the first, unblinding after it up to the second,
    /// opening disputes after that up to the third (each inclusive).
    function windowsOf(uint256 task, uint32 segment)
        external
        view
        returns (uint64 claimDeadline, uint64 unblindDeadline, uint64 openDeadline);
    /// @notice A verifier's weight in the draws, in units of stake.
    function weightOf(address verifier) external view returns (uint64);
}
