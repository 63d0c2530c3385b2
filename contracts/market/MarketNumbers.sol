// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ITaskMarket, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {Parameters, ParametersLib} from "../types/Parameters.sol";
import {TaskOptions} from "../types/TaskOptions.sol";
import {TaskMath} from "./TaskMath.sol";

/// @title A deployment's numbers, and what the market makes of them.
abstract contract MarketNumbers is ITaskMarket {
    using TaskMath for TaskTerms;

    /// @dev Most segments one task may have audited: one transaction draws them, one settles them.
    uint256 public constant MAX_AUDITS = 64;
    /// @dev Most steps of a segment: its state roots are one reveal.
    uint256 public constant MAX_SEGMENT_STEPS = 64;

    uint16 internal immutable _solverDepositMultiple;
    uint16 internal immutable _claimDepositMultiple;
    uint16 internal immutable _missMultiple;
    uint16 private immutable _minWageMultiple;
    uint16 private immutable _minLevyMultiple;
    uint16 private immutable _marginBps;
    uint16 internal immutable _finderBps;
    uint16 internal immutable _compensationBps;
    uint16 private immutable _clearedSolverBps;
    uint16 private immutable _forcedBps;
    uint16 private immutable _jackpotMultiple;
    uint96 private immutable _claimBond;
    uint96 private immutable _blindBond;
    uint96 private immutable _weightUnit;
    uint16 private immutable _minAudits;
    uint8 private immutable _redraws;
    uint32 private immutable _beaconDelay;
    uint32 internal immutable _drawWindow;
    uint32 internal immutable _acknowledgeWindow;
    uint32 private immutable _claimWindow;
    uint32 private immutable _maxClaimWindow;
    uint32 private immutable _unblindWindow;
    uint32 private immutable _disputeWindow;
    uint32 internal immutable _openingWindow;
    uint64 private immutable _workRate;
    uint32 private immutable _withdrawalDelay;

    constructor(Parameters memory p) {
        ParametersLib.check(p);
        _solverDepositMultiple = p.solverDepositMultiple;
        _claimDepositMultiple = p.claimDepositMultiple;
        _missMultiple = p.missMultiple;
        _minWageMultiple = p.minWageMultiple;
        _minLevyMultiple = p.minLevyMultiple;
        _marginBps = p.marginBps;
        _finderBps = p.finderBps;
        _compensationBps = p.compensationBps;
        _clearedSolverBps = p.clearedSolverBps;
        _forcedBps = p.forcedBps;
        _jackpotMultiple = p.jackpotMultiple;
        _claimBond = p.claimBond;
        _blindBond = p.blindBond;
        _weightUnit = p.weightUnit;
        _minAudits = p.minAudits;
        _redraws = p.redraws;
        _beaconDelay = p.beaconDelay;
        _drawWindow = p.drawWindow;
        _acknowledgeWindow = p.acknowledgeWindow;
        _claimWindow = p.claimWindow;
        _maxClaimWindow = p.maxClaimWindow;
        _unblindWindow = p.unblindWindow;
        _disputeWindow = p.disputeWindow;
        _openingWindow = p.openingWindow;
        _workRate = p.workRate;
        _withdrawalDelay = p.withdrawalDelay;
    }

    /// @inheritdoc ITaskMarket
    function parameters() external view returns (Parameters memory p) {
        p.solverDepositMultiple = _solverDepositMultiple;
        p.claimDepositMultiple = _claimDepositMultiple;
        p.missMultiple = _missMultiple;
        p.minWageMultiple = _minWageMultiple;
        p.minLevyMultiple = _minLevyMultiple;
        p.marginBps = _marginBps;
        p.finderBps = _finderBps;
        p.compensationBps = _compensationBps;
        p.clearedSolverBps = _clearedSolverBps;
        p.forcedBps = _forcedBps;
        p.jackpotMultiple = _jackpotMultiple;
        p.claimBond = _claimBond;
        p.blindBond = _blindBond;
        p.weightUnit = _weightUnit;
        p.minAudits = _minAudits;
        p.redraws = _redraws;
        p.beaconDelay = _beaconDelay;
        p.drawWindow = _drawWindow;
        p.acknowledgeWindow = _acknowledgeWindow;
        p.claimWindow = _claimWindow;
        p.maxClaimWindow = _maxClaimWindow;
        p.unblindWindow = _unblindWindow;
        p.disputeWindow = _disputeWindow;
        p.openingWindow = _openingWindow;
        p.workRate = _workRate;
        p.withdrawalDelay = _withdrawalDelay;
    }

    /// @dev Refuses terms that no honest solver or verifier could serve; returns the escrow they need.
    function _requireFair(TaskTerms memory terms) internal view returns (uint256 amount) {
        require(terms.steps != 0, BadOffer("steps"));
        require(terms.segmentSteps != 0 && terms.segmentSteps <= MAX_SEGMENT_STEPS, BadOffer("segment steps"));
        uint256 segments = terms.segmentCount() - terms.firstAudited();
        uint256 most = segments < MAX_AUDITS ? segments : MAX_AUDITS;
        uint256 least = segments < _minAudits ? segments : _minAudits;
        require(terms.audits >= least && terms.audits <= most, BadOffer("audits"));
        require(terms.price != 0, BadOffer("price"));
        uint256 cost = terms.replayCost();
        uint256 stake = cost * _claimDepositMultiple + _claimBond;
        // INVARIANT: whoever has verifiers' stake locked pays for it, also where work costs next to nothing: each claim its verifier, and all of
        // them the treasury, for a wage may be paid to oneself.
        require(
            terms.wage >= cost * _minWageMultiple && terms.wage * ParametersLib.STAKE_SHARE >= stake, BadOffer("wage")
        );
        require(
            terms.levy >= cost * _minLevyMultiple && terms.levy * ParametersLib.STAKE_SHARE >= stake * terms.audits,
            BadOffer("levy")
        );
        // INVARIANT: in the mean the levy carries the most that forced errors pay, J and a quarter for each audit.
        require(
            uint256(terms.levy) * 4 * ParametersLib.WHOLE >= cost * _jackpotMultiple * _forcedBps * 5 * terms.audits,
            BadOffer("levy")
        );
        require(terms.acceptDeadline > block.timestamp, BadOffer("accept deadline"));
        require(terms.solveWindow != 0, BadOffer("solve window"));
        require(claimWindowOf(terms) <= _maxClaimWindow, BadOffer("segment work"));
        _requireOptions(terms);
        amount = _escrow(terms);
        // INVARIANT: every amount about the task fits its type, so that no later sum or product is cut.
        require(
            amount <= type(uint96).max && terms.fee() * _solverDepositMultiple <= type(uint96).max
                && stake <= type(uint96).max,
            BadOffer("amounts")
        );
    }

    /// @dev Every bit of the options says something, and only where it can.
    function _requireOptions(TaskTerms memory terms) private view {
        TaskOptions options = terms.options;
        if (TaskOptions.unwrap(options) == 0) return;
        require(options.isCanonical(), BadOffer("options"));
        require(terms.isStacked() || options.firstStep() == 0, BadOffer("first step"));
        require(uint256(options.firstStep()) + terms.steps <= type(uint32).max, BadOffer("first step"));
        uint256 last = options.applyDeadline();
        require(last == 0 || (last > block.timestamp && last <= terms.acceptDeadline), BadOffer("apply deadline"));
        require(options.family() <= (last == 0 ? 0 : 8), BadOffer("family"));
    }

    /// @notice Seconds claims of a task may take: the least window, and the time that replaying a segment takes.
    function claimWindowOf(TaskTerms memory terms) public view returns (uint256) {
        return _workRate == 0 ? _claimWindow : _claimWindow + terms.replayWork() / _workRate;
    }

    function _escrow(TaskTerms memory terms) internal view returns (uint256) {
        return terms.escrow(_marginBps);
    }

    function _solverDeposit(TaskTerms memory terms) internal view returns (uint96) {
        return uint96(terms.fee() * _solverDepositMultiple);
    }
}
