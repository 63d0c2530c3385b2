// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {IJackpotTreasury} from "../interfaces/IJackpotTreasury.sol";
import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {Parameters, ParametersLib} from "../types/Parameters.sol";
import {CourtState, SlotRecord} from "./CourtState.sol";

/// @notice The contracts the court works with.
struct CourtParts {
    IStakeVault vault;
    ITaskMarket market;
    IRandomBeacon beacon;
    IJackpotTreasury treasury;
    address startChecker;
    address game;
    address demands;
}

/// @title What every part of the court shares: its books, numbers and deadlines.
abstract contract CourtBase is IAuditCourt {
    using TaskMath for TaskTerms;

    IStakeVault public immutable vault;
    ITaskMarket public immutable market;
    IRandomBeacon public immutable beacon;
    IJackpotTreasury public immutable treasury;
    address public immutable startChecker;
    address public immutable game;
    address public immutable demands;

    uint16 internal immutable _claimDepositMultiple;
    uint16 internal immutable _missMultiple;
    uint16 internal immutable _finderBps;
    uint16 internal immutable _clearedSolverBps;
    uint16 internal immutable _forcedBps;
    uint16 internal immutable _jackpotMultiple;
    uint96 internal immutable _claimBond;
    uint96 internal immutable _blindBond;
    uint96 internal immutable _weightUnit;
    uint8 internal immutable _redraws;
    uint32 internal immutable _drawWindow;
    uint32 internal immutable _claimWindow;
    uint32 internal immutable _maxClaimWindow;
    uint32 internal immutable _unblindWindow;
    uint32 internal immutable _disputeWindow;
    uint64 internal immutable _workRate;

    CourtState internal _state;

    constructor(CourtParts memory parts, Parameters memory p) {
        ParametersLib.check(p);
        vault = parts.vault;
        market = parts.market;
        beacon = parts.beacon;
        treasury = parts.treasury;
        startChecker = parts.startChecker;
        game = parts.game;
        demands = parts.demands;
        _claimDepositMultiple = p.claimDepositMultiple;
        _missMultiple = p.missMultiple;
        _finderBps = p.finderBps;
        _clearedSolverBps = p.clearedSolverBps;
        _forcedBps = p.forcedBps;
        _jackpotMultiple = p.jackpotMultiple;
        _claimBond = p.claimBond;
        _blindBond = p.blindBond;
        _weightUnit = p.weightUnit;
        _redraws = p.redraws;
        _drawWindow = p.drawWindow;
        _claimWindow = p.claimWindow;
        _maxClaimWindow = p.maxClaimWindow;
        _unblindWindow = p.unblindWindow;
        _disputeWindow = p.disputeWindow;
        _workRate = p.workRate;
    }

    /// @dev What a claimant locks: its deposit, judged at the end, and the bond that a conviction moves.
    function _stakeNeeded(TaskTerms memory terms) internal view returns (uint96) {
        return uint96(terms.replayCost() * _claimDepositMultiple) + _claimBond;
    }

    function _windowFor(TaskTerms memory terms) internal view returns (uint256) {
        return _workRate == 0 ? _claimWindow : _claimWindow + terms.replayWork() / _workRate;
    }

    /// @dev The task, if these are its terms.
    function _taskOf(TaskTerms memory terms) internal view returns (Task memory task) {
        task = market.taskOf(terms.id);
        require(terms.hash() == task.termsHash, WrongTerms(terms.id));
    }

    /// @dev The task, if these are its terms and it is in the state needed.
    function _requireTask(TaskTerms memory terms, TaskState needed) internal view returns (Task memory task) {
        task = _taskOf(terms);
        require(task.state == needed, WrongTaskState(terms.id, task.state));
    }

    function _requireSlot(bytes32 slotKey, uint256 segment, SlotState needed)
        internal
        view
        returns (SlotRecord memory slot)
    {
        slot = _state.slots[slotKey];
        require(slot.state == needed, WrongSlot(uint32(segment), slot.state));
    }

    /// @dev Both ends are inside.
    function _requireWindow(uint256 opens, uint256 closes) internal view {
        require(block.timestamp >= opens && block.timestamp <= closes, WrongWindow(uint64(opens), uint64(closes)));
    }

    modifier onlyGame() {
        require(msg.sender == game, NotModule(msg.sender));
        _;
    }
}
