// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ForcedErrors} from "../../../contracts/audit/ForcedErrors.sol";
import {ClaimBody, ClaimRef, IAuditCourt, Opening, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {ITaskMarket, TaskOffer, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";

/// @title Forced errors: who is told, what is opened, who is paid and who is slashed.
contract ForcedErrorsTest is Endings {
    uint32 internal segment;
    uint256 internal step;
    ClaimBody internal posted;

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        (p.forcedBps, p.jackpotMultiple, p.openingWindow) = (5000, 3, 1 days);
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.levy = 16 * TOKEN;
    }

    // Scenes

    /// @dev A task in audit whose first drawn segment's verifier is told to err, or is not: verifiers change their trees until it is so.
    function _begin(bool errs) private {
        _begin(errs, 0);
    }

    function _begin(bool errs, uint256 bad) private {
        for (uint256 i = 0;; ++i) {
            uint256 snapshot = vm.snapshotState();
            if (i != 0) {
                salt = i;
                commitTree(verifier, 1);
                commitTree(secondVerifier, 1);
                vm.roll(block.number + 1);
            }
            toAuditing(bad);
            segment = drawnSegments()[0];
            (bool actual, uint256 actualStep) = told(segment);
            step = actualStep;
            if (actual == errs) return;
            vm.revertToState(snapshot);
        }
    }

    function _post(ClaimBody memory body) private {
        bytes32[] memory proof = checkpointProof(segment);
        vm.prank(verifierOf(segment));
        court.postClaim(terms, segment, body, proof);
        posted = body;
        claimHonestly(drawnSegments()[1]);
    }

    function _postAsTold() private {
        _post(drawnBody(segment, honestEnd(segment)));
    }

    /// @dev A whistleblower's right claim, naming an entry (place: step + 1).
    function _whistle(address account, uint256 place, bytes32 endRoot) private returns (uint16) {
        uint256 begun = vm.getBlockTimestamp();
        ClaimBody memory body = bodyFor(segment, endRoot);
        body.commitment = bytes32(place);
        bytes32[] memory proof = checkpointProof(segment);
        bytes32 blind =
            keccak256(abi.encode(account, terms.id, segment, uint8(0), keccak256(abi.encode(body)), bytes32("salt")));
        vm.startPrank(account);
        (, uint64 unblindDeadline,) = court.windowsOf(terms.id, segment);
        court.placeBlind(blind);
        vm.warp(unblindDeadline);
        uint16 index = court.unblind(terms, segment, body, proof, "salt");
        vm.stopPrank();
        vm.warp(begun);
        return index;
    }

    function _catch(address winner, uint256 where, bytes8 entry) private {
        ClaimRef memory ref = refOf(segment, 0);
        passUnblindWindow(segment);
        vm.startPrank(game);
        court.disputeOpened(ref);
        court.convictDigest(ref, uint8(where), entry, winner);
        court.disputeClosed(ref);
        vm.stopPrank();
    }

    function _settle() private {
        passDisputeWindow(segment);
        market.settle(terms);
    }

    function _opening() private view returns (Opening memory opening) {
        opening = openingFor(segment, posted);
        opening.tree = salt == 0 ? 0 : 1;
    }

    function _open() private {
        court.openSecret(terms, _opening());
    }

    /// @dev What opening the secret brings an account.
    function _gain(address account) private returns (uint256) {
        uint256 snapshot = vm.snapshotState();
        uint256 before = wealthOf(account);
        _open();
        uint256 gain = wealthOf(account) - before;
        vm.revertToState(snapshot);
        return gain;
    }

    function _locked() private view returns (uint96) {
        return depositOf() + numbers.claimBond;
    }

    function _jackpot() private view returns (uint96) {
        return costOf() * numbers.jackpotMultiple;
    }

    // Opened as it should be

    function test_notTold_opened_givesTheDepositBack_andPaysNothing() public {
        _begin(false);
        _postAsTold();
        address drawn = verifierOf(segment);
        uint256 owed = vault.owedTo(drawn);
        _settle();
        assertTask(TaskState.Settled);
        assertGe(vault.owedTo(drawn), owed + terms.wage, "the wage does not wait for the secret");
        assertFalse(claimOf(segment, 0).closed);
        uint256 brought = treasury.balance();
        assertEq(_gain(drawn), _locked());
        _open();
        assertEq(treasury.balance(), brought);
        Opening memory opening = _opening();
        vm.expectRevert(IAuditCourt.AlreadyClosed.selector);
        court.openSecret(terms, opening);
    }

    function test_told_uncaught_paysTheVerifierFiveFourthsOfJ() public {
        _begin(true);
        _postAsTold();
        _settle();
        uint256 brought = treasury.balance();
        address drawn = verifierOf(segment);
        assertEq(_gain(drawn), _locked() + uint256(_jackpot()) * 5 / 4);
        vm.expectEmit(address(court));
        emit IAuditCourt.ForcedError(terms.id, segment, 0, drawn, uint8(step), true, 0);
        _open();
        assertEq(treasury.balance(), brought - uint256(_jackpot()) * 5 / 4);
    }

    function test_told_caughtByOne_paysItJ_andTakesNothingFromTheVerifier() public {
        _begin(true);
        _postAsTold();
        _whistle(whistleblower, step + 1, honestEnd(segment));
        _catch(whistleblower, step, RIGHT);
        address drawn = verifierOf(segment);
        _settle();
        assertSlot(segment, SlotState.Passed);
        assertEq(court.slotOf(terms.id, segment).standing, 1, "a digest says nothing about the end root");
        assertEq(_gain(whistleblower), _jackpot());
        assertEq(_gain(drawn), _locked() + _jackpot() / 4);
        _open();
        assertTrue(claimOf(segment, 0).closed);
    }

    function test_told_caughtByTwo_paysEachAFifth_whoeverProvedIt() public {
        _begin(true);
        _postAsTold();
        _whistle(whistleblower, step + 1, honestEnd(segment));
        _whistle(secondWhistleblower, step + 1, honestEnd(segment));
        _catch(secondWhistleblower, step, RIGHT);
        _settle();
        assertEq(_gain(whistleblower), _jackpot() / 5);
        assertEq(_gain(secondWhistleblower), _jackpot() / 5);
        assertEq(_gain(verifierOf(segment)), _locked() + _jackpot() / 20);
    }

    function test_told_namedByNobody_paysWhoProvedIt() public {
        _begin(true);
        _postAsTold();
        _whistle(whistleblower, uint256(keccak256("no place")), honestEnd(segment));
        _catch(whistleblower, step, RIGHT);
        _settle();
        assertEq(_gain(whistleblower), _jackpot());
    }

    function test_told_namedButNotProven_isUncaught() public {
        _begin(true);
        _postAsTold();
        _whistle(whistleblower, step + 1, honestEnd(segment));
        _settle();
        assertEq(_gain(whistleblower), 0);
        assertEq(_gain(verifierOf(segment)), _locked() + uint256(_jackpot()) * 5 / 4);
    }

    function test_told_namedByAWrongClaim_paysTheRightOneAlone() public {
        _begin(true);
        _postAsTold();
        uint16 wrong = _whistle(whistleblower, step + 1, "other");
        _whistle(secondWhistleblower, step + 1, honestEnd(segment));
        _catch(whistleblower, step, RIGHT);
        convict(segment, wrong, false, secondWhistleblower);
        _settle();
        assertEq(_gain(whistleblower), 0);
        assertEq(_gain(secondWhistleblower), _jackpot());
    }

    function test_told_namedByAClaimWithAConvictedDigest_isNotShared() public {
        _begin(true);
        _postAsTold();
        uint16 lazy = _whistle(whistleblower, step + 1, honestEnd(segment));
        _whistle(secondWhistleblower, step + 1, honestEnd(segment));
        _catch(secondWhistleblower, step, RIGHT);
        convict(segment, lazy, true, secondWhistleblower);
        _settle();
        assertEq(_gain(whistleblower), 0);
        assertEq(_gain(secondWhistleblower), _jackpot());
    }

    function test_openSecret_byAnybody_isTheSame() public {
        _begin(true);
        _postAsTold();
        _settle();
        address drawn = verifierOf(segment);
        uint256 before = wealthOf(drawn);
        vm.prank(outsider);
        _open();
        assertEq(wealthOf(drawn), before + _locked() + uint256(_jackpot()) * 5 / 4);
    }

    // Not as told

    function _assertSlashed() private {
        _settle();
        uint256 brought = treasury.balance();
        address drawn = verifierOf(segment);
        assertEq(_gain(drawn), 0);
        _open();
        assertEq(treasury.balance(), brought + _locked());
    }

    function test_told_skipped_costsDepositAndBond() public {
        _begin(true);
        ClaimBody memory body = drawnBody(segment, honestEnd(segment));
        putEntry(body, step, RIGHT);
        _post(body);
        _assertSlashed();
    }

    function test_told_anotherWrongValue_costsDepositAndBond() public {
        _begin(true);
        ClaimBody memory body = drawnBody(segment, honestEnd(segment));
        putEntry(body, step, bytes8("made up"));
        _post(body);
        _assertSlashed();
    }

    function _assertConvicted() private {
        _settle();
        uint256 found = uint256(depositOf()) * numbers.finderBps / 10_000 + numbers.claimBond / 2;
        assertEq(_gain(whistleblower), found);
        assertEq(_gain(verifierOf(segment)), 0);
        uint256 brought = treasury.balance();
        _open();
        assertEq(treasury.balance(), brought + _locked() - found);
    }

    function test_notTold_butWrong_costsWhatAWrongDigestCosts() public {
        _begin(false);
        _postAsTold();
        _whistle(whistleblower, 1, honestEnd(segment));
        _catch(whistleblower, 0, RIGHT);
        _assertConvicted();
    }

    function test_told_wrongElsewhere_costsWhatAWrongDigestCosts() public {
        _begin(true);
        _postAsTold();
        uint256 other = step == 0 ? 1 : step - 1;
        _whistle(whistleblower, other + 1, honestEnd(segment));
        _catch(whistleblower, other, RIGHT);
        _assertConvicted();
    }

    function test_told_convictedBySilence_costsWhatAWrongDigestCosts() public {
        _begin(true);
        _postAsTold();
        _whistle(whistleblower, step + 1, honestEnd(segment));
        passUnblindWindow(segment);
        convict(segment, 0, true, whistleblower);
        _assertConvicted();
    }

    /// @dev Who did not replay knows what it was told, and cannot commit to what the entry should have been.
    function test_told_boundToAnotherEntryThanTheProvenOne_costsWhatAWrongDigestCosts() public {
        _begin(true);
        _postAsTold();
        _whistle(whistleblower, step + 1, honestEnd(segment));
        _catch(whistleblower, step, bytes8("proven"));
        _assertConvicted();
    }

    function test_wrongEndRoot_isSlashedWithoutTheSecret_asEver() public {
        _begin(true);
        _post(drawnBody(segment, "slander"));
        _whistle(whistleblower, step + 1, honestEnd(segment));
        passUnblindWindow(segment);
        convict(segment, 0, false, whistleblower);
        _settle();
        uint256 before = wealthOf(whistleblower);
        court.closeClaim(terms, segment, 0, 0);
        assertEq(wealthOf(whistleblower), before + uint256(depositOf()) * numbers.finderBps / 10_000);
    }

    // Not opened

    function test_notOpened_isSlashedAfterTheDeadline_byAnybody() public {
        _begin(false);
        _postAsTold();
        _settle();
        uint64 deadline = market.deadlineOf(terms.id);
        assertEq(deadline, block.timestamp + numbers.openingWindow);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.SecretAwaited.selector, deadline));
        court.closeClaim(terms, segment, 0, 0);
        assertEq(_gain(verifierOf(segment)), _locked(), "the last second");
        vm.warp(uint256(deadline) + 1);
        Opening memory opening = _opening();
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, 0, deadline));
        court.openSecret(terms, opening);
        uint256 brought = treasury.balance();
        court.closeClaim(terms, segment, 0, 0);
        assertEq(treasury.balance(), brought + _locked());
    }

    function test_openSecret_badly_reverts() public {
        _begin(true);
        _postAsTold();
        passUnblindWindow(segment);
        Opening memory opening = _opening();
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongTaskState.selector, terms.id, TaskState.Auditing));
        court.openSecret(terms, opening);
        market.settle(terms);
        opening.tree = 7;
        _refuses(opening, "tree");
        opening = _opening();
        opening.proof = new bytes32[](13);
        _refuses(opening, "proof");
        opening = _opening();
        opening.secret = "guess";
        _refuses(opening, "secret");
        opening = _opening();
        opening.entry = "other";
        _refuses(opening, "entry");
        opening = _opening();
        opening.body[0].traceRoot = "other";
        _refuses(opening, "body");
        opening.body = new ClaimBody[](0);
        _refuses(opening, "body");
        terms.levy += 1;
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongTerms.selector, terms.id));
        court.openSecret(terms, opening);
    }

    function _refuses(Opening memory opening, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadOpening.selector, what));
        court.openSecret(terms, opening);
    }

    // Other ends

    function test_told_inARejectedTask_getsItsDepositBack_andNobodyJ() public {
        _begin(true, type(uint256).max);
        _postAsTold();
        _settle();
        assertTask(TaskState.Rejected);
        uint256 brought = treasury.balance();
        assertEq(_gain(verifierOf(segment)), _locked());
        _open();
        assertEq(treasury.balance(), brought);
    }

    function test_void_givesEverythingBackWithoutASecret() public {
        _begin(true);
        _postAsTold();
        market.voidInvalidProgram(terms, fault());
        Opening memory opening = _opening();
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.Moot));
        court.openSecret(terms, opening);
        uint256 before = wealthOf(verifierOf(segment));
        court.closeClaim(terms, segment, 0, 0);
        assertEq(wealthOf(verifierOf(segment)), before + _locked());
    }

    /// @dev Where the treasury is empty the reward is owed, and the deposit is back all the same.
    function test_told_emptyTreasury_owesTheReward() public {
        _begin(true);
        _postAsTold();
        _settle();
        vm.startPrank(address(treasury));
        address[] memory to = new address[](1);
        uint96[] memory all = new uint96[](1);
        (to[0], all[0]) = (outsider, uint96(treasury.balance()));
        vault.pay(to, all, "");
        vm.stopPrank();
        address drawn = verifierOf(segment);
        assertEq(_gain(drawn), _locked());
        _open();
        assertEq(treasury.arrearsOf(drawn), uint256(_jackpot()) * 5 / 4);
    }

    // Trees

    function test_registerVerifier_withoutSecrets_reverts() public {
        stake(outsider, VERIFIER_STAKE);
        vm.startPrank(outsider);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NoSecrets.selector, outsider));
        court.registerVerifier(type(uint96).max);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NoSecrets.selector, outsider));
        court.commitSecrets(0);
        court.commitSecrets("root");
        court.registerVerifier(type(uint96).max);
        assertEq(court.weightOf(outsider), VERIFIER_STAKE / TOKEN);
    }

    function test_newTree_leavesAssignmentsWithTheOld() public {
        _begin(false);
        _postAsTold();
        uint256 old = salt;
        salt = 1000;
        commitTree(verifierOf(segment), 1);
        Opening memory opening = _opening();
        opening.tree = old == 0 ? 1 : 2;
        _settle();
        _refuses(opening, "tree");
        salt = old;
        assertEq(_gain(verifierOf(segment)), _locked());
    }

    /// @dev Who saw the value may commit to what it likes: it is not drawn by it.
    function test_draw_treeFromAfterTheValue_isPassedOver() public {
        toCommitted(0);
        rollToValue();
        commitTree(verifier, 1);
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        assertEq(verifierOf(segments[0]), secondVerifier);
        assertEq(verifierOf(segments[1]), secondVerifier);
    }

    function test_draw_treesUsedUp_stalls_andTheTaskEndsWithoutHarm() public {
        // The trees serve for the first 2^14 tasks; where the market counts them is in tests/snapshots/storage.
        vm.store(address(market), bytes32(uint256(3)), bytes32(uint256(1 << ForcedErrors.HEIGHT)));
        uint256 before = wealthOf(solver);
        toCommitted(0);
        assertEq(terms.id, (1 << ForcedErrors.HEIGHT) + 1);
        rollToValue();
        vm.expectEmit(true, false, false, false, address(court));
        emit IAuditCourt.DrawStalled(terms.id, 0, 0);
        court.drawAudits(terms);
        vm.warp(uint256(market.deadlineOf(terms.id)) + 1);
        market.expireUndrawn(terms);
        assertEq(wealthOf(solver), before);
    }

    function testFuzz_covers_oneTreesLeavesInARow(uint32 tasks, uint32 task, uint32 atBlock) public pure {
        uint256 first = tasks > ForcedErrors.BEHIND ? tasks - ForcedErrors.BEHIND : 0;
        uint256 note = uint256(1) << 64 | uint256(1000) << 32 | uint32(first);
        bool inside = task >= first && task - first < 1 << ForcedErrors.HEIGHT;
        assertEq(ForcedErrors.covers(note, task, atBlock), inside && atBlock >= 1000);
        assertFalse(ForcedErrors.covers(0, task, atBlock));
    }

    // Numbers

    function test_submit_levyThatCannotCarryForcedErrors_reverts() public {
        TaskOffer memory offer = defaultOffer();
        // c = 4, p = 1/2, J = 3 c, two audits: 2 x 0.5 x 1.25 x 12.
        offer.levy = 15 * TOKEN;
        submitOffer(offer);
        offer.levy = 15 * TOKEN - 1;
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.BadOffer.selector, "levy"));
        market.submit(offer);
    }

    /// @dev The same numbers are in tests/offchain/dispute/test_forced.py.
    function test_knownAnswers_areThoseOfPython() public pure {
        bytes32 secret = bytes32(uint256(0x11) * (type(uint256).max / 255));
        bytes32 value = bytes32(uint256(0x22) * (type(uint256).max / 255));
        bytes32 assignment = bytes32(uint256(0x33) * (type(uint256).max / 255));
        uint256[4] memory lengths = [uint256(1), 4, 7, 64];
        uint256[4] memory places = [uint256(0), 2, 5, 46];
        for (uint256 i = 0; i < 4; ++i) {
            (bool errs, uint256 place) = ForcedErrors.told(secret, value, assignment, lengths[i], 10_000);
            assertTrue(errs);
            assertEq(place, places[i]);
            (errs,) = ForcedErrors.told(secret, value, assignment, lengths[i], 1000);
            assertFalse(errs);
        }
        (bool other, uint256 later) =
            ForcedErrors.told(bytes32(uint256(3) * (type(uint256).max / 255)), value, assignment, 64, 1000);
        assertTrue(other);
        assertEq(later, 49);
        assertEq(ForcedErrors.forcedEntry(secret, assignment), bytes8(0x8cafdacd659a32b3));
        assertEq(
            ForcedErrors.commitmentOf(secret, assignment, 0x0001020304050607),
            0x28c33e4e4d7f503d74051a5cf0ab2bd06b3f3f9cb400490290aa29ea02a41990
        );
    }

    /// @dev Of many secrets a share p is told; entry s or an earlier one in ((s + 1) / n)^2 of cases.
    function test_told_isSpreadAsItShould() public pure {
        uint256 tells;
        uint256[4] memory places;
        for (uint256 i = 0; i < 4000; ++i) {
            (bool errs, uint256 place) = ForcedErrors.told(bytes32(i), "value", "assignment", 4, 2500);
            if (errs) ++tells;
            ++places[place];
        }
        assertApproxEqAbs(tells, 1000, 100);
        for (uint256 s = 0; s < 4; ++s) {
            assertApproxEqAbs(places[s], 250 * (2 * s + 1), 100);
        }
    }

    function testFuzz_told_staysWithinTheSegment(bytes32 secret, bytes32 value, bytes32 assignment, uint256 steps)
        public
        pure
    {
        steps = bound(steps, 1, 64);
        (bool always, uint256 place) = ForcedErrors.told(secret, value, assignment, steps, 10_000);
        assertTrue(always);
        assertLt(place, steps);
        (bool never,) = ForcedErrors.told(secret, value, assignment, steps, 0);
        assertFalse(never);
    }

    /// @dev Whoever else looks: a verifier gains nothing by finders of its own, and finders nothing by claims of their own.
    function testFuzz_rewards_leaveNothingToCollusion(uint96 jackpot, uint256 others, uint256 friends) public pure {
        // As `ParametersLib` and the market have it: 5/4 J is at most a claim's deposit, which fits.
        jackpot = uint96(bound(jackpot, 0, type(uint96).max / 5 * 4));
        others = bound(others, 0, 4);
        friends = bound(friends, 1, 4);
        if (others + friends > 4) return;
        (uint96 alone, uint96 verifierAlone) = ForcedErrors.rewards(jackpot, others);
        (uint96 each, uint96 verifierCaught) = ForcedErrors.rewards(jackpot, others + friends);
        assertLe(uint256(each) * friends + verifierCaught, verifierAlone);
        if (others != 0) assertLe(each, alone);
        (uint96 one,) = ForcedErrors.rewards(jackpot, others + 1);
        assertLe(uint256(each) * friends, one);
        assertLe(uint256(each) * (others + friends) + verifierCaught, uint256(jackpot) * 5 / 4);
    }
}
