// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRef, Conclusion, IAuditCourt, Opening, SlotState} from "../interfaces/IAuditCourt.sol";
import {Role} from "../interfaces/IReputationLedger.sol";
import {IStakeVault, Payout} from "../interfaces/IStakeVault.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {ClaimData, CourtKeys, CourtState, DigestVerdict, Namers, Report, Scan, SlotRecord} from "./CourtState.sol";
import {Bench, Finality, Place} from "./Finality.sol";
import {FinderShares} from "./FinderShares.sol";
import {ForcedErrors} from "./ForcedErrors.sol";
import {SegmentDraw} from "./SegmentDraw.sol";

/// @notice A claim that is being closed.
struct Docket {
    uint256 task;
    uint32 segment;
    uint8 round;
    uint16 index;
    bytes32 key; // of the segment
    bytes32 claimKey;
    SlotRecord slot;
    ClaimData claim;
    address claimant;
    bytes32 engagement;
    uint96 held;
    bool pooled; // in the tasks' pool, not in an engagement
    bool right; // about the end root, or nobody's fault
}

/// @notice What a conviction moves, and where.
struct Stake {
    IStakeVault vault;
    address treasury;
    uint96 bond; // of a claim
}

/// @title Who pays whom once segments are final and the task has ended. The court's code in a library of its own, for its size.
library Judgement {
    using TaskMath for TaskTerms;

    /// @dev Claims that `settle` looks at by itself in each segment.
    uint256 internal constant SETTLE_STEPS = 32;

    /// @notice Body of `IAuditCourt.finalize`, whose encoded arguments it takes.
    function finalize(CourtState storage state, Bench memory bench, bytes calldata arguments) external {
        (TaskTerms memory terms, uint32 segment, uint256 maxSteps) = abi.decode(arguments, (TaskTerms, uint32, uint256));
        Finality.price(bench, terms);
        TaskState taskState = _taskOf(bench, terms).state;
        require(taskState == TaskState.Auditing, IAuditCourt.WrongTaskState(terms.id, taskState));
        Place memory place = Place(terms.id, segment, CourtKeys.slotKey(terms.id, segment));
        SlotState now_ = state.slots[place.key].state;
        if (now_ == SlotState.Redrawing) return Finality.giveUpRedraw(state, place);
        require(now_ == SlotState.Drawn, IAuditCourt.WrongSlot(segment, now_));
        Finality.decide(state, bench, place, maxSteps);
    }

    /// @notice Body of `IAuditCourt.forfeitBlind`, but for the bond.
    /// @param open Seconds from its placing in which a blind claim may belong to an open window.
    function forfeitBlind(
        mapping(bytes32 blindKey => uint40) storage blinds,
        bytes32 key,
        address claimant,
        bytes32 commitment,
        uint256 open
    ) external {
        uint256 placedAt = blinds[key];
        require(placedAt != 0, IAuditCourt.BadBlind(commitment));
        uint256 last = placedAt + open;
        require(block.timestamp > last, IAuditCourt.WrongWindow(uint64(last + 1), type(uint64).max));
        delete blinds[key];
        emit IAuditCourt.BlindForfeited(commitment, claimant);
    }

    // The dispute game

    /// @notice Body of `IAuditCourt.disputeOpened`.
    /// @param opens Seconds from the end of the claim window after which disputes may be opened, and `closes` until when.
    function openDispute(CourtState storage state, ClaimRef calldata ref, uint256 opens, uint256 closes) external {
        (SlotRecord storage slot, ClaimData storage claim,) = _current(state, ref);
        uint256 ends = slot.claimDeadline;
        require(
            block.timestamp > ends + opens && block.timestamp <= ends + closes,
            IAuditCourt.WrongWindow(uint64(ends + opens + 1), uint64(ends + closes))
        );
        ++slot.openDisputes;
        ++claim.head.openDisputes;
    }

    /// @notice Body of `IAuditCourt.convict` and `convictDigest`.
    /// @param closes Seconds from the end of the claim window until when disputes may be opened.
    function convict(
        CourtState storage state,
        ClaimRef calldata ref,
        bool digest,
        DigestVerdict calldata verdict,
        uint256 closes,
        Stake calldata stake
    ) external {
        (SlotRecord storage slot, ClaimData storage claim, bytes32 slotKey) = _current(state, ref);
        uint256 last = slot.claimDeadline + closes;
        // INVARIANT: once a segment can be decided, no claim of it falls any more.
        require(claim.head.openDisputes != 0 || block.timestamp <= last, IAuditCourt.WrongWindow(0, uint64(last)));
        emit IAuditCourt.ClaimConvicted(ref.task, ref.segment, ref.round, ref.index, digest);
        if (digest) {
            // Whether it was forced is known when the secret is opened: nothing moves yet. And how a segment ended is not what a digest says.
            if (claim.head.digestConvicted) return;
            claim.head.digestConvicted = true;
            claim.digest = verdict;
            return;
        }
        // INVARIANT: the bond moves once, with the first conviction.
        if (claim.head.convicted) return;
        claim.head.convicted = true;
        bytes32 engagement = CourtKeys.engagement(slotKey, ref.round, claim.head.claimant);
        uint96 half = stake.bond / 2;
        if (half != 0) stake.vault.slash(engagement, verdict.finder, half);
        if (stake.bond != half) stake.vault.slash(engagement, stake.treasury, stake.bond - half);
    }

    /// @dev A claim of a segment that is still open, in its current round, and the segment's key.
    function _current(CourtState storage state, ClaimRef calldata ref)
        private
        view
        returns (SlotRecord storage slot, ClaimData storage claim, bytes32 slotKey)
    {
        slotKey = CourtKeys.slotKey(ref.task, ref.segment);
        slot = state.slots[slotKey];
        require(slot.state == SlotState.Drawn, IAuditCourt.WrongSlot(ref.segment, slot.state));
        claim = state.claims[CourtKeys.claimKey(slotKey, ref.round, ref.index)];
        require(slot.round == ref.round && claim.head.claimant != address(0), IAuditCourt.NoSuchClaim());
    }

    // The end of a task

    /// @notice Body of `IAuditCourt.conclude`, whose encoded arguments it takes; what it returns is encoded too.
    function conclude(CourtState storage state, Bench memory bench, bytes calldata arguments)
        external
        returns (bytes memory)
    {
        (TaskTerms memory terms, bool voided, uint96 finderPot, uint256 called) =
            abi.decode(arguments, (TaskTerms, bool, uint96, uint256));
        Finality.price(bench, terms);
        return abi.encode(_conclude(state, bench, terms, voided, finderPot, called));
    }

    function _conclude(
        CourtState storage state,
        Bench memory bench,
        TaskTerms memory terms,
        bool voided,
        uint96 finderPot,
        uint256 called
    ) private returns (Conclusion memory end) {
        uint32[] memory segments =
            SegmentDraw.segmentsOf(terms, bench.beacon.valueOf(address(bench.market), bytes32(terms.id)));
        uint256 audits = segments.length;
        if (called != 0) segments = _withCalled(state, terms.id, segments, called);
        bytes32[] memory failed = new bytes32[](segments.length);
        uint256 failures = 0;
        uint256 paid = 0;
        (end.verifiers, end.stakes) = (new address[](audits), new uint96[](audits));
        end.outcome = TaskState.Settled;
        for (uint256 i = 0; i < segments.length; ++i) {
            Place memory place = Place(terms.id, segments[i], CourtKeys.slotKey(terms.id, segments[i]));
            (SlotState outcome, address earner, uint96 freed) =
                voided ? _void(state, place) : _settle(state, bench, place);
            // INVARIANT: wages are for who was drawn; the escrow holds no more of them.
            if (earner != address(0) && i < audits) (end.verifiers[paid], end.stakes[paid++]) = (earner, freed);
            if (outcome == SlotState.Failed || outcome == SlotState.Withheld) failed[failures++] = place.key;
            if (outcome == SlotState.Failed) end.outcome = TaskState.Rejected;
            if (outcome > SlotState.Failed && end.outcome == TaskState.Settled) end.outcome = TaskState.Unavailable;
        }
        _shorten(end.verifiers, paid);
        _shorten(end.stakes, paid);
        if (voided) {
            end.outcome = TaskState.Void;
        } else if (failures != 0) {
            end.solverAtFault = true;
            (end.finders, end.shares) = _sharePot(state, failed, failures, finderPot);
        }
    }

    /// @dev The drawn segments, and behind them those that were called up.
    function _withCalled(CourtState storage state, uint256 task, uint32[] memory drawn, uint256 called)
        private
        view
        returns (uint32[] memory all)
    {
        all = new uint32[](drawn.length + called);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = i < drawn.length ? drawn[i] : state.calls[CourtKeys.callKey(task, i - drawn.length)];
        }
    }

    /// @dev Makes a segment final if it is not and can be; says how it stands, and who earned its wage. A lone claim stands, so
    /// it is right: where no secret is awaited it is closed at once, and `freed` is what a drawn verifier has back with its wage.
    function _settle(CourtState storage state, Bench memory bench, Place memory place)
        private
        returns (SlotState outcome, address earner, uint96 freed)
    {
        if (state.slots[place.key].state == SlotState.Drawn) Finality.decide(state, bench, place, SETTLE_STEPS);
        SlotRecord memory slot = state.slots[place.key];
        require(slot.state > SlotState.Redrawing, IAuditCourt.WrongSlot(place.segment, slot.state));
        earner = _earner(state, place.key, slot);
        if (bench.forcedBps == 0 && slot.claims <= 1 && slot.marks == 1) {
            uint96 stake = bench.deposit + bench.bond;
            if (slot.claims == 0) {
                // INVARIANT: a lone claim that stands is its drawn verifier's, so it has earned a wage, and nothing is freed that is not paid out.
                state.slots[place.key].claims = 1;
                freed = stake;
            } else {
                emit IAuditCourt.ClaimClosed(place.task, place.segment, slot.round, 0, 0);
                bench.vault.release(CourtKeys.engagement(place.key, slot.round, slot.verifier), stake);
            }
        }
        return (slot.state, earner, freed);
    }

    /// @dev The program is invalid: an open segment is moot. Whoever was drawn and claimed has earned its wage.
    function _void(CourtState storage state, Place memory place) private returns (SlotState, address, uint96) {
        SlotRecord memory slot = state.slots[place.key];
        if (slot.state > SlotState.Redrawing) return (slot.state, _earner(state, place.key, slot), 0);
        Finality.end(state, place, SlotState.Moot, 0);
        if (slot.state == SlotState.Redrawing || slot.marks == 0) return (SlotState.Moot, address(0), 0);
        bool convicted = state.claims[CourtKeys.claimKey(place.key, slot.round, 0)].head.convicted;
        return (SlotState.Moot, convicted ? address(0) : slot.verifier, 0);
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
        _shorten(shares, used);
    }

    /// @dev Who found how a segment stands: the first four claims that agree with the standing one; for a malformed or withheld start who
    /// showed it, behind the drawn verifier where that could still have done so.
    function _findersOf(CourtState storage state, bytes32 key, SlotRecord memory slot)
        private
        view
        returns (address[] memory finders)
    {
        finders = new address[](FinderShares.MOST);
        uint256 count = 0;
        if (slot.marks == CourtKeys.MALFORMED) {
            Report memory report = state.reports[key];
            if (report.first != address(0)) finders[count++] = report.first;
            finders[count++] = report.by;
        } else if (slot.marks != 0 && slot.claims <= 1) {
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

    /// @notice Body of `IAuditCourt.closeClaim`, whose encoded arguments it takes.
    function closeClaim(CourtState storage state, Bench memory bench, bytes calldata arguments) external {
        (TaskTerms memory terms, uint32 segment, uint8 round, uint16 index) =
            abi.decode(arguments, (TaskTerms, uint32, uint8, uint16));
        Finality.price(bench, terms);
        Task memory task = _ended(bench, terms);
        Docket memory docket = _take(state, bench, terms.id, segment, round, index);
        bool faulty = docket.claim.head.digestConvicted;
        if (_isExcused(docket, task)) {
            (docket.right, faulty) = (true, false);
        } else if (bench.forcedBps != 0 && index == 0 && round != CourtKeys.CALLED && docket.right) {
            // INVARIANT: a secret is always opened, whatever it says. Otherwise silence would tell who was to err and did not.
            require(block.timestamp > task.deadline, IAuditCourt.SecretAwaited(task.deadline));
            faulty = true;
        }
        _close(state, bench, docket, faulty, task.solver);
    }

    /// @notice Body of `IAuditCourt.openSecret`, whose encoded arguments it takes.
    function openSecret(CourtState storage state, Bench memory bench, bytes calldata arguments) external {
        (TaskTerms memory terms, Opening memory opening) = abi.decode(arguments, (TaskTerms, Opening));
        Finality.price(bench, terms);
        Task memory task = _ended(bench, terms);
        Docket memory docket = _take(state, bench, terms.id, opening.segment, opening.round, 0);
        // INVARIANT: nobody tells a volunteer to err.
        require(
            !_isExcused(docket, task) && opening.round != CourtKeys.CALLED,
            IAuditCourt.WrongSlot(opening.segment, docket.slot.state)
        );
        require(block.timestamp <= task.deadline, IAuditCourt.WrongWindow(0, task.deadline));
        address consumer = opening.round == 0 ? address(bench.market) : address(this);
        bytes32 drawKey = opening.round == 0 ? bytes32(terms.id) : CourtKeys.beaconKey(docket.key, opening.round);
        bytes32 value = bench.beacon.valueOf(consumer, drawKey);
        // As the draw counted: what was there before the block that decides.
        uint256 atBlock = bench.beacon.targetOf(consumer, drawKey) - 1;
        ForcedErrors.requireSecret(state.trees, docket.claimant, terms.id, atBlock, opening);
        bytes32 assignment = keccak256(abi.encode(terms.id, opening.segment, opening.round));
        (bool errs, uint256 step) =
            ForcedErrors.told(opening.secret, value, assignment, terms.stepsOf(opening.segment), bench.forcedBps);
        if (!errs) return _close(state, bench, docket, docket.claim.head.digestConvicted, task.solver);
        bool made = _wasMade(docket, opening, assignment, step);
        address[] memory finders = made ? _findersOfError(state, docket, step) : new address[](0);
        emit IAuditCourt.ForcedError(
            terms.id, opening.segment, opening.round, docket.claimant, uint8(step), made, uint8(finders.length)
        );
        _close(state, bench, docket, !made, task.solver);
        // INVARIANT: only a task that paid its levy pays for forced errors, and only in the round that decided: at most one a segment.
        if (made && docket.right && task.state == TaskState.Settled && opening.round == docket.slot.round) {
            _payForced(bench, docket, finders);
        }
    }

    /// @dev Whether a told verifier posted what it was told, and nothing else was wrong that anybody has shown. Reverts unless the opening shows
    /// what the claim was bound to: nobody can make a claim look wrong by opening it badly.
    function _wasMade(Docket memory docket, Opening memory opening, bytes32 assignment, uint256 step)
        private
        pure
        returns (bool)
    {
        require(
            opening.body.length == 1 && keccak256(abi.encode(opening.body[0])) == docket.claim.bodyHash,
            IAuditCourt.BadOpening("body")
        );
        ClaimBody memory body = opening.body[0];
        require(
            body.commitment == ForcedErrors.commitmentOf(opening.secret, assignment, opening.entry),
            IAuditCourt.BadOpening("entry")
        );
        bytes8 forced = ForcedErrors.forcedEntry(opening.secret, assignment);
        if (_entryAt(body.digest, step) != forced || opening.entry == forced) return false;
        if (!docket.claim.head.digestConvicted) return true;
        // INVARIANT: only a conviction by proof, of the forced entry, to what the claim was bound to, is forgiven.
        return docket.claim.digest.place == step + 1 && docket.claim.digest.entry == opening.entry;
    }

    /// @dev Entry `step` of a digest, whose length was checked when it was posted.
    function _entryAt(bytes memory digest, uint256 step) private pure returns (bytes8 entry) {
        assert(digest.length >= 8 * step + 8);
        bytes32 word;
        assembly ("memory-safe") {
            word := mload(add(add(digest, 32), mul(8, step)))
        }
        return bytes8(word);
    }

    /// @dev Who is paid for a forced error: the right claims that named it, if it was proven; if none did, who proved it.
    function _findersOfError(CourtState storage state, Docket memory docket, uint256 step)
        private
        view
        returns (address[] memory finders)
    {
        if (!docket.claim.head.digestConvicted) return new address[](0);
        Namers memory namers = state.namers[CourtKeys.entryKey(docket.key, docket.round, step + 1)];
        finders = new address[](4);
        uint256 count = 0;
        for (uint256 i = 0; i < namers.count; ++i) {
            ClaimData memory claim = state.claims[CourtKeys.claimKey(docket.key, docket.round, namers.claims[i])];
            if (claim.head.convicted || claim.head.digestConvicted) continue;
            if (_isRight(state, docket.key, docket.slot, claim)) finders[count++] = claim.head.claimant;
        }
        if (count == 0) finders[count++] = docket.claim.digest.finder;
        _shorten(finders, count);
    }

    function _payForced(Bench memory bench, Docket memory docket, address[] memory finders) private {
        uint256 count = finders.length;
        (uint96 each, uint96 own) = ForcedErrors.rewards(bench.jackpot, count);
        address[] memory to = new address[](count + 1);
        uint96[] memory amounts = new uint96[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            (to[i], amounts[i]) = (finders[i], each);
        }
        (to[count], amounts[count]) = (docket.claimant, own);
        bench.treasury.payForced(docket.claimKey, to, amounts);
    }

    /// @dev The task, if these are its terms and it has ended in a way that judges claims.
    function _ended(Bench memory bench, TaskTerms memory terms) private view returns (Task memory task) {
        task = _taskOf(bench, terms);
        require(
            task.state >= TaskState.Settled && task.state <= TaskState.Void,
            IAuditCourt.WrongTaskState(terms.id, task.state)
        );
    }

    /// @dev The task, if these are its terms.
    function _taskOf(Bench memory bench, TaskTerms memory terms) private view returns (Task memory task) {
        task = bench.market.taskOf(terms.id);
        require(terms.hash() == task.termsHash, IAuditCourt.WrongTerms(terms.id));
    }

    /// @dev A claim that is still to be closed.
    function _take(CourtState storage state, Bench memory bench, uint256 id, uint32 segment, uint8 round, uint16 index)
        private
        view
        returns (Docket memory docket)
    {
        (docket.task, docket.segment, docket.round, docket.index) = (id, segment, round, index);
        docket.key = CourtKeys.slotKey(id, segment);
        docket.claimKey = CourtKeys.claimKey(docket.key, round, index);
        docket.slot = state.slots[docket.key];
        docket.claim = state.claims[docket.claimKey];
        // The drawn verifier's place holds a deposit before it has claimed; and a lone claim, which is right, has no head.
        bool headless = docket.claim.head.claimant == address(0) && index == 0 && round == docket.slot.round;
        docket.claimant = headless ? docket.slot.verifier : docket.claim.head.claimant;
        require(docket.claimant != address(0), IAuditCourt.NoSuchClaim());
        docket.engagement = CourtKeys.engagement(docket.key, round, docket.claimant);
        docket.pooled = headless && docket.slot.claims == 0;
        if (docket.pooled) {
            docket.held = bench.deposit + bench.bond;
        } else {
            address account;
            (account, docket.held) = bench.vault.engagementOf(address(this), docket.engagement);
            require(account != address(0), IAuditCourt.AlreadyClosed());
        }
        docket.right = headless || _isRight(state, docket.key, docket.slot, docket.claim);
    }

    /// @dev Whether no claim about the segment costs anybody anything: a void task, a malformed or withheld start.
    function _isExcused(Docket memory docket, Task memory task) private pure returns (bool) {
        return task.state == TaskState.Void || docket.slot.marks == CourtKeys.MALFORMED;
    }

    /// @dev Deposit and bond back, or slashed. `faulty`: by its digest, by a forced error not made, by a secret not opened. Then all that is left goes,
    /// the finder's share and half the bond to who convicted the digest, if anybody did.
    function _close(CourtState storage state, Bench memory bench, Docket memory docket, bool faulty, address solver)
        private
    {
        uint96 slashed = faulty ? docket.held : docket.right ? 0 : bench.deposit;
        emit IAuditCourt.ClaimClosed(docket.task, docket.segment, docket.round, docket.index, slashed);
        if (docket.pooled) {
            state.slots[docket.key].claims = 1;
            if (slashed == 0) {
                Payout[] memory payouts = new Payout[](1);
                payouts[0] = Payout(docket.claimant, 0, docket.held);
                return bench.vault.payOut(payouts, bytes32(docket.task));
            }
            bench.vault.engage(docket.engagement, docket.claimant, docket.held);
        }
        if (docket.held != slashed) bench.vault.release(docket.engagement, docket.held - slashed);
        if (slashed == 0) return;
        Role role = docket.index == 0 && docket.round != CourtKeys.CALLED ? Role.Verifier : Role.Whistleblower;
        bench.market.ledger().convict(docket.claimant, role);
        if (faulty) return _punishDigest(bench, docket);
        address[] memory finders = _findersOf(state, docket.key, docket.slot);
        if (docket.slot.state != SlotState.Passed) return _shareDeposit(bench, docket.engagement, finders);
        _payFalsePositive(bench, docket.claimKey, docket.engagement, finders, solver);
    }

    function _punishDigest(Bench memory bench, Docket memory docket) private {
        uint256 count = docket.claim.head.digestConvicted ? 1 : 0;
        address[] memory finder = new address[](count);
        uint96[] memory amount = new uint96[](count);
        if (count != 0) {
            finder[0] = docket.claim.digest.finder;
            amount[0] = FinderShares.part(bench.deposit, bench.finderBps) + (docket.held - bench.deposit) / 2;
        }
        bench.vault.distribute(docket.engagement, finder, amount, address(bench.treasury));
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
        uint96[] memory parts = FinderShares.split(FinderShares.part(bench.deposit, bench.finderBps), finders.length);
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
        uint96[] memory parts = FinderShares.split(FinderShares.part(bench.deposit, bench.finderBps), count);
        address[] memory to = new address[](count + 1);
        uint96[] memory amounts = new uint96[](count + 1);
        for (uint256 i = 0; i < count; ++i) {
            (to[i], amounts[i]) = (finders[i], parts[i]);
        }
        (to[count], amounts[count]) = (solver, FinderShares.part(bench.deposit, bench.clearedSolverBps));
        bench.vault.slash(engagement, address(bench.treasury), bench.deposit);
        bench.treasury.payVerdict(verdict, bench.deposit, to, amounts);
    }

    function _shorten(address[] memory list, uint256 length) private pure {
        assert(length <= list.length);
        assembly ("memory-safe") {
            mstore(list, length)
        }
    }

    function _shorten(uint96[] memory list, uint256 length) private pure {
        assert(length <= list.length);
        assembly ("memory-safe") {
            mstore(list, length)
        }
    }
}
