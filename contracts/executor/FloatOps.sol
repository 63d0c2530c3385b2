// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";

/// @title Elementwise f32 operations of IEEE-754.
contract FloatOps is OpFamily {
    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        uint256 op = leaf.op;
        uint256 a = LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.F32);
        if (op >= Op.SQRT) {
            if (op == Op.SQRT) return Binary32.sqrt(a);
            if (op == Op.FLOOR) return Binary32.floor(a);
            if (op == Op.CEIL) return Binary32.ceil(a);
            if (op == Op.RNE) return Binary32.rne(a);
            if (op == Op.TRUNC) return Binary32.trunc(a);
            if (op == Op.NEG) return Binary32.neg(a);
            if (op == Op.ABS) return Binary32.abs(a);
            revert MalformedNode();
        }
        uint256 b = LeafLib.scalar(leaf, node, reads, 1, leaf.element, DType.F32);
        if (op == Op.ADD) return Binary32.add(a, b);
        if (op == Op.SUB) return Binary32.sub(a, b);
        if (op == Op.MUL) return Binary32.mul(a, b);
        if (op == Op.DIV) return Binary32.div(a, b);
        if (op == Op.MAX) return Binary32.max(a, b);
        if (op == Op.MIN) return Binary32.min(a, b);
        revert MalformedNode();
    }
}
