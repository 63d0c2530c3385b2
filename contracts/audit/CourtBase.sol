// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimRef, IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {IJackpotTreasury} from "../interfaces/IJackpotTreasury.sol";
import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {IStartChecker} from "../interfaces/IStartChecker.sol";
import {ITaskMarket, Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {Parameters, ParametersLib} from "../types/Parameters.sol";

/// @notice The contracts the court works with.
struct CourtParts {
    IStakeVault vault;
    ITaskMarket market;
    IRandomBeacon beacon;
    IJackpotTreasury treasury;
    IStartChecker startChecker;
    address game;
}

/// @title What every part of the court shares: its storage, keys and deadlines.
abstract contract CourtBase is IAuditCourt {
    using TaskMath for TaskTerms;

    /// @dev A drawn segment, one word.
    struct SlotRecord {
        SlotState state;
        uint8 round;
        address verifier;
        uint32 claimDeadline; // seconds; enough until 2106
        uint16 claims;
        uint16 openDisputes;
        uint16 standing;
    }

    /// @dev A claim; two words while it passes and is not convicted of its digest.
    struct ClaimData {
        bytes32 bodyHash;
        address claimant;
        uint40 order;
        bool passes;
        bool convicted;
        bool digestConvicted;
        uint16 openDisputes;
        bytes32 endRoot;
        address digestFinder;
    }

    /// @dev What a segment's redraws need to know.
    struct RedrawRecord {
        uint8 misses; // rounds without any claim
        uint40 deadline; // of the redraw that is due
    }

    /// @dev `standing` of a segment whose start was malformed; it has no standing claim.
    uint16 internal constant MALFORMED = type(uint16).max;

    IStakeVault public immutable vault;
    ITaskMarket public immutable market;
    IRandomBeacon public immutable beacon;
    IJackpotTreasury public immutable treasury;
    IStartChecker public immutable startChecker;
    address public immutable game;

    uint16 internal immutable _claimDepositMultiple;
    uint16 internal immutable _missMultiple;
    uint16 internal immutable _finderBps;
    uint16 internal immutable _clearedSolverBps;
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

    mapping(bytes32 slotKey => SlotRecord) internal _slots;
    mapping(bytes32 slotKey => RedrawRecord) internal _redrawOf;
    mapping(bytes32 claimKey => ClaimData) internal _claims;

    constructor(CourtParts memory parts, Parameters memory p) {
        ParametersLib.check(p);
        vault = parts.vault;
        market = parts.market;
        beacon = parts.beacon;
        treasury = parts.treasury;
        startChecker = parts.startChecker;
        game = parts.game;
        _claimDepositMultiple = p.claimDepositMultiple;
        _missMultiple = p.missMultiple;
        _finderBps = p.finderBps;
        _clearedSolverBps = p.clearedSolverBps;
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

    // Keys

    function _slotKey(uint256 task, uint256 segment) internal pure returns (bytes32) {
        return keccak256(abi.encode(task, segment));
    }

    function _claimKey(bytes32 slotKey, uint256 round, uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode(slotKey, round, index));
    }

    function _claimKey(ClaimRef calldata ref) internal pure returns (bytes32) {
        return _claimKey(_slotKey(ref.task, ref.segment), ref.round, ref.index);
    }

    /// @dev Engagement of a claimant's deposit and bond: one an account, segment and round.
    function _engagementOf(bytes32 slotKey, uint256 round, address claimant) internal pure returns (bytes32) {
        return keccak256(abi.encode(slotKey, round, claimant));
    }

    /// @dev Beacon key of a segment's draw in a later round; the first round's value is the task's, under the market's key.
    function _beaconKey(bytes32 slotKey, uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode(slotKey, round));
    }

    // Amounts

    function _depositOf(TaskTerms calldata terms) internal view returns (uint96) {
        return uint96(terms.replayCost() * _claimDepositMultiple);
    }

    function _missOf(TaskTerms calldata terms) internal view returns (uint96) {
        return uint96(terms.replayCost() * _missMultiple);
    }

    function _windowFor(TaskTerms calldata terms) internal view returns (uint256) {
        return _workRate == 0 ? _claimWindow : _claimWindow + terms.replayWork() / _workRate;
    }

    // Guards

    /// @dev The task, if these are its terms and it is in the state needed.
    function _requireTask(TaskTerms calldata terms, TaskState needed) internal view returns (Task memory task) {
        task = market.taskOf(terms.id);
        require(keccak256(abi.encode(terms)) == task.termsHash, WrongTerms(terms.id));
        require(task.state == needed, WrongTaskState(terms.id, task.state));
    }

    function _requireSlot(bytes32 slotKey, uint256 segment, SlotState needed)
        internal
        view
        returns (SlotRecord memory slot)
    {
        slot = _slots[slotKey];
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
