// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Parameters} from "../types/Parameters.sol";
import {TaskOptions} from "../types/TaskOptions.sol";
import {ProgramFault} from "./IProgramFaults.sol";
import {IReputationLedger} from "./IReputationLedger.sol";

/// @notice Where a task stands. Order is part of the ABI; twin: generated from Python's `lockstep.chain.types`.
enum TaskState {
    None,
    Open,
    Accepted,
    Solving,
    Committed,
    Auditing,
    Settled,
    Rejected,
    Unavailable,
    Void,
    Cancelled,
    Expired
}

/// @notice What a submitter offers, as given to `submit`.
struct TaskOffer {
    bytes stepHeader; // encoded program headers (`lockstep.program.encoding`)
    bytes initHeader; // of a stacked task: its parent's step header
    uint64 seed;
    uint32 steps; // T
    uint16 segmentSteps; // k, 1..64
    uint16 audits; // q, at least the deployment's minimum, at most all segments
    uint96 price; // token base units per 10^6 units of work
    uint96 wage; // per audit
    uint96 levy;
    uint64 acceptDeadline; // timestamp
    uint32 solveWindow; // seconds from acknowledgement
    string uri; // where the manifest of programs and data is; content-addressed
    TaskOptions options;
}

/// @notice A task's terms; only their hash is stored, callers pass them back. Fixed when it is posted, but for the work root.
struct TaskTerms {
    uint256 id;
    address submitter;
    bytes32 stepProgram; // program hashes
    bytes32 initProgram; // of a stacked task: C_0, its parent's final root
    uint64 stepWork;
    uint64 initWork; // 0 for a stacked task, like initNodeCount
    uint64 stateChunks; // 1 KiB chunks of the non-frozen state
    uint32 nodeCount; // of the step program
    uint32 initNodeCount;
    uint64 seed;
    uint32 steps;
    uint16 segmentSteps;
    uint16 audits;
    uint96 price;
    uint96 wage;
    uint96 levy;
    uint64 acceptDeadline;
    uint32 solveWindow;
    TaskOptions options;
    bytes32 workRoot; // tree over H(0x00 || C_0) .. H(0x00 || C_S); zero until the solver has committed to it
}

/// @notice What the market stores of a task.
struct Task {
    bytes32 termsHash; // keccak256(abi.encode(TaskTerms)), from the commitment on with the work root
    TaskState state;
    address solver; // from acceptance on
    uint40 deadline; // of the state: last second to draw the solver (Open), acknowledge, commit, draw, call segments up or, once settled, open secrets
    uint48 called; // segments that were called up
}

/// @title Escrow, the task's life and its settlement.
/// @notice Escrows lie in the vault, owed to the market; solvers' deposits as engagements of the market.
interface ITaskMarket {
    event TaskSubmitted(uint256 indexed id, address indexed submitter, TaskTerms terms, uint96 escrow, string uri);
    event TaskCancelled(uint256 indexed id, address by);
    event TaskAccepted(uint256 indexed id, address indexed solver, uint96 deposit);
    event TaskAcknowledged(uint256 indexed id, uint64 deadline);
    event TaskGivenBack(uint256 indexed id, address indexed solver);
    event WorkCommitted(uint256 indexed id, bytes32 workRoot, bytes32 finalRoot, string uri);
    event TaskExpired(uint256 indexed id, address indexed solver, uint96 slashed);
    event TaskEnded(
        uint256 indexed id, TaskState outcome, uint96 solverPaid, uint96 submitterRefunded, uint96 levyPaid
    );

    /// @notice Thrown when a task is not in the state a call needs.
    error WrongState(uint256 id, TaskState actual, TaskState needed);
    /// @notice Thrown when the terms passed are not the task's.
    error WrongTerms(uint256 id);
    /// @notice Thrown when only `allowed` may call.
    error NotAllowed(address caller, address allowed);
    /// @notice Thrown when a deadline has passed.
    error DeadlinePassed(uint64 deadline);
    /// @notice Thrown when a deadline has not yet passed.
    error DeadlineNotPassed(uint64 deadline);
    /// @notice Thrown when an offer is malformed; `what` names the field.
    error BadOffer(string what);
    /// @notice Thrown when a submitter wants to solve its own task.
    error OwnTask(uint256 id);
    /// @notice Thrown when a proof does not fold to its root.
    error BadProof();
    /// @notice Thrown when a node or entry claimed to be invalid is valid.
    error ProgramIsValid();
    /// @notice Thrown when a function for the court is called by anybody else.
    error NotCourt(address caller);

