// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {FinderShares} from "../../../contracts/audit/FinderShares.sol";
import {ClaimRef, IAuditCourt, Slot, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {TaskOffer, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";

/// @title Finality and money: who stands, who is judged how, and where every unit goes.
contract JudgementTest is Endings {
    uint32[] internal segments;

    /// @dev Audits the two drawn segments; `fraud` says whether the first of them is bad.
    function _begin(bool fraud) private {
        uint256 snapshot = vm.snapshotState();
        toAuditing(0);
        uint32[] memory drawn = drawnSegments();
        vm.revertToState(snapshot);
        toAuditing(fraud ? 1 << drawn[0] : 0);
        segments = drawnSegments();
        assertEq(segments[0], drawn[0]);
    }

    function _settleRest() private {
        if (claimOf(segments[1], 0).claimant == address(0)) claimHonestly(segments[1]);
    }

    // Clean

    function test_settle_cleanTask_paysEverybody() public {
        uint256 submitterBefore = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        uint256 verifiersBefore = wealthOf(verifier) + wealthOf(secondVerifier);
        _begin(false);
        claimHonestly(segments[0]);
        claimHonestly(segments[1]);
        passUnblindWindow(segments[1]);
        market.settle(terms);
        assertTask(TaskState.Settled);
        assertEq(wealthOf(solver), solverBefore + feeOf());
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), verifiersBefore + 2 * terms.wage);
        assertEq(wealthOf(submitter), submitterBefore - feeOf() - 2 * terms.wage - terms.levy);
        assertEq(treasury.balance(), terms.levy);
        assertTrue(claimOf(segments[0], 0).closed);
        vm.expectRevert(IAuditCourt.AlreadyClosed.selector);
        court.closeClaim(terms, segments[0], 0, 0);
    }

    function test_settle_beforeTheUnblindWindowIsOver_reverts() public {
        _begin(false);
        claimHonestly(segments[0]);
        claimHonestly(segments[1]);
        (, uint64 unblindDeadline,) = court.windowsOf(terms.id, segments[0]);
        vm.warp(unblindDeadline);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, unblindDeadline + 1, type(uint64).max));
        market.settle(terms);
    }

    function test_settle_secondClaim_waitsForTheDisputeWindow() public {
        _begin(false);
        claimHonestly(segments[0]);
        claimHonestly(segments[1]);
        contest(whistleblower, segments[0], honestEnd(segments[0]));
        vm.expectPartialRevert(IAuditCourt.WrongWindow.selector);
        market.settle(terms);
        passDisputeWindow(segments[0]);
        market.settle(terms);
        assertTask(TaskState.Settled);
        uint96 free = vault.freeStakeOf(whistleblower);
        close(segments[0], 1);
        assertEq(vault.freeStakeOf(whistleblower), free + lockOf());
        close(segments[0], 0);
    }

    // Fraud

    function test_fraud_foundByTheVerifier_paysItAsTheFinder() public {
        uint256 submitterBefore = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        _begin(true);
        address finder = verifierOf(segments[0]);
        claimHonestly(segments[0]);
        _settleRest();
        passUnblindWindow(segments[1]);
        uint256 before = wealthOf(finder);
        market.settle(terms);
        assertTask(TaskState.Rejected);
        uint96 slash = 3 * feeOf();
        uint96 locked = lockOf();
        uint256 wages = (verifierOf(segments[1]) == finder ? 2 : 1);
        assertEq(wealthOf(finder), before + potOf() + wages * (terms.wage + locked));
        assertEq(wealthOf(solver), solverBefore - slash);
        assertEq(wealthOf(submitter), submitterBefore + feeOf() / 2 - 2 * terms.wage);
        assertEq(treasury.balance(), slash - potOf() - feeOf() / 2);
    }

    function test_fraud_passedByTheVerifier_paysWhistleblowersFromBothDeposits() public {
        _begin(true);
        uint32 segment = segments[0];
        address liar = verifierOf(segment);
        uint256 liarBefore = wealthOf(liar);
        placeBlind(whistleblower, segment, honestEnd(segment));
        vm.warp(block.timestamp + 1);
        placeBlind(secondWhistleblower, segment, honestEnd(segment));
        claim(segment, checkpoints[segment]);
        _settleRest();
        passClaimWindow(segment);
        // Opened in the other order: the order of the commitments counts.
        unblind(secondWhistleblower, segment, honestEnd(segment));
        unblind(whistleblower, segment, honestEnd(segment));
        passUnblindWindow(segment);
        convict(segment, 0, false, whistleblower);
        passDisputeWindow(segment);
        court.finalize(terms, segment, 100);
        assertSlot(segment, SlotState.Failed);
        assertEq(court.slotOf(terms.id, segment).standing, 3);

        uint96 locked = lockOf();
        uint256 first = wealthOf(whistleblower);
        uint256 second = wealthOf(secondWhistleblower);
        market.settle(terms);
        assertTask(TaskState.Rejected);
        uint96 pot = potOf();
        assertEq(wealthOf(whistleblower), first + uint256(pot) * 27 / 36);
        assertEq(wealthOf(secondWhistleblower), second + uint256(pot) * 9 / 36);

        first = wealthOf(whistleblower);
        second = wealthOf(secondWhistleblower);
        uint256 brought = treasury.balance();
        close(segment, 0);
        pot = depositOf() * 3 / 10;
        assertEq(wealthOf(whistleblower), first + uint256(pot) * 27 / 36);
        assertEq(wealthOf(secondWhistleblower), second + uint256(pot) * 9 / 36);
        assertEq(treasury.balance() - brought, depositOf() - uint256(pot) * 27 / 36 - uint256(pot) * 9 / 36, "dust too");
        close(segment, 1);
        close(segment, 2);
        assertEq(wealthOf(whistleblower), first + uint256(pot) * 27 / 36 + locked);
        uint256 otherWage = verifierOf(segments[1]) == liar ? terms.wage : 0;
        assertEq(wealthOf(liar), liarBefore - depositOf() - numbers.claimBond + otherWage + _lockedElsewhere(liar));
    }

    /// @dev What an account that was drawn twice had locked for the other segment when its wealth was taken, and has back.
    function _lockedElsewhere(address account) private view returns (uint256) {
        return (verifierOf(segments[1]) == account ? 2 : 1) * uint256(lockOf());
    }

    function test_fraud_inBothSegments_splitsThePotEvenly() public {
        toAuditing(type(uint256).max);
        segments = drawnSegments();
        claimHonestly(segments[0]);
        claimHonestly(segments[1]);
        passUnblindWindow(segments[1]);
        uint256 before = wealthOf(verifier) + wealthOf(secondVerifier);
        market.settle(terms);
        uint96 pot = potOf();
        uint96 locked = lockOf();
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), before + pot + 2 * (terms.wage + locked));
    }

    // False positives

    function test_falsePositive_paysFinderAndSolver_halfOfTheSlashAtMost() public {
        _begin(false);
        uint32 segment = segments[0];
        claim(segment, "slander");
        _settleRest();
        refute(whistleblower, segment, false);
        market.settle(terms);
        assertTask(TaskState.Settled);
        uint256 finderBefore = wealthOf(whistleblower);
        uint256 solverBefore = wealthOf(solver);
        uint256 brought = treasury.balance();
        close(segment, 0);
        assertEq(wealthOf(whistleblower), finderBefore + depositOf() * 3 / 10);
        assertEq(wealthOf(solver), solverBefore + depositOf() / 5);
        assertEq(treasury.balance(), brought + depositOf() / 2);
    }

    function test_wrongVerifier_getsNoWage() public {
        _begin(false);
        uint32 segment = segments[0];
        claim(segment, "slander");
        _settleRest();
        refute(whistleblower, segment, false);
        uint256 before = wealthOf(submitter);
        market.settle(terms);
        assertEq(wealthOf(submitter), before + feeOf() / 10 + terms.wage);
    }

    // Digests

    function test_digestConviction_ofARightRoot_costsTheDeposit() public {
        _begin(false);
        uint32 segment = segments[0];
        address lazy = verifierOf(segment);
        claimHonestly(segment);
        _settleRest();
        refute(whistleblower, segment, true);
        market.settle(terms);
        assertTask(TaskState.Settled);
        assertEq(court.slotOf(terms.id, segment).standing, 1);
        uint256 lazyBefore = wealthOf(lazy);
        uint256 finderBefore = wealthOf(whistleblower);
        uint256 brought = treasury.balance();
        close(segment, 0);
        assertEq(wealthOf(lazy), lazyBefore);
        uint256 found = depositOf() * 3 / 10 + numbers.claimBond / 2;
        assertEq(wealthOf(whistleblower), finderBefore + found);
        assertEq(treasury.balance(), brought + lockOf() - found);
    }

    // Misses and redraws

    function test_miss_costsTheVerifierAlone() public {
        _begin(false);
        uint32 segment = segments[0];
        address silent = verifierOf(segment);
        claimHonestly(segments[1]);
        passUnblindWindow(segment);
        uint256 before = wealthOf(silent);
        court.finalize(terms, segment, 1);
        assertEq(wealthOf(silent), before + lockOf() - 2 * costOf());
        assertEq(treasury.balance(), 2 * costOf());
        rollToValue();
        court.redraw(terms, segment);
        claimHonestly(segment);
        passUnblindWindow(segment);
        market.settle(terms);
        assertTask(TaskState.Settled);
    }

    /// @dev A solver that withholds its data and claims for itself must not be paid: volunteers cannot stand in for the drawn verifier.
    function test_threeMisses_withTheSolversOwnClaims_leaveItUnpaidAllTheSame() public {
        uint256 solverBefore = wealthOf(solver);
        _begin(false);
        uint32 segment = segments[0];
        _settleRest();
        for (uint256 round = 0; round <= numbers.redraws; ++round) {
            placeBlind(solver, segment, honestEnd(segment));
            passClaimWindow(segment);
            unblind(solver, segment, honestEnd(segment));
            passDisputeWindow(segment);
            court.finalize(terms, segment, 100);
            if (round == numbers.redraws) break;
            assertSlot(segment, SlotState.Redrawing);
            rollToValue();
            court.redraw(terms, segment);
        }
        assertSlot(segment, SlotState.Moot);
        market.settle(terms);
        assertTask(TaskState.Unavailable);
        for (uint8 round = 0; round <= numbers.redraws; ++round) {
            court.closeClaim(terms, segment, round, 1);
            vm.expectRevert(IAuditCourt.AlreadyClosed.selector);
            court.closeClaim(terms, segment, round, round == numbers.redraws ? 0 : 1);
        }
        assertEq(wealthOf(solver), solverBefore, "its claims were right, and nobody drawn said so");
    }

    /// @dev The drawn verifier keeps silent about a fraud: whoever shows it decides the segment at once.
    function test_miss_withACondemningClaim_fails() public {
        _begin(true);
        uint32 segment = segments[0];
        address silent = verifierOf(segment);
        placeBlind(whistleblower, segment, honestEnd(segment));
        _settleRest();
        passClaimWindow(segment);
        unblind(whistleblower, segment, honestEnd(segment));
        passDisputeWindow(segment);
        uint256 silentBefore = wealthOf(silent);
        uint256 before = wealthOf(whistleblower);
        court.finalize(terms, segment, 100);
        assertSlot(segment, SlotState.Failed);
        assertEq(wealthOf(silent), silentBefore + lockOf() - 2 * costOf());
        market.settle(terms);
        assertTask(TaskState.Rejected);
        assertEq(wealthOf(whistleblower), before + potOf());
    }

    function test_miss_withAVolunteersClaim_isDrawnAgain_andTheClaimJudgedThen() public {
        _begin(false);
        uint32 segment = segments[0];
        _settleRest();
        placeBlind(whistleblower, segment, honestEnd(segment));
        passClaimWindow(segment);
        unblind(whistleblower, segment, honestEnd(segment));
        passDisputeWindow(segment);
        court.finalize(terms, segment, 100);
        assertSlot(segment, SlotState.Redrawing);
        rollToValue();
        court.redraw(terms, segment);
        claimHonestly(segment);
        passUnblindWindow(segment);
        market.settle(terms);
        uint96 free = vault.freeStakeOf(whistleblower);
        court.closeClaim(terms, segment, 0, 1);
        assertEq(vault.freeStakeOf(whistleblower), free + lockOf());
    }

    function test_threeMisses_areUnavailable_andTheSolverUnpaidButWhole() public {
        uint256 submitterBefore = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        _begin(false);
        claimHonestly(segments[1]);
        missOut(segments[0]);
        market.settle(terms);
        assertTask(TaskState.Unavailable);
        assertEq(wealthOf(solver), solverBefore);
        assertEq(wealthOf(submitter), submitterBefore - terms.wage);
    }

    function test_allConvictedInEveryRound_theCheckpointStands() public {
        _begin(false);
        uint32 segment = segments[0];
        _settleRest();
        for (uint256 round = 0; round <= numbers.redraws; ++round) {
            claim(segment, "slander");
            contest(whistleblower, segment, "other");
            convict(segment, 0, false, whistleblower);
            convict(segment, 1, false, verifierOf(segment));
            passDisputeWindow(segment);
            court.finalize(terms, segment, 100);
            if (round == numbers.redraws) break;
            assertSlot(segment, SlotState.Redrawing);
            rollToValue();
            court.redraw(terms, segment);
        }
        assertSlot(segment, SlotState.Passed);
        assertEq(court.slotOf(terms.id, segment).standing, 0);
        market.settle(terms);
        assertTask(TaskState.Settled);
        for (uint8 round = 0; round <= numbers.redraws; ++round) {
            court.closeClaim(terms, segment, round, 0);
            court.closeClaim(terms, segment, round, 1);
        }
    }

    function test_claimsOfAnEarlierRound_areJudgedByWhatStood() public {
        _begin(false);
        uint32 segment = segments[0];
        _settleRest();
        claimHonestly(segment);
        contest(whistleblower, segment, "other");
        address early = verifierOf(segment);
        convict(segment, 0, false, whistleblower);
        convict(segment, 1, false, early);
        passDisputeWindow(segment);
        court.finalize(terms, segment, 100);
        rollToValue();
        court.redraw(terms, segment);
        claimHonestly(segment);
        passUnblindWindow(segment);
        market.settle(terms);
        uint96 free = vault.freeStakeOf(early);
        court.closeClaim(terms, segment, 0, 0);
        assertEq(vault.freeStakeOf(early), free + depositOf(), "a bad defence of the right root costs the bond alone");
        free = vault.freeStakeOf(whistleblower);
        court.closeClaim(terms, segment, 0, 1);
        assertEq(vault.freeStakeOf(whistleblower), free, "the wrong root costs the deposit");
    }

    // Finality

    function test_finalize_manyClaims_goesOnWhereItStopped() public {
        _begin(false);
        uint32 segment = segments[0];
        _settleRest();
        claim(segment, "slander");
        for (uint256 i = 0; i < 9; ++i) {
            address claimant = address(uint160(0x1000 + i));
            stake(claimant, 200 * TOKEN);
            placeBlind(claimant, segment, i % 3 == 0 ? bytes32("slander") : honestEnd(segment));
            vm.warp(block.timestamp + 1);
        }
        passClaimWindow(segment);
        for (uint256 i = 9; i > 0; --i) {
            address claimant = address(uint160(0x1000 + i - 1));
            unblind(claimant, segment, (i - 1) % 3 == 0 ? bytes32("slander") : honestEnd(segment));
        }
        passUnblindWindow(segment);
        convict(segment, 0, false, whistleblower);
        convict(segment, 9, false, whistleblower); // the earliest commitment
        passDisputeWindow(segment);
        uint256 calls = 0;
        while (stateOf(segment) == SlotState.Drawn) {
            court.finalize(terms, segment, 3);
            ++calls;
        }
        assertEq(calls, 7, "ten claims, twice, three a call");
        Slot memory slot = court.slotOf(terms.id, segment);
        assertEq(uint8(slot.state), uint8(SlotState.Passed));
        assertEq(slot.standing, 9, "the second commitment was opened eighth");

        market.settle(terms);
        uint256[] memory before = new uint256[](9);
        for (uint256 i = 0; i < 9; ++i) {
            before[i] = wealthOf(address(uint160(0x1000 + i)));
        }
        close(segment, 0);
        uint96 pot = depositOf() * 3 / 10;
        uint256[4] memory weights = [uint256(27), 9, 3, 1];
        uint256[4] memory finders = [uint256(1), 2, 4, 5];
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(
                wealthOf(address(uint160(0x1000 + finders[i]))), before[finders[i]] + uint256(pot) * weights[i] / 40
            );
        }
        for (uint16 i = 1; i < 10; ++i) {
            close(segment, i);
        }
    }

    function test_settle_withMoreClaimsThanItLooksAt_asksToFinalizeFirst() public {
        _begin(false);
        uint32 segment = segments[0];
        _settleRest();
        claimHonestly(segment);
        for (uint256 i = 0; i < 20; ++i) {
            address claimant = address(uint160(0x1000 + i));
            stake(claimant, 200 * TOKEN);
            placeBlind(claimant, segment, honestEnd(segment));
        }
        passClaimWindow(segment);
        for (uint256 i = 0; i < 20; ++i) {
            unblind(address(uint160(0x1000 + i)), segment, honestEnd(segment));
        }
        passDisputeWindow(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Drawn));
        market.settle(terms);
        court.finalize(terms, segment, 1000);
        market.settle(terms);
        assertTask(TaskState.Settled);
    }

    function test_finalize_twice_reverts() public {
        _begin(false);
        uint32 segment = segments[0];
        claimHonestly(segment);
        passUnblindWindow(segment);
        court.finalize(terms, segment, 0);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Passed));
        court.finalize(terms, segment, 1);
    }

    // Void

    function test_void_whileAudited_paysThoseWhoClaimed_andAllDepositsAreWhole() public {
        uint256 submitterBefore = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        uint256 verifiersBefore = wealthOf(verifier) + wealthOf(secondVerifier);
        uint256 finderBefore = wealthOf(whistleblower);
        _begin(true);
        uint32 segment = segments[0];
        placeBlind(whistleblower, segment, honestEnd(segment));
        claim(segment, checkpoints[segment]);
        passClaimWindow(segment);
        unblind(whistleblower, segment, honestEnd(segment));
        market.voidInvalidProgram(terms, fault());
        assertSlot(segments[0], SlotState.Moot);
        assertSlot(segments[1], SlotState.Moot);
        close(segments[0], 0);
        close(segments[0], 1);
        close(segments[1], 0);
        assertEq(wealthOf(solver), solverBefore + feeOf());
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), verifiersBefore + terms.wage);
        assertEq(wealthOf(whistleblower), finderBefore);
        assertEq(wealthOf(submitter), submitterBefore - feeOf() - terms.wage - terms.levy);
    }

    // Shares

    function testFuzz_split_isAtMostTheAmount_andEachAThirdOfTheOneBefore(uint96 amount, uint256 count) public pure {
        count = bound(count, 0, 4);
        uint96[] memory shares = FinderShares.split(amount, count);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            total += shares[i];
            if (i != 0) assertApproxEqAbs(uint256(shares[i]) * 3, shares[i - 1], 3);
        }
        assertLe(total, amount);
        if (count != 0) assertLe(amount - total, count - 1, "no more dust than finders but one");
    }

    function test_closeClaim_unknown_reverts() public {
        toEnd(0, true);
        vm.expectRevert(IAuditCourt.NoSuchClaim.selector);
        court.closeClaim(terms, 0, 3, 7);
    }

    function test_settle_everySegmentAudited_fitsATransaction() public {
        TaskOffer memory offer = defaultOffer();
        offer.steps = 63;
        offer.segmentSteps = 1;
        offer.audits = 64;
        stake(verifier, 10_000 * TOKEN);
        stake(secondVerifier, 10_000 * TOKEN);
        vm.prank(verifier);
        court.registerVerifier(type(uint96).max);
        vm.prank(secondVerifier);
        court.registerVerifier(type(uint96).max);
        terms = submitOffer(offer);
        toAuditing(0);
        assertLt(vm.lastCallGas().gasTotalUsed, 10_000_000);
        for (uint32 i = 0; i < 64; ++i) {
            claimHonestly(i);
        }
        passUnblindWindow(0);
        market.settle(terms);
        assertLt(vm.lastCallGas().gasTotalUsed, 6_000_000);
        assertTask(TaskState.Settled);
    }
}

/// @title A miss may cost all that a drawn verifier has at stake.
contract WholeStakeMissTest is Endings {
    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        (p.missMultiple, p.claimBond) = (p.claimDepositMultiple, 0);
    }

    function test_missOfTheWholeStake_stillDecidesTheSegment() public {
        toAuditing(0);
        uint32[] memory segments = drawnSegments();
        address silent = verifierOf(segments[0]);
        claimHonestly(segments[1]);
        passUnblindWindow(segments[0]);
        uint256 before = wealthOf(silent);
        court.finalize(terms, segments[0], 1);
        assertEq(wealthOf(silent), before, "its stake was taken before, by the draw");
        assertEq(treasury.balance(), depositOf());
        rollToValue();
        court.redraw(terms, segments[0]);
        claimHonestly(segments[0]);
        passUnblindWindow(segments[0]);
        market.settle(terms);
        assertTask(TaskState.Settled);
    }
}
