// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SegmentDraw} from "../../../contracts/audit/SegmentDraw.sol";
import {Merkle} from "../../../contracts/commitments/Merkle.sol";
import {SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {FaultKind, ProgramFault} from "../../../contracts/interfaces/IProgramFaults.sol";
import {ITaskMarket, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Endings} from "../actors/Endings.sol";
import {Options} from "../actors/Options.sol";
import {TestTree} from "../actors/TestTree.sol";

/// @title Tasks that start from where a settled one ended.
contract StackedTasksTest is Endings {
    using TaskMath for TaskTerms;

    TaskTerms internal parent;
    bytes32 internal startRoot;
    bytes32[] internal proof;

    /// @dev A settled task of 16 steps; whatever comes next may be stacked on it.
    function setUp() public override {
        super.setUp();
        toEnd(0, true);
        assertTask(TaskState.Settled);
        _remember();
    }

    function _remember() private {
        parent = terms;
        startRoot = checkpoints[checkpoints.length - 1];
        proof = TestTree.prove(TestTree.hashRoots(checkpoints), checkpoints.length - 1);
        delete terms;
    }

    function _offer() private view returns (TaskOffer memory offer) {
        offer = defaultOffer();
        offer.initHeader = offer.stepHeader;
        offer.options = Options.pack(uint64(parent.id), 16, 0, 0);
    }

    function _submit(TaskOffer memory offer) private returns (TaskTerms memory) {
        vm.recordLogs();
        vm.prank(submitter);
        market.submitStacked(offer, parent, startRoot, proof);
        return postedTerms();
    }

    function _expectRefused(TaskOffer memory offer, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.BadOffer.selector, what));
        vm.prank(submitter);
        market.submitStacked(offer, parent, startRoot, proof);
    }

    function _toSolving() private {
        terms = _submit(_offer());
        vm.startPrank(solver);
        market.accept(terms);
        market.acknowledge(terms);
        vm.stopPrank();
        checkpoints[0] = startRoot;
    }

    function _commit() private {
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        bytes32[] memory last = TestTree.prove(leaves, leaves.length - 1);
        bytes32[] memory first = TestTree.prove(leaves, 0);
        bytes32 root = TestTree.root(leaves);
        vm.prank(solver);
        market.commitStacked(terms, root, checkpoints[leaves.length - 1], last, first, "file://work");
        terms.workRoot = root;
    }

    // Submitting

    function test_submit_termsHaveTheParentsEnd_andNoInitProgram() public {
        terms = _submit(_offer());
        assertEq(terms.initProgram, startRoot);
        assertEq(terms.initWork, 0);
        assertEq(terms.initNodeCount, 0);
        assertEq(terms.options.parent(), parent.id);
        assertEq(terms.options.firstStep(), 16);
        assertEq(terms.fee(), 16 * TOKEN);
        assertEq(terms.replayCost(), 4 * TOKEN);
        assertEq(market.termsHashOf(terms.id), keccak256(abi.encode(terms)));
        (uint96 fee, uint96 escrow,,,) = market.quote(_offer());
        assertEq(fee, terms.fee());
        assertEq(vault.owedTo(address(market)), escrow);
    }

    function test_submit_badOffers_revertNamingTheField() public {
        TaskOffer memory offer = _offer();
        offer.options = Options.pack(0, 0, 0, 0);
        _expectRefused(offer, "parent");
        offer.options = Options.pack(uint64(parent.id) + 1, 0, 0, 0);
        _expectRefused(offer, "parent");
        offer = _offer();
        offer.initHeader = programHeader(INIT_WORK, "init");
        _expectRefused(offer, "parent");
        offer = _offer();
        offer.stepHeader = abi.encodePacked(
            uint16(1),
            uint32(1),
            NODE_LEAF,
            uint32(6),
            keccak256("other state"),
            uint64(40),
            uint32(0),
            bytes32(0),
            uint32(0),
            bytes32(0),
            STEP_WORK
        );
        _expectRefused(offer, "state");
        offer = _offer();
        offer.options = Options.pack(uint64(parent.id), type(uint32).max - 15, 0, 0);
        _expectRefused(offer, "first step");
        offer = _offer();
        offer.audits = 5; // of the four segments that have something to replay
        _expectRefused(offer, "audits");
    }

    function test_submit_plainWithAParentOrAFirstStep_reverts() public {
        TaskOffer memory offer = defaultOffer();
        offer.options = Options.pack(uint64(parent.id), 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.BadOffer.selector, "parent"));
        vm.prank(submitter);
        market.submit(offer);
        offer.options = Options.pack(0, 1, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.BadOffer.selector, "first step"));
        vm.prank(submitter);
        market.submit(offer);
    }

    function test_submit_parentThatHasNotSettled_reverts() public {
        toOpen();
        parent = terms;
        vm.expectRevert(
            abi.encodeWithSelector(ITaskMarket.WrongState.selector, terms.id, TaskState.Open, TaskState.Settled)
        );
        vm.prank(submitter);
        market.submitStacked(_offer(), parent, startRoot, proof);
    }

    function test_submit_rejectedParent_reverts() public {
        toState(TaskState.Rejected);
        _remember();
        vm.expectRevert(
            abi.encodeWithSelector(ITaskMarket.WrongState.selector, parent.id, TaskState.Rejected, TaskState.Settled)
        );
        vm.prank(submitter);
        market.submitStacked(_offer(), parent, startRoot, proof);
    }

    function test_submit_otherTermsOfTheParent_reverts() public {
        TaskOffer memory offer = _offer();
        parent.stepProgram = "another";
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, parent.id));
        vm.prank(submitter);
        market.submitStacked(offer, parent, startRoot, proof);
    }

    function test_submit_rootThatIsNotTheParentsEnd_reverts() public {
        vm.expectRevert(ITaskMarket.BadProof.selector);
        vm.prank(submitter);
        market.submitStacked(_offer(), parent, "other", proof);
        // An earlier checkpoint is under the work root too, and no end.
        bytes32[] memory early = TestTree.prove(TestTree.hashRoots(checkpoints), 3);
        vm.expectRevert(abi.encodeWithSelector(Merkle.ProofLength.selector, early.length));
        vm.prank(submitter);
        market.submitStacked(_offer(), parent, checkpoints[3], early);
    }

    // Its life

    function test_commit_otherStart_reverts() public {
        _toSolving();
        checkpoints[0] = "another start";
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        bytes32[] memory last = TestTree.prove(leaves, 4);
        bytes32[] memory first = TestTree.prove(leaves, 0);
        bytes32 root = TestTree.root(leaves);
        vm.startPrank(solver);
        vm.expectRevert(ITaskMarket.BadProof.selector);
        market.commitStacked(terms, root, checkpoints[4], last, first, "");
        vm.expectRevert(ITaskMarket.BadProof.selector);
        market.commit(terms, root, checkpoints[4], last, "");
    }

    function test_commitStacked_plainTask_reverts() public {
        toSolving();
        bytes32[] memory none = new bytes32[](0);
        vm.expectRevert(ITaskMarket.BadProof.selector);
        vm.prank(solver);
        market.commitStacked(terms, 0, 0, none, none, "");
    }

    function test_wholeLife_segmentZeroIsNeverDrawn_andTheSolverIsPaid() public {
        TaskOffer memory offer = _offer();
        offer.audits = 4;
        terms = _submit(offer);
        vm.startPrank(solver);
        market.accept(terms);
        market.acknowledge(terms);
        vm.stopPrank();
        uint256 before = wealthOf(solver);
        checkpoints[0] = startRoot;
        _commit();
        rollToValue();
        court.drawAudits(terms);
        assertSlot(0, SlotState.None);
        for (uint32 segment = 1; segment <= 4; ++segment) {
            claimHonestly(segment);
        }
        passUnblindWindow(1);
        market.settle(terms);
        assertTask(TaskState.Settled);
        assertEq(wealthOf(solver), before + feeOf() + 3 * feeOf());
        // And once more on top of it.
        _remember();
        offer.options = Options.pack(uint64(parent.id), 32, 0, 0);
        terms = _submit(offer);
        assertEq(terms.initProgram, startRoot);
    }

    function test_dishonestSolver_isRejected() public {
        _toSolving();
        for (uint256 i = 1; i < 5; ++i) {
            checkpoints[i] = keccak256(abi.encode("bad", i));
        }
        _commit();
        rollToValue();
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        claimHonestly(segments[0]);
        claimHonestly(segments[1]);
        passUnblindWindow(segments[0]);
        market.settle(terms);
        assertTask(TaskState.Rejected);
    }

    function testFuzz_draw_stacked_isDistinctAndWithoutSegmentZero(bytes32 value, uint32 steps, uint16 audits)
        public
        pure
    {
        TaskTerms memory child;
        child.options = Options.pack(1, 0, 0, 0);
        child.steps = uint32(bound(steps, 1, 400));
        child.segmentSteps = 4;
        uint256 count = child.segmentCount() - 1;
        child.audits = uint16(bound(audits, 1, count < 64 ? count : 64));
        uint32[] memory segments = SegmentDraw.segmentsOf(child, value);
        for (uint256 i = 0; i < segments.length; ++i) {
            assertGe(segments[i], 1);
            assertLe(segments[i], count);
            for (uint256 j = 0; j < i; ++j) {
                assertNotEq(segments[i], segments[j]);
            }
        }
    }

    // Attacks

    /// @dev A parent's solver may end in any root where its last segment is not drawn: also in the hash of an invalid program.
    function test_void_startThatIsAProgramsHash_cannotBeAccused() public {
        toSolving();
        for (uint256 i = 0; i < 5; ++i) {
            checkpoints[i] = honestEnd(i);
        }
        bytes memory header = programHeader(STEP_WORK, "step");
        checkpoints[4] = sha256(abi.encodePacked(uint8(4), header));
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        bytes32[] memory last = TestTree.prove(leaves, 4);
        workRoot = TestTree.root(leaves);
        vm.prank(solver);
        market.commit(terms, workRoot, checkpoints[4], last, "");
        terms.workRoot = workRoot;
        rollToValue();
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        claim(segments[0], checkpoints[segments[0]]);
        claim(segments[1], checkpoints[segments[1]]);
        passUnblindWindow(segments[0]);
        market.settle(terms);
        _remember();
        _toSolving();
        ProgramFault memory accusation = fault();
        accusation.init = true;
        assertTrue(faults.isFault(terms.initProgram, accusation));
        assertEq(uint8(accusation.kind), uint8(FaultKind.Node));
        vm.expectRevert(ITaskMarket.ProgramIsValid.selector);
        market.voidInvalidProgram(terms, accusation);
        // The step program can be accused as ever.
        market.voidInvalidProgram(terms, fault());
        assertTask(TaskState.Void);
    }
}
