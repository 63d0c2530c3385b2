// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DisputeClock} from "../../contracts/dispute/DisputeClock.sol";

/// @title What holds of the clocks, for all times and budgets.
contract ClockProofs {
    /// @dev Nobody has less than the least time for a move, nor less than what is left.
    function check_deadline_leavesWhatIsDue(uint40 start, uint32 left, uint32 increment) external pure {
        uint256 deadline = DisputeClock.deadline(start, left, increment);
        assert(deadline >= uint256(start) + left);
        assert(deadline >= uint256(start) + increment);
        assert(deadline == uint256(start) + left || deadline == uint256(start) + increment);
    }

    /// @dev A turn takes from the clock the time it took, and no more than there is.
    function check_charge_takesTheTimeUsed(uint40 start, uint40 end, uint32 left) external pure {
        if (end < start) return;
        uint256 after_ = DisputeClock.charge(left, start, end);
        uint256 used = uint256(end) - start;
        assert(after_ <= left);
        assert(used >= left ? after_ == 0 : after_ + used == left);
    }

    /// @dev Time that two turns took together is charged as one: stopping a clock at another moment gives nobody time.
    function check_charge_adds(uint40 start, uint40 middle, uint40 end, uint32 left) external pure {
        if (middle < start || end < middle) return;
        uint32 first = DisputeClock.charge(left, start, middle);
        assert(DisputeClock.charge(first, middle, end) == DisputeClock.charge(left, start, end));
    }

    /// @dev A side that moves in time has used, over any number of turns, at most its budget and the least time of each turn: one turn's part.
    function check_turn_endsWithinBudgetAndIncrement(uint40 start, uint40 end, uint32 left, uint32 increment)
        external
        pure
    {
        if (end < start || end > DisputeClock.deadline(start, left, increment)) return;
        uint256 after_ = DisputeClock.charge(left, start, end);
        assert(uint256(end) - start + after_ <= uint256(left) + increment);
    }

    /// @dev A budget is the base and the time a replay takes, and never cut to less than either allows.
    function check_budget_isAtLeastTheBase(uint32 base, uint128 work, uint64 rate) external pure {
        uint256 budget = DisputeClock.budget(base, work, rate);
        assert(budget >= base);
        if (rate == 0) assert(budget == base);
        else assert(budget == type(uint32).max || budget == base + uint256(work) / rate);
    }
}
