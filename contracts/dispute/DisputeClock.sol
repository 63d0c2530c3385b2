// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Chess clocks: a budget a side for the whole dispute, and a least time for each move.
/// @notice Times are seconds. A turn ends with its deadline's second; from the next on the other side may call time.
library DisputeClock {
    /// @notice Last second of a turn that began at `start` with `left` seconds on the mover's clock.
    function deadline(uint256 start, uint256 left, uint256 increment) internal pure returns (uint256) {
        return start + (left > increment ? left : increment);
    }

    /// @notice What is left on a clock after a turn from `start` to `end` (not before `start`).
    function charge(uint256 left, uint256 start, uint256 end) internal pure returns (uint32) {
        uint256 used = end - start;
        return uint32(used < left ? left - used : 0);
    }

    /// @notice A side's whole budget: the base, and the time that replaying the segment takes at `rate` units a second.
    /// @param rate 0: the base alone.
    function budget(uint256 base, uint256 work, uint256 rate) internal pure returns (uint32) {
        uint256 total = rate == 0 ? base : base + work / rate;
        return total < type(uint32).max ? uint32(total) : type(uint32).max;
    }
}
