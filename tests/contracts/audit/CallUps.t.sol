// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CourtKeys} from "../../../contracts/audit/CourtState.sol";
import {
    ClaimBody,
    ClaimRecord,
    IAuditCourt,
    Opening,
    Slot,
    SlotState
} from "../../../contracts/interfaces/IAuditCourt.sol";
import {IReputationLedger, Role} from "../../../contracts/interfaces/IReputationLedger.sol";
import {ITaskMarket, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {IUsefulWorkDraw} from "../../../contracts/interfaces/IUsefulWorkDraw.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";

/// @title A task of five segments, two of them drawn; the volunteer is the whistleblower.
abstract contract CallUpScene is Endings {
    uint8 internal constant CALLED = CourtKeys.CALLED;

    uint32[] internal drawn;
    /// @dev A segment that was not drawn; not the init segment.
    uint32 internal segment;

    function _begin(bool fraud) internal {
        uint256 snapshot = vm.snapshotState();
        toAuditing(0);
        uint32 free = _undrawn();
        vm.revertToState(snapshot);
        toAuditing(fraud ? 1 << free : 0);
        drawn = drawnSegments();
        segment = free;
    }

    function _undrawn() private view returns (uint32 free) {
        free = 1;
        while (stateOf(free) != SlotState.None) ++free;
    }

    function _callUp(address account, uint32 which, bytes32 endRoot) internal {
        ClaimBody memory body = bodyFor(which, endRoot);
        bytes32[] memory proof = checkpointProof(which);
        vm.prank(account);
        court.callUp(terms, which, body, proof);
    }

    function _expectRefusal(address account, uint32 which, bytes32 endRoot, bytes memory refusal) internal {
        ClaimBody memory body = bodyFor(which, endRoot);
        bytes32[] memory proof = checkpointProof(which);
        vm.expectRevert(refusal);
        vm.prank(account);
        court.callUp(terms, which, body, proof);
    }

    function _claimDrawn() internal {
        claimHonestly(drawn[0]);
        claimHonestly(drawn[1]);
    }

    function _close(uint16 index) internal {
        close(segment, index);
    }
}

/// @title Which segments are called up, by whom and when.
contract CallUpsTest is CallUpScene {
    function setUp() public override {
        super.setUp();
        _begin(false);
    }

    function test_callUp_isRecorded() public {
        uint96 free = vault.freeStakeOf(whistleblower);
        vm.expectEmit(address(court));
        emit IAuditCourt.SegmentCalled(terms.id, segment, whistleblower, uint64(block.timestamp + numbers.claimWindow));
        _callUp(whistleblower, segment, "other");
        Slot memory slot = court.slotOf(terms.id, segment);
        assertSlot(segment, SlotState.Drawn);
        assertEq(slot.round, CALLED);
        assertEq(slot.verifier, whistleblower);
        assertEq(slot.claims, 1);
        assertEq(slot.beaconValue, court.slotOf(terms.id, drawn[0]).beaconValue);
        assertEq(market.taskOf(terms.id).called, 1);
        assertEq(vault.freeStakeOf(whistleblower), free - lockOf());
        ClaimRecord memory record = claimOf(segment, 0);
        assertEq(record.claimant, whistleblower);
        assertEq(record.endRoot, "other");
        assertFalse(record.passes);
        assertEq(record.bodyHash, keccak256(abi.encode(bodyFor(segment, "other"))));
    }

    function test_callUp_bySubmitter_isRecorded() public {
        stake(submitter, lockOf());
        _callUp(submitter, segment, "other");
        assertSlot(segment, SlotState.Drawn);
    }

    function test_callUp_bySolver_reverts() public {
        _expectRefusal(solver, segment, "other", abi.encodeWithSelector(IAuditCourt.OwnWork.selector, terms.id));
    }

    function test_callUp_thatPasses_reverts() public {
        bytes memory refusal = abi.encodeWithSelector(IAuditCourt.BadClaim.selector, "end root");
        _expectRefusal(whistleblower, segment, checkpoints[segment], refusal);
        _expectRefusal(whistleblower, segment, 0, refusal);
    }

    function test_callUp_ofDrawnSegment_reverts() public {
        _expectRefusal(
            whistleblower,
            drawn[0],
            "other",
            abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, drawn[0], SlotState.Drawn)
        );
    }

    function test_callUp_twice_reverts() public {
        _callUp(whistleblower, segment, "other");
        _expectRefusal(
            secondWhistleblower,
            segment,
            "other",
            abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Drawn)
        );
    }

    function test_callUp_beyondTheLastSegment_reverts() public {
        ClaimBody memory body = bodyFor(segment, "other");
        bytes32[] memory proof = checkpointProof(segment);
        uint32 beyond = uint32(checkpoints.length);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, beyond, SlotState.None));
        vm.prank(whistleblower);
        court.callUp(terms, beyond, body, proof);
    }

    function test_callUp_badBodies_revert() public {
        bytes32[] memory proof = checkpointProof(segment);
        ClaimBody memory body = bodyFor(segment, "other");
        body.digest = new bytes(body.digest.length + 1);
        vm.startPrank(whistleblower);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadClaim.selector, "digest"));
        court.callUp(terms, segment, body, proof);
        body = bodyFor(segment, "other");
        body.checkpointRoot = "not the checkpoint";
        vm.expectRevert(IAuditCourt.BadCheckpointProof.selector);
        court.callUp(terms, segment, body, proof);
        vm.stopPrank();
        TaskTerms memory wrong = terms;
        wrong.seed += 1;
        body = bodyFor(segment, "other");
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongTerms.selector, terms.id));
        vm.prank(whistleblower);
        court.callUp(wrong, segment, body, proof);
    }

    function test_callUp_withoutStake_reverts() public {
        ClaimBody memory body = bodyFor(segment, "other");
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert();
        vm.prank(outsider);
        court.callUp(terms, segment, body, proof);
        stake(outsider, lockOf());
        vm.prank(outsider);
        court.callUp(terms, segment, body, proof);
    }

    /// @dev Until the first draw's claim window is over, wherever a drawn segment's was moved to by then.
    function test_callUp_late_reverts() public {
        (uint64 deadline,,) = court.windowsOf(terms.id, drawn[0]);
        assertEq(market.deadlineOf(terms.id), deadline);
        vm.prank(address(demands));
        court.extendClaims(terms.id, drawn[0], deadline + 1 hours);
        vm.warp(uint256(deadline) + 1);
        _expectRefusal(
            whistleblower, segment, "other", abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, 0, deadline)
        );
        vm.warp(deadline);
        _callUp(whistleblower, segment, "other");
        (uint64 ends,,) = court.windowsOf(terms.id, segment);
        assertEq(ends, deadline + numbers.claimWindow);
    }

    function test_countCall_byAnybodyElse_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.NotCourt.selector, whistleblower));
        vm.prank(whistleblower);
        market.countCall(terms.id);
    }
}

