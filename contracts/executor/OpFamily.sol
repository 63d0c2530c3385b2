// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IOpExecutor, Read} from "../interfaces/IOpExecutor.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";

/// @title What the contracts of the op families share: decode, compute, and refuse reads that were not needed.
/// @notice Each family is an `IOpExecutor` of its own ops; a node of any other op is malformed to it. `OpExecutor` dispatches.
abstract contract OpFamily is IOpExecutor {
    /// @inheritdoc IOpExecutor
    function execute(bytes calldata node, uint256 element, uint32 step, uint64 seed, Read[] calldata reads)
        external
        view
        returns (bytes memory value)
    {
        Leaf memory leaf = LeafLib.open(node, element, step, seed);
        value = LeafLib.toBytes(_compute(leaf, node, reads), leaf.dtype);
        LeafLib.close(leaf, reads);
    }

    /// @dev Bits of the leaf's element; takes the operands through `LeafLib` in the op's order.
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        view
        virtual
        returns (uint256 bits);
}
