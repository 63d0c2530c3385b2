// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {Conclusion} from "../interfaces/IAuditCourt.sol";
import {ProgramFault} from "../interfaces/IProgramFaults.sol";
import {Role} from "../interfaces/IReputationLedger.sol";
import {Payout} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, Task, TaskOffer, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {Limits} from "../types/Limits.sol";
import {Parameters, ParametersLib} from "../types/Parameters.sol";
import {MarketBase, MarketParts} from "./MarketBase.sol";
import {SolverSelection} from "./SolverSelection.sol";
import {TaskMath} from "./TaskMath.sol";

/// @title Escrow, the task's life and its settlement.
/// @dev No function here moves tokens but `submit`, through the vault, as its last act. Escrows and solvers' deposits are owed to the market by
/// the vault; a deposit becomes an engagement before it is slashed.
contract TaskMarket is ITaskMarket, SolverSelection {
    using TaskMath for TaskTerms;

    /// @inheritdoc ITaskMarket
    uint256 public taskCount;

    constructor(MarketParts memory parts, Parameters memory parameters_) MarketBase(parts, parameters_) {}

    // Before the work

    /// @inheritdoc ITaskMarket
    function submit(TaskOffer calldata offer) external returns (uint256 id) {
        TaskTerms memory terms = _termsOf(offer);
        require(!terms.isStacked(), BadOffer("parent"));
        return _post(terms, offer.uri);
    }

    /// @inheritdoc ITaskMarket
    function submitStacked(
        TaskOffer calldata offer,
        TaskTerms memory parent,
        bytes32 startRoot,
        bytes32[] calldata proof
    ) external returns (uint256 id) {
        _require(parent, TaskState.Settled);
        TaskTerms memory terms = _termsOf(offer);
        // INVARIANT: the offer's init header is the parent's step header, so `_termsOf` has compared the two tasks' state lists.
        require(
            terms.isStacked() && terms.options.parent() == parent.id && terms.initProgram == parent.stepProgram,
            BadOffer("parent")
        );
        uint256 size = parent.segmentCount();
        _requireLeaf(size, size - 1, startRoot, proof, parent.workRoot);
        terms.initProgram = startRoot;
        return _post(terms, offer.uri);
    }

    /// @inheritdoc ITaskMarket
    function cancel(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        require(
            msg.sender == terms.submitter || block.timestamp > terms.acceptDeadline,
            NotAllowed(msg.sender, terms.submitter)
        );
        // INVARIANT: who dislikes what a draw will give cannot have another.
        require(!terms.isDrawn() || !_isBeingDrawn(terms.id), DrawPending(terms.id));
        task.state = TaskState.Cancelled;
        emit TaskCancelled(terms.id, msg.sender);
        _payOne(terms.id, Payout(terms.submitter, uint96(_escrow(terms)) - _compensate(terms), 0));
    }

    /// @inheritdoc ITaskMarket
    function accept(TaskTerms memory terms) public {
        Task storage task = _require(terms, TaskState.Open);
        require(msg.sender != terms.submitter, OwnTask(terms.id));
        require(block.timestamp <= terms.acceptDeadline, DeadlinePassed(terms.acceptDeadline));
        require(!terms.isDrawn() || _isDrawOver(terms), DrawPending(terms.id));
        _assign(terms, task, msg.sender);
    }

    /// @inheritdoc ITaskMarket
    function acknowledge(TaskTerms memory terms) public {
        Task storage task = _require(terms, TaskState.Accepted);
        _requireSolver(task);
        _requireInTime(task.deadline);
        task.state = TaskState.Solving;
        task.deadline = uint40(block.timestamp + _windowOf(terms));
        emit TaskAcknowledged(terms.id, task.deadline);
    }

    /// @inheritdoc ITaskMarket
    function acceptAndAcknowledge(TaskTerms memory terms) external {
        accept(terms);
        acknowledge(terms);
    }

    /// @inheritdoc ITaskMarket
    function giveBack(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Accepted);
        if (msg.sender != task.solver) _requireOver(task.deadline);
        address solver = task.solver;
        uint96 slashed = _wasteDraw(terms, solver);
        emit TaskGivenBack(terms.id, solver);
        task.state = TaskState.Open;
        task.solver = address(0);
        task.deadline = 0;
        uint96 deposit = _solverDeposit(terms);
        if (slashed == 0) return _payOne(terms.id, Payout(solver, 0, deposit));
        // INVARIANT: what a wasted draw costs is not the submitter's: it could withhold its data to earn it.
        vault.engage(_depositOf(terms.id), solver, deposit);
        vault.slash(_depositOf(terms.id), treasury, slashed);
        if (deposit != slashed) vault.release(_depositOf(terms.id), deposit - slashed);
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
        require(!terms.isStacked(), BadProof());
        _commit(terms, workRoot, finalRoot, finalProof, uri);
    }

    /// @inheritdoc ITaskMarket
    function commitStacked(
        TaskTerms memory terms,
        bytes32 workRoot,
        bytes32 finalRoot,
        bytes32[] calldata finalProof,
        bytes32[] calldata startProof,
        string calldata uri
    ) external {
        require(terms.isStacked(), BadProof());
        // INVARIANT: a stacked task's segment 0 is right by definition, so it is never drawn.
        _requireLeaf(terms.segmentCount(), 0, terms.initProgram, startProof, workRoot);
        _commit(terms, workRoot, finalRoot, finalProof, uri);
    }

    function _commit(
        TaskTerms memory terms,
        bytes32 workRoot,
        bytes32 finalRoot,
        bytes32[] calldata finalProof,
        string calldata uri
    ) private {
        Task storage task = _require(terms, TaskState.Solving);
        _requireSolver(task);
        _requireInTime(task.deadline);
        uint256 size = terms.segmentCount();
        _requireLeaf(size, size - 1, finalRoot, finalProof, workRoot);
        task.state = TaskState.Committed;
        task.deadline = uint40(block.timestamp + _drawWindow);
        // INVARIANT: from now on nobody's terms are this task's but those with its work root, which no proof was made against before.
        terms.workRoot = workRoot;
        task.termsHash = terms.hash();
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
        _punishSolver(terms, task.solver, new address[](0), new uint96[](0));
    }

    /// @inheritdoc ITaskMarket
    function expireUndrawn(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Committed);
        _requireOver(task.deadline);
        task.state = TaskState.Unavailable;
        emit TaskEnded(terms.id, TaskState.Unavailable, 0, uint96(_escrow(terms)), 0);
        _refund(terms);
        _payOne(terms.id, Payout(task.solver, 0, _solverDeposit(terms)));
    }

    // The end

    /// @inheritdoc ITaskMarket
    function beginAudit(uint256 id, uint256 deadline) external {
        Task storage task = _requireCourt(id, TaskState.Committed);
        task.state = TaskState.Auditing;
        task.deadline = uint40(deadline);
    }

    /// @inheritdoc ITaskMarket
    function countCall(uint256 id) external {
        Task storage task = _requireCourt(id, TaskState.Auditing);
        // The court allows a few.
        unchecked {
            ++task.called;
        }
    }

    /// @inheritdoc ITaskMarket
    function settle(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Auditing);
        uint96 deposit = _solverDeposit(terms);
        Conclusion memory end =
            court.conclude(terms, false, uint96(uint256(deposit) * _finderBps / ParametersLib.WHOLE), task.called);
        task.state = end.outcome;
        task.deadline = uint40(block.timestamp + _openingWindow);
        address solver = task.solver;
        uint96 paid = end.outcome == TaskState.Settled ? uint96(terms.fee()) : 0;
        _payOut(terms, end, Payout(solver, paid, end.solverAtFault ? 0 : deposit));
        if (end.solverAtFault) _punishSolver(terms, solver, end.finders, end.shares);
    }

    /// @inheritdoc ITaskMarket
    function voidInvalidProgram(TaskTerms memory terms, ProgramFault calldata fault) external {
        Task storage task = _requireTerms(terms);
        TaskState state = _stateOf(task);
        require(
            state == TaskState.Solving || state == TaskState.Committed || state == TaskState.Auditing,
            WrongState(terms.id, state, TaskState.Auditing)
        );
        // INVARIANT: a stacked task's start is a root its parent's solver chose, not a program: it can be accused of nothing.
        require(!fault.init || !terms.isStacked(), ProgramIsValid());
        require(faults.isFault(fault.init ? terms.initProgram : terms.stepProgram, fault), ProgramIsValid());
        task.state = TaskState.Void;
        Conclusion memory end;
        if (state == TaskState.Auditing) end = court.conclude(terms, true, 0, task.called);
        end.outcome = TaskState.Void;
        uint96 paid = state == TaskState.Solving ? 0 : uint96(terms.fee());
        _payOut(terms, end, Payout(task.solver, paid, _solverDeposit(terms)));
    }

    // Views

    /// @inheritdoc ITaskMarket
    function taskOf(uint256 id) external view returns (Task memory task) {
        task = _tasks[id];
        if (task.state == TaskState.None) task.state = _stateOf(_tasks[id]);
    }

    /// @inheritdoc ITaskMarket
    function stateOf(uint256 id) external view returns (TaskState) {
        return _stateOf(_tasks[id]);
    }

    /// @inheritdoc ITaskMarket
    function solverOf(uint256 id) external view returns (address) {
        return _tasks[id].solver;
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
        _payOne(terms.id, Payout(terms.submitter, uint96(_escrow(terms)), 0));
    }

    function _payOne(uint256 id, Payout memory payout) private {
        Payout[] memory payouts = new Payout[](1);
        payouts[0] = payout;
        vault.payOut(payouts, bytes32(id));
    }

    /// @dev The escrow of a task that ended: fee and deposit as `solver` says, wages, levy (Settled, Void); the rest to the submitter. With their
    /// wages those verifiers have their stakes back whose claims are closed with the task.
    function _payOut(TaskTerms memory terms, Conclusion memory end, Payout memory solver) private {
        uint96 levy = end.outcome == TaskState.Settled || end.outcome == TaskState.Void ? terms.levy : 0;
        uint256 count = end.verifiers.length;
        Payout[] memory payouts = new Payout[](count + 3);
        for (uint256 i = 0; i < count; ++i) {
            payouts[i] = Payout(end.verifiers[i], terms.wage, end.stakes[i]);
        }
        // INVARIANT: a task pays out what it took in, to the last unit, once: the market's account holds other tasks' escrows too.
        uint96 refunded = uint96(_escrow(terms) - solver.owed - levy - count * terms.wage);
        payouts[count] = solver;
        payouts[count + 1] = Payout(treasury, levy, 0);
        payouts[count + 2] = Payout(terms.submitter, refunded, 0);
        emit TaskEnded(terms.id, end.outcome, solver.owed, refunded, levy);
        vault.payOut(payouts, bytes32(terms.id));
    }

    /// @dev The solver's deposit: finders their shares, the submitter its compensation, the treasury the rest; and its reputation.
    function _punishSolver(TaskTerms memory terms, address solver, address[] memory finders, uint96[] memory shares)
        private
    {
        ledger.convict(solver, Role.Solver);
        vault.engage(_depositOf(terms.id), solver, _solverDeposit(terms));
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
        terms.stateChunks = step.stateChunks;
        terms.nodeCount = step.nodeCount;
        terms.seed = offer.seed;
        terms.steps = offer.steps;
        terms.segmentSteps = offer.segmentSteps;
        terms.audits = offer.audits;
        terms.price = offer.price;
        terms.wage = offer.wage;
        terms.levy = offer.levy;
        terms.acceptDeadline = offer.acceptDeadline;
        terms.solveWindow = offer.solveWindow;
        terms.options = offer.options;
        if (!terms.isStacked()) (terms.initWork, terms.initNodeCount) = (start.work, start.nodeCount);
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

    function _post(TaskTerms memory terms, string calldata uri) private returns (uint256 id) {
        id = ++taskCount;
        terms.id = id;
        uint256 amount = _requireFair(terms);
        _tasks[id].termsHash = terms.hash();
        emit TaskSubmitted(id, msg.sender, terms, uint96(amount), uri);
        // INVARIANT: only the caller pays.
        vault.escrow(msg.sender, uint96(amount), bytes32(id));
    }

    /// @dev The task, for the court, in the state needed.
    function _requireCourt(uint256 id, TaskState needed) private view returns (Task storage task) {
        require(msg.sender == address(court), NotCourt(msg.sender));
        task = _tasks[id];
        TaskState state = _stateOf(task);
        require(state == needed, WrongState(id, state, needed));
    }

    /// @dev Reverts unless `root` is checkpoint `index` of the `size` under a work root.
    function _requireLeaf(uint256 size, uint256 index, bytes32 root, bytes32[] calldata proof, bytes32 workRoot)
        private
        view
    {
        bytes32 leaf = Merkle.leafOf(root);
        require(Merkle.rootFromInclusion(size, index, leaf, proof) == workRoot, BadProof());
    }
}
