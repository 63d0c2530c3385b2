// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Declaration} from "../../../contracts/interfaces/ISolverSelection.sol";
import {TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {SolverWeight} from "../../../contracts/market/SolverWeight.sol";
import {Options} from "../actors/Options.sol";
import {Test} from "forge-std/Test.sol";

/// @title What an application weighs, for any numbers.
contract SolverWeightTest is Test {
    uint96 internal constant MAX_DEPOSIT = 1e27;

    function _terms(uint64 stepWork, uint32 steps, uint32 window, uint64 chunks, uint8 family)
        private
        pure
        returns (TaskTerms memory terms)
    {
        terms.stepWork = uint64(bound(stepWork, 1, 2 ** 62));
        terms.steps = uint32(bound(steps, 1, type(uint32).max));
        terms.solveWindow = uint32(bound(window, 1, type(uint32).max));
        terms.stateChunks = uint64(bound(chunks, 1, 2 ** 40));
        terms.options = Options.pack(0, 0, 1, uint8(bound(family, 0, 8)));
    }

    /// @dev Never nothing, and at most a deposit's worth and a half for each deposit.
    function testFuzz_weight_isBounded(
        uint96 deposit,
        uint96 stake,
        uint96 earned,
        uint64 work,
        uint32 steps,
        uint32 window,
        uint64 chunks,
        uint8 family,
        Declaration memory declared
    ) public pure {
        TaskTerms memory terms = _terms(work, steps, window, chunks, family);
        deposit = uint96(bound(deposit, 1, MAX_DEPOSIT));
        stake = uint96(bound(stake, deposit, type(uint96).max));
        assertLe(SolverWeight.compatibility(terms, declared), 10_000);
        uint64 weight = SolverWeight.weightOf(terms, deposit, stake, earned, declared);
        assertGe(weight, uint256(3) * (1 << 20) / 10 - 1);
        assertLt(weight, 2 ** 31);
        uint64 bare = SolverWeight.weightOf(terms, deposit, stake, 0, declared);
        assertGe(weight, bare);
        assertLe(weight, uint256(bare) * 3 / 2 + 2);
        uint32 seconds_ = SolverWeight.solveWindow(terms, declared.rate);
        assertGe(seconds_, 1);
        assertLe(seconds_, terms.solveWindow);
        assertGe(uint256(seconds_) + 1, terms.solveWindow / 4);
    }

    /// @dev Two accounts with parts of a stake weigh no more than one with all of it: rounding aside, and reputation, which cannot be split, only
    /// adds to the one that has it.
    function testFuzz_weight_splitStake_gainsNothing(uint96 deposit, uint96 a, uint96 b, uint96 earned) public pure {
        TaskTerms memory terms = _terms(1e6, 16, 1 days, 40, 0);
        Declaration memory declared = Declaration(0, 16, 4);
        deposit = uint96(bound(deposit, 1, MAX_DEPOSIT / 100));
        a = uint96(bound(a, deposit, uint256(deposit) * 400));
        b = uint96(bound(b, deposit, uint256(deposit) * 400));
        uint256 parts = uint256(SolverWeight.weightOf(terms, deposit, a, earned, declared))
            + SolverWeight.weightOf(terms, deposit, b, 0, declared);
        // Halves of stakes are rounded down, each by less than a unit of stake.
        uint256 whole = SolverWeight.weightOf(terms, deposit, a + b, earned, declared);
        assertLe(parts, whole + 1);
    }

    /// @dev A unit of reputation weighs what a unit of stake does, up to half the stake: it cannot be bought for less than stake is lent.
    function testFuzz_weight_reputation_isWorthStake(uint96 stake, uint96 earned) public pure {
        TaskTerms memory terms = _terms(1e6, 16, 1 days, 40, 0);
        Declaration memory declared = Declaration(0, 16, 4);
        stake = uint96(bound(stake, 1e18, 300e18));
        earned = uint96(bound(earned, 0, stake / 2));
        assertEq(
            SolverWeight.weightOf(terms, 1e18, stake, earned, declared),
            SolverWeight.weightOf(terms, 1e18, stake + earned, 0, declared)
        );
    }

    function test_compatibility_eachPart_countsAsDocumented() public pure {
        TaskTerms memory terms = _terms(1e6, 86_400, 1 days, 1024, 3); // 1 unit of rate, 1 MiB of state
        assertEq(SolverWeight.neededRate(terms), 1);
        assertEq(SolverWeight.compatibility(terms, Declaration(0, 0, 0)), 0);
        assertEq(SolverWeight.compatibility(terms, Declaration(4, 0, 0)), 2000);
        assertEq(SolverWeight.compatibility(terms, Declaration(3, 0, 0)), 0);
        assertEq(SolverWeight.compatibility(terms, Declaration(0, 1, 0)), 1000);
        assertEq(SolverWeight.compatibility(terms, Declaration(0, 9, 0)), 4000);
        assertEq(SolverWeight.compatibility(terms, Declaration(0, 0, 3)), 3000);
        assertEq(SolverWeight.compatibility(terms, Declaration(255, 9, 9)), 10_000);
        assertEq(SolverWeight.solveWindow(terms, 0), 86_400);
        assertEq(SolverWeight.solveWindow(terms, 1), 86_400);
        assertEq(SolverWeight.solveWindow(terms, 2), 43_200);
        assertEq(SolverWeight.solveWindow(terms, 1000), 21_600);
    }
}
