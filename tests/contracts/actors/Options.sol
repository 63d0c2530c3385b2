// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskOptions} from "../../../contracts/types/TaskOptions.sol";

/// @title Packs a task's options.
library Options {
    function pack(uint64 parent, uint32 firstStep, uint256 applyDeadline, uint8 family)
        internal
        pure
        returns (TaskOptions)
    {
        return
            TaskOptions.wrap(uint256(parent) | uint256(firstStep) << 64 | applyDeadline << 96 | uint256(family) << 136);
    }
}
