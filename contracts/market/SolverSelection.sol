// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Role} from "../interfaces/IReputationLedger.sol";
import {Application, Declaration, ISolverSelection, Selection} from "../interfaces/ISolverSelection.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {SolverWeight} from "./SolverWeight.sol";
import {TaskMath} from "./TaskMath.sol";

/// @title The draw of a solver among those who applied.
/// @dev Applications are kept with the sum of all weights up to them, so the drawn one is found by bisection, however many there are. Nothing
/// here is on the way of a task whose solver is not drawn.
abstract contract SolverSelection is ISolverSelection, MarketBase {
    using TaskMath for TaskTerms;

    mapping(uint256 id => Selection) private _selections;
    mapping(uint256 id => mapping(uint256 index => Application)) private _applications;

    /// @inheritdoc ISolverSelection
    function applyToSolve(TaskTerms memory terms, uint96 stake, Declaration memory declared) external {
        _require(terms, TaskState.Open);
        require(msg.sender != terms.submitter, OwnTask(terms.id));
        _requireInTime(terms.options.applyDeadline());
        uint96 deposit = _solverDeposit(terms);
        require(stake >= deposit, StakeBelowDeposit(stake, deposit));
        Selection storage selection = _selections[terms.id];
        uint64 weight = _weigh(terms, msg.sender, stake, declared);
        uint32 index = selection.count;
        // INVARIANT: sums only grow, so each application owns the numbers between its predecessor's sum and its own.
        uint64 total = selection.total + weight;
        (selection.total, selection.count) = (total, index + 1);
        _applications[terms.id][index] = Application(msg.sender, total, declared.rate);
        emit SolverApplied(terms.id, msg.sender, index, stake, weight, declared);
        // A second application of an account reverts here.
        vault.lock(_applicationOf(terms.id, msg.sender), msg.sender, stake);
    }

    /// @inheritdoc ISolverSelection
    function closeApplications(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        _requireOver(terms.options.applyDeadline());
        _requireInTime(terms.acceptDeadline);
        Selection storage selection = _selections[terms.id];
        require(selection.count != 0 && !selection.closed, NothingToClose(terms.id));
        selection.closed = true;
        task.deadline = uint40(block.timestamp + _drawWindow);
        emit ApplicationsClosed(terms.id, selection.count, selection.total, task.deadline);
        // INVARIANT: who is drawn is decided by a block that comes after the last application.
        beacon.request(_drawOf(terms.id));
    }

    /// @inheritdoc ISolverSelection
    function drawSolver(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        Selection storage selection = _selections[terms.id];
        require(selection.closed, DrawPending(terms.id));
        // INVARIANT: a task is drawn once: a task given back has no deadline.
        _requireInTime(task.deadline);
        bytes32 value = beacon.record(address(this), _drawOf(terms.id));
        uint256 pick = uint256(keccak256(abi.encode("solver", value))) % selection.total;
        uint32 index = _find(terms.id, selection.count, pick);
        Application memory drawn = _applications[terms.id][index];
        selection.solveWindow = SolverWeight.solveWindow(terms, drawn.rate);
        emit SolverDrawn(terms.id, drawn.account, index, selection.solveWindow);
        bytes32 engagement = _applicationOf(terms.id, drawn.account);
        (, uint96 stake) = vault.engagementOf(address(this), engagement);
        // INVARIANT: an application holds the deposit at least, so no draw can fail for want of it.
        vault.release(engagement, stake);
        _assign(terms, task, drawn.account);
    }

    /// @inheritdoc ISolverSelection
    function releaseApplication(TaskTerms memory terms, address account) external {
        Task storage task = _requireTerms(terms);
        require(task.state != TaskState.Open || _isDrawOver(terms), DrawPending(terms.id));
        bytes32 engagement = _applicationOf(terms.id, account);
        (, uint96 stake) = vault.engagementOf(address(this), engagement);
        require(stake != 0, NoApplication(terms.id, account));
        emit ApplicationReleased(terms.id, account, stake);
        vault.release(engagement, stake);
    }

    // Views

    /// @inheritdoc ISolverSelection
    function selectionOf(uint256 id) external view returns (Selection memory) {
        return _selections[id];
    }

    /// @inheritdoc ISolverSelection
    function applicationOf(uint256 id, uint32 index) external view returns (Application memory) {
        return _applications[id][index];
    }

    /// @inheritdoc ISolverSelection
    function weighApplication(TaskTerms memory terms, address account, uint96 stake, Declaration memory declared)
        external
        view
        returns (uint64 weight, uint32 solveWindow)
    {
        return (_weigh(terms, account, stake, declared), SolverWeight.solveWindow(terms, declared.rate));
    }

    // For the market

    /// @dev Whether an open task's solver is not to be drawn any more: nobody applied, nobody asked in time, the draw's window is over, or the drawn
    /// solver gave the task back.
    function _isDrawOver(TaskTerms memory terms) internal view returns (bool) {
        Selection memory selection = _selections[terms.id];
        uint256 last = selection.closed
            ? _tasks[terms.id].deadline
            : selection.count == 0 ? terms.options.applyDeadline() : terms.acceptDeadline;
        return block.timestamp > last;
    }

    /// @dev Whether an open task's draw has been asked for, and may still come.
    function _isBeingDrawn(uint256 id) internal view returns (bool) {
        return _selections[id].closed && block.timestamp <= _tasks[id].deadline;
    }

    /// @dev Seconds that the solver of an accepted task has.
    function _windowOf(TaskTerms memory terms) internal view returns (uint256) {
        if (!terms.isDrawn()) return terms.solveWindow;
        uint32 window = _selections[terms.id].solveWindow;
        return window == 0 ? terms.solveWindow : window;
    }

    /// @dev What an accepted task's solver pays for not acknowledging it: nothing unless it was drawn; then the draw is spent.
    function _wasteDraw(TaskTerms memory terms, address solver) internal returns (uint96 slashed) {
        if (!terms.isDrawn()) return 0;
        Selection storage selection = _selections[terms.id];
        if (selection.solveWindow == 0) return 0;
        selection.solveWindow = 0;
        uint256 miss = terms.replayCost() * _missMultiple;
        uint96 deposit = _solverDeposit(terms);
        slashed = miss < deposit ? uint96(miss) : deposit;
        emit DrawWasted(terms.id, solver, slashed);
    }

    // Helpers

    function _weigh(TaskTerms memory terms, address account, uint96 stake, Declaration memory declared)
        private
        view
        returns (uint64)
    {
        uint256 earned = ledger.earnedOf(account, Role.Solver);
        return SolverWeight.weightOf(terms, _solverDeposit(terms), stake, earned, declared);
    }

    /// @dev The first application whose sum is above `pick`.
    function _find(uint256 id, uint32 count, uint256 pick) private view returns (uint32) {
        uint32 low = 0;
        uint32 high = count - 1;
        while (low < high) {
            uint32 middle = low + (high - low) / 2;
            if (_applications[id][middle].total > pick) high = middle;
            else low = middle + 1;
        }
        return low;
    }

    /// @dev Engagement of an applicant's stake in the vault.
    function _applicationOf(uint256 id, address account) private pure returns (bytes32) {
        return keccak256(abi.encode("application", id, account));
    }

    /// @dev Beacon key of the draw; that of the task's audits is its id.
    function _drawOf(uint256 id) private pure returns (bytes32) {
        return keccak256(abi.encode("solver", id));
    }
}
