// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {IProgramFaults} from "../interfaces/IProgramFaults.sol";
import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {IReputationLedger} from "../interfaces/IReputationLedger.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {Parameters} from "../types/Parameters.sol";
import {MarketNumbers} from "./MarketNumbers.sol";
import {TaskMath} from "./TaskMath.sol";

/// @notice The contracts the market works with.
struct MarketParts {
    IStakeVault vault;
    IAuditCourt court;
    IRandomBeacon beacon;
    IProgramFaults faults;
    IReputationLedger ledger;
    address treasury;
}

/// @title What every part of the market shares: its books, its neighbours, and the checks of terms, states and times.
abstract contract MarketBase is MarketNumbers {
    using TaskMath for TaskTerms;

    IStakeVault public immutable vault;
    IAuditCourt public immutable court;
    IRandomBeacon public immutable beacon;
    IProgramFaults public immutable faults;
    /// @inheritdoc ITaskMarket
    IReputationLedger public immutable ledger;
    address public immutable treasury;

    mapping(uint256 id => Task) internal _tasks;

    constructor(MarketParts memory parts, Parameters memory parameters_) MarketNumbers(parameters_) {
        vault = parts.vault;
        court = parts.court;
        beacon = parts.beacon;
        faults = parts.faults;
        ledger = parts.ledger;
        treasury = parts.treasury;
    }

    function _require(TaskTerms memory terms, TaskState needed) internal view returns (Task storage task) {
        task = _requireTerms(terms);
        TaskState state = _stateOf(task);
        require(state == needed, WrongState(terms.id, state, needed));
    }

    /// @dev A task that nobody has touched since it was posted is its hash alone: one word less to write.
    function _stateOf(Task storage task) internal view returns (TaskState state) {
        state = task.state;
        if (state == TaskState.None && task.termsHash != 0) state = TaskState.Open;
    }

    function _requireTerms(TaskTerms memory terms) internal view returns (Task storage task) {
        task = _tasks[terms.id];
        require(terms.hash() == task.termsHash, WrongTerms(terms.id));
    }

    function _requireSolver(Task storage task) internal view {
        require(msg.sender == task.solver, NotAllowed(msg.sender, task.solver));
    }

    function _requireInTime(uint64 deadline) internal view {
        require(block.timestamp <= deadline, DeadlinePassed(deadline));
    }

    function _requireOver(uint64 deadline) internal view {
        require(block.timestamp > deadline, DeadlineNotPassed(deadline));
    }

    /// @dev The deposit is held: the account has the task until it acknowledges, or its window is over.
    function _assign(TaskTerms memory terms, Task storage task, address solver) internal {
        uint96 deposit = _solverDeposit(terms);
        task.state = TaskState.Accepted;
        task.solver = solver;
        task.deadline = uint40(block.timestamp + _acknowledgeWindow);
        emit TaskAccepted(terms.id, solver, deposit);
        address[] memory accounts = new address[](1);
        accounts[0] = solver;
        vault.hold(accounts, deposit);
    }

    /// @dev Engagement of a solver's deposit in the vault, where it is slashed.
    function _depositOf(uint256 id) internal pure returns (bytes32) {
        return bytes32(id);
    }
}
