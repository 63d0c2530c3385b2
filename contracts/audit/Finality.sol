// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {IJackpotTreasury} from "../interfaces/IJackpotTreasury.sol";
import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {ClaimData, CourtKeys, CourtState, RedrawRecord, Scan, SlotRecord} from "./CourtState.sol";

/// @notice The court as judgement sees it: where the money is, and the numbers for one task. Deposit, miss and jackpot are multiples of c until
/// `Finality.price` makes them amounts.
struct Bench {
    IStakeVault vault;
    IRandomBeacon beacon;
    IJackpotTreasury treasury;
    ITaskMarket market;
    uint96 deposit; // of a claim
    uint96 bond; // of a claim
    uint96 miss;
    uint16 finderBps;
    uint16 clearedSolverBps;
    uint16 forcedBps;
    uint96 jackpot; // J: what a forced error pays its only finder
    uint8 redraws;
    uint32 drawWindow;
    uint32 unblindWindow;
    uint32 disputeWindow;
}

/// @notice A drawn segment and its key.
struct Place {
    uint256 task;
    uint32 segment;
    bytes32 key;
}

/// @title When and how a segment becomes final.
library Finality {
    using TaskMath for TaskTerms;

    /// @notice Makes the multiples of c that the court has given the task's amounts; to be called once, as soon as its terms are decoded.
    function price(Bench memory bench, TaskTerms memory terms) internal pure {
        // INVARIANT: terms that `submit` took have such a c that every amount fits its type; others are refused before any of these is used.
        uint256 cost = terms.replayCost();
        bench.deposit = uint96(cost * bench.deposit);
        bench.miss = uint96(cost * bench.miss);
        bench.jackpot = uint96(cost * bench.jackpot);
    }

    /// @notice Decides a segment whose windows and disputes are over, as far as `maxSteps` claims go.
    function decide(CourtState storage state, Bench memory bench, Place memory place, uint256 maxSteps) internal {
        SlotRecord memory slot = state.slots[place.key];
        bool alone = slot.claims <= 1;
        // A lone claim has nobody to dispute it: it need not wait for the dispute window.
        uint256 last = uint256(slot.claimDeadline) + bench.unblindWindow;
        if (!alone) last += bench.disputeWindow;
        _requireAfter(last);
        require(slot.openDisputes == 0, IAuditCourt.DisputesOpen(slot.openDisputes));
        uint16 standing = slot.marks != 0 ? 1 : 0;
        bool passes = slot.marks == CourtKeys.PASSES;
        if (!alone) {
            bool done;
            (done, standing) = _scan(state, place.key, slot, maxSteps);
            if (!done) return;
            passes = standing != 0 && _claim(state, place.key, slot.round, standing).head.passes;
        }
        if (slot.marks == 0) {
            _punishMiss(state, bench, place, slot);
            // INVARIANT: that work holds is never said by volunteers alone. A solver that withholds its data could pass by a claim of its own;
            // that it does not hold can be said by anybody, for it takes the data.
            if (standing == 0 || passes) {
                ++state.redraws[place.key].misses;
                if (slot.round < bench.redraws) return _askRedraw(state, bench, place, slot.round + 1);
                // INVARIANT: silence alone costs no solver its deposit: who cannot replay for want of data demands it (`IDataDemands`). Nor is a
                // solver paid for work that no drawn verifier stood up for: a withholding one, or friends of its, could keep silent.
                if (_wasSilent(state, place.key, slot.round)) return end(state, place, SlotState.Moot, 0);
            }
        }
        if (standing != 0) return end(state, place, passes ? SlotState.Passed : SlotState.Failed, standing);
        if (slot.marks != 0 && slot.round < bench.redraws) return _askRedraw(state, bench, place, slot.round + 1);
        // INVARIANT: where a drawn verifier claimed and nobody's claim stood, it is never the solver that pays. A called-up segment, whose round
        // is above all redraws, then ends as if nobody had called it.
        end(state, place, SlotState.Passed, 0);
    }

    /// @notice Nobody could be drawn again in time: where a drawn verifier claimed in any round the checkpoint stands, else nothing was shown.
    function giveUpRedraw(CourtState storage state, Place memory place) internal {
        _requireAfter(state.redraws[place.key].deadline);
        bool silent = _wasSilent(state, place.key, state.slots[place.key].round);
        end(state, place, silent ? SlotState.Moot : SlotState.Passed, 0);
    }

    /// @notice Makes a segment final.
    function end(CourtState storage state, Place memory place, SlotState outcome, uint16 standing) internal {
        SlotRecord storage slot = state.slots[place.key];
        slot.state = outcome;
        slot.marks = standing;
        emit IAuditCourt.SegmentFinal(place.task, place.segment, slot.round, outcome, standing);
    }

    /// @notice Same end root: both the checkpoint, or both the same other one.
    function agree(ClaimData storage a, ClaimData storage b) internal view returns (bool) {
        return a.head.passes == b.head.passes && a.endRoot == b.endRoot;
    }

    /// @dev Looks at up to `maxSteps` more claims. First pass: the first unconvicted in order stands. Second pass: the first four
    /// unconvicted ones with its end root are the finders, but for volunteers with a convicted digest: they copied it. Whether the drawn
    /// verifier's digest was forced is not known yet. By now neither claims nor convictions can be added.
    function _scan(CourtState storage state, bytes32 key, SlotRecord memory slot, uint256 maxSteps)
        private
        returns (bool done, uint16 standing)
    {
        Scan memory scan = state.scans[key];
        uint256 count = slot.claims;
        for (; maxSteps != 0 && scan.cursor < 2 * count; --maxSteps) {
            uint256 position = scan.cursor % count + 1;
            ClaimData storage claim = _claim(state, key, slot.round, position);
            if (claim.head.claimant != address(0) && !claim.head.convicted) {
                if (scan.cursor >= count) {
                    bool honest = !claim.head.digestConvicted || (position == 1 && slot.round != CourtKeys.CALLED);
                    if (honest && agree(claim, _claim(state, key, slot.round, scan.standing))) {
                        _insert(state, key, slot.round, scan, uint16(position));
                    }
                } else if (
                    scan.standing == 0 || claim.head.order < _claim(state, key, slot.round, scan.standing).head.order
                ) {
                    scan.standing = uint16(position);
                }
            }
            ++scan.cursor;
            if (scan.cursor == count && scan.standing == 0) scan.cursor = uint32(2 * count);
        }
        done = scan.cursor == 2 * count;
        standing = scan.standing;
        state.scans[key] = scan;
    }

    /// @dev Keeps the four first in order; of equal times the lower index, which is looked at first.
    function _insert(CourtState storage state, bytes32 key, uint256 round, Scan memory scan, uint16 position)
        private
        view
    {
        uint40 order = _claim(state, key, round, position).head.order;
        uint256 rank = 4;
        while (rank != 0) {
            uint16 other = scan.finders[rank - 1];
            if (other != 0 && order >= _claim(state, key, round, other).head.order) break;
            --rank;
        }
        for (; rank < 4; ++rank) {
            (position, scan.finders[rank]) = (scan.finders[rank], position);
        }
    }

    /// @dev The drawn verifier of a round posted nothing.
    function _punishMiss(CourtState storage state, Bench memory bench, Place memory place, SlotRecord memory slot)
        private
    {
        bytes32 engagement = CourtKeys.engagement(place.key, slot.round, slot.verifier);
        if (slot.claims == 0) {
            state.slots[place.key].claims = 1;
            bench.vault.engage(engagement, slot.verifier, bench.deposit + bench.bond);
        }
        emit IAuditCourt.SegmentMissed(place.task, place.segment, slot.round, slot.verifier, bench.miss);
        bench.vault.slash(engagement, address(bench.treasury), bench.miss);
        uint96 left = bench.deposit + bench.bond - bench.miss;
        // INVARIANT: a miss that costs the whole stake leaves no engagement to release; the segment must be decided all the same.
        if (left != 0) bench.vault.release(engagement, left);
    }

    function _askRedraw(CourtState storage state, Bench memory bench, Place memory place, uint8 round) private {
        delete state.scans[place.key];
        state.slots[place.key].state = SlotState.Redrawing;
        state.redraws[place.key].deadline = uint40(block.timestamp + bench.drawWindow);
        emit IAuditCourt.SegmentRedrawn(place.task, place.segment, round);
        bench.beacon.request(CourtKeys.beaconKey(place.key, round));
    }

    /// @dev Whether in no round up to `round` the drawn verifier claimed.
    function _wasSilent(CourtState storage state, bytes32 key, uint256 round) private view returns (bool) {
        return state.redraws[key].misses == round + 1;
    }

    /// @dev Claim by position: index + 1.
    function _claim(CourtState storage state, bytes32 key, uint256 round, uint256 position)
        private
        view
        returns (ClaimData storage)
    {
        return state.claims[CourtKeys.claimKey(key, round, position - 1)];
    }

    function _requireAfter(uint256 last) private view {
        require(block.timestamp > last, IAuditCourt.WrongWindow(uint64(last + 1), type(uint64).max));
    }
}
