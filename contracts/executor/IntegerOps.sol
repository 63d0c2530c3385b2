// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";

/// @title Elementwise operations of integers, comparisons, selection and casts.
/// @dev An i32 is its 32 bits in the low end of a word.
contract IntegerOps is OpFamily {
    uint256 private constant WORD = 0xffffffff;

    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        uint256 op = leaf.op;
        if (op == Op.SELECT) return _select(leaf, node, reads);
        if (op == Op.CAST) return _cast(leaf, node, reads);
        if (op == Op.BITCAST) return _bitcast(leaf, node, reads);
        uint256 dtype = op >= Op.LT && op <= Op.NE ? DType.F32 : DType.I32;
        uint256 a = LeafLib.scalar(leaf, node, reads, 0, leaf.element, dtype);
        if (op >= Op.SHL && op <= Op.SAR) return _shift(op, a, ProgramLib.readUint(node, leaf.attributes, 1));
        uint256 b = LeafLib.scalar(leaf, node, reads, 1, leaf.element, dtype);
        if (op < Op.LT) return _arithmetic(op, a, b);
        return _compare(op, a, b) ? 1 : 0;
    }

    /// @dev Wrapping; division and remainder are unsigned and give 0 for a zero divisor.
    function _arithmetic(uint256 op, uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            if (op == Op.IADD) return (a + b) & WORD;
            if (op == Op.ISUB) return (a - b) & WORD;
            if (op == Op.IMUL) return (a * b) & WORD;
            if (op == Op.UDIV) return b == 0 ? 0 : a / b;
            if (op == Op.UMOD) return b == 0 ? 0 : a % b;
            if (op == Op.AND) return a & b;
            if (op == Op.OR) return a | b;
            if (op == Op.XOR) return a ^ b;
            revert MalformedNode();
        }
    }

    function _shift(uint256 op, uint256 a, uint256 count) private pure returns (uint256) {
        require(count < 32, MalformedNode());
        if (op == Op.SHL) return (a << count) & WORD;
        if (op == Op.SHR) return a >> count;
        return uint256(_signed(a) >> count) & WORD;
    }

    function _compare(uint256 op, uint256 a, uint256 b) private pure returns (bool) {
        if (op == Op.LT) return Binary32.lt(a, b);
        if (op == Op.LE) return Binary32.le(a, b);
        if (op == Op.EQ) return Binary32.eq(a, b);
        if (op == Op.NE) return !Binary32.eq(a, b);
        if (op == Op.ILT) return _signed(a) < _signed(b);
        if (op == Op.ILE) return _signed(a) <= _signed(b);
        if (op == Op.IEQ) return a == b;
        if (op == Op.INE) return a != b;
        if (op == Op.ULT) return a < b;
        if (op == Op.ULE) return a <= b;
        revert MalformedNode();
    }

    function _select(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        require(leaf.dtype == DType.F32 || leaf.dtype == DType.I32, MalformedNode());
        uint256 condition = LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.I32);
        uint256 a = LeafLib.scalar(leaf, node, reads, 1, leaf.element, leaf.dtype);
        uint256 b = LeafLib.scalar(leaf, node, reads, 2, leaf.element, leaf.dtype);
        return condition != 0 ? a : b;
    }

    function _cast(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        uint256 source = _sourceDType(leaf, node, reads);
        uint256 a = LeafLib.scalar(leaf, node, reads, 0, leaf.element, source);
        if (source == DType.F32) {
            require(leaf.dtype == DType.I32, MalformedNode());
            return Binary32.toInt32(a);
        }
        int256 integer = int256(a);
        if (source == DType.I32) integer = _signed(a);
        if (source == DType.M16 || source == DType.E16) integer = int16(uint16(a));
        if (leaf.dtype == DType.F32) return Binary32.fromInteger(integer);
        require(leaf.dtype == DType.I32, MalformedNode());
        return uint256(integer) & WORD;
    }

    function _bitcast(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        if (leaf.dtype == DType.F32) {
            return Binary32.canonical(LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.I32));
        }
        require(leaf.dtype == DType.I32, MalformedNode());
        return LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.F32);
    }

    /// @dev Dtype of a cast's operand: the proven header's; STEP and SEED are i32, a literal is what its kind says.
    function _sourceDType(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        if (LeafLib.isProven(leaf, node, 0)) {
            (bytes calldata tensorHeader,) = LeafLib.header(leaf, reads, 0);
            return uint8(tensorHeader[0]);
        }
        return LeafLib.isFloatLiteral(leaf, node, 0) ? DType.F32 : DType.I32;
    }

    function _signed(uint256 a) private pure returns (int256) {
        return int32(uint32(a));
    }
}
