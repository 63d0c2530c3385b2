// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice What a task has beyond the ordinary, one word. Zero: it starts from its init program, and whoever accepts first solves it.
/// @dev From the low bits: `parent u64 | firstStep u32 | applyDeadline u40 | family u8`, nothing above. Twin: `lockstep.chain.options`.
type TaskOptions is uint256;

using TaskOptionsLib for TaskOptions global;

/// @title Fields of a task's options.
library TaskOptionsLib {
    uint256 private constant FIRST_STEP_AT = 64;
    uint256 private constant APPLY_DEADLINE_AT = 96;
    uint256 private constant FAMILY_AT = 136;
    uint256 private constant BITS = 144;

    /// @notice The settled task whose final root this one starts from; 0: none, it starts from its init program.
    function parent(TaskOptions options) internal pure returns (uint64) {
        return uint64(TaskOptions.unwrap(options));
    }

    /// @notice Value of STEP in the first step of segment 1.
    function firstStep(TaskOptions options) internal pure returns (uint32) {
        return uint32(TaskOptions.unwrap(options) >> FIRST_STEP_AT);
    }

    /// @notice Last second to apply (timestamp) of a task whose solver is drawn; 0: first come.
    function applyDeadline(TaskOptions options) internal pure returns (uint40) {
        return uint40(TaskOptions.unwrap(options) >> APPLY_DEADLINE_AT);
    }

    /// @notice Family the submitter says its model is of, 1 to 8; 0: none.
    function family(TaskOptions options) internal pure returns (uint8) {
        return uint8(TaskOptions.unwrap(options) >> FAMILY_AT);
    }

    /// @notice Whether nothing is set above the fields.
    function isCanonical(TaskOptions options) internal pure returns (bool) {
        return TaskOptions.unwrap(options) >> BITS == 0;
    }
}
