// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SegmentDraw} from "../../../contracts/audit/SegmentDraw.sol";
import {IAuditCourt, Slot, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {IRandomBeacon} from "../../../contracts/interfaces/IRandomBeacon.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";
import {TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Endings} from "../actors/Endings.sol";

/// @title Registration, draws of segments and of verifiers.
contract AuditDrawsTest is Endings {
    uint256 internal constant DRAWS = 100;
    uint256 internal constant MAX_CALLS = 40;

    // Registration

    function test_registerVerifier_tooLittleStake_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.TooLittleStake.selector, 0, numbers.weightUnit));
        vm.prank(outsider);
        court.registerVerifier(type(uint96).max);
    }

    function test_registerVerifier_again_bringsTheWeightUpToDate() public {
        assertEq(court.weightOf(verifier), 1000);
        stake(verifier, 500 * TOKEN);
        vm.prank(verifier);
        court.registerVerifier(type(uint96).max);
        assertEq(court.weightOf(verifier), 1500);
    }

    function test_registerVerifier_withLess_doesNotLower_withMore_raises() public {
        stake(verifier, 500 * TOKEN);
        vm.startPrank(verifier);
        court.registerVerifier(uint96(10 * TOKEN));
        assertEq(court.weightOf(verifier), 1000);
        court.registerVerifier(uint96(1200 * TOKEN));
        assertEq(court.weightOf(verifier), 1200);
        assertEq(vault.dutyOf(verifier), 1200 * TOKEN);
    }

    function test_retireVerifier_afterNotice_weighsNothing() public {
        uint64 end = uint64(block.timestamp) + numbers.withdrawalDelay;
        vm.startPrank(verifier);
        court.retireVerifier();
        assertEq(court.weightOf(verifier), 1000);
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.WithdrawalNotReady.selector, end));
        court.retireVerifier();
        vm.warp(end);
        court.retireVerifier();
        assertEq(court.weightOf(verifier), 0);
        assertEq(vault.dutyOf(verifier), 0);
        vm.stopPrank();
        vm.prank(outsider);
        court.retireVerifier();
    }

    function test_registerVerifier_afterNotice_staysAndMustGiveItAnew() public {
        vm.startPrank(verifier);
        court.retireVerifier();
        vm.warp(block.timestamp + numbers.withdrawalDelay);
        court.registerVerifier(type(uint96).max);
        court.retireVerifier();
        assertEq(court.weightOf(verifier), 1000);
    }

    /// @dev Whoever is in the draws when a task is accepted is drawn for it, whatever it tries meanwhile.
    function test_drawAudits_verifierThatWantsToLeave_isDrawn() public {
        dismiss(secondVerifier);
        vm.roll(block.number + 1);
        TaskTerms memory own = submitOffer(defaultOffer());
        toSolving();
        vm.startPrank(verifier);
        court.retireVerifier();
        uint96 free = vault.freeStakeOf(verifier);
        vault.requestWithdrawal(free);
        uint64 end = uint64(block.timestamp) + numbers.withdrawalDelay;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.WithdrawalNotReady.selector, end));
        vault.withdrawStake();
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.WithdrawalNotReady.selector, end));
        court.retireVerifier();
        uint96 deposit = uint96(TaskMath.fee(own) * numbers.solverDepositMultiple);
        bytes memory refused = abi.encodeWithSelector(IStakeVault.StakeOnDuty.selector, verifier, free, free, deposit);
        vm.expectRevert(refused);
        market.accept(own);
        refused = abi.encodeWithSelector(IStakeVault.StakeOnDuty.selector, verifier, free, free, numbers.blindBond);
        vm.expectRevert(refused);
        court.placeBlind("away");
        vm.stopPrank();
        court.refreshVerifier(verifier);
        commitWork(0);
        rollToValue();
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < segments.length; ++i) {
            assertEq(verifierOf(segments[i]), verifier);
        }
    }

    function test_refreshVerifier_onlyLowers() public {
        stake(verifier, 500 * TOKEN);
        court.refreshVerifier(verifier);
        assertEq(court.weightOf(verifier), 1000);
        withdraw(verifier, uint96(600 * TOKEN));
        vm.prank(outsider);
        court.refreshVerifier(verifier);
        assertEq(court.weightOf(verifier), 900);
    }

    // Segments

    function testFuzz_segmentsOf_areDistinctAndInRange(uint32 steps, uint16 segmentSteps, uint16 audits, bytes32 value)
        public
        pure
    {
        TaskTerms memory drawn;
        drawn.steps = uint32(bound(steps, 1, 1_000_000));
        drawn.segmentSteps = uint16(bound(segmentSteps, 1, 64));
        uint256 total = (drawn.steps + drawn.segmentSteps - 1) / drawn.segmentSteps + 1;
        drawn.audits = uint16(bound(audits, 1, total < 64 ? total : 64));
        uint32[] memory segments = SegmentDraw.segmentsOf(drawn, value);
        assertEq(segments.length, drawn.audits);
        for (uint256 i = 0; i < segments.length; ++i) {
            assertLt(segments[i], total);
            for (uint256 j = 0; j < i; ++j) {
                assertNotEq(segments[i], segments[j]);
            }
        }
    }

    /// @dev Two of five: each segment in 40 % of the draws, init and last like the others. Fixed values, so never flaky.
    function test_segmentsOf_everySegmentIsAsLikely() public pure {
        TaskTerms memory drawn;
        (drawn.steps, drawn.segmentSteps, drawn.audits) = (16, 4, 2);
        uint256[5] memory counts;
        for (uint256 n = 0; n < 1000; ++n) {
            uint32[] memory segments = SegmentDraw.segmentsOf(drawn, bytes32(n));
            for (uint256 i = 0; i < 2; ++i) {
                ++counts[segments[i]];
            }
        }
        for (uint256 i = 0; i < 5; ++i) {
            assertApproxEqAbs(counts[i], 400, 50);
        }
    }

    // Draws

    function test_drawAudits_beforeTheValue_reverts() public {
        toCommitted(0);
        uint64 target = beacon.targetOf(address(market), bytes32(terms.id));
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.TooEarly.selector, target));
        court.drawAudits(terms);
    }

    function test_drawAudits_locksTheVerifiersStake() public {
        uint96 free = vault.freeStakeOf(verifier) + vault.freeStakeOf(secondVerifier);
        toAuditing(0);
        uint96 need = depositOf() + numbers.claimBond;
        assertEq(vault.freeStakeOf(verifier) + vault.freeStakeOf(secondVerifier), free - 2 * need);
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < 2; ++i) {
            Slot memory slot = court.slotOf(terms.id, segments[i]);
            assertEq(slot.claimDeadline, block.timestamp + market.claimWindowOf(terms));
            assertEq(slot.claims, 1);
            assertEq(slot.beaconValue, beacon.valueOf(address(market), bytes32(terms.id)));
        }
    }

    function test_drawAudits_all_drawsEverySegment() public {
        TaskOffer memory offer = defaultOffer();
        offer.audits = 5;
        terms = submitOffer(offer);
        toAuditing(0);
        assertEq(drawnSegments().length, 5);
    }

    function test_drawAudits_registeredAfterTheValueIsKnown_countsForNothing() public {
        toCommitted(0);
        rollToValue();
        enroll(outsider, 900_000 * TOKEN);
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < 2; ++i) {
            assertNotEq(verifierOf(segments[i]), outsider);
        }
    }

    /// @dev With the value known, moving others' weights about must not move the draw.
    function testFuzz_drawAudits_stakeMovedAfterTheValue_drawsTheSame(uint96 moved, bool gone) public {
        moved = uint96(bound(moved, 1, 800)) * TOKEN;
        toCommitted(0);
        rollToValue();
        uint256 snapshot = vm.snapshotState();
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        address first = verifierOf(segments[0]);
        address second = verifierOf(segments[1]);
        vm.revertToState(snapshot);
        enroll(outsider, 10_000 * TOKEN);
        if (gone) {
            vm.prank(game);
            vault.lock("gone", outsider, uint96(10_000 * TOKEN));
            court.refreshVerifier(outsider);
        }
        stake(whistleblower, moved);
        vm.prank(whistleblower);
        court.registerVerifier(type(uint96).max);
        court.drawAudits(terms);
        assertEq(verifierOf(segments[0]), first);
        assertEq(verifierOf(segments[1]), second);
    }

    function test_drawAudits_solverAndSubmitterAreNotDrawn() public {
        vm.prank(solver);
        court.registerVerifier(type(uint96).max);
        stake(solver, 100_000 * TOKEN); // its deposits are not taken from what is on duty
        enroll(submitter, 100_000 * TOKEN);
        vm.roll(block.number + 1);
        for (uint256 n = 0; n < 10; ++n) {
            delete terms;
            toCommitted(0);
            rollToValue();
            while (market.stateOf(terms.id) == TaskState.Committed) court.drawAudits(terms);
            uint32[] memory segments = drawnSegments();
            for (uint256 i = 0; i < 2; ++i) {
                assertTrue(verifierOf(segments[i]) == verifier || verifierOf(segments[i]) == secondVerifier);
            }
        }
    }

    /// @dev One of two equal verifiers has withdrawn 9/10 of its stake since it was weighed: it must be drawn 1/11 of the time.
    function test_drawAudits_takesAtTheLesserOfWeightAndFreeStake() public {
        vm.pauseGasMetering();
        stake(verifier, 99_000 * TOKEN);
        stake(secondVerifier, 99_000 * TOKEN);
        vm.prank(verifier);
        court.registerVerifier(type(uint96).max);
        vm.prank(secondVerifier);
        court.registerVerifier(type(uint96).max);
        withdraw(secondVerifier, uint96(90_000 * TOKEN));
        vm.roll(block.number + 1);
        uint256 seconds_ = 0;
        for (uint256 n = 0; n < DRAWS; ++n) {
            toCommitted(0);
            rollToValue();
            uint256 snapshot = vm.snapshotState();
            court.drawAudits(terms);
            uint32[] memory segments = drawnSegments();
            for (uint256 i = 0; i < 2; ++i) {
                if (verifierOf(segments[i]) == secondVerifier) ++seconds_;
            }
            vm.revertToState(snapshot);
            market.voidInvalidProgram(terms, fault());
            delete terms;
        }
        assertApproxEqAbs(seconds_, 2 * DRAWS / 11, 12);
    }

    function test_drawAudits_nobodyRegistered_reverts_andExpiresWhole() public {
        dismiss(verifier);
        dismiss(secondVerifier);
        vm.roll(block.number + 1);
        toCommitted(0);
        rollToValue();
        vm.expectRevert(IAuditCourt.NoVerifier.selector);
        court.drawAudits(terms);
        vm.warp(uint256(market.deadlineOf(terms.id)) + 1);
        market.expireUndrawn(terms);
        assertTask(TaskState.Unavailable);
    }

    /// @dev A ghost weighs five hundred times all others and has nothing any more: calls note how far they came, and one of them gets through.
    function test_drawAudits_ghostWeight_isOvercomeCallByCall() public {
        enroll(outsider, 1_000_000 * TOKEN);
        vm.roll(block.number + 1);
        withdraw(outsider, uint96(1_000_000 * TOKEN));
        toCommitted(0);
        rollToValue();
        uint256 calls = 0;
        for (; market.stateOf(terms.id) == TaskState.Committed; ++calls) {
            assertLt(calls, MAX_CALLS * 10);
            court.drawAudits(terms);
            assertLt(vm.lastCallGas().gasTotalUsed, 8_000_000);
        }
        assertGt(calls, 1, "this ghost is heavy enough to need more than one call");
        drawnSegments();
    }

    function test_drawAudits_manyChangesSinceTheBlock_costsLittleMore() public {
        toCommitted(0);
        rollToValue();
        for (uint256 n = 0; n < 100; ++n) {
            vm.roll(block.number + 1);
            stake(verifier, TOKEN);
            vm.prank(verifier);
            court.registerVerifier(type(uint96).max);
        }
        court.drawAudits(terms);
        assertLt(vm.lastCallGas().gasTotalUsed, 1_000_000);
    }

    // Redraws

    function test_redraw_slotThatNeedsNone_reverts() public {
        toAuditing(0);
        uint32 segment = drawnSegments()[0];
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Drawn));
        court.redraw(terms, segment);
    }

    function test_redraw_afterAMiss_isANewRound() public {
        toAuditing(0);
        uint32 segment = drawnSegments()[0];
        bytes32 first = court.slotOf(terms.id, segment).beaconValue;
        passUnblindWindow(segment);
        court.finalize(terms, segment, 1);
        assertSlot(segment, SlotState.Redrawing);
        vm.expectRevert();
        court.redraw(terms, segment);
        rollToValue();
        court.redraw(terms, segment);
        Slot memory slot = court.slotOf(terms.id, segment);
        assertEq(uint8(slot.state), uint8(SlotState.Drawn));
        assertEq(slot.round, 1);
        assertEq(slot.misses, 1);
        assertNotEq(slot.beaconValue, first);
        assertEq(slot.claimDeadline, block.timestamp + market.claimWindowOf(terms));
    }

    function test_redraw_late_reverts_andTheSegmentIsMoot() public {
        toAuditing(0);
        uint32[] memory segments = drawnSegments();
        claimHonestly(segments[1]);
        uint256 solverBefore = wealthOf(solver);
        passUnblindWindow(segments[0]);
        court.finalize(terms, segments[0], 1);
        vm.expectRevert();
        court.finalize(terms, segments[0], 1);
        vm.warp(block.timestamp + numbers.drawWindow + 1);
        rollToValue();
        vm.expectRevert();
        court.redraw(terms, segments[0]);
        court.finalize(terms, segments[0], 1);
        assertSlot(segments[0], SlotState.Moot);
        market.settle(terms);
        assertTask(TaskState.Unavailable);
        assertEq(wealthOf(solver), solverBefore + 3 * feeOf(), "the deposit, and nothing more");
    }
}
