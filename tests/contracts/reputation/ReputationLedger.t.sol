// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IReputationLedger, Role} from "../../../contracts/interfaces/IReputationLedger.sol";
import {Declaration} from "../../../contracts/interfaces/ISolverSelection.sol";
import {ITaskMarket, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Endings} from "../actors/Endings.sol";

/// @title What accounts earn, what takes it away, and that nobody earns more than a task paid in levy.
contract ReputationLedgerTest is Endings {
    function _earned(address account, Role role) private view returns (uint96) {
        return ledger.earnedOf(account, role);
    }

    function _expectNothing() private {
        vm.expectRevert(abi.encodeWithSelector(IReputationLedger.NothingEarned.selector, terms.id));
    }

    function test_settledTask_earnsHalfForTheSolver_halfForClaims_once() public {
        toEnd(0, true);
        ledger.creditSolver(terms);
        assertEq(_earned(solver, Role.Solver), terms.levy / 2);
        vm.expectRevert(abi.encodeWithSelector(IReputationLedger.AlreadyCredited.selector, terms.id));
        ledger.creditSolver(terms);
        uint256 total = _earned(solver, Role.Solver);
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < segments.length; ++i) {
            uint96 before = _earned(verifierOf(segments[i]), Role.Verifier);
            ledger.creditClaim(terms, segments[i]);
            assertEq(_earned(verifierOf(segments[i]), Role.Verifier), before + terms.levy / 4);
            vm.expectRevert(abi.encodeWithSelector(IReputationLedger.AlreadyCredited.selector, terms.id));
            ledger.creditClaim(terms, segments[i]);
        }
        total += _earned(verifier, Role.Verifier) + _earned(secondVerifier, Role.Verifier);
        assertLe(total, terms.levy);
        for (uint32 i = 0; i < 5; ++i) {
            if (i == segments[0] || i == segments[1]) continue;
            _expectNothing();
            ledger.creditClaim(terms, i);
        }
    }

    function test_taskThatDidNotSettle_earnsNothing() public {
        toAuditing(0);
        bytes memory wrong =
            abi.encodeWithSelector(ITaskMarket.WrongState.selector, terms.id, TaskState.Auditing, TaskState.Settled);
        vm.expectRevert(wrong);
        ledger.creditSolver(terms);
        vm.expectRevert(wrong);
        ledger.creditClaim(terms, 1);
        terms.levy += 1;
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, terms.id));
        ledger.creditSolver(terms);
    }

    function test_rejectedSolver_losesAll_alsoWhatItDidNotFetch() public {
        toEnd(0, true);
        ledger.creditSolver(terms);
        delete terms;
        toEnd(0, true);
        TaskTerms memory second = terms;
        delete terms;
        toEnd(type(uint256).max, true);
        assertTask(TaskState.Rejected);
        assertEq(_earned(solver, Role.Solver), 0);
        assertEq(ledger.sinceOf(solver, Role.Solver), 3);
        // The second task settled before the conviction.
        terms = second;
        _expectNothing();
        ledger.creditSolver(terms);
        // Verifiers' part of it is untouched.
        assertEq(ledger.sinceOf(verifier, Role.Verifier), 0);
    }

    function test_expiredSolver_losesAll() public {
        toEnd(0, true);
        ledger.creditSolver(terms);
        delete terms;
        toState(TaskState.Expired);
        assertEq(_earned(solver, Role.Solver), 0);
    }

    /// @dev The drawn verifier condemns good work and is convicted; the whistleblower's claim stands in its place.
    function test_whistleblowerThatStood_earns_andTheConvictedVerifierLoses() public {
        toAuditing(0);
        uint32[] memory segments = drawnSegments();
        claim(segments[0], "other");
        claimHonestly(segments[1]);
        address liar = verifierOf(segments[0]);
        placeBlind(whistleblower, segments[0], honestEnd(segments[0]));
        passClaimWindow(segments[0]);
        unblind(whistleblower, segments[0], honestEnd(segments[0]));
        passUnblindWindow(segments[0]);
        convict(segments[0], 0, false, whistleblower);
        passDisputeWindow(segments[0]);
        market.settle(terms);
        assertTask(TaskState.Settled);
        // Not judged yet.
        _expectNothing();
        ledger.creditClaim(terms, segments[0]);
        court.closeClaim(terms, segments[0], 0, 0);
        court.closeClaim(terms, segments[0], 0, 1);
        ledger.creditClaim(terms, segments[0]);
        assertEq(_earned(whistleblower, Role.Whistleblower), terms.levy / 4);
        assertEq(_earned(whistleblower, Role.Verifier), 0);
        assertEq(ledger.sinceOf(liar, Role.Verifier), terms.id);
        assertEq(_earned(liar, Role.Verifier), 0);
    }

    function test_convict_byAnybody_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IReputationLedger.NotModule.selector, outsider));
        vm.prank(outsider);
        ledger.convict(solver, Role.Solver);
    }

    function test_reputation_weighsInTheDrawOfSolvers() public {
        toEnd(0, true);
        uint96 deposit = 3 * feeOf();
        Declaration memory declared = Declaration(0, 1, 4);
        (uint64 before,) = market.weighApplication(terms, solver, deposit, declared);
        ledger.creditSolver(terms);
        (uint64 now_,) = market.weighApplication(terms, solver, deposit, declared);
        assertEq(now_, uint256(deposit + terms.levy / 2) * (1 << 20) / deposit);
        assertGt(now_, before);
    }
}
