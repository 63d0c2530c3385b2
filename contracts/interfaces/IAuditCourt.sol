// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "./ITaskMarket.sol";

/// @notice What a claimant states about a segment.
struct ClaimBody {
    bytes32 startRoot; // C_{i-1}; zero for the init segment
    bytes32 checkpointRoot; // C_i, as the solver committed it
    bytes32 endRoot; // what the claimant says the segment ends in
    bytes digest; // 8 bytes a step
    bytes32 commitment; // for forced errors
    bytes32 traceRoot; // zero: no trace published
}

/// @notice Names a claim: its segment, draw round and position in that round.
struct ClaimRef {
    uint256 task;
    uint32 segment;
    uint8 round;
    uint16 index;
}

/// @notice What the court stores of a claim.
struct ClaimRecord {
    bytes32 bodyHash; // keccak256(abi.encode(ClaimBody))
    bytes32 endRoot;
    address claimant;
    uint40 order; // of posting; of the commitment for a blind claim
    bool passes; // end root equals the checkpoint
    bool convicted;
    bool digestConvicted;
    bool closed;
    uint16 openDisputes; // in which it is the defender
    address digestFinder;
}

/// @notice Where a drawn segment stands.
enum SlotState {
    None,
    Drawn,
    Redrawing,
    Passed,
    Failed,
    Missed,
    Moot
}

/// @notice What the court stores of a drawn segment.
struct Slot {
    SlotState state;
    uint8 round;
    uint8 misses;
    address verifier;
    uint64 drawnAt;
    uint16 claims; // in this round
    uint16 openDisputes;
    uint16 standing; // index + 1 of the standing claim once final
    bytes32 beaconValue;
}

/// @title Draws of segments and verifiers, claims, windows, finality, judgement.
interface IAuditCourt {
    event VerifierRegistered(address indexed verifier);
    event VerifierRetired(address indexed verifier);
    event AuditsDrawn(uint256 indexed task, bytes32 beaconValue, uint32[] segments);
    event SegmentDrawn(
        uint256 indexed task, uint32 indexed segment, uint8 round, address indexed verifier, bytes32 beaconValue, uint64 claimDeadline
    );
    event BlindPlaced(bytes32 indexed commitment, address indexed claimant, uint40 order);
    event BlindForfeited(bytes32 indexed commitment, address indexed claimant);
    event ClaimPosted(
        uint256 indexed task, uint32 indexed segment, uint8 round, uint16 index, address indexed claimant, ClaimBody body, uint40 order
    );
    event ClaimConvicted(uint256 indexed task, uint32 indexed segment, uint8 round, uint16 index, bool digest);
    event StartMalformed(uint256 indexed task, uint32 indexed segment, address by);
    event SegmentFinal(uint256 indexed task, uint32 indexed segment, uint8 round, SlotState state, uint16 standing);
    event ClaimClosed(uint256 indexed task, uint32 indexed segment, uint8 round, uint16 index, uint96 slashed, uint96 wage);

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
    /// @notice Thrown when a module function is called by anybody else.
    error NotModule(address caller);
    /// @notice Thrown when no registered verifier has the stake this task asks for; `expireUndrawn` is the way out.
    error NoVerifier();
    /// @notice Thrown when a claim was closed before.
    error AlreadyClosed();
    /// @notice Thrown when disputes keep a segment open.
    error DisputesOpen(uint16 count);
    /// @notice Thrown when a start claimed to be malformed is not.
    error StartIsWellFormed();

    /// @notice Enters the caller into the draws with its free stake (refreshed whenever it is drawn or calls again).
    function registerVerifier() external;
    function retireVerifier() external;
    /// @notice Draws the task's segments and their verifiers once the beacon has a value.
    function drawAudits(TaskTerms calldata terms) external;
    /// @notice Draws a verifier anew for a segment that was missed or whose claims were all convicted.
    function redraw(TaskTerms calldata terms, uint32 segment) external;
    /// @param checkpointProof Range proof of the leaves C_{i-1}, C_i (C_0 alone for the init segment) under the work root.
    function postClaim(TaskTerms calldata terms, uint32 segment, ClaimBody calldata body, bytes32[] calldata checkpointProof)
        external
        returns (uint16 index);
    /// @param commitment `keccak256(abi.encode(claimant, task, segment, round, keccak256(abi.encode(body)), salt))`.
    function placeBlind(bytes32 commitment) external;
    function unblind(
        TaskTerms calldata terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof,
        bytes32 salt
    ) external returns (uint16 index);
    /// @notice Anybody, when no window it could belong to is open any more: the flat bond goes to the treasury.
    function forfeitBlind(bytes32 commitment) external;
    /// @notice Decides a segment after its windows and disputes; may start a redraw.
    function finalize(TaskTerms calldata terms, uint32 segment) external;
    /// @notice Judges one claim after the task ended: deposit back or slashed, wage, rewards.
    function closeClaim(TaskTerms calldata terms, uint32 segment, uint8 round, uint16 index) external;

    /// @notice Dispute game: a claim lost as defender.
    function convict(ClaimRef calldata ref, bool digest, address winner) external;
    /// @notice Dispute game: counts disputes open against a claim.
    function disputeOpened(ClaimRef calldata ref) external;
    function disputeClosed(ClaimRef calldata ref) external;

    function slotOf(uint256 task, uint32 segment) external view returns (Slot memory);
    function claimOf(ClaimRef calldata ref) external view returns (ClaimRecord memory);
    function windowsOf(uint256 task, uint32 segment)
        external
        view
        returns (uint64 claimDeadline, uint64 unblindDeadline, uint64 openDeadline);
}