/// @title How called-up segments end, and where every unit goes.
contract CallUpEndsTest is CallUpScene {
    function test_fraud_foundByVolunteer_paysItAsTheFinder() public {
        uint256 submitterBefore = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        uint256 verifiersBefore = wealthOf(verifier) + wealthOf(secondVerifier);
        uint256 volunteerBefore = wealthOf(whistleblower);
        _begin(true);
        _claimDrawn();
        vm.warp(block.timestamp + 1 hours);
        _callUp(whistleblower, segment, honestEnd(segment));
        passUnblindWindow(drawn[0]);
        vm.expectPartialRevert(IAuditCourt.WrongWindow.selector);
        market.settle(terms);
        passUnblindWindow(segment);
        market.settle(terms);
        assertTask(TaskState.Rejected);
        uint96 slash = 3 * feeOf();
        assertEq(wealthOf(whistleblower), volunteerBefore + potOf());
        assertEq(wealthOf(solver), solverBefore - slash);
        assertEq(wealthOf(submitter), submitterBefore + feeOf() / 2 - 2 * terms.wage);
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), verifiersBefore + 2 * terms.wage);
        assertEq(treasury.balance(), slash - potOf() - feeOf() / 2);
    }

    /// @dev A false volunteer against the solver's blind claim.
    function _defend() private {
        _callUp(whistleblower, segment, "slander");
        vm.warp(block.timestamp + 1 hours);
        refute(solver, segment, false);
    }

    function test_falseVolunteer_convicted_paysTheSolver() public {
        uint256 solverBefore = wealthOf(solver);
        uint256 volunteerBefore = wealthOf(whistleblower);
        _begin(false);
        _claimDrawn();
        _defend();
        market.settle(terms);
        assertTask(TaskState.Settled);
        assertSlot(segment, SlotState.Passed);
        _close(0);
        _close(1);
        assertEq(wealthOf(whistleblower), volunteerBefore - lockOf());
        assertEq(wealthOf(solver), solverBefore + feeOf() + depositOf() / 2 + numbers.claimBond / 2);
        assertEq(treasury.balance(), terms.levy + numbers.claimBond / 2 + depositOf() / 2);
        vm.expectRevert(IAuditCourt.AlreadyClosed.selector);
        court.closeClaim(terms, segment, CALLED, 0);
    }

    function test_falseVolunteer_convicted_countsAsWhistleblower() public {
        _begin(false);
        _claimDrawn();
        _defend();
        market.settle(terms);
        _close(0);
        assertEq(ledger.sinceOf(whistleblower, Role.Whistleblower), terms.id);
        assertEq(ledger.sinceOf(whistleblower, Role.Verifier), 0);
    }

    function test_passed_earnsNoReputationAndNoLot() public {
        _begin(false);
        _claimDrawn();
        _defend();
        market.settle(terms);
        _close(0);
        _close(1);
        vm.expectRevert(abi.encodeWithSelector(IReputationLedger.NothingEarned.selector, terms.id));
        ledger.creditClaim(terms, segment);
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(abi.encodeWithSelector(IUsefulWorkDraw.NoTicket.selector, terms.id, segment));
        lots.collect(terms, segment, checkpoints[segment - 1], checkpoints[segment], proof);
    }

    /// @dev Nobody's claim stands: the segment ends as if nobody had called it up, without a redraw.
    function test_everybodyConvicted_endsTheSegment_atNobodyElsesCost() public {
        uint256 solverBefore = wealthOf(solver);
        _begin(false);
        _claimDrawn();
        _callUp(whistleblower, segment, "slander");
        contest(secondWhistleblower, segment, "other slander");
        convict(segment, 0, false, secondWhistleblower);
        convict(segment, 1, false, whistleblower);
        passDisputeWindow(segment);
        court.finalize(terms, segment, 100);
        assertSlot(segment, SlotState.Passed);
        assertEq(court.slotOf(terms.id, segment).standing, 0);
        market.settle(terms);
        assertTask(TaskState.Settled);
        _close(0);
        _close(1);
        assertEq(wealthOf(solver), solverBefore + feeOf() + 2 * (depositOf() / 5));
    }

    function test_secondVolunteer_stands_whereTheFirstFalls() public {
        uint256 before = wealthOf(secondWhistleblower);
        _begin(true);
        _claimDrawn();
        _callUp(whistleblower, segment, "neither");
        refute(secondWhistleblower, segment, false);
        market.settle(terms);
        assertTask(TaskState.Rejected);
        _close(0);
        _close(1);
        uint96 pots = potOf() + depositOf() * 3 / 10;
        assertEq(wealthOf(secondWhistleblower), before + pots + numbers.claimBond / 2);
    }

    /// @dev Who copies a call loses deposit and bond by its digest, and gets no share of what it copied.
    function test_copier_convictedByItsDigest_isNoFinder() public {
        uint256 before = wealthOf(secondWhistleblower);
        uint256 copierBefore = wealthOf(whistleblower);
        _begin(true);
        _claimDrawn();
        _callUp(whistleblower, segment, honestEnd(segment));
        refute(secondWhistleblower, segment, true);
        market.settle(terms);
        assertTask(TaskState.Rejected);
        _close(0);
        _close(1);
        assertEq(wealthOf(whistleblower), copierBefore - lockOf());
        uint96 pots = potOf() + depositOf() * 3 / 10;
        assertEq(wealthOf(secondWhistleblower), before + pots + numbers.claimBond / 2);
    }

    function test_failedBesideADrawnOne_splitsThePotEvenly() public {
        toAuditing(type(uint256).max);
        drawn = drawnSegments();
        segment = 1;
        while (stateOf(segment) != SlotState.None) ++segment;
        claimHonestly(drawn[0]);
        claimHonestly(drawn[1]);
        uint256 before = wealthOf(whistleblower);
        _callUp(whistleblower, segment, honestEnd(segment));
        passUnblindWindow(segment);
        market.settle(terms);
        assertEq(wealthOf(whistleblower), before + uint256(potOf()) / 3);
    }

    function test_void_freesTheVolunteer_withoutAWage() public {
        uint256 before = wealthOf(whistleblower);
        _begin(false);
        _claimDrawn();
        _callUp(whistleblower, segment, "other");
        uint256 verifiersBefore = wealthOf(verifier) + wealthOf(secondVerifier);
        market.voidInvalidProgram(terms, fault());
        assertSlot(segment, SlotState.Moot);
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), verifiersBefore + 2 * terms.wage);
        _close(0);
        assertEq(wealthOf(whistleblower), before);
    }

    function test_withheld_isAtTheSolversCost() public {
        uint256 before = wealthOf(whistleblower);
        uint256 solverBefore = wealthOf(solver);
        _begin(false);
        _claimDrawn();
        _callUp(whistleblower, segment, "unknown");
        vm.prank(address(demands));
        court.failStart(terms.id, segment, whistleblower);
        assertSlot(segment, SlotState.Withheld);
        passUnblindWindow(drawn[0]);
        market.settle(terms);
        assertTask(TaskState.Unavailable);
        _close(0);
        assertEq(wealthOf(whistleblower), before + potOf());
        assertEq(wealthOf(solver), solverBefore - 3 * feeOf());
    }

    function test_callUp_afterTheEnd_reverts() public {
        _begin(false);
        _claimDrawn();
        passUnblindWindow(drawn[0]);
        market.settle(terms);
        _expectRefusal(
            whistleblower,
            segment,
            "other",
            abi.encodeWithSelector(IAuditCourt.WrongTaskState.selector, terms.id, TaskState.Settled)
        );
    }
}

