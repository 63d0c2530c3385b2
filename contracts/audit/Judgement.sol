// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Conclusion, IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {ParametersLib} from "../types/Parameters.sol";
import {ClaimData, CourtKeys, CourtState, Report, Scan, SlotRecord} from "./CourtState.sol";
import {Bench, Finality, Place} from "./Finality.sol";
import {FinderShares} from "./FinderShares.sol";
import {SegmentDraw} from "./SegmentDraw.sol";

/// @title Who pays whom once segments are final and the task has ended. The court's code in a library of its own, for its size.
library Judgement {
    /// @dev Claims that `settle` looks at by itself in each segment.
    uint256 internal constant SETTLE_STEPS = 32;

    /// @notice Body of `IAuditCourt.finalize`.
    function finalize(CourtState storage state, Bench memory bench, uint256 task, uint32 segment, uint256 maxSteps)
        external
    {
        Place memory place = Place(task, segment, CourtKeys.slotKey(task, segment));
        SlotState now_ = state.slots[place.key].state;
        if (now_ == SlotState.Redrawing) return Finality.giveUpRedraw(state, place);
        require(now_ == SlotState.Drawn, IAuditCourt.WrongSlot(segment, now_));
        Finality.decide(state, bench, place, maxSteps);
    }

    // The end of a task

    /// @notice Body of `IAuditCourt.conclude`.
    function conclude(
        CourtState storage state,
        Bench memory bench,
        TaskTerms memory terms,
        bool voided,
        uint96 finderPot
    ) external returns (Conclusion memory end) {
        uint32[] memory segments = SegmentDraw.segmentsOf(terms, bench.beacon.valueOf(bench.market, bytes32(terms.id)));
        bytes32[] memory failed = new bytes32[](segments.length);
        uint256 failures = 0;
        uint256 paid = 0;
        end.verifiers = new address[](segments.length);
        end.outcome = TaskState.Settled;
        for (uint256 i = 0; i < segments.length; ++i) {
            Place memory place = Place(terms.id, segments[i], CourtKeys.slotKey(terms.id, segments[i]));
            (SlotState outcome, address earner) = voided ? _void(state, place) : _settle(state, bench, place);
            if (earner != address(0)) end.verifiers[paid++] = earner;
            if (outcome == SlotState.Failed) failed[failures++] = place.key;
            if (outcome == SlotState.Missed) end.solverAtFault = true;
            if (outcome == SlotState.Missed || outcome == SlotState.Moot) end.outcome = TaskState.Unavailable;
        }
        _shorten(end.verifiers, paid);
        if (voided) {
            end.outcome = TaskState.Void;
            end.solverAtFault = false;
        } else if (failures != 0) {
            end.outcome = TaskState.Rejected;
            end.solverAtFault = true;
            (end.finders, end.shares) = _sharePot(state, failed, failures, finderPot);
        }
    }

    /// @dev Makes a segment final if it is not and can be; says how it stands, and who earned its wage. A lone claim is closed at once: it
    /// stands, so it is right.
    function _settle(CourtState storage state, Bench memory bench, Place memory place)
        private
        returns (SlotState outcome, address earner)
    {
        if (state.slots[place.key].state == SlotState.Drawn) Finality.decide(state, bench, place, SETTLE_STEPS);
        SlotRecord memory slot = state.slots[place.key];
        require(slot.state > SlotState.Redrawing, IAuditCourt.WrongSlot(place.segment, slot.state));
        if (slot.claims == 1 && slot.marks == 1) {
            emit IAuditCourt.ClaimClosed(place.task, place.segment, slot.round, 0, 0);
            bench.vault.release(CourtKeys.engagement(place.key, slot.round, slot.verifier), bench.deposit + bench.bond);
        }
        return (slot.state, _earner(state, place.key, slot));
    }

    /// @dev The program is invalid: an open segment is moot. Whoever was drawn and claimed has earned its wage.
    function _void(CourtState storage state, Place memory place) private returns (SlotState, address) {
        SlotRecord memory slot = state.slots[place.key];
        if (slot.state > SlotState.Redrawing) return (slot.state, _earner(state, place.key, slot));
        Finality.end(state, place, SlotState.Moot, 0);
        if (slot.state == SlotState.Redrawing || slot.marks == 0) return (SlotState.Moot, address(0));
        bool convicted = state.claims[CourtKeys.claimKey(place.key, slot.round, 0)].head.convicted;
        return (SlotState.Moot, convicted ? address(0) : slot.verifier);
    }

    /// @dev The drawn verifier of the last round, if its claim is right and unconvicted.
    function _earner(CourtState storage state, bytes32 key, SlotRecord memory slot) private view returns (address) {
        if (slot.marks == 0 || slot.marks == CourtKeys.MALFORMED) return address(0);
        if (slot.marks == 1) return slot.verifier;
        ClaimData storage claim = state.claims[CourtKeys.claimKey(key, slot.round, 0)];
        if (claim.head.convicted) return address(0);
        bool right = Finality.agree(claim, state.claims[CourtKeys.claimKey(key, slot.round, slot.marks - 1)]);
        return right ? claim.head.claimant : address(0);
    }

    /// @dev The pot evenly over the failed segments, each part among its finders.
    function _sharePot(CourtState storage state, bytes32[] memory failed, uint256 failures, uint96 pot)
        private
        view
        returns (address[] memory finders, uint96[] memory shares)
    {
        finders = new address[](FinderShares.MOST * failures);
        shares = new uint96[](FinderShares.MOST * failures);
        uint256 used = 0;
        for (uint256 i = 0; i < failures; ++i) {
            address[] memory here = _findersOf(state, failed[i], state.slots[failed[i]]);
            uint96[] memory parts = FinderShares.split(uint96(pot / failures), here.length);
            for (uint256 j = 0; j < here.length; ++j) {
                (finders[used], shares[used]) = (here[j], parts[j]);
                ++used;
            }
        }
        _shorten(finders, used);
        assembly ("memory-safe") {
            mstore(shares, used)
        }
    }

    /// @dev Who found how a segment stands: the first four claims that agree with the standing one; for a malformed start who showed it,
    /// behind the drawn verifier where that could still have done so.
    function _findersOf(CourtState storage state, bytes32 key, SlotRecord memory slot)
        private
        view
        returns (address[] memory finders)
    {
        finders = new address[](FinderShares.MOST);
        uint256 count = 0;
        if (slot.marks == CourtKeys.MALFORMED) {
            Report memory report = state.reports[key];
            if (report.shared) finders[count++] = slot.verifier;
            finders[count++] = report.by;
        } else if (slot.marks != 0 && slot.claims == 1) {
            finders[count++] = slot.verifier;
        } else if (slot.marks != 0) {
            Scan memory scan = state.scans[key];
            for (; count < FinderShares.MOST && scan.finders[count] != 0; ++count) {
                finders[count] =
                state.claims[CourtKeys.claimKey(key, slot.round, scan.finders[count] - 1)].head.claimant;
            }
        }
        _shorten(finders, count);
    }

    // Closing a claim

    /// @notice Body of `IAuditCourt.closeClaim`.
    function closeClaim(
        CourtState storage state,
        Bench memory bench,
        Task memory task,
        uint256 id,
        uint32 segment,
        uint8 round,
        uint16 index
    ) external {
        require(
            task.state >= TaskState.Settled && task.state <= TaskState.Void, IAuditCourt.WrongTaskState(id, task.state)
        );
        bytes32 key = CourtKeys.slotKey(id, segment);
        SlotRecord memory slot = state.slots[key];
        ClaimData memory claim = state.claims[CourtKeys.claimKey(key, round, index)];
        // The drawn verifier's place holds a deposit before it has claimed; and a lone claim, which is right, has no head.
        bool headless = claim.head.claimant == address(0) && index == 0 && round == slot.round;
        address claimant = headless ? slot.verifier : claim.head.claimant;
        require(claimant != address(0), IAuditCourt.NoSuchClaim());
        bytes32 engagement = CourtKeys.engagement(key, round, claimant);
        (address account, uint96 held) = bench.vault.engagementOf(address(this), engagement);
        require(account != address(0), IAuditCourt.AlreadyClosed());

        bool whole = headless || task.state == TaskState.Void || slot.marks == CourtKeys.MALFORMED;
        if (!whole) whole = !claim.head.digestConvicted && _isRight(state, key, slot, claim);
        uint96 slashed = whole ? 0 : bench.deposit;
        emit IAuditCourt.ClaimClosed(id, segment, round, index, slashed);
        if (held != slashed) bench.vault.release(engagement, held - slashed);
        if (slashed == 0) return;
        if (claim.head.digestConvicted) {
            address[] memory finder = new address[](1);
            finder[0] = claim.digestFinder;
            return _shareDeposit(bench, engagement, finder);
        }
        address[] memory finders = _findersOf(state, key, slot);
        if (slot.state != SlotState.Passed) return _shareDeposit(bench, engagement, finders);
        _payFalsePositive(bench, CourtKeys.claimKey(key, round, index), engagement, finders, task.solver);
    }

    /// @dev Whether a claim says what stood. Where nothing stands the checkpoint does.
    function _isRight(CourtState storage state, bytes32 key, SlotRecord memory slot, ClaimData memory claim)
        private
        view
        returns (bool)
    {
        if (slot.marks == 0) return claim.head.passes;
        // A lone claim that stands has no head: its passing is the segment's.
        ClaimData storage standing = state.claims[CourtKeys.claimKey(key, slot.round, slot.marks - 1)];
        return claim.head.passes == (slot.state == SlotState.Passed) && claim.endRoot == standing.endRoot;
    }

    /// @dev The finders' share of a slashed deposit to them, the rest to the treasury.
    function _shareDeposit(Bench memory bench, bytes32 engagement, address[] memory finders) private {
        uint96[] memory parts = FinderShares.split(_bps(bench.deposit, bench.finderBps), finders.length);
        bench.vault.distribute(engagement, finders, parts, address(bench.treasury));
    }

    /// @dev Good work was condemned: the deposit goes to the treasury, which pays finders and solver out of what it brought.
    function _payFalsePositive(
        Bench memory bench,
        bytes32 verdict,
        bytes32 engagement,
        address[] memory finders,
        address solver
    ) private {
        uint256 count = finders.length;
        uint96[] memory parts = FinderShares.split(_bps(bench.deposit, bench.finderBps), count);
        address[] memory to = new address[](count + 1);
        uint96[] memory amounts = new uint96[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            (to[i], amounts[i]) = (finders[i], parts[i]);
        }
        (to[count], amounts[count]) = (solver, _bps(bench.deposit, bench.clearedSolverBps));
        bench.vault.slash(engagement, address(bench.treasury), bench.deposit);
        bench.treasury.payVerdict(verdict, bench.deposit, to, amounts);
    }

    function _bps(uint96 amount, uint256 bps) private pure returns (uint96) {
        return uint96(uint256(amount) * bps / ParametersLib.WHOLE);
    }

    function _shorten(address[] memory list, uint256 length) private pure {
        assert(length <= list.length);
        assembly ("memory-safe") {
            mstore(list, length)
        }
    }
}
