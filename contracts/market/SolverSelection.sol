// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Application, Declaration, ISolverSelection, Selection} from "../interfaces/ISolverSelection.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {MarketBase} from "./MarketBase.sol";
import {DrawBooks, SolverDraws} from "./SolverDraws.sol";
import {TaskMath} from "./TaskMath.sol";

/// @title The draw of a solver among those who applied.
/// @dev Who may call what when is checked here; `SolverDraws` does it. Nothing here is on the way of a task whose solver is not drawn.
abstract contract SolverSelection is ISolverSelection, MarketBase {
    using TaskMath for TaskTerms;

    DrawBooks private _draws;

    // The library reads the arguments as they came: encoding them anew would be code that this contract has no room for.

    /// @inheritdoc ISolverSelection
    function applyToSolve(TaskTerms memory terms, uint96, Declaration calldata) external {
        _require(terms, TaskState.Open);
        require(msg.sender != terms.submitter, OwnTask(terms.id));
        _requireInTime(terms.options.applyDeadline());
        SolverDraws.applyToSolve(_draws, vault, ledger, _solverDeposit(terms), msg.data[4:]);
    }

    /// @inheritdoc ISolverSelection
    function closeApplications(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        _requireOver(terms.options.applyDeadline());
        _requireInTime(terms.acceptDeadline);
        SolverDraws.closeApplications(_draws, task, beacon, terms.id, uint40(block.timestamp + _drawWindow));
    }

    /// @inheritdoc ISolverSelection
    function drawSolver(TaskTerms memory terms) external {
        Task storage task = _require(terms, TaskState.Open);
        require(_draws.selections[terms.id].closed, DrawPending(terms.id));
        // INVARIANT: a task is drawn once: a task given back has no deadline.
        _requireInTime(task.deadline);
        _assign(terms, task, SolverDraws.drawSolver(_draws, vault, beacon, msg.data[4:]));
    }

    /// @inheritdoc ISolverSelection
    function releaseApplication(TaskTerms memory terms, address account) external {
        Task storage task = _requireTerms(terms);
        require(_stateOf(task) != TaskState.Open || _isDrawOver(terms), DrawPending(terms.id));
        SolverDraws.releaseApplication(_draws, vault, terms.id, account);
    }

    // Views

    /// @inheritdoc ISolverSelection
    function selectionOf(uint256 id) external view returns (Selection memory) {
        return _draws.selections[id];
    }

    /// @inheritdoc ISolverSelection
    function applicationOf(uint256 id, uint32 index) external view returns (Application memory) {
        return _draws.applications[id][index];
    }

    /// @inheritdoc ISolverSelection
    function weighApplication(TaskTerms memory terms, address, uint96, Declaration calldata)
        external
        view
        returns (uint64 weight, uint32 solveWindow)
    {
        return SolverDraws.weighApplication(ledger, _solverDeposit(terms), msg.data[4:]);
    }

    // For the market

    /// @dev Whether an open task's solver is not to be drawn any more: nobody applied, nobody asked in time, the draw's window is over, or the drawn
    /// solver gave the task back.
    function _isDrawOver(TaskTerms memory terms) internal view returns (bool) {
        Selection memory selection = _draws.selections[terms.id];
        uint256 last = selection.closed
            ? _tasks[terms.id].deadline
            : selection.count == 0 ? terms.options.applyDeadline() : terms.acceptDeadline;
        return block.timestamp > last;
    }

    /// @dev Whether an open task's draw has been asked for, and may still come.
    function _isBeingDrawn(uint256 id) internal view returns (bool) {
        return _draws.selections[id].closed && block.timestamp <= _tasks[id].deadline;
    }

    /// @dev What the applicants of a task keep of its escrow when the submitter cancels it. Whose draw could not come are owed nothing.
    function _compensate(TaskTerms memory terms) internal returns (uint96) {
        if (!terms.isDrawn() || block.timestamp > terms.acceptDeadline) return 0;
        return SolverDraws.compensate(_draws, terms.id, terms.fee());
    }

    /// @dev Seconds that the solver of an accepted task has.
    function _windowOf(TaskTerms memory terms) internal view returns (uint256) {
        if (!terms.isDrawn()) return terms.solveWindow;
        uint32 window = _draws.selections[terms.id].solveWindow;
        return window == 0 ? terms.solveWindow : window;
    }

    /// @dev What an accepted task's solver pays for not acknowledging it: nothing unless it was drawn; then the draw is spent.
    function _wasteDraw(TaskTerms memory terms, address solver) internal returns (uint96 slashed) {
        if (!terms.isDrawn()) return 0;
        Selection storage selection = _draws.selections[terms.id];
        if (selection.solveWindow == 0) return 0;
        selection.solveWindow = 0;
        uint256 miss = terms.replayCost() * _missMultiple;
        uint96 deposit = _solverDeposit(terms);
        slashed = miss < deposit ? uint96(miss) : deposit;
        emit DrawWasted(terms.id, solver, slashed);
    }
}
