// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {
    Chunks,
    Demand,
    DemandParameters,
    DemandState,
    IDataDemands,
    Piece,
    PieceKind,
    Place,
    StatePath,
    Subject
} from "../../../contracts/interfaces/IDataDemands.sol";
import {TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {ParametersLib} from "../../../contracts/types/Parameters.sol";
import {DemandScene} from "./DemandScene.sol";

/// @title Demands for data: what can be demanded, by whom and when, what answers, and what silence costs.
contract DataDemandsTest is DemandScene {
    address internal drawn;

    function setUp() public override {
        super.setUp();
        _audit();
        drawn = verifierOf(SEGMENT);
    }

    function _link() private view returns (Piece memory) {
        return _piece(PieceKind.Link, 0, 0);
    }

    function _allPieces() private view returns (Piece[10] memory) {
        return [
            _link(),
            _piece(PieceKind.Items, 0, 0),
            _piece(PieceKind.Items, 0, 1),
            Piece(terms.id, SEGMENT, PieceKind.Items, true, 0, 0),
            _piece(PieceKind.Constant, 0, 0),
            _piece(PieceKind.State, 1, 0),
            _piece(PieceKind.State, 1, 1),
            Piece(terms.id, 0, PieceKind.Link, false, 0, 0),
            // the checkpoint before `SEGMENT` is what the segment before it ends in
            Piece(terms.id, SEGMENT - 1, PieceKind.Committed, false, 1, 0),
            Piece(terms.id, SEGMENT - 1, PieceKind.Committed, false, 1, 1)
        ];
    }

    // Answers

    function test_answer_everyKind_paysTheSolverThePlainFee() public {
        Piece[10] memory pieces = _allPieces();
        for (uint256 i = 0; i < pieces.length; ++i) {
            uint256 asker = wealthOf(drawn);
            uint256 before = wealthOf(solver);
            uint256 brought = treasury.balance();
            Subject memory subject = _demand(drawn, pieces[i]);
            DemandParameters memory p = demands.parameters();
            uint256 plain = p.flatFee + uint256(subject.length) * p.byteFee;
            (, uint96 fee) = vault.engagementOf(address(demands), demands.idOf(pieces[i]));
            assertEq(wealthOf(drawn), asker - fee);
            _assertState(pieces[i], DemandState.Open);
            _answer(pieces[i], subject);
            _assertState(pieces[i], DemandState.Answered);
            assertEq(wealthOf(solver), before + plain);
            assertEq(treasury.balance(), brought + fee - plain);
        }
    }

    function test_answer_anybodys_paysTheSolver() public {
        Subject memory subject = _demand(drawn, _link());
        uint256 before = wealthOf(solver);
        uint256 outside = wealthOf(outsider);
        vm.startPrank(outsider);
        _answer(_link(), subject);
        vm.stopPrank();
        assertGt(wealthOf(solver), before);
        assertEq(wealthOf(outsider), outside);
    }

    function test_answer_twice_reverts() public {
        Subject memory subject = _demand(drawn, _link());
        _answer(_link(), subject);
        bytes32 id = demands.idOf(_link());
        bytes32[] memory proof = checkpointProof(SEGMENT);
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.WrongDemand.selector, id, DemandState.Answered));
        demands.answerLink(_link(), subject, checkpoints[SEGMENT - 1], checkpoints[SEGMENT], proof);
    }

    function test_answer_late_reverts() public {
        Subject memory subject = _demand(drawn, _link());
        uint40 deadline = _held(_link()).deadline;
        bytes32[] memory proof = checkpointProof(SEGMENT);
        vm.warp(uint256(deadline) + 1);
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.DemandOverdue.selector, deadline));
        demands.answerLink(_link(), subject, checkpoints[SEGMENT - 1], checkpoints[SEGMENT], proof);
        vm.warp(deadline);
        _answer(_link(), subject);
    }

    function test_answerLink_otherRoots_reverts() public {
        Subject memory subject = _demand(drawn, _link());
        bytes32[] memory proof = checkpointProof(SEGMENT);
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerLink(_link(), subject, checkpoints[SEGMENT - 1], "other", proof);
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerLink(_link(), subject, "other", checkpoints[SEGMENT], proof);
    }

    function test_answerItems_otherItems_reverts() public {
        Piece memory piece = _piece(PieceKind.Items, 0, 1);
        Subject memory subject = _demand(drawn, piece);
        (bytes[] memory items, bytes32[] memory proof) = _run(1);
        items[3] = "other";
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerItems(piece, subject, items, proof);
        (items, proof) = _run(0);
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerItems(piece, subject, items, proof);
    }

    function test_answerChunks_otherBytes_reverts() public {
        Piece memory piece = _piece(PieceKind.State, 1, 1);
        Subject memory subject = _demand(drawn, piece);
        bytes memory header = _tensorHeader();
        StatePath memory path = _path();
        (bytes memory data, bytes32[] memory proof) = _chunks(_tensor(), 1);
        data[0] ^= 0x01;
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerChunks(piece, subject, Chunks(header, data, proof), path);
        data[0] ^= 0x01;
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerChunks(piece, subject, Chunks(header, bytes.concat(data, "x"), proof), path);
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerChunks(piece, subject, Chunks(_constantHeader(), data, proof), path);
        path.start = "other";
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerChunks(piece, subject, Chunks(header, data, proof), path);
        demands.answerChunks(piece, subject, Chunks(header, data, proof), _path());
        _assertState(piece, DemandState.Answered);
    }

    function test_answer_ofAnotherKind_reverts() public {
        Subject memory subject = _demand(drawn, _link());
        (bytes[] memory items, bytes32[] memory proof) = _run(0);
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerItems(_link(), subject, items, proof);
        bytes memory header = _tensorHeader();
        StatePath memory path = _path();
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerChunks(_link(), subject, Chunks(header, "", proof), path);
        Piece memory piece = _piece(PieceKind.Items, 0, 0);
        subject = _demand(drawn, piece);
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerLink(piece, subject, "", "", proof);
    }

    function test_answer_anotherSubject_reverts() public {
        Subject memory subject = _demand(drawn, _link());
        bytes32[] memory proof = checkpointProof(SEGMENT);
        subject.length += 1;
        vm.expectRevert(IDataDemands.WrongAnswer.selector);
        demands.answerLink(_link(), subject, checkpoints[SEGMENT - 1], checkpoints[SEGMENT], proof);
    }

    // What can be demanded

    function _refuses(Piece memory piece, Place memory place, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.NoSuchPiece.selector, what));
        vm.prank(drawn);
        demands.demand(terms, piece, place);
    }

    function test_demand_pieceThatIsNot_reverts() public {
        Place memory none;
        _refuses(_piece(PieceKind.Link, 1, 0), none, "run");
        _refuses(_piece(PieceKind.Link, 0, 1), none, "run");
        Piece memory piece = _piece(PieceKind.Items, 0, 0);
        Place memory place = _place(piece);
        _refuses(_piece(PieceKind.Items, 0, 2), place, "run");
        _refuses(_piece(PieceKind.Items, 3, 0), place, "run");
        _refuses(_piece(PieceKind.Items, 4, 0), place, "list");
        place.header = _header(true);
        _refuses(piece, place, "header");
        piece = _piece(PieceKind.State, 1, 0);
        place = _place(piece);
        _refuses(_piece(PieceKind.State, 1, 2), place, "run");
        _refuses(_piece(PieceKind.State, 0, 0), place, "entry");
        _refuses(Piece(terms.id, 0, PieceKind.State, false, 1, 0), place, "segment");
        place.header = _header(true);
        _refuses(Piece(terms.id, SEGMENT, PieceKind.State, true, 1, 0), place, "segment");
        piece = _piece(PieceKind.Constant, 0, 0);
        place = _place(piece);
        place.entry = bytes.concat(place.entry, "x");
        _refuses(piece, place, "entry");
    }

    function test_demand_twice_reverts_alsoOfAnAnsweredPiece() public {
        Subject memory subject = _demand(drawn, _link());
        bytes32 id = demands.idOf(_link());
        Place memory none;
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.AlreadyDemanded.selector, id));
        vm.prank(outsider);
        demands.demand(terms, _link(), none);
        _answer(_link(), subject);
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.AlreadyDemanded.selector, id));
        vm.prank(drawn);
        demands.demand(terms, _link(), none);
    }

    function test_demand_ofATaskThatIsNotAudited_reverts() public {
        Place memory none;
        TaskTerms memory other = terms;
        other.seed += 1;
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.NotAudited.selector, terms.id));
        demands.demand(other, _link(), none);
        other = submitOffer(defaultOffer());
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.NotAudited.selector, other.id));
        demands.demand(other, Piece(other.id, 0, PieceKind.Link, false, 0, 0), none);
    }

    function test_demand_ofASegmentThatIsNotDrawn_reverts() public {
        Place memory none;
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.NotOpen.selector, 5));
        demands.demand(terms, Piece(terms.id, 5, PieceKind.Link, false, 0, 0), none);
    }

    function test_demand_afterTheClaimWindow_reverts() public {
        Place memory none;
        passClaimWindow(SEGMENT);
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.NotOpen.selector, SEGMENT));
        vm.prank(drawn);
        demands.demand(terms, _link(), none);
    }

    function test_demand_withoutStake_reverts() public {
        Place memory none;
        vm.expectRevert();
        vm.prank(makeAddr("poor"));
        demands.demand(terms, _link(), none);
    }

    // Clocks

    function test_demand_ofTheDrawnVerifier_stopsItsClock() public {
        uint64 ends = _claimDeadline();
        vm.warp(ends - 100);
        Subject memory subject = _demand(drawn, _link());
        uint64 due = _held(_link()).deadline;
        assertEq(_claimDeadline(), due + 100);
        vm.warp(block.timestamp + 1 hours);
        _answer(_link(), subject);
        assertEq(_claimDeadline(), vm.getBlockTimestamp() + 100, "what was left when it asked");
        vm.warp(vm.getBlockTimestamp() + 100);
        claim(SEGMENT, honestEnd(SEGMENT));
    }

    function test_demands_severalOfTheDrawnVerifier_standStillUntilTheLast() public {
        uint64 ends = _claimDeadline();
        Piece memory second = _piece(PieceKind.Items, 0, 0);
        vm.warp(ends - 100);
        Subject memory subject = _demand(drawn, _link());
        vm.warp(ends - 50);
        Subject memory other = _demand(drawn, second);
        assertEq(_claimDeadline(), uint256(_held(second).deadline) + 100);
        vm.warp(ends + 1000);
        _answer(second, other);
        assertEq(_claimDeadline(), uint256(_held(second).deadline) + 100, "one is still awaited");
        vm.warp(ends + 2000);
        _answer(_link(), subject);
        assertEq(_claimDeadline(), ends + 2000 + 100);
    }

    function test_demand_ofAnybodyElse_mustFitTheWindow_andDoesNotMoveIt() public {
        uint64 ends = _claimDeadline();
        _demand(outsider, _link());
        assertEq(_claimDeadline(), ends);
        vm.warp(ends - 6 hours);
        Piece memory piece = _piece(PieceKind.Items, 0, 0);
        Place memory place = _place(piece);
        vm.expectPartialRevert(IDataDemands.DueTooLate.selector);
        vm.prank(outsider);
        demands.demand(terms, piece, place);
    }

    function test_demand_ofAVerifierThatHasClaimed_doesNotMoveTheWindow() public {
        claim(SEGMENT, honestEnd(SEGMENT));
        uint64 ends = _claimDeadline();
        _demand(drawn, _link());
        assertEq(_claimDeadline(), ends);
        assertFalse(_held(_link()).pauses);
    }

    /// @dev A friend of the solver demands first, and the solver answers at the last second: the verifier has the time it had when it joined.
    function test_join_stopsTheClock_whereSomebodyElseDemandedFirst() public {
        uint64 ends = _claimDeadline();
        vm.warp(ends - 6 hours - 100);
        Subject memory subject = _demand(outsider, _link());
        uint64 due = _held(_link()).deadline;
        vm.warp(vm.getBlockTimestamp() + 10);
        uint256 left = ends - vm.getBlockTimestamp();
        uint256 wealth = wealthOf(drawn);
        vm.expectEmit(address(demands));
        emit IDataDemands.Joined(demands.idOf(_link()), terms.id);
        vm.prank(drawn);
        demands.join(_link());
        assertEq(_claimDeadline(), due + left);
        assertTrue(_held(_link()).pauses);
        assertEq(wealthOf(drawn), wealth, "joining costs no fee");
        vm.warp(due);
        _answer(_link(), subject);
        assertEq(_claimDeadline(), due + left);
        vm.warp(due + left);
        claim(SEGMENT, honestEnd(SEGMENT));
    }

    /// @dev A demand that is due before what the verifier waits for already moves no window back.
    function test_join_ofAnEarlierDemand_doesNotShortenTheWindow() public {
        Piece memory second = _piece(PieceKind.State, 1, 0);
        Subject memory first = _demand(outsider, _link());
        Subject memory own = _demand(drawn, second);
        uint64 ends = _claimDeadline();
        vm.prank(drawn);
        demands.join(_link());
        assertEq(_claimDeadline(), ends);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        _answer(second, own);
        assertEq(_claimDeadline(), ends, "one is still awaited");
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        _answer(_link(), first);
        assertLt(_claimDeadline(), ends);
    }

    function _refusesToJoin(address by) private {
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.NotWaiting.selector, SEGMENT, by));
        vm.prank(by);
        demands.join(_link());
    }

    function test_join_byWhoDoesNotWait_reverts() public {
        bytes32 id = demands.idOf(_link());
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.WrongDemand.selector, id, DemandState.None));
        demands.join(_link());
        _demand(outsider, _link());
        _refusesToJoin(outsider);
        _refusesToJoin(_otherThan(drawn));
        uint256 state = vm.snapshotState();
        vm.prank(drawn);
        demands.join(_link());
        _refusesToJoin(drawn);
        vm.revertToState(state);
        claim(SEGMENT, honestEnd(SEGMENT));
        _refusesToJoin(drawn);
        uint40 deadline = _held(_link()).deadline;
        vm.warp(uint256(deadline) + 1);
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.DemandOverdue.selector, deadline));
        demands.join(_link());
    }

    /// @dev What somebody else demanded within the extended window stays within it when the verifier has its answer.
    function test_resume_doesNotPassAnotherDemandBy() public {
        uint64 ends = _claimDeadline();
        vm.warp(ends - 100);
        Subject memory subject = _demand(drawn, _link());
        Piece memory other = _piece(PieceKind.Items, 0, 0);
        vm.warp(ends + 10);
        // Its time would run beyond the window but for what the verifier's demand added: it does not quite.
        (,, uint64 due) = demands.quote(terms.id, 1);
        if (due + 60 > _claimDeadline()) {
            Piece memory more = _piece(PieceKind.Items, 0, 1);
            _demand(drawn, more);
        }
        _demand(outsider, other);
        _answer(_link(), subject);
        assertGe(_claimDeadline(), _held(other).deadline);
    }

    /// @dev Whatever is demanded and however slowly it is answered, a round is extended by the longest claim window at most.
    function test_extension_isBounded() public {
        uint64 ends = _claimDeadline();
        vm.startPrank(address(demands));
        court.extendClaims(terms.id, SEGMENT, ends + uint64(numbers.maxClaimWindow));
        vm.expectPartialRevert(IAuditCourt.WrongWindow.selector);
        court.extendClaims(terms.id, SEGMENT, ends + uint64(numbers.maxClaimWindow) + 1);
        vm.expectPartialRevert(IAuditCourt.WrongWindow.selector);
        court.extendClaims(terms.id, SEGMENT, ends - 1);
        vm.stopPrank();
    }

    function test_extendClaims_failStart_byAnybodyElse_revert() public {
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NotModule.selector, outsider));
        vm.prank(outsider);
        court.extendClaims(terms.id, SEGMENT, uint64(block.timestamp + 1 days));
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NotModule.selector, outsider));
        vm.prank(outsider);
        court.failStart(terms.id, SEGMENT, outsider);
    }

    /// @dev A blind claim placed before the verifier asked counts in the window that its demand made longer.
    function test_blindClaim_placedBeforeTheExtension_opens() public {
        placeBlind(whistleblower, SEGMENT, "other");
        vm.warp(_claimDeadline());
        Subject memory subject = _demand(drawn, _link());
        vm.warp(block.timestamp + 5 hours);
        _answer(_link(), subject);
        vm.warp(uint256(_claimDeadline()) + 1);
        unblind(whistleblower, SEGMENT, "other");
        assertEq(court.claimOf(refOf(SEGMENT, 1)).claimant, whistleblower);
    }

    // The queue

    function test_queue_fillsAtTheRate_andItsPriceRises() public {
        DemandParameters memory p = demands.parameters();
        uint256 began = block.timestamp;
        Subject memory subject = _demand(drawn, _piece(PieceKind.State, 1, 0));
        assertEq(subject.length, 32 * 1024 + 1024);
        uint256 taken = (subject.length + p.rate - 1) / p.rate;
        assertEq(demands.queueEndOf(terms.id), began + taken);
        assertEq(_held(_piece(PieceKind.State, 1, 0)).deadline, began + taken + p.response);
        (uint96 fee, uint96 plain, uint64 deadline) = demands.quote(terms.id, 1000);
        assertEq(plain, p.flatFee + 1000 * uint256(p.byteFee));
        assertEq(fee, plain + uint256(plain) * taken / p.doubling);
        assertEq(deadline, began + taken + 1 + p.response);
        vm.warp(began + taken);
        (fee,,) = demands.quote(terms.id, 1000);
        assertEq(fee, plain, "an empty queue costs no more");
    }

    /// @dev With any queue and any demand: due when the bytes before it can have been posted, and never cheaper than an empty queue's.
    function testFuzz_quote_followsTheQueue(uint32 length, uint32 waited) public {
        _demand(drawn, _piece(PieceKind.State, 1, 0));
        DemandParameters memory p = demands.parameters();
        vm.warp(block.timestamp + bound(waited, 0, 1 days));
        uint256 end = demands.queueEndOf(terms.id);
        (uint96 fee, uint96 plain, uint64 deadline) = demands.quote(terms.id, length);
        uint256 start = end > block.timestamp ? end : block.timestamp;
        assertEq(deadline, start + (uint256(length) + p.rate - 1) / p.rate + p.response);
        assertEq(plain, p.flatFee + uint256(length) * p.byteFee);
        assertGe(fee, plain);
        assertEq(fee - plain, uint256(plain) * (start - block.timestamp) / p.doubling);
    }

    // Silence

    function _settleRest() private {
        for (uint32 i = 0; i < 5; ++i) {
            if (i != SEGMENT) claim(i, checkpoints[i]);
        }
        passUnblindWindow(0);
        market.settle(terms);
        assertTask(TaskState.Unavailable);
    }

    function _lapse(Piece memory piece) private {
        vm.warp(uint256(_held(piece).deadline) + 1);
        demands.close(piece);
        _assertState(piece, DemandState.Lapsed);
        assertSlot(SEGMENT, SlotState.Withheld);
    }

    function test_close_unanswered_costsTheSolverItsDeposit_andPaysTheDrawnVerifier() public {
        uint256 submitterBefore = wealthOf(submitter);
        _demand(drawn, _link());
        uint256 solverBefore = wealthOf(solver);
        _lapse(_link());
        uint256 drawnBefore = wealthOf(drawn);
        uint256 brought = treasury.balance();
        uint256 own = _ownSegments(drawn);
        _settleRest();
        uint256 pot = uint256(3 * feeOf()) * 3 / 10;
        uint256 locked = depositOf() + numbers.claimBond;
        assertEq(wealthOf(solver), solverBefore, "its deposit was locked, and is gone");
        assertEq(wealthOf(drawn), drawnBefore + pot + own * (terms.wage + locked));
        assertEq(wealthOf(submitter), submitterBefore + feeOf() / 10 + feeOf() + terms.wage + terms.levy + feeOf() / 2);
        assertEq(treasury.balance(), brought + 3 * feeOf() - pot - feeOf() / 2);
        uint96 free = vault.freeStakeOf(drawn);
        court.closeClaim(terms, SEGMENT, 0, 0);
        assertEq(vault.freeStakeOf(drawn), free + locked, "who waited for data in vain is whole");
    }

    /// @dev Segments but `SEGMENT` that an account was drawn for.
    function _ownSegments(address account) private view returns (uint256 count) {
        for (uint32 i = 0; i < 5; ++i) {
            if (i != SEGMENT && verifierOf(i) == account) ++count;
        }
    }

    function test_close_unanswered_othersGetASecondShare_andTheirFeeBack() public {
        uint256 before = wealthOf(outsider);
        _demand(outsider, _link());
        _lapse(_link());
        assertEq(wealthOf(outsider), before);
        uint256 drawnBefore = wealthOf(drawn) + _ownSegments(drawn) * (terms.wage + depositOf() + numbers.claimBond);
        _settleRest();
        uint256 pot = uint256(3 * feeOf()) * 3 / 10;
        assertEq(wealthOf(outsider), before + pot * 9 / 36);
        assertEq(wealthOf(drawn), drawnBefore + pot * 27 / 36, "the drawn verifier had its time");
    }

    /// @dev A solver about to be shown wrong lets a friend's demand lapse: who condemned it comes first all the same.
    function test_close_unanswered_whoCondemnedComesFirst() public {
        claim(SEGMENT, "other");
        _demand(outsider, _link());
        _lapse(_link());
        uint256 drawnBefore = wealthOf(drawn) + _ownSegments(drawn) * (terms.wage + depositOf() + numbers.claimBond);
        _settleRest();
        assertEq(wealthOf(drawn), drawnBefore + uint256(3 * feeOf()) * 3 / 10 * 27 / 36);
    }

    /// @dev Its own verifier passed the work: the first share goes to the treasury, so the solver's side gets a quarter at most.
    function test_close_unanswered_whoPassedGetsNothing() public {
        claim(SEGMENT, checkpoints[SEGMENT]);
        uint256 before = wealthOf(outsider);
        _demand(outsider, _link());
        _lapse(_link());
        uint256 drawnBefore = wealthOf(drawn) + _ownSegments(drawn) * (terms.wage + depositOf() + numbers.claimBond);
        uint256 brought = treasury.balance();
        _settleRest();
        uint256 pot = uint256(3 * feeOf()) * 3 / 10;
        assertEq(wealthOf(outsider), before + pot * 9 / 36);
        assertEq(wealthOf(drawn), drawnBefore);
        assertEq(treasury.balance(), brought + 3 * feeOf() - pot * 9 / 36 - feeOf() / 2);
    }

    function test_close_inTime_reverts() public {
        _demand(drawn, _link());
        uint40 deadline = _held(_link()).deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.DemandPending.selector, deadline));
        demands.close(_link());
    }

    function test_close_unknown_reverts() public {
        bytes32 id = demands.idOf(_link());
        vm.expectRevert(abi.encodeWithSelector(IDataDemands.WrongDemand.selector, id, DemandState.None));
        demands.close(_link());
    }

    /// @dev A second demand of a segment that failed by the first goes back to who made it.
    function test_close_ofAFailedSegment_isDropped() public {
        Piece memory second = _piece(PieceKind.Items, 0, 0);
        _demand(drawn, _link());
        uint256 before = wealthOf(outsider);
        _demand(outsider, second);
        _lapse(_link());
        demands.close(second);
        _assertState(second, DemandState.Dropped);
        assertEq(wealthOf(outsider), before);
        vm.expectPartialRevert(IDataDemands.WrongDemand.selector);
        demands.close(second);
    }

    /// @dev An answer that comes after the segment ended by something else is still paid, and moves no window.
    function test_answer_afterTheSegmentEnded_isPaid() public {
        Subject memory subject = _demand(drawn, _link());
        vm.prank(address(demands));
        court.failStart(terms.id, SEGMENT, outsider);
        uint256 before = wealthOf(solver);
        _answer(_link(), subject);
        assertGt(wealthOf(solver), before);
    }

    /// @dev The segment cannot be decided before what was demanded of it is due.
    function test_finalize_waitsForDemands() public {
        vm.warp(uint256(_claimDeadline()) - 6 hours - 100);
        _demand(outsider, _link());
        claim(SEGMENT, honestEnd(SEGMENT));
        uint256 due = _held(_link()).deadline;
        vm.warp(due);
        vm.expectPartialRevert(IAuditCourt.WrongWindow.selector);
        court.finalize(terms, SEGMENT, 10);
        vm.warp(due + 1);
        demands.close(_link());
        assertSlot(SEGMENT, SlotState.Withheld);
    }

    // Parameters

    function test_constructor_refusesNumbersThatMakeNoSense() public {
        DemandParameters memory p = demandNumbers();
        string[5] memory names = ["byteFee", "byteFee", "rate", "response", "doubling"];
        for (uint256 i = 0; i < 5; ++i) {
            p = demandNumbers();
            if (i == 0) p.flatFee = 0;
            if (i == 1) p.byteFee = 0;
            if (i == 2) p.rate = 0;
            if (i == 3) p.response = 0;
            if (i == 4) p.doubling = 0;
            vm.expectRevert(abi.encodeWithSelector(ParametersLib.BadParameters.selector, names[i]));
            deployCode("DataDemands.sol:DataDemands", abi.encode(vault, market, court, treasury, p));
        }
    }
}
