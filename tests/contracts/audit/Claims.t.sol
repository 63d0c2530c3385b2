// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRecord, ClaimRef, IAuditCourt, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";
import {Endings} from "../actors/Endings.sol";
import {TestTree} from "../actors/TestTree.sol";

/// @title Claims, open and blind, their windows, and what the dispute game may do to them.
contract ClaimsTest is Endings {
    uint32 internal segment;

    function setUp() public override {
        super.setUp();
        toAuditing(0);
        segment = drawnSegments()[1];
    }

    // The drawn verifier's claim

    function test_postClaim_isRecorded() public {
        claimHonestly(segment);
        ClaimRecord memory record = claimOf(segment, 0);
        assertEq(record.claimant, verifierOf(segment));
        assertTrue(record.passes);
        assertEq(record.endRoot, 0);
        assertEq(record.order, 0);
        assertEq(record.bodyHash, keccak256(abi.encode(bodyFor(segment, honestEnd(segment)))));
        assertFalse(record.closed);
    }

    function test_postClaim_otherEndRoot_isRecorded() public {
        claim(segment, "other");
        ClaimRecord memory record = claimOf(segment, 0);
        assertFalse(record.passes);
        assertEq(record.endRoot, "other");
    }

    function test_postClaim_byAnybodyElse_reverts() public {
        ClaimBody memory body = bodyFor(segment, honestEnd(segment));
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NotDrawnVerifier.selector, outsider, verifierOf(segment)));
        vm.prank(outsider);
        court.postClaim(terms, segment, body, proof);
    }

    function test_postClaim_twice_reverts() public {
        claimHonestly(segment);
        ClaimBody memory body = bodyFor(segment, honestEnd(segment));
        bytes32[] memory proof = checkpointProof(segment);
        address drawn = verifierOf(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.AlreadyClaimed.selector, drawn));
        vm.prank(drawn);
        court.postClaim(terms, segment, body, proof);
    }

    function _postClaimCall() private view returns (bytes memory) {
        ClaimBody memory body = bodyFor(segment, honestEnd(segment));
        return abi.encodeCall(IAuditCourt.postClaim, (terms, segment, body, checkpointProof(segment)));
    }

    function test_multicall_isTheSendersOwnCalls() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = _postClaimCall();
        calls[1] = abi.encodeCall(IAuditCourt.slotOf, (terms.id, segment));
        vm.prank(verifierOf(segment));
        bytes[] memory results = court.multicall(calls);
        assertEq(claimOf(segment, 0).claimant, verifierOf(segment));
        assertEq(results[1], abi.encode(court.slotOf(terms.id, segment)));
    }

    function test_multicall_oneRefused_changesNothing() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = calls[1] = _postClaimCall();
        address drawn = verifierOf(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.AlreadyClaimed.selector, drawn));
        vm.prank(drawn);
        court.multicall(calls);
        assertEq(claimOf(segment, 0).claimant, address(0));
    }

    function test_postClaim_late_reverts() public {
        ClaimBody memory body = bodyFor(segment, honestEnd(segment));
        bytes32[] memory proof = checkpointProof(segment);
        (uint64 deadline,,) = court.windowsOf(terms.id, segment);
        vm.warp(uint256(deadline) + 1);
        address drawn = verifierOf(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, 0, deadline));
        vm.prank(drawn);
        court.postClaim(terms, segment, body, proof);
        vm.warp(deadline);
        vm.prank(drawn);
        court.postClaim(terms, segment, body, proof);
    }

    function test_postClaim_badBodies_revert() public {
        address drawn = verifierOf(segment);
        bytes32[] memory proof = checkpointProof(segment);
        ClaimBody memory body = bodyFor(segment, 0);
        vm.startPrank(drawn);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadClaim.selector, "end root"));
        court.postClaim(terms, segment, body, proof);
        body = bodyFor(segment, honestEnd(segment));
        body.digest = new bytes(body.digest.length + 1);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadClaim.selector, "digest"));
        court.postClaim(terms, segment, body, proof);
        body = bodyFor(segment, honestEnd(segment));
        body.checkpointRoot = "other";
        vm.expectRevert(IAuditCourt.BadCheckpointProof.selector);
        court.postClaim(terms, segment, body, proof);
        body = bodyFor(segment, honestEnd(segment));
        body.startRoot = "other";
        vm.expectRevert(
            segment == 0
                ? abi.encodeWithSelector(IAuditCourt.BadClaim.selector, "start root")
                : abi.encodeWithSelector(IAuditCourt.BadCheckpointProof.selector)
        );
        court.postClaim(terms, segment, body, proof);
    }

    function test_postClaim_segmentNotDrawn_reverts() public {
        uint32 undrawn = 0;
        while (stateOf(undrawn) != SlotState.None) ++undrawn;
        ClaimBody memory body = bodyFor(undrawn, honestEnd(undrawn));
        bytes32[] memory proof = checkpointProof(undrawn);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, undrawn, SlotState.None));
        court.postClaim(terms, undrawn, body, proof);
    }

    // Blind claims

    function test_unblind_isAClaimLikeTheVerifiers() public {
        uint96 free = vault.freeStakeOf(whistleblower);
        placeBlind(whistleblower, segment, "other");
        assertEq(vault.freeStakeOf(whistleblower), free - numbers.blindBond);
        uint40 placedAt = uint40(vm.getBlockTimestamp());
        claimHonestly(segment);
        passClaimWindow(segment);
        assertEq(unblind(whistleblower, segment, "other"), 1);
        assertEq(vault.freeStakeOf(whistleblower), free - depositOf() - numbers.claimBond);
        ClaimRecord memory record = claimOf(segment, 1);
        assertEq(record.claimant, whistleblower);
        assertEq(record.endRoot, "other");
        assertEq(record.order, placedAt);
        record = claimOf(segment, 0);
        assertEq(record.claimant, verifierOf(segment));
        assertTrue(record.passes);
    }

    function test_unblind_outsideItsWindow_reverts() public {
        placeBlind(whistleblower, segment, "other");
        (uint64 claimDeadline, uint64 unblindDeadline,) = court.windowsOf(terms.id, segment);
        ClaimBody memory body = bodyFor(segment, "other");
        bytes32[] memory proof = checkpointProof(segment);
        bytes memory wrong =
            abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, claimDeadline + 1, unblindDeadline);
        vm.startPrank(whistleblower);
        vm.warp(claimDeadline);
        vm.expectRevert(wrong);
        court.unblind(terms, segment, body, proof, "salt");
        vm.warp(unblindDeadline + 1);
        vm.expectRevert(wrong);
        court.unblind(terms, segment, body, proof, "salt");
        vm.warp(unblindDeadline);
        court.unblind(terms, segment, body, proof, "salt");
    }

    function test_unblind_placedAfterTheClaimDeadline_reverts() public {
        passClaimWindow(segment);
        placeBlind(whistleblower, segment, "other");
        bytes32 commitment = blindCommitment(whistleblower, segment, "other");
        ClaimBody memory body = bodyFor(segment, "other");
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadBlind.selector, commitment));
        vm.prank(whistleblower);
        court.unblind(terms, segment, body, proof, "salt");
    }

    function test_unblind_twice_reverts() public {
        placeBlind(whistleblower, segment, "other");
        passClaimWindow(segment);
        unblind(whistleblower, segment, "other");
        bytes32 commitment = blindCommitment(whistleblower, segment, "other");
        ClaimBody memory body = bodyFor(segment, "other");
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadBlind.selector, commitment));
        vm.prank(whistleblower);
        court.unblind(terms, segment, body, proof, "salt");
    }

    function test_unblind_secondClaimOfAnAccount_reverts() public {
        placeBlind(whistleblower, segment, "other");
        placeBlind(whistleblower, segment, "third");
        passClaimWindow(segment);
        unblind(whistleblower, segment, "other");
        ClaimBody memory body = bodyFor(segment, "third");
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.AlreadyClaimed.selector, whistleblower));
        vm.prank(whistleblower);
        court.unblind(terms, segment, body, proof, "salt");
    }

    function test_unblind_byTheDrawnVerifier_reverts() public {
        address drawn = verifierOf(segment);
        stake(drawn, 1000 * TOKEN); // idle: what is on duty cannot be a bond
        placeBlind(drawn, segment, "other");
        passClaimWindow(segment);
        ClaimBody memory body = bodyFor(segment, "other");
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.AlreadyClaimed.selector, drawn));
        vm.prank(drawn);
        court.unblind(terms, segment, body, proof, "salt");
    }

    function test_unblind_bySolver_isAllowed() public {
        placeBlind(solver, segment, honestEnd(segment));
        passClaimWindow(segment);
        assertEq(unblind(solver, segment, honestEnd(segment)), 1);
    }

    /// @dev Somebody who copies a commitment from the pool and places it first must not be in its maker's way.
    function test_placeBlind_copiedCommitment_hindersNobody() public {
        bytes32 commitment = blindCommitment(whistleblower, segment, "other");
        vm.prank(secondWhistleblower);
        court.placeBlind(commitment);
        vm.prank(whistleblower);
        court.placeBlind(commitment);
        passClaimWindow(segment);
        unblind(whistleblower, segment, "other");
    }

    function test_placeBlind_twice_reverts() public {
        placeBlind(whistleblower, segment, "other");
        bytes32 commitment = blindCommitment(whistleblower, segment, "other");
        vm.expectPartialRevert(IStakeVault.EngagementExists.selector);
        vm.prank(whistleblower);
        court.placeBlind(commitment);
    }

    function test_forfeitBlind_onlyWhenNoWindowCanBeOpen() public {
        placeBlind(whistleblower, segment, "other");
        uint96 free = vault.freeStakeOf(whistleblower);
        bytes32 commitment = blindCommitment(whistleblower, segment, "other");
        uint256 last = vm.getBlockTimestamp() + 2 * uint256(numbers.maxClaimWindow) + numbers.unblindWindow;
        vm.warp(last);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, last + 1, type(uint64).max));
        court.forfeitBlind(whistleblower, commitment);
        vm.warp(last + 1);
        court.forfeitBlind(whistleblower, commitment);
        assertEq(treasury.balance(), numbers.blindBond);
        assertEq(vault.freeStakeOf(whistleblower), free);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadBlind.selector, commitment));
        court.forfeitBlind(whistleblower, commitment);
    }

    function test_reclaimBlind_onlyAfterAVoidOrAMalformedStart() public {
        placeBlind(whistleblower, segment, "other");
        uint96 free = vault.freeStakeOf(whistleblower);
        bytes32 bodyHash = keccak256(abi.encode(bodyFor(segment, "other")));
        vm.startPrank(whistleblower);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Drawn));
        court.reclaimBlind(terms, segment, 0, bodyHash, "salt");
        market.voidInvalidProgram(terms, fault());
        court.reclaimBlind(terms, segment, 0, bodyHash, "salt");
        assertEq(vault.freeStakeOf(whistleblower), free + numbers.blindBond);
        vm.expectPartialRevert(IAuditCourt.BadBlind.selector);
        court.reclaimBlind(terms, segment, 0, bodyHash, "salt");
    }

    // The dispute game

    function _twoClaims() private {
        placeBlind(whistleblower, segment, "other");
        claimHonestly(segment);
        passClaimWindow(segment);
        unblind(whistleblower, segment, "other");
        passUnblindWindow(segment);
    }

    function test_gameFunctions_byAnybodyElse_revert() public {
        ClaimRef memory ref = refOf(segment, 0);
        bytes memory notModule = abi.encodeWithSelector(IAuditCourt.NotModule.selector, outsider);
        vm.startPrank(outsider);
        vm.expectRevert(notModule);
        court.convict(ref, false, outsider);
        vm.expectRevert(notModule);
        court.convictDigest(ref, 0, 0, outsider);
        vm.expectRevert(notModule);
        court.disputeOpened(ref);
        vm.expectRevert(notModule);
        court.disputeClosed(ref);
    }

    function test_convict_movesTheBondOnce() public {
        _twoClaims();
        uint256 before = wealthOf(whistleblower);
        convict(segment, 0, false, whistleblower);
        assertEq(wealthOf(whistleblower), before + numbers.claimBond / 2);
        assertEq(treasury.balance(), numbers.claimBond - numbers.claimBond / 2);
        convict(segment, 0, false, solver);
        convict(segment, 0, true, whistleblower);
        assertEq(wealthOf(whistleblower), before + numbers.claimBond / 2);
        ClaimRecord memory record = claimOf(segment, 0);
        assertTrue(record.convicted && record.digestConvicted);
        assertEq(record.digestFinder, whistleblower);
    }

    /// @dev Whether it was forced shows later; and a digest says nothing about how a segment ended.
    function test_convict_digest_movesNothingYet_andTheClaimStands() public {
        _twoClaims();
        uint256 before = wealthOf(whistleblower);
        convict(segment, 0, true, whistleblower);
        assertEq(wealthOf(whistleblower), before);
        assertEq(treasury.balance(), 0);
        ClaimRecord memory record = claimOf(segment, 0);
        assertTrue(record.digestConvicted && !record.convicted);
        passDisputeWindow(segment);
        court.finalize(terms, segment, 100);
        assertEq(court.slotOf(terms.id, segment).standing, 1);
    }

    function test_convict_digestTwice_keepsTheFirstFinder() public {
        _twoClaims();
        convict(segment, 0, true, whistleblower);
        convict(segment, 0, true, solver);
        assertEq(claimOf(segment, 0).digestFinder, whistleblower);
    }

    function test_convict_loneOrUnknownClaim_reverts() public {
        claimHonestly(segment);
        ClaimRef memory lone = refOf(segment, 0);
        ClaimRef memory unknown = refOf(segment, 3);
        vm.startPrank(game);
        vm.expectRevert(IAuditCourt.NoSuchClaim.selector);
        court.convict(lone, false, whistleblower);
        vm.expectRevert(IAuditCourt.NoSuchClaim.selector);
        court.convict(unknown, false, whistleblower);
    }

    function test_disputeOpened_outsideTheDisputeWindow_reverts() public {
        _twoClaims();
        ClaimRef memory ref = refOf(segment, 0);
        (, uint64 unblindDeadline, uint64 openDeadline) = court.windowsOf(terms.id, segment);
        bytes memory wrong = abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, unblindDeadline + 1, openDeadline);
        vm.startPrank(game);
        vm.warp(unblindDeadline);
        vm.expectRevert(wrong);
        court.disputeOpened(ref);
        vm.warp(openDeadline + 1);
        vm.expectRevert(wrong);
        court.disputeOpened(ref);
        vm.warp(openDeadline);
        court.disputeOpened(ref);
    }

    function test_convict_afterTheWindow_onlyInAnOpenDispute() public {
        _twoClaims();
        ClaimRef memory ref = refOf(segment, 0);
        vm.prank(game);
        court.disputeOpened(ref);
        passDisputeWindow(segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.DisputesOpen.selector, 1));
        court.finalize(terms, segment, 100);
        vm.startPrank(game);
        court.convict(ref, false, whistleblower);
        court.disputeClosed(ref);
        (,, uint64 openDeadline) = court.windowsOf(terms.id, segment);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, 0, openDeadline));
        court.convict(ref, false, whistleblower);
    }

    function test_convict_finalSegment_reverts_butDisputesClose() public {
        _twoClaims();
        ClaimRef memory ref = refOf(segment, 0);
        vm.prank(game);
        court.disputeOpened(ref);
        market.voidInvalidProgram(terms, fault());
        vm.startPrank(game);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Moot));
        court.convict(ref, false, whistleblower);
        court.disputeClosed(ref);
        assertEq(court.slotOf(terms.id, segment).openDisputes, 0);
    }
}
