// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Conclusion, IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {ParametersLib} from "../types/Parameters.sol";
import {AuditDraws} from "./AuditDraws.sol";
import {Claims} from "./Claims.sol";
import {FinderShares} from "./FinderShares.sol";

/// @title Finality of segments, and who pays whom once the task has ended.
abstract contract Judgement is AuditDraws, Claims {
    /// @dev A look through the claims of a round: first for the one that stands, then for the finders that share its end root. Kept
    /// once a segment is final with more than one claim.
    struct Scan {
        uint32 cursor; // claims looked at; each counts twice
        uint16 standing; // index + 1 of the first unconvicted claim so far
        uint16[4] finders; // index + 1 of the first four that share its end root, in order; 0: none
    }

    /// @dev Claims that `settle` looks at by itself in each segment.
    uint256 private constant SETTLE_STEPS = 32;

    mapping(bytes32 slotKey => Scan) private _scans;

    // Finality

    /// @inheritdoc IAuditCourt
    function finalize(TaskTerms calldata terms, uint32 segment, uint256 maxSteps) external {
        _requireTask(terms, TaskState.Auditing);
        bytes32 slotKey = _slotKey(terms.id, segment);
        SlotState state = _slots[slotKey].state;
        if (state == SlotState.Redrawing) return _giveUpRedraw(terms.id, segment, slotKey);
        require(state == SlotState.Drawn, WrongSlot(segment, state));
        _decide(terms, segment, slotKey, maxSteps);
    }

    /// @dev Nobody could be drawn again in time. Where there was a claim in any round the checkpoint stands, else nothing was shown at all.
    function _giveUpRedraw(uint256 task, uint32 segment, bytes32 slotKey) private {
        RedrawRecord memory due = _redrawOf[slotKey];
        require(block.timestamp > due.deadline, WrongWindow(uint64(due.deadline) + 1, type(uint64).max));
        bool silent = due.misses == _slots[slotKey].round + 1;
        _end(task, segment, slotKey, silent ? SlotState.Moot : SlotState.Passed, 0);
    }

    /// @dev Decides a segment whose windows and disputes are over, as far as `maxSteps` claims go.
    function _decide(TaskTerms calldata terms, uint32 segment, bytes32 slotKey, uint256 maxSteps) private {
        SlotRecord memory slot = _slots[slotKey];
        bool posted = _claims[_claimKey(slotKey, slot.round, 0)].claimant != address(0);
        // A lone claim has nobody to dispute it: it need not wait for the dispute window.
        uint256 last = slot.claims == 1 ? uint256(slot.claimDeadline) + _unblindWindow : _openDeadline(slot);
        require(block.timestamp > last, WrongWindow(uint64(last + 1), type(uint64).max));
        require(slot.openDisputes == 0, DisputesOpen(slot.openDisputes));
        uint16 standing = posted ? 1 : 0;
        if (slot.claims > 1) {
            bool done;
            (done, standing) = _scan(slotKey, slot, maxSteps);
            if (!done) return;
        }
        if (!posted) _punishMiss(terms, segment, slotKey, slot);
        if (standing != 0) {
            bool passes = _claims[_claimKey(slotKey, slot.round, standing - 1)].passes;
            return _end(terms.id, segment, slotKey, passes ? SlotState.Passed : SlotState.Failed, standing);
        }
        if (!posted && slot.claims == 1) ++_redrawOf[slotKey].misses;
        if (slot.round < _redraws) return _askRedraw(terms.id, segment, slotKey, slot.round);
        // INVARIANT: where anybody claimed and nobody's claim stood, it is never the solver that pays.
        bool silent = _redrawOf[slotKey].misses == slot.round + 1;
        _end(terms.id, segment, slotKey, silent ? SlotState.Missed : SlotState.Passed, 0);
    }

    /// @dev Looks at up to `maxSteps` more claims. First pass: the first unconvicted in order stands. Second pass: the first four
    /// unconvicted ones with its end root are the finders.
    function _scan(bytes32 slotKey, SlotRecord memory slot, uint256 maxSteps)
        private
        returns (bool done, uint16 standing)
    {
        Scan memory scan = _scans[slotKey];
        uint256 count = slot.claims;
        for (; maxSteps != 0 && scan.cursor < 2 * count; --maxSteps) {
            uint256 index = scan.cursor % count;
            ClaimData storage claim = _claims[_claimKey(slotKey, slot.round, index)];
            if (claim.claimant != address(0) && !claim.convicted) {
                if (scan.cursor < count) {
                    if (scan.standing == 0 || claim.order < _orderOf(slotKey, slot.round, scan.standing)) {
                        scan.standing = uint16(index + 1);
                    }
                } else if (_agree(claim, _claims[_claimKey(slotKey, slot.round, scan.standing - 1)])) {
                    _insert(slotKey, slot.round, scan, uint16(index + 1), claim.order);
                }
            }
            ++scan.cursor;
            if (scan.cursor == count && scan.standing == 0) scan.cursor = uint32(2 * count);
        }
        done = scan.cursor == 2 * count;
        standing = scan.standing;
        if (done && standing == 0) delete _scans[slotKey];
        else _scans[slotKey] = scan;
    }

    /// @dev Keeps the four first in order; of equal times the lower index, which is looked at first.
    function _insert(bytes32 slotKey, uint256 round, Scan memory scan, uint16 place, uint40 order) private view {
        uint256 rank = 4;
        while (rank != 0 && (scan.finders[rank - 1] == 0 || order < _orderOf(slotKey, round, scan.finders[rank - 1]))) {
            --rank;
        }
        for (; rank < 4; ++rank) {
            (place, scan.finders[rank]) = (scan.finders[rank], place);
        }
    }

    function _orderOf(bytes32 slotKey, uint256 round, uint256 place) private view returns (uint40) {
        return _claims[_claimKey(slotKey, round, place - 1)].order;
    }

    /// @dev Same end root: both the checkpoint, or both the same other one.
    function _agree(ClaimData storage a, ClaimData storage b) private view returns (bool) {
        return a.passes == b.passes && a.endRoot == b.endRoot;
    }

    /// @dev The drawn verifier of a round posted nothing.
    function _punishMiss(TaskTerms calldata terms, uint32 segment, bytes32 slotKey, SlotRecord memory slot) private {
        bytes32 engagement = _engagementOf(slotKey, slot.round, slot.verifier);
        uint96 miss = _missOf(terms);
        emit SegmentMissed(terms.id, segment, slot.round, slot.verifier, miss);
        if (miss != 0) vault.slash(engagement, address(treasury), miss);
        vault.release(engagement, _depositOf(terms) + _claimBond - miss);
    }

    function _askRedraw(uint256 task, uint32 segment, bytes32 slotKey, uint8 round) private {
        _slots[slotKey].state = SlotState.Redrawing;
        _redrawOf[slotKey].deadline = uint40(block.timestamp + _drawWindow);
        emit SegmentRedrawn(task, segment, round + 1);
        beacon.request(_beaconKey(slotKey, round + 1));
    }

    function _end(uint256 task, uint32 segment, bytes32 slotKey, SlotState state, uint16 standing) private {
        SlotRecord storage slot = _slots[slotKey];
        slot.state = state;
        slot.standing = standing;
        emit SegmentFinal(task, segment, slot.round, state, standing);
    }

    // The end of a task

    /// @inheritdoc IAuditCourt
    function conclude(TaskTerms calldata terms, bool voided, uint96 finderPot)
        external
        returns (Conclusion memory end)
    {
        require(msg.sender == address(market), NotModule(msg.sender));
        uint32[] memory segments = _segmentsOf(terms, beacon.valueOf(address(market), bytes32(terms.id)));
        bytes32[] memory failed = new bytes32[](segments.length);
        uint256 failures = 0;
        uint256 paid = 0;
        end.verifiers = new address[](segments.length);
        end.outcome = TaskState.Settled;
        for (uint256 i = 0; i < segments.length; ++i) {
            bytes32 slotKey = _slotKey(terms.id, segments[i]);
            (SlotState state, address earner) =
                voided ? _void(terms.id, segments[i], slotKey) : _settle(terms, segments[i], slotKey);
            if (earner != address(0)) end.verifiers[paid++] = earner;
            if (state == SlotState.Failed) failed[failures++] = slotKey;
            else if (state == SlotState.Missed) end.solverAtFault = true;
            if (state == SlotState.Missed || state == SlotState.Moot) end.outcome = TaskState.Unavailable;
        }
        address[] memory verifiers = end.verifiers;
        assembly ("memory-safe") {
            mstore(verifiers, paid) // the array is shortened in place
        }
        if (voided) end.outcome = TaskState.Void;
        if (failures == 0 || voided) return end;
        end.outcome = TaskState.Rejected;
        end.solverAtFault = true;
        (end.finders, end.shares) = _sharePot(failed, failures, finderPot);
    }

    /// @dev Makes a segment final if it is not and can be; says how it stands, and who earned its wage. A lone claim is closed at once: it
    /// stands, so it is right.
    function _settle(TaskTerms calldata terms, uint32 segment, bytes32 slotKey)
        private
        returns (SlotState state, address earner)
    {
        if (_slots[slotKey].state == SlotState.Drawn) _decide(terms, segment, slotKey, SETTLE_STEPS);
        SlotRecord memory slot = _slots[slotKey];
        state = slot.state;
        require(state > SlotState.Redrawing, WrongSlot(segment, state));
        earner = _earner(slotKey, slot);
        if (slot.claims == 1 && slot.standing == 1) {
            bytes32 engagement = _engagementOf(slotKey, slot.round, slot.verifier);
            (address account,) = vault.engagementOf(address(this), engagement);
            if (account == address(0)) return (state, earner);
            emit ClaimClosed(terms.id, segment, slot.round, 0, 0);
            vault.release(engagement, _depositOf(terms) + _claimBond);
        }
    }

    /// @dev The program is invalid: an open segment is moot. Whoever was drawn and claimed has earned its wage.
    function _void(uint256 task, uint32 segment, bytes32 slotKey) private returns (SlotState state, address earner) {
        SlotRecord memory slot = _slots[slotKey];
        if (slot.state > SlotState.Redrawing) return (slot.state, _earner(slotKey, slot));
        _end(task, segment, slotKey, SlotState.Moot, 0);
        ClaimData storage claim = _claims[_claimKey(slotKey, slot.round, 0)];
        return (SlotState.Moot, claim.convicted ? address(0) : claim.claimant);
    }

    /// @dev The drawn verifier of the last round, if its claim is right and unconvicted.
    function _earner(bytes32 slotKey, SlotRecord memory slot) private view returns (address) {
        if (slot.standing == 0 || slot.standing == MALFORMED) return address(0);
        ClaimData storage claim = _claims[_claimKey(slotKey, slot.round, 0)];
        if (claim.convicted) return address(0);
        if (slot.standing == 1) return claim.claimant;
        return _agree(claim, _claims[_claimKey(slotKey, slot.round, slot.standing - 1)]) ? claim.claimant : address(0);
    }

    /// @dev The pot evenly over the failed segments, each part among its finders.
    function _sharePot(bytes32[] memory failed, uint256 failures, uint96 pot)
        private
        view
        returns (address[] memory finders, uint96[] memory shares)
    {
        finders = new address[](4 * failures);
        shares = new uint96[](4 * failures);
        uint256 used = 0;
        for (uint256 i = 0; i < failures; ++i) {
            address[] memory here = _findersOf(failed[i], _slots[failed[i]]);
            uint96[] memory parts = FinderShares.split(uint96(pot / failures), here.length);
            for (uint256 j = 0; j < here.length; ++j) {
                (finders[used], shares[used]) = (here[j], parts[j]);
                ++used;
            }
        }
        assembly ("memory-safe") {
            mstore(finders, used) // both arrays are shortened in place
            mstore(shares, used)
        }
    }

    /// @dev Who found how a segment stands: the first four claims that agree with the standing one; for a malformed start who showed it,
    /// behind the drawn verifier where that could still have done so.
    function _findersOf(bytes32 slotKey, SlotRecord memory slot) private view returns (address[] memory finders) {
        finders = new address[](4);
        uint256 count = 0;
        if (slot.standing == MALFORMED) {
            Report memory report = _reports[slotKey];
            if (report.shared) finders[count++] = slot.verifier;
            finders[count++] = report.by;
        } else if (slot.standing != 0 && slot.claims == 1) {
            finders[count++] = slot.verifier;
        } else if (slot.standing != 0) {
            Scan memory scan = _scans[slotKey];
            for (; count < 4 && scan.finders[count] != 0; ++count) {
                finders[count] = _claims[_claimKey(slotKey, slot.round, scan.finders[count] - 1)].claimant;
            }
        }
        assembly ("memory-safe") {
            mstore(finders, count) // the array is shortened in place
        }
    }

    // Closing a claim

    /// @inheritdoc IAuditCourt
    function closeClaim(TaskTerms calldata terms, uint32 segment, uint8 round, uint16 index) external {
        Task memory task = market.taskOf(terms.id);
        require(keccak256(abi.encode(terms)) == task.termsHash, WrongTerms(terms.id));
        require(task.state >= TaskState.Settled && task.state <= TaskState.Void, WrongTaskState(terms.id, task.state));
        bytes32 slotKey = _slotKey(terms.id, segment);
        SlotRecord memory slot = _slots[slotKey];
        ClaimData memory claim = _claims[_claimKey(slotKey, round, index)];
        // The drawn verifier's place holds a deposit before it has claimed.
        bool unposted = claim.claimant == address(0) && index == 0 && round == slot.round;
        address claimant = unposted ? slot.verifier : claim.claimant;
        require(claimant != address(0), NoSuchClaim());
        bytes32 engagement = _engagementOf(slotKey, round, claimant);
        (address account, uint96 held) = vault.engagementOf(address(this), engagement);
        require(account != address(0), AlreadyClosed());

        bool whole = unposted || task.state == TaskState.Void || slot.standing == MALFORMED;
        uint96 deposit = whole || (!claim.digestConvicted && _isRight(slotKey, slot, claim)) ? 0 : _depositOf(terms);
        emit ClaimClosed(terms.id, segment, round, index, deposit);
        if (held != deposit) vault.release(engagement, held - deposit);
        if (deposit == 0) return;
        if (claim.digestConvicted) return _shareDeposit(engagement, deposit, _one(claim.digestFinder));
        address[] memory finders = _findersOf(slotKey, slot);
        if (slot.state == SlotState.Failed) return _shareDeposit(engagement, deposit, finders);
        _payFalsePositive(_claimKey(slotKey, round, index), engagement, deposit, finders, task.solver);
    }

    /// @dev Whether a claim says what stood. Where nothing stands the checkpoint does.
    function _isRight(bytes32 slotKey, SlotRecord memory slot, ClaimData memory claim) private view returns (bool) {
        if (slot.standing == 0) return claim.passes;
        ClaimData storage standing = _claims[_claimKey(slotKey, slot.round, slot.standing - 1)];
        return claim.passes == standing.passes && claim.endRoot == standing.endRoot;
    }

    /// @dev The finders' share of a slashed deposit to them, the rest to the treasury.
    function _shareDeposit(bytes32 engagement, uint96 deposit, address[] memory finders) private {
        vault.distribute(
            engagement, finders, FinderShares.split(_bps(deposit, _finderBps), finders.length), address(treasury)
        );
    }

    /// @dev Good work was condemned: the deposit goes to the treasury, which pays finders and solver out of what it brought.
    function _payFalsePositive(
        bytes32 verdict,
        bytes32 engagement,
        uint96 deposit,
        address[] memory finders,
        address solver
    ) private {
        uint256 count = finders.length;
        uint96[] memory parts = FinderShares.split(_bps(deposit, _finderBps), count);
        address[] memory to = new address[](count + 1);
        uint96[] memory amounts = new uint96[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            (to[i], amounts[i]) = (finders[i], parts[i]);
        }
        (to[count], amounts[count]) = (solver, _bps(deposit, _clearedSolverBps));
        vault.slash(engagement, address(treasury), deposit);
        treasury.payVerdict(verdict, deposit, to, amounts);
    }

    function _bps(uint96 amount, uint256 bps) private pure returns (uint96) {
        return uint96(uint256(amount) * bps / ParametersLib.WHOLE);
    }

    function _one(address account) private pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}
