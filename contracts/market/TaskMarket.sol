// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {Conclusion, IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {IProgramFaults, ProgramFault} from "../interfaces/IProgramFaults.sol";
import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, Task, TaskOffer, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {Limits} from "../types/Limits.sol";
import {Parameters, ParametersLib} from "../types/Parameters.sol";
import {MarketNumbers} from "./MarketNumbers.sol";
import {TaskMath} from "./TaskMath.sol";

/// @title Escrow, the task's life and its settlement.
/// @dev No function here moves tokens but `submit`, through the vault, as its last act. Escrows are owed to the market by the vault.
contract TaskMarket is ITaskMarket, MarketNumbers {
    using TaskMath for TaskTerms;

    IStakeVault public immutable vault;
    IAuditCourt public immutable court;
    IRandomBeacon public immutable beacon;
    IProgramFaults public immutable faults;
    address public immutable treasury;

    /// @inheritdoc ITaskMarket
    uint256 public taskCount;
    mapping(uint256 id => Task) private _tasks;

    constructor(
        IStakeVault vault_,
        IAuditCourt court_,
        IRandomBeacon beacon_,
        IProgramFaults faults_,
        address treasury_,
        Parameters memory parameters_
    ) MarketNumbers(parameters_) {
        (vault, court, beacon, faults, treasury) = (vault_, court_, beacon_, faults_, treasury_);
    }

    // Before the work

    /// @inheritdoc ITaskMarket
    function submit(TaskOffer calldata offer) external returns (uint256 id) {
        TaskTerms memory terms = _termsOf(offer);
        id = ++taskCount;
        terms.id = id;
        uint256 amount = _requireFair(terms);
        _tasks[id].termsHash = terms.hash();
        _tasks[id].state = TaskState.Open;
        emit TaskSubmitted(id, msg.sender, terms, uint96(amount), offer.uri);
        // INVARIANT: only the caller pays.
        vault.escrow(msg.sender, uint96(amount), bytes32(id));
    }

    /// @inheritdoc ITaskMarket
    function cancel(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        require(
            msg.sender == terms.submitter || block.timestamp > terms.acceptDeadline,
            NotAllowed(msg.sender, terms.submitter)
        );
        task.state = TaskState.Cancelled;
        emit TaskCancelled(terms.id, msg.sender);
        _refund(terms);
    }

    /// @inheritdoc ITaskMarket
    function accept(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        require(msg.sender != terms.submitter, OwnTask(terms.id));
        require(block.timestamp <= terms.acceptDeadline, DeadlinePassed(terms.acceptDeadline));
        uint96 deposit = _solverDeposit(terms);
        task.state = TaskState.Accepted;
        task.solver = msg.sender;
        task.deadline = uint40(block.timestamp + _acknowledgeWindow);
        emit TaskAccepted(terms.id, msg.sender, deposit);
        vault.lock(_depositOf(terms.id), msg.sender, deposit);
    }

    /// @inheritdoc ITaskMarket
    function acknowledge(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Accepted);
        _requireSolver(task);
        _requireInTime(task.deadline);
        task.state = TaskState.Solving;
        task.deadline = uint40(block.timestamp + terms.solveWindow);
        emit TaskAcknowledged(terms.id, task.deadline);
    }

    /// @inheritdoc ITaskMarket
    function giveBack(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Accepted);
        if (msg.sender != task.solver) _requireOver(task.deadline);
        emit TaskGivenBack(terms.id, task.solver);
        task.state = TaskState.Open;
        task.solver = address(0);
        task.deadline = 0;
        vault.release(_depositOf(terms.id), _solverDeposit(terms));
    }

    // The work

    /// @inheritdoc ITaskMarket
    function commit(
        TaskTerms memory terms,
        bytes32 workRoot,
        bytes32 finalRoot,
        bytes32[] calldata finalProof,
        string calldata uri
    ) external {
        Task storage task = _require(terms, TaskState.Solving);
        _requireSolver(task);
        _requireInTime(task.deadline);
        uint256 size = terms.segmentCount();
        bytes32 leaf = sha256(abi.encodePacked(uint8(0), finalRoot));
        require(Merkle.rootFromInclusion(size, size - 1, leaf, finalProof) == workRoot, BadProof());
        task.state = TaskState.Committed;
        task.deadline = uint40(block.timestamp + _drawWindow);
        task.workRoot = workRoot;
        emit WorkCommitted(terms.id, workRoot, finalRoot, uri);
        // INVARIANT: what is audited is drawn from a block that comes after the commitment.
        beacon.request(bytes32(terms.id));
    }

    /// @inheritdoc ITaskMarket
    function expire(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Solving);
        _requireOver(task.deadline);
        task.state = TaskState.Expired;
        uint96 deposit = _solverDeposit(terms);
        emit TaskExpired(terms.id, task.solver, deposit);
        _refund(terms);
        _punishSolver(terms, new address[](0), new uint96[](0));
    }

    /// @inheritdoc ITaskMarket
    function expireUndrawn(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Committed);
        _requireOver(task.deadline);
        task.state = TaskState.Unavailable;
        emit TaskEnded(terms.id, TaskState.Unavailable, 0, uint96(_escrow(terms)), 0);
        _refund(terms);
        vault.release(_depositOf(terms.id), _solverDeposit(terms));
    }

    // The end

    /// @inheritdoc ITaskMarket
    function beginAudit(uint256 id) external {
        require(msg.sender == address(court), NotCourt(msg.sender));
        Task storage task = _tasks[id];
        require(task.state == TaskState.Committed, WrongState(id, task.state, TaskState.Committed));
        task.state = TaskState.Auditing;
        task.deadline = 0;
    }

    /// @inheritdoc ITaskMarket
    function settle(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Auditing);
        uint96 deposit = _solverDeposit(terms);
        Conclusion memory end =
            court.conclude(terms, false, uint96(uint256(deposit) * _finderBps / ParametersLib.WHOLE));
        task.state = end.outcome;
        task.deadline = uint40(block.timestamp + _openingWindow);
        _payOut(terms, end, task.solver);
        if (end.solverAtFault) _punishSolver(terms, end.finders, end.shares);
        else vault.release(_depositOf(terms.id), deposit);
    }

    /// @inheritdoc ITaskMarket
    function voidInvalidProgram(TaskTerms memory terms, ProgramFault calldata fault) external {
        Task storage task = _requireTerms(terms);
        TaskState state = task.state;
        require(
            state == TaskState.Solving || state == TaskState.Committed || state == TaskState.Auditing,
            WrongState(terms.id, state, TaskState.Auditing)
        );
        require(faults.isFault(fault.init ? terms.initProgram : terms.stepProgram, fault), ProgramIsValid());
        task.state = TaskState.Void;
        Conclusion memory end;
        if (state == TaskState.Auditing) end = court.conclude(terms, true, 0);
        end.outcome = TaskState.Void;
        _payOut(terms, end, state == TaskState.Solving ? address(0) : task.solver);
        vault.release(_depositOf(terms.id), _solverDeposit(terms));
    }

    // Views

    /// @inheritdoc ITaskMarket
    function taskOf(uint256 id) external view returns (Task memory) {
        return _tasks[id];
    }

    /// @inheritdoc ITaskMarket
    function stateOf(uint256 id) external view returns (TaskState) {
        return _tasks[id].state;
    }

    /// @inheritdoc ITaskMarket
    function solverOf(uint256 id) external view returns (address) {
        return _tasks[id].solver;
    }

    /// @inheritdoc ITaskMarket
    function workRootOf(uint256 id) external view returns (bytes32) {
        return _tasks[id].workRoot;
    }

    /// @inheritdoc ITaskMarket
    function termsHashOf(uint256 id) external view returns (bytes32) {
        return _tasks[id].termsHash;
    }

    /// @inheritdoc ITaskMarket
    function deadlineOf(uint256 id) external view returns (uint64) {
        return _tasks[id].deadline;
    }

    /// @inheritdoc ITaskMarket
    function quote(TaskOffer calldata offer)
        external
        view
        returns (uint96 fee, uint96 escrow, uint96 solverDeposit, uint96 claimDeposit, uint96 miss)
    {
        TaskTerms memory terms = _termsOf(offer);
        escrow = uint96(_requireFair(terms));
        fee = uint96(terms.fee());
        solverDeposit = _solverDeposit(terms);
        claimDeposit = uint96(terms.replayCost() * _claimDepositMultiple);
        miss = uint96(terms.replayCost() * _missMultiple);
    }

    // Money

    /// @dev The whole escrow back to the submitter.
    function _refund(TaskTerms memory terms) private {
        address[] memory to = new address[](1);
        uint96[] memory amounts = new uint96[](1);
        (to[0], amounts[0]) = (terms.submitter, uint96(_escrow(terms)));
        vault.pay(to, amounts, bytes32(terms.id));
    }

    /// @dev The escrow of a task that ended: fee (Settled, Void), wages, levy (Settled, Void); the rest to the submitter.
    function _payOut(TaskTerms memory terms, Conclusion memory end, address solver) private {
        bool earned = end.outcome == TaskState.Settled || end.outcome == TaskState.Void;
        uint96 solverPaid = earned && solver != address(0) ? uint96(terms.fee()) : 0;
        uint96 levy = earned ? terms.levy : 0;
        uint256 count = end.verifiers.length;
        address[] memory to = new address[](count + 3);
        uint96[] memory amounts = new uint96[](count + 3);
        for (uint256 i = 0; i < count; ++i) {
            (to[i], amounts[i]) = (end.verifiers[i], terms.wage);
        }
        // INVARIANT: a task pays out what it took in, to the last unit, once: the market's account holds other tasks' escrows too.
        uint96 refunded = uint96(_escrow(terms) - solverPaid - levy - count * terms.wage);
        (to[count], amounts[count]) = (solver, solverPaid);
        (to[count + 1], amounts[count + 1]) = (treasury, levy);
        (to[count + 2], amounts[count + 2]) = (terms.submitter, refunded);
        emit TaskEnded(terms.id, end.outcome, solverPaid, refunded, levy);
        vault.pay(to, amounts, bytes32(terms.id));
    }

    /// @dev The solver's deposit: finders their shares, the submitter its compensation, the treasury the rest.
    function _punishSolver(TaskTerms memory terms, address[] memory finders, uint96[] memory shares) private {
        uint256 count = finders.length;
        address[] memory to = new address[](count + 1);
        uint96[] memory amounts = new uint96[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            (to[i], amounts[i]) = (finders[i], shares[i]);
        }
        // INVARIANT: by `ParametersLib.check` finders and submitter get at most half of the deposit together.
        (to[count], amounts[count]) = (terms.submitter, uint96(terms.fee() * _compensationBps / ParametersLib.WHOLE));
        vault.distribute(_depositOf(terms.id), to, amounts, treasury);
    }

    // Helpers

    /// @dev Terms of an offer, its id still open.
    function _termsOf(TaskOffer calldata offer) private view returns (TaskTerms memory terms) {
        ProgramHeader memory step = ProgramLib.decodeHeader(offer.stepHeader);
        ProgramHeader memory start = ProgramLib.decodeHeader(offer.initHeader);
        _requireWithinLimits(step);
        _requireWithinLimits(start);
        // INVARIANT: both programs list one state; a checkpoint has one shape.
        require(
            step.stateCount == start.stateCount && step.stateRoot == start.stateRoot
                && step.stateChunks == start.stateChunks,
            BadOffer("state")
        );
        terms.submitter = msg.sender;
        terms.stepProgram = ProgramLib.hashHeader(offer.stepHeader);
        terms.initProgram = ProgramLib.hashHeader(offer.initHeader);
        terms.stepWork = step.work;
        terms.initWork = start.work;
        terms.stateChunks = step.stateChunks;
        terms.nodeCount = step.nodeCount;
        terms.initNodeCount = start.nodeCount;
        terms.seed = offer.seed;
        terms.steps = offer.steps;
        terms.segmentSteps = offer.segmentSteps;
        terms.audits = offer.audits;
        terms.price = offer.price;
        terms.wage = offer.wage;
        terms.levy = offer.levy;
        terms.acceptDeadline = offer.acceptDeadline;
        terms.solveWindow = offer.solveWindow;
    }

    function _requireWithinLimits(ProgramHeader memory header) private pure {
        require(header.nodeCount != 0 && header.nodeCount <= Limits.MAX_NODES, BadOffer("nodes"));
        require(header.stateCount != 0 && header.stateCount <= Limits.MAX_STATE, BadOffer("state entries"));
        require(header.constantCount <= Limits.MAX_CONSTANTS, BadOffer("constants"));
        require(header.metricCount <= Limits.MAX_METRICS, BadOffer("metrics"));
        // A state of frozen entries only would have nothing to sample a digest from.
        require(header.stateChunks != 0, BadOffer("state chunks"));
        require(header.work != 0 && header.work <= Limits.MAX_WORK, BadOffer("work"));
    }

    function _require(TaskTerms memory terms, TaskState needed) private view returns (Task storage task) {
        task = _requireTerms(terms);
        require(task.state == needed, WrongState(terms.id, task.state, needed));
    }

    function _requireTerms(TaskTerms memory terms) private view returns (Task storage task) {
        task = _tasks[terms.id];
        require(terms.hash() == task.termsHash, WrongTerms(terms.id));
    }

    function _requireSolver(Task storage task) private view {
        require(msg.sender == task.solver, NotAllowed(msg.sender, task.solver));
    }

    function _requireInTime(uint64 deadline) private view {
        require(block.timestamp <= deadline, DeadlinePassed(deadline));
    }

    function _requireOver(uint64 deadline) private view {
        require(block.timestamp > deadline, DeadlineNotPassed(deadline));
    }

    /// @dev Engagement of the solver's deposit in the vault.
    function _depositOf(uint256 id) private pure returns (bytes32) {
        return bytes32(id);
    }
}
