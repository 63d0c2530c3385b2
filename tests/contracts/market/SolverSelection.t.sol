// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRandomBeacon} from "../../../contracts/interfaces/IRandomBeacon.sol";
import {Role} from "../../../contracts/interfaces/IReputationLedger.sol";
import {Declaration, ISolverSelection, Selection} from "../../../contracts/interfaces/ISolverSelection.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";
import {ITaskMarket, Task, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Endings} from "../actors/Endings.sol";
import {Options} from "../actors/Options.sol";

/// @title The draw of a solver: every rule, every illegal call, every way out.
contract SolverSelectionTest is Endings {
    using TaskMath for TaskTerms;

    uint256 internal constant APPLY_WINDOW = 6 hours;
    uint256 internal constant DRAWS = 2000;

    address internal third = makeAddr("third applicant");

    function _offer() private view returns (TaskOffer memory offer) {
        offer = defaultOffer();
        offer.options = Options.pack(0, 0, block.timestamp + APPLY_WINDOW, 2);
    }

    /// @dev Deposit 51 tokens; all that is asked for is 160 KiB and a rate of 4.
    function _toDrawn() private {
        terms = submitOffer(_offer());
        stake(third, 10_000 * TOKEN);
    }

    function _fit() private pure returns (Declaration memory) {
        return Declaration({families: 2, memoryMib: 1, rate: 4});
    }

    function _apply(address account, uint96 amount) private {
        vm.prank(account);
        market.applyToSolve(terms, amount, _fit());
    }

    function _deposit() private view returns (uint96) {
        return 3 * feeOf();
    }

    function _passApplications() private {
        vm.warp(uint256(terms.options.applyDeadline()) + 1);
    }

    function _toClosed() private {
        _toDrawn();
        _apply(solver, 2 * _deposit());
        _apply(whistleblower, _deposit());
        _apply(third, _deposit());
        _passApplications();
        market.closeApplications(terms);
    }

    function _toAccepted() private returns (address drawn) {
        _toClosed();
        rollToValue();
        market.drawSolver(terms);
        return market.solverOf(terms.id);
    }

    function _expectPending() private {
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.DrawPending.selector, terms.id));
    }

    // Offers

    function test_submit_badOptions_revertNamingTheField() public {
        TaskOffer memory offer = defaultOffer();
        offer.options = Options.pack(0, 0, block.timestamp, 0);
        _expectRefused(offer, "apply deadline");
        offer.options = Options.pack(0, 0, uint256(offer.acceptDeadline) + 1, 0);
        _expectRefused(offer, "apply deadline");
        offer.options = Options.pack(0, 0, 0, 1);
        _expectRefused(offer, "family");
        offer.options = Options.pack(0, 0, block.timestamp + 1, 9);
        _expectRefused(offer, "family");
        offer.options = Options.pack(0, 0, 1 << 60, 0);
        _expectRefused(offer, "options");
    }

    function _expectRefused(TaskOffer memory offer, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.BadOffer.selector, what));
        vm.prank(submitter);
        market.submit(offer);
    }

    // Applying

    function test_apply_locksTheStake_andWeighsIt() public {
        _toDrawn();
        uint96 free = vault.freeStakeOf(solver);
        (uint64 weight, uint32 window) = market.weighApplication(terms, solver, 2 * _deposit(), _fit());
        assertEq(weight, 2 << 20); // two deposits that fit wholly
        assertEq(window, terms.solveWindow / 4);
        vm.expectEmit(address(market));
        emit ISolverSelection.SolverApplied(terms.id, solver, 0, 2 * _deposit(), weight, _fit());
        _apply(solver, 2 * _deposit());
        assertEq(vault.freeStakeOf(solver), free - 2 * _deposit());
        Selection memory selection = market.selectionOf(terms.id);
        assertEq(selection.total, weight);
        assertEq(selection.count, 1);
        assertEq(market.applicationOf(terms.id, 0).account, solver);
        assertTask(TaskState.Open);
    }

    function test_apply_illegal_reverts() public {
        toOpen();
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, 0));
        _apply(solver, 1000 * TOKEN);
        _toDrawn();
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.OwnTask.selector, terms.id));
        _apply(submitter, _deposit());
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.StakeBelowDeposit.selector, _deposit() - 1, _deposit()));
        _apply(solver, _deposit() - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, outsider, 0, _deposit()));
        _apply(outsider, _deposit());
        _apply(solver, _deposit());
        bytes32 engagement = keccak256(abi.encode("application", terms.id, solver));
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementExists.selector, engagement));
        _apply(solver, _deposit());
        _passApplications();
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, terms.options.applyDeadline()));
        _apply(third, _deposit());
    }

    function test_apply_otherTermsOrState_reverts() public {
        _toAccepted();
        vm.expectRevert(
            abi.encodeWithSelector(ITaskMarket.WrongState.selector, terms.id, TaskState.Accepted, TaskState.Open)
        );
        _apply(secondWhistleblower, _deposit());
        terms.price += 1;
        bytes memory wrong = abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, terms.id);
        vm.expectRevert(wrong);
        _apply(secondWhistleblower, 1);
        vm.expectRevert(wrong);
        market.closeApplications(terms);
        vm.expectRevert(wrong);
        market.drawSolver(terms);
        vm.expectRevert(wrong);
        market.releaseApplication(terms, solver);
    }

    // Closing

    function test_close_illegal_reverts() public {
        _toDrawn();
        uint40 deadline = terms.options.applyDeadline();
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlineNotPassed.selector, deadline));
        market.closeApplications(terms);
        _expectPending();
        market.drawSolver(terms);
        _passApplications();
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.NothingToClose.selector, terms.id));
        market.closeApplications(terms);
        _toClosed();
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.NothingToClose.selector, terms.id));
        market.closeApplications(terms);
    }

    function test_close_afterTheAcceptDeadline_reverts_andApplicantsAreFree() public {
        _toDrawn();
        _apply(solver, _deposit());
        vm.warp(terms.acceptDeadline);
        _expectPending();
        market.releaseApplication(terms, solver);
        vm.warp(uint256(terms.acceptDeadline) + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, terms.acceptDeadline));
        market.closeApplications(terms);
        market.releaseApplication(terms, solver);
        assertEq(vault.freeStakeOf(solver), 10_000 * TOKEN);
        market.cancel(terms);
    }

    // The draw

    function test_draw_beforeTheValue_reverts() public {
        _toClosed();
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.TooEarly.selector, block.number + beacon.delay()));
        market.drawSolver(terms);
    }

    function test_draw_oneHasTheTask_andHoldsTheDepositAlone() public {
        address drawn = _toAccepted();
        Task memory task = market.taskOf(terms.id);
        assertEq(uint8(task.state), uint8(TaskState.Accepted));
        assertEq(task.deadline, block.timestamp + numbers.acknowledgeWindow);
        assertEq(vault.owedTo(address(market)), terms.escrow(numbers.marginBps) + _deposit());
        assertEq(vault.freeStakeOf(drawn), 10_000 * TOKEN - _deposit());
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.NoApplication.selector, terms.id, drawn));
        market.releaseApplication(terms, drawn);
        _releaseOthers(drawn);
        vm.prank(drawn);
        market.acknowledge(terms);
        // Its speed weighed four times what is needed: it has a fourth of the time.
        assertEq(market.deadlineOf(terms.id), block.timestamp + terms.solveWindow / 4);
    }

    function _releaseOthers(address drawn) private {
        address[3] memory all = [solver, whistleblower, third];
        for (uint256 i = 0; i < 3; ++i) {
            if (all[i] == drawn) continue;
            vm.prank(outsider);
            market.releaseApplication(terms, all[i]);
            assertEq(vault.freeStakeOf(all[i]), 10_000 * TOKEN);
            vm.expectRevert(abi.encodeWithSelector(ISolverSelection.NoApplication.selector, terms.id, all[i]));
            market.releaseApplication(terms, all[i]);
        }
    }

    function test_acceptAndCancel_whileTheDrawMayCome_revert() public {
        _toDrawn();
        _apply(solver, _deposit());
        _expectPending();
        vm.prank(third);
        market.accept(terms);
        _passApplications();
        _expectPending();
        vm.prank(third);
        market.accept(terms);
        market.closeApplications(terms);
        _expectPending();
        vm.prank(submitter);
        market.cancel(terms);
        vm.warp(market.deadlineOf(terms.id));
        _expectPending();
        market.releaseApplication(terms, solver);
    }

    function test_cancel_beforeTheDrawWasAskedFor_freesApplicants() public {
        _toDrawn();
        _apply(solver, _deposit());
        vm.prank(submitter);
        market.cancel(terms);
        market.releaseApplication(terms, solver);
        assertEq(vault.freeStakeOf(solver), 10_000 * TOKEN);
    }

    /// @dev The submitter pays for what applicants lost by its change of mind; nobody is paid twice, and nothing stays behind.
    function test_cancel_withApplications_paysEachA256thOfTheFee() public {
        _toDrawn();
        uint256 escrow = terms.escrow(numbers.marginBps);
        uint256 each = terms.fee() / 256;
        _apply(solver, _deposit());
        _apply(third, 2 * _deposit());
        vm.expectEmit(address(market));
        emit ISolverSelection.ApplicantsCompensated(terms.id, 2, uint96(each));
        vm.prank(submitter);
        market.cancel(terms);
        assertEq(vault.owedTo(submitter), escrow - 2 * each);
        assertEq(vault.owedTo(address(market)), 2 * each);
        vm.startPrank(outsider);
        market.releaseApplication(terms, solver);
        market.releaseApplication(terms, third);
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.NoApplication.selector, terms.id, third));
        market.releaseApplication(terms, third);
        vm.stopPrank();
        assertEq(vault.owedTo(solver), each);
        assertEq(vault.owedTo(third), each);
        assertEq(vault.freeStakeOf(third), 10_000 * TOKEN);
        assertEq(vault.owedTo(address(market)), 0);
    }

    /// @dev However many apply, a quarter of the fee is what it can cost.
    function testFuzz_cancel_withACrowd_paysAQuarterAtMost(uint256 count) public {
        count = bound(count, 60, 90);
        _toDrawn();
        for (uint256 i = 0; i < count; ++i) {
            address account = makeAddr(vm.toString(i));
            stake(account, _deposit());
            _apply(account, _deposit());
        }
        vm.prank(submitter);
        market.cancel(terms);
        uint96 each = uint96(terms.fee() / (4 * (count < 64 ? 64 : count)));
        assertEq(market.selectionOf(terms.id).compensation, each);
        assertEq(vault.owedTo(address(market)), count * each);
        assertLe(count * each, terms.fee() / 4);
        for (uint256 i = 0; i < count; ++i) {
            market.releaseApplication(terms, makeAddr(vm.toString(i)));
        }
        assertEq(vault.owedTo(address(market)), 0);
    }

    /// @dev Once the draw could have come and did not, nobody's mind changed.
    function test_cancel_afterADrawThatDidNotCome_orAfterTheDeadline_paysNobody() public {
        _toClosed();
        vm.warp(uint256(market.deadlineOf(terms.id)) + 1);
        market.releaseApplication(terms, solver);
        vm.prank(submitter);
        market.cancel(terms);
        assertEq(market.selectionOf(terms.id).compensation, 0);
        assertEq(vault.owedTo(address(market)), 0);
        market.releaseApplication(terms, third);
        delete terms;
        _toDrawn();
        _apply(third, _deposit());
        vm.warp(uint256(terms.acceptDeadline) + 1);
        vm.prank(submitter);
        market.cancel(terms);
        assertEq(market.selectionOf(terms.id).compensation, 0);
        assertEq(vault.owedTo(address(market)), 0);
    }

    /// @dev A drawn solver that gave the task back has no application any more; a cancellation after that owes it nothing, nor keeps anything.
    function test_cancel_afterATaskWasGivenBack_paysNobody() public {
        address drawn = _toAccepted();
        vm.prank(drawn);
        market.giveBack(terms);
        vm.prank(submitter);
        market.cancel(terms);
        assertEq(vault.owedTo(submitter), terms.escrow(numbers.marginBps));
        _releaseOthers(drawn);
        assertEq(vault.owedTo(address(market)), 0);
    }

    function test_nobodyApplied_isFirstComeAfterTheApplyDeadline() public {
        _toDrawn();
        _passApplications();
        vm.startPrank(third);
        market.accept(terms);
        market.acknowledge(terms);
        assertEq(market.deadlineOf(terms.id), block.timestamp + terms.solveWindow);
    }

    function test_drawThatNeverCame_isFirstCome() public {
        TaskOffer memory offer = _offer();
        offer.acceptDeadline = uint64(block.timestamp + 5 days);
        terms = submitOffer(offer);
        _apply(solver, _deposit());
        _passApplications();
        market.closeApplications(terms);
        rollToValue();
        uint64 deadline = market.deadlineOf(terms.id);
        vm.warp(uint256(deadline) + 1);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, deadline));
        market.drawSolver(terms);
        market.releaseApplication(terms, solver);
        vm.prank(whistleblower);
        market.accept(terms);
        assertEq(market.solverOf(terms.id), whistleblower);
    }

    function test_drawnAndSilent_paysAMiss_andTheTaskIsFirstCome() public {
        address drawn = _toAccepted();
        uint256 before = wealthOf(submitter);
        vm.warp(market.deadlineOf(terms.id) + 1);
        vm.expectEmit(address(market));
        emit ISolverSelection.DrawWasted(terms.id, drawn, 2 * costOf());
        market.giveBack(terms);
        assertTask(TaskState.Open);
        assertEq(vault.freeStakeOf(drawn), 10_000 * TOKEN - 2 * costOf());
        assertEq(treasury.balance(), 2 * costOf());
        assertEq(wealthOf(submitter), before);
        // The value draws nobody else, and applications stay closed.
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.DeadlinePassed.selector, 0));
        market.drawSolver(terms);
        vm.expectRevert(abi.encodeWithSelector(ISolverSelection.NothingToClose.selector, terms.id));
        market.closeApplications(terms);
        vm.startPrank(secondWhistleblower);
        market.accept(terms);
        // Who accepted by itself gives back for nothing.
        market.giveBack(terms);
        assertEq(vault.freeStakeOf(secondWhistleblower), 10_000 * TOKEN);
        market.accept(terms);
        market.acknowledge(terms);
        assertEq(market.deadlineOf(terms.id), block.timestamp + terms.solveWindow);
        vm.stopPrank();
        _releaseOthers(drawn);
    }

    function test_drawnSolverThatFails_losesDepositAndReputation() public {
        address drawn = _toAccepted();
        vm.prank(drawn);
        market.acknowledge(terms);
        vm.warp(market.deadlineOf(terms.id) + 1);
        market.expire(terms);
        assertEq(vault.freeStakeOf(drawn), 10_000 * TOKEN - _deposit());
        assertEq(ledger.sinceOf(drawn, Role.Solver), market.taskCount());
    }

    // Statistics

    /// @dev 2,000 values over weights 1 : 1/2 : 1/4 : 1/4 and so on; chi-square with three degrees of freedom, 1 in 1,000 above 16.27.
    function test_draw_manyValues_agreesWithTheWeights() public {
        vm.pauseGasMetering(); // all draws together use more than a block has
        _toDrawn();
        _apply(solver, 4 * _deposit());
        _apply(whistleblower, 2 * _deposit());
        _apply(third, _deposit());
        vm.prank(secondWhistleblower);
        market.applyToSolve(terms, _deposit(), Declaration(0, 0, 0)); // 0.3 of a deposit that fits
        _passApplications();
        market.closeApplications(terms);
        uint256[4] memory drawn;
        uint256 state = vm.snapshotState();
        for (uint256 i = 0; i < DRAWS; ++i) {
            bytes32 value = keccak256(abi.encode("fixed", i));
            vm.mockCall(address(beacon), abi.encodeWithSelector(beacon.record.selector), abi.encode(value));
            market.drawSolver(terms);
            address account = market.solverOf(terms.id);
            for (uint32 j = 0; j < 4; ++j) {
                if (market.applicationOf(terms.id, j).account == account) ++drawn[j];
            }
            vm.revertToState(state);
        }
        uint256 total = market.selectionOf(terms.id).total;
        uint256 before = 0;
        uint256 chiSquare = 0; // in 1/1,000
        for (uint32 j = 0; j < 4; ++j) {
            uint256 sum = market.applicationOf(terms.id, j).total;
            uint256 expected = DRAWS * (sum - before) / total;
            uint256 off = drawn[j] > expected ? drawn[j] - expected : expected - drawn[j];
            chiSquare += off * off * 1000 / expected;
            before = sum;
        }
        assertLt(chiSquare, 16_270);
        assertGt(drawn[3], 0);
    }

    /// @dev However many apply, the drawn one is whom a walk along the sums comes to.
    function testFuzz_draw_manyApplicants_agreesWithAWalk(uint8 applicants, bytes32 value, uint256 seed) public {
        uint32 count = uint32(bound(applicants, 1, 40));
        _toDrawn();
        for (uint32 i = 0; i < count; ++i) {
            address account = vm.addr(uint256(i) + 1);
            stake(account, 1000 * TOKEN);
            _apply(account, _deposit() + uint96(uint256(keccak256(abi.encode(seed, i))) % (900 * TOKEN)));
        }
        _passApplications();
        market.closeApplications(terms);
        vm.mockCall(address(beacon), abi.encodeWithSelector(beacon.record.selector), abi.encode(value));
        market.drawSolver(terms);
        uint256 pick = uint256(keccak256(abi.encode("solver", value))) % market.selectionOf(terms.id).total;
        uint32 expected = 0;
        while (market.applicationOf(terms.id, expected).total <= pick) ++expected;
        assertEq(market.solverOf(terms.id), vm.addr(uint256(expected) + 1));
    }
}
