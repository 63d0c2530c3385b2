// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DisputeClock} from "../../../contracts/dispute/DisputeClock.sol";
import {Test} from "forge-std/Test.sol";

contract DisputeClockTest is Test {
    function testFuzz_deadline_isNeverEarlierThanTheIncrement(uint40 start, uint32 left, uint32 increment) public pure {
        uint256 deadline = DisputeClock.deadline(start, left, increment);
        assertGe(deadline, uint256(start) + increment);
        assertGe(deadline, uint256(start) + left);
        assertTrue(deadline == uint256(start) + increment || deadline == uint256(start) + left);
    }

    function testFuzz_charge_neverGivesTime(uint32 left, uint40 start, uint40 used) public pure {
        uint256 end = uint256(start) + used;
        uint32 after_ = DisputeClock.charge(left, start, end);
        assertLe(after_, left);
        assertTrue(after_ == 0 || uint256(after_) + used == left);
    }

    /// @dev However a side splits its time, all its turns together take at most its budget and an increment a turn.
    function testFuzz_clock_boundsTheTimeOfASide(uint32 budget, uint32 increment, uint32[10] memory used) public pure {
        uint256 total = 0;
        uint32 left = budget;
        for (uint256 i = 0; i < used.length; ++i) {
            uint256 allowed = DisputeClock.deadline(0, left, increment);
            uint256 turn = used[i] < allowed ? used[i] : allowed;
            total += turn;
            left = DisputeClock.charge(left, 0, turn);
        }
        assertLe(total, uint256(budget) + used.length * uint256(increment));
    }

    function testFuzz_budget_growsWithTheWork(uint32 base, uint64 work, uint64 rate) public pure {
        uint32 budget = DisputeClock.budget(base, work, rate);
        assertGe(budget, base);
        if (rate == 0 || work < rate) assertEq(budget, base);
        else if (work / rate < 1 << 31 && base < 1 << 31) assertEq(budget, base + work / rate);
    }
}