/// @title With forced errors: a volunteer has no secret, and waits for none.
contract ForcedCallUpTest is CallUpScene {
    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        (p.forcedBps, p.jackpotMultiple, p.openingWindow) = (1, 13, 1 days);
    }

    function test_volunteersClaim_isClosedWithoutASecret() public {
        uint256 before = wealthOf(whistleblower);
        _begin(true);
        _claimDrawn();
        _callUp(whistleblower, segment, honestEnd(segment));
        passUnblindWindow(segment);
        market.settle(terms);
        assertTask(TaskState.Rejected);
        Opening memory opening;
        (opening.segment, opening.round) = (segment, CALLED);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Failed));
        court.openSecret(terms, opening);
        _close(0);
        assertEq(wealthOf(whistleblower), before + potOf());
    }
}

/// @title As many call-ups as there may be.
contract ManyCallUpsTest is CallUpScene {
    uint32 private constant MOST = 64;

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.steps = 4 * 70; // 71 segments
    }

    function test_settle_withTheMost_isPossible_andOneMoreIsRefused() public {
        toAuditing(0);
        drawn = drawnSegments();
        uint32 called = 0;
        uint32 last = 0;
        for (uint32 i = 1; called <= MOST; ++i) {
            if (stateOf(i) != SlotState.None) continue;
            last = i;
            if (called++ < MOST) _callUp(whistleblower, i, "slander");
        }
        _expectRefusal(
            whistleblower, last, "slander", abi.encodeWithSelector(IAuditCourt.TooManyCalls.selector, terms.id)
        );
        _claimDrawn();
        passUnblindWindow(last - 1);
        uint256 gas = gasleft();
        market.settle(terms);
        assertLt(gas - gasleft(), 8_000_000);
        assertTask(TaskState.Rejected);
    }
}
