// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ITaskMarket, Task, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Endings} from "../actors/Endings.sol";
import {TestTree} from "../actors/TestTree.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The task's life, call by call: conditions, deadlines and money.
contract TaskMarketTest is Endings {
    using TaskMath for TaskTerms;

    uint96 internal constant MAX_PRICE = 1e24;
    uint64 internal constant MAX_WORK = 1e15;

    // Offers

    function _expectBadOffer(TaskOffer memory offer, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.BadOffer.selector, what));
        vm.prank(submitter);
        market.submit(offer);
    }

    function test_submit_badOffers_revertNamingTheField() public {
        TaskOffer memory offer = defaultOffer();
        offer.steps = 0;
        _expectBadOffer(offer, "steps");
        offer = defaultOffer();
        offer.segmentSteps = 0;
        _expectBadOffer(offer, "segment steps");
        offer.segmentSteps = 65;
        _expectBadOffer(offer, "segment steps");
        offer = defaultOffer();
        offer.audits = 1;
        _expectBadOffer(offer, "audits");
        offer.audits = 6;
        _expectBadOffer(offer, "audits");
        offer = defaultOffer();
        offer.price = 0;
        _expectBadOffer(offer, "price");
        offer = defaultOffer();
        offer.wage = 4 * TOKEN - 1;
        _expectBadOffer(offer, "wage");
        offer = defaultOffer();
        offer.levy = 8 * TOKEN - 1;
        _expectBadOffer(offer, "levy");
        offer = defaultOffer();
        offer.acceptDeadline = uint64(block.timestamp);
        _expectBadOffer(offer, "accept deadline");
        offer = defaultOffer();
        offer.solveWindow = 0;
        _expectBadOffer(offer, "solve window");
        offer = defaultOffer();
        offer.stepHeader = programHeader(uint64(numbers.workRate) * numbers.maxClaimWindow, "step");
        offer.price = 1;
        _expectBadOffer(offer, "segment work");
        offer = defaultOffer();
        offer.price = type(uint96).max;
        offer.wage = type(uint96).max;
        offer.levy = type(uint96).max;
        offer.segmentSteps = 1;
        offer.stepHeader = programHeader(1, "step");
        offer.initHeader = programHeader(1, "init");
        _expectBadOffer(offer, "amounts");
    }

    function _header(
        uint32 nodes,
        uint32 states,
        bytes32 state,
        uint64 chunks,
        uint32 constants,
        uint32 metrics,
        uint64 work
    ) private pure returns (bytes memory) {
        return abi.encodePacked(
            uint16(1), nodes, bytes32(0), states, state, chunks, constants, bytes32(0), metrics, bytes32(0), work
        );
    }

    function test_submit_badHeaders_revertNamingTheField() public {
        TaskOffer memory offer = defaultOffer();
        offer.stepHeader = _header(0, 6, keccak256("state"), 40, 0, 0, 1);
        _expectBadOffer(offer, "nodes");
        offer.stepHeader = _header(65_537, 6, keccak256("state"), 40, 0, 0, 1);
        _expectBadOffer(offer, "nodes");
        offer.stepHeader = _header(1, 0, keccak256("state"), 40, 0, 0, 1);
        _expectBadOffer(offer, "state entries");
        offer.stepHeader = _header(1, 4097, keccak256("state"), 40, 0, 0, 1);
        _expectBadOffer(offer, "state entries");
        offer.stepHeader = _header(1, 6, keccak256("state"), 0, 0, 0, 1);
        _expectBadOffer(offer, "state chunks");
        offer.stepHeader = _header(1, 6, keccak256("state"), 40, 4097, 0, 1);
        _expectBadOffer(offer, "constants");
        offer.stepHeader = _header(1, 6, keccak256("state"), 40, 0, 65, 1);
        _expectBadOffer(offer, "metrics");
        offer.stepHeader = _header(1, 6, keccak256("state"), 40, 0, 0, 0);
        _expectBadOffer(offer, "work");
        offer.stepHeader = _header(1, 6, keccak256("state"), 40, 0, 0, 2 ** 62 + 1);
        _expectBadOffer(offer, "work");
        offer.stepHeader = _header(1, 6, keccak256("other"), 40, 0, 0, 1);
        _expectBadOffer(offer, "state");
        offer.stepHeader = _header(1, 5, keccak256("state"), 40, 0, 0, 1);
        _expectBadOffer(offer, "state");
        offer.stepHeader = _header(1, 6, keccak256("state"), 41, 0, 0, 1);
        _expectBadOffer(offer, "state");
    }

    /// @dev Where work costs nothing, the stake that claims lock is paid for all the same.
    function test_submit_worthlessWork_paysAShareOfTheStakeLocked() public {
        TaskOffer memory offer = defaultOffer();
        offer.price = 1;
        uint96 stake = 4 * numbers.claimDepositMultiple + numbers.claimBond; // c = 4 base units
        uint96 least = (stake + 999) / 1000;
        (offer.wage, offer.levy) = (least - 1, 2 * least);
        _expectBadOffer(offer, "wage");
        (offer.wage, offer.levy) = (least, 2 * stake / 1000);
        _expectBadOffer(offer, "levy");
        offer.levy = (2 * stake + 999) / 1000;
        assertEq(submitOffer(offer).wage, least);
    }

    function testFuzz_submit_takesTheQuotedEscrow(uint96 price, uint64 work, uint32 steps, uint16 segmentSteps) public {
        TaskOffer memory offer = defaultOffer();
        offer.price = uint96(bound(price, 1, MAX_PRICE));
        offer.steps = uint32(bound(steps, 4, 10_000));
        offer.segmentSteps = uint16(bound(segmentSteps, 1, 64));
        work = uint64(bound(work, 1, MAX_WORK / offer.segmentSteps / 1000));
        offer.stepHeader = programHeader(work, "step");
        uint256 cost = (uint256(work) * offer.segmentSteps * offer.price + 1e6 - 1) / 1e6 + offer.price;
        vm.assume(cost * 2 < type(uint96).max / 100_000);
        uint256 stake = cost * numbers.claimDepositMultiple + numbers.claimBond;
        offer.wage = uint96(Math.max(cost, stake / 1000 + 1));
        offer.levy = uint96(Math.max(2 * cost, 2 * stake / 1000 + 1));
        (uint96 fee, uint96 escrow, uint96 deposit, uint96 claimDeposit, uint96 miss) = market.quote(offer);
        vm.assume(escrow <= token.MAX_DRIP());
        fund(submitter, escrow);
        uint256 before = token.balanceOf(submitter);
        terms = submitOffer(offer);
        assertEq(before - token.balanceOf(submitter), escrow);
        assertEq(escrow, fee + uint256(fee) / 10 + 2 * uint256(offer.wage) + offer.levy);
        assertEq(fee, (uint256(offer.price) * (uint256(work) * offer.steps + INIT_WORK) + 1e6 - 1) / 1e6);
        assertEq(deposit, 3 * uint256(fee));
        assertEq(claimDeposit, 20 * terms.replayCost());
        assertEq(miss, 2 * terms.replayCost());
        assertEq(vault.owedTo(address(market)), escrow);
    }

    function test_submit_withoutAllowance_reverts() public {
        vm.prank(submitter);
        token.approve(address(vault), 0);
        TaskOffer memory offer = defaultOffer();
        vm.expectRevert();
        vm.prank(submitter);
        market.submit(offer);
    }

    function test_replayCost_heavyInit_isTheInits() public {
        TaskOffer memory offer = defaultOffer();
        offer.initHeader = programHeader(10 * STEP_WORK, "init");
        offer.wage = 10 * TOKEN;
        offer.levy = 20 * TOKEN;
        terms = submitOffer(offer);
        assertEq(terms.replayCost(), 10 * TOKEN);
    }

    function test_hash_isThatOfTheEncodedTerms() public {
        toOpen();
        assertEq(market.termsHashOf(terms.id), keccak256(abi.encode(terms)));
    }

    // Before the work

    function test_cancel_bySubmitter_refundsAll() public {
        uint256 before = wealthOf(submitter);
        toOpen();
        vm.prank(submitter);
        market.cancel(terms);
        assertEq(wealthOf(submitter), before);
        assertEq(vault.owedTo(address(market)), 0);
        assertTask(TaskState.Cancelled);
    }

    function test_cancel_byAnybody_onlyAfterTheDeadline() public {
        toOpen();
        vm.warp(terms.acceptDeadline);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.NotAllowed.selector, outsider, submitter));
        vm.prank(outsider);
        market.cancel(terms);
        vm.warp(terms.acceptDeadline + 1);
        vm.prank(outsider);
        market.cancel(terms);
    }

    function test_accept_locksTheDeposit() public {
        toOpen();
        uint96 free = vault.freeStakeOf(solver);
        toAccepted();
        assertEq(vault.freeStakeOf(solver), free - 3 * feeOf());
        Task memory task = market.taskOf(terms.id);
        assertEq(task.solver, solver);
        assertEq(task.deadline, block.timestamp + numbers.acknowledgeWindow);
    }

    function test_accept_bySubmitter_reverts() public {
        toOpen();
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.OwnTask.selector, terms.id));
        vm.prank(submitter);
        market.accept(terms);
    }

    function test_accept_afterTheDeadline_reverts() public {
        toOpen();
        vm.warp(terms.acceptDeadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, terms.acceptDeadline));
        vm.prank(solver);
        market.accept(terms);
    }

    function test_acceptAndAcknowledge_locksTheDeposit_andStartsTheClock() public {
        toOpen();
        uint96 free = vault.freeStakeOf(solver);
        vm.prank(solver);
        market.acceptAndAcknowledge(terms);
        assertTask(TaskState.Solving);
        assertEq(market.solverOf(terms.id), solver);
        assertEq(market.deadlineOf(terms.id), block.timestamp + terms.solveWindow);
        assertEq(free - vault.freeStakeOf(solver), 3 * feeOf());
        vm.expectRevert(
            abi.encodeWithSelector(ITaskMarket.WrongState.selector, terms.id, TaskState.Solving, TaskState.Open)
        );
        vm.prank(outsider);
        market.acceptAndAcknowledge(terms);
    }

    function test_acknowledge_byAnybodyElse_reverts() public {
        toAccepted();
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.NotAllowed.selector, outsider, solver));
        vm.prank(outsider);
        market.acknowledge(terms);
    }

    function test_acknowledge_late_reverts_andAnybodyGivesBack() public {
        uint96 free = vault.freeStakeOf(solver);
        toAccepted();
        uint64 deadline = market.deadlineOf(terms.id);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlineNotPassed.selector, deadline));
        vm.prank(outsider);
        market.giveBack(terms);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, deadline));
        vm.prank(solver);
        market.acknowledge(terms);
        vm.prank(outsider);
        market.giveBack(terms);
        assertTask(TaskState.Open);
        assertEq(vault.freeStakeOf(solver), free);
        assertEq(market.solverOf(terms.id), address(0));
    }

    function test_giveBack_bySolver_opensTheTaskToOthers() public {
        toAccepted();
        vm.prank(solver);
        market.giveBack(terms);
        vm.prank(whistleblower);
        market.accept(terms);
        assertEq(market.solverOf(terms.id), whistleblower);
    }

    // The work

    function test_commit_wrongFinalProof_reverts() public {
        toSolving();
        bytes32[] memory leaves = new bytes32[](5);
        bytes32[] memory proof = TestTree.prove(leaves, 4);
        bytes32 root = TestTree.root(leaves);
        vm.expectRevert(ITaskMarket.BadProof.selector);
        vm.prank(solver);
        market.commit(terms, root, "final", proof, "");
    }

    function test_commit_byAnybodyElseOrLate_reverts() public {
        toSolving();
        bytes32[] memory none = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.NotAllowed.selector, outsider, solver));
        vm.prank(outsider);
        market.commit(terms, 0, 0, none, "");
        uint64 deadline = market.deadlineOf(terms.id);
        assertEq(deadline, block.timestamp + terms.solveWindow);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, deadline));
        vm.prank(solver);
        market.commit(terms, 0, 0, none, "");
    }

    function test_expire_early_reverts() public {
        toSolving();
        uint64 deadline = market.deadlineOf(terms.id);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlineNotPassed.selector, deadline));
        market.expire(terms);
    }

    function test_expire_slashesTheSolver_andCompensatesTheSubmitter() public {
        uint256 before = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        toState(TaskState.Expired);
        assertEq(wealthOf(submitter), before + feeOf() / 2);
        assertEq(wealthOf(solver), solverBefore - 3 * feeOf());
        assertEq(treasury.balance(), 3 * feeOf() - feeOf() / 2);
    }

    function test_expireUndrawn_early_reverts_late_refundsEverybody() public {
        uint256 before = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        toCommitted(0);
        uint64 deadline = market.deadlineOf(terms.id);
        assertEq(deadline, block.timestamp + numbers.drawWindow);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlineNotPassed.selector, deadline));
        market.expireUndrawn(terms);
        vm.warp(deadline + 1);
        rollToValue();
        vm.expectRevert();
        court.drawAudits(terms);
        market.expireUndrawn(terms);
        assertEq(wealthOf(submitter), before);
        assertEq(wealthOf(solver), solverBefore);
        assertTask(TaskState.Unavailable);
    }

    // Void

    function test_void_validNode_reverts() public {
        toSolving();
        vm.mockCall(address(faults), abi.encodeWithSelector(faults.isFault.selector), abi.encode(false));
        vm.expectRevert(ITaskMarket.ProgramIsValid.selector);
        market.voidInvalidProgram(terms, fault());
    }

    function test_void_beforeTheCommitment_refundsAllButTheLevy() public {
        uint256 before = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        toSolving();
        market.voidInvalidProgram(terms, fault());
        assertEq(wealthOf(submitter), before - terms.levy);
        assertEq(wealthOf(solver), solverBefore);
        assertEq(treasury.balance(), terms.levy);
    }

    function test_void_afterTheCommitment_paysTheSolver() public {
        uint256 before = wealthOf(submitter);
        uint256 solverBefore = wealthOf(solver);
        toCommitted(0);
        market.voidInvalidProgram(terms, fault());
        assertEq(wealthOf(submitter), before - terms.levy - feeOf());
        assertEq(wealthOf(solver), solverBefore + feeOf());
    }
}
