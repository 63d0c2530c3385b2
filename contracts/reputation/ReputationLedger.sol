// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CourtKeys} from "../audit/CourtState.sol";
import {ClaimRecord, ClaimRef, IAuditCourt, Slot} from "../interfaces/IAuditCourt.sol";
import {IReputationLedger, Role} from "../interfaces/IReputationLedger.sol";
import {ITaskMarket, Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";

/// @title What accounts earned by settled tasks.
contract ReputationLedger is IReputationLedger {
    using TaskMath for TaskTerms;

    struct Record {
        uint96 earned;
        uint64 since; // newest task at the last conviction
    }

    ITaskMarket public immutable market;
    IAuditCourt public immutable court;

    mapping(address account => mapping(Role role => Record)) private _records;
    /// @dev By task; 0: its solver, s + 1: the claim that stood for segment s.
    mapping(uint256 task => mapping(uint256 place => bool)) private _credited;

    constructor(ITaskMarket market_, IAuditCourt court_) {
        (market, court) = (market_, court_);
    }

    /// @inheritdoc IReputationLedger
    function convict(address account, Role role) external {
        require(msg.sender == address(market) || msg.sender == address(court), NotModule(msg.sender));
        // INVARIANT: what was earned before a conviction and not fetched counts no more than what was.
        uint64 since = uint64(market.taskCount());
        _records[account][role] = Record(0, since);
        emit Convicted(account, role, since);
    }

    /// @inheritdoc IReputationLedger
    function creditSolver(TaskTerms memory terms) external {
        address solver = _requireSettled(terms).solver;
        _credit(terms.id, 0, solver, Role.Solver, terms.levy / 2);
    }

    /// @inheritdoc IReputationLedger
    function creditClaim(TaskTerms memory terms, uint32 segment) external {
        _requireSettled(terms);
        Slot memory slot = court.slotOf(terms.id, segment);
        // No claim can have the last index, so the mark of a malformed start names none.
        // INVARIANT: the levy is shared by the audits that were drawn.
        require(slot.standing != 0 && slot.round != CourtKeys.CALLED, NothingEarned(terms.id));
        ClaimRecord memory claim = court.claimOf(ClaimRef(terms.id, segment, slot.round, slot.standing - 1));
        // INVARIANT: only what was judged earns; a digest that was convicted does not, forced or not.
        require(claim.closed && !claim.digestConvicted, NothingEarned(terms.id));
        Role role = slot.standing == 1 ? Role.Verifier : Role.Whistleblower;
        _credit(terms.id, uint256(segment) + 1, claim.claimant, role, terms.levy / 2 / terms.audits);
    }

    /// @inheritdoc IReputationLedger
    function earnedOf(address account, Role role) external view returns (uint96) {
        return _records[account][role].earned;
    }

    /// @inheritdoc IReputationLedger
    function sinceOf(address account, Role role) external view returns (uint64) {
        return _records[account][role].since;
    }

    function _credit(uint256 task, uint256 place, address account, Role role, uint96 amount) private {
        require(!_credited[task][place], AlreadyCredited(task));
        Record storage record = _records[account][role];
        require(amount != 0 && task > record.since, NothingEarned(task));
        _credited[task][place] = true;
        uint256 total = uint256(record.earned) + amount;
        record.earned = total < type(uint96).max ? uint96(total) : type(uint96).max;
        emit Earned(account, role, task, amount, record.earned);
    }

    function _requireSettled(TaskTerms memory terms) private view returns (Task memory task) {
        task = market.taskOf(terms.id);
        require(terms.hash() == task.termsHash, ITaskMarket.WrongTerms(terms.id));
        require(task.state == TaskState.Settled, ITaskMarket.WrongState(terms.id, task.state, TaskState.Settled));
    }
}