    /// @notice Posts a task; the escrow is taken from the caller, who has allowed the vault to.
    function submit(TaskOffer calldata offer) external returns (uint256 id);
    /// @notice Posts a task that starts from where a settled one ended, with the same state list; nobody replays its segment 0.
    /// @param offer Its options name the parent, its init header is the parent's step header.
    /// @param startRoot The parent's final root, proven under its work root by `proof`.
    function submitStacked(
        TaskOffer calldata offer,
        TaskTerms calldata parent,
        bytes32 startRoot,
        bytes32[] calldata proof
    ) external returns (uint256 id);
    /// @notice Submitter, or anybody after the acceptance deadline, and nobody while its solver is being drawn: the escrow goes back.
    /// But for what applicants are paid where the submitter cancels before they are drawn among (`ISolverSelection.ApplicantsCompensated`).
    function cancel(TaskTerms calldata terms) external;
    /// @notice Anybody but the submitter becomes the solver; its deposit is locked. Where solvers are drawn, only once no draw can come any more.
    function accept(TaskTerms calldata terms) external;
    /// @notice Solver: it holds program and data; its clock starts.
    function acknowledge(TaskTerms calldata terms) external;
    /// @notice Both at once, for who has programs and data already.
    function acceptAndAcknowledge(TaskTerms calldata terms) external;
    /// @notice Solver, or anybody when it has not acknowledged in time: the task is open again, for whoever accepts first. The deposit is free, but for
    /// what a drawn solver pays for the wasted draw.
    function giveBack(TaskTerms calldata terms) external;
    /// @notice Solver: commits to its checkpoints; the audits' beacon value is asked for. From now on the task's terms are those with the work root.
    /// @param finalProof Inclusion proof of the last leaf `H(0x00 || finalRoot)` under `workRoot`, size S + 1.
    function commit(
        TaskTerms calldata terms,
        bytes32 workRoot,
        bytes32 finalRoot,
        bytes32[] calldata finalProof,
        string calldata uri
    ) external;
    /// @notice The same for a stacked task.
    /// @param startProof Inclusion proof of the first leaf, `H(0x00 || C_0)`.
    function commitStacked(
        TaskTerms calldata terms,
        bytes32 workRoot,
        bytes32 finalRoot,
        bytes32[] calldata finalProof,
        bytes32[] calldata startProof,
        string calldata uri
    ) external;
    /// @notice Anybody: the solver did not commit in time.
    function expire(TaskTerms calldata terms) external;
    /// @notice Anybody: no audits could be drawn in time; everybody gets back what it put in.
    function expireUndrawn(TaskTerms calldata terms) external;
    /// @notice Anybody: ends a task whose drawn segments are final, or can be made so without much work (else `finalize` them first).
    function settle(TaskTerms calldata terms) external;
    /// @notice Anybody: proves that a program breaks the rules; ends the task at the submitter's cost.
    function voidInvalidProgram(TaskTerms calldata terms, ProgramFault calldata fault) external;
    /// @notice Court: the audits are drawn; segments may be called up until `deadline`.
    function beginAudit(uint256 id, uint256 deadline) external;
    /// @notice Court: one more segment was called up.
    function countCall(uint256 id) external;

    /// @notice Id of the newest task.
    function taskCount() external view returns (uint256);
    function taskOf(uint256 id) external view returns (Task memory);
    function stateOf(uint256 id) external view returns (TaskState);
    function solverOf(uint256 id) external view returns (address);
    function termsHashOf(uint256 id) external view returns (bytes32);
    function deadlineOf(uint256 id) external view returns (uint64);
    /// @notice Everything a submitter, solver and verifier will pay, lock and get, from an offer alone.
    function quote(TaskOffer calldata offer)
        external
        view
        returns (uint96 fee, uint96 escrow, uint96 solverDeposit, uint96 claimDeposit, uint96 miss);
    function parameters() external view returns (Parameters memory);
    /// @notice Where reputations are kept.
    function ledger() external view returns (IReputationLedger);
}
