// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Limits} from "../types/Limits.sol";
import {Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {ExactSum} from "./ExactSum.sol";
import {Lanes} from "./Lanes.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";
import {RowMax} from "./RowMax.sol";

/// @title Reductions and orders along the last axis.
/// @notice Twin of `offchain/lockstep/numerics/rows.py`. The order is that of `Binary32.orderKey`.
contract RowOps is OpFamily {
    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        uint256 op = leaf.op;
        require(op >= Op.SUM && op <= Op.ARGSORT, MalformedNode());
        uint256 length = LeafLib.leafExtent(leaf, reads, Limits.ROW_BLOCK);
        uint256 rowIndex = leaf.element;
        if (op >= Op.SORT) rowIndex /= length;
        bytes calldata row = LeafLib.run(leaf, reads, 0, rowIndex * length, length, DType.F32);
        (uint256 pointer, uint256 words) = Lanes.load32(row);
        if (op == Op.SUM) {
            int256 exponent = LeafLib.signed16(leaf, node, reads, 1, leaf.element, DType.E16);
            if (!ExactSum.isUsable(exponent)) return Binary32.NAN;
            return ExactSum.round(ExactSum.sumAll(pointer, words, exponent), exponent);
        }
        if (op <= Op.ARGMAX) {
            (uint256 largest, uint256 index) = RowMax.largest(pointer, words, length);
            return op == Op.ARGMAX ? index : Binary32.fromOrderKey(largest);
        }
        _packKeys(pointer, length);
        uint256 rank = leaf.element % length;
        uint256 key = _keyOfRank(pointer, length, rank);
        if (op == Op.SORT) return Binary32.fromOrderKey(key);
        return _indexOfEqual(pointer, key, rank - _countBelow(pointer, length, key));
    }

    /// @dev Replaces a loaded row by its keys, four to a word in lanes of 64 bits, the first in the top lane; lanes behind the
    /// last hold 0. Takes the memory behind the row, which nothing else uses.
    function _packKeys(uint256 pointer, uint256 length) private pure {
        assembly ("memory-safe") {
            // Twice the words: from the last element backwards, so that nothing is overwritten before it is read.
            let words := shr(2, add(length, 3))
            mstore(0x40, add(pointer, shl(5, add(words, 1))))
            for { let i := words } i {} {
                i := sub(i, 1)
                let packed := 0
                let source := add(pointer, shl(4, i))
                for { let lane := 0 } lt(lane, 4) { lane := add(lane, 1) } {
                    let candidate := 0
                    if lt(add(shl(2, i), lane), length) {
                        let bits := shr(224, mload(add(source, shl(2, lane))))
                        candidate := and(xor(bits, or(0x80000000, sub(0, shr(31, bits)))), 0xffffffff)
                        if gt(and(bits, 0x7fffffff), 0x7f800000) { candidate := 0xffc00000 }
                    }
                    packed := or(shl(64, packed), candidate)
                }
                mstore(add(pointer, shl(5, i)), packed)
            }
        }
    }

    /// @dev Number of packed keys below `key`.
    function _countBelow(uint256 pointer, uint256 length, uint256 key) private pure returns (uint256 below) {
        if (key == 0) return 0;
        assembly ("memory-safe") {
            // key_i + (2^32 - key) has bit 32 where key_i >= key; padding lanes do not, since key is not 0.
            let ones := 0x0000000000000001000000000000000100000000000000010000000000000001
            let complements := mul(sub(shl(32, 1), key), ones)
            let counts := 0
            let end := add(pointer, shl(5, shr(2, add(length, 3))))
            for {} lt(pointer, end) { pointer := add(pointer, 32) } {
                counts := add(counts, and(shr(32, add(mload(pointer), complements)), ones))
            }
            counts := add(counts, shr(128, counts))
            below := sub(length, and(add(counts, shr(64, counts)), 0xffffffff))
        }
    }

    /// @dev Key at place `rank` of the sorted row: the largest number with at most `rank` keys below it, found bit by bit.
    function _keyOfRank(uint256 pointer, uint256 length, uint256 rank) private pure returns (uint256 key) {
        for (uint256 bit = 0x80000000; bit != 0; bit >>= 1) {
            if (_countBelow(pointer, length, key | bit) <= rank) key |= bit;
        }
    }

    /// @dev Index of the packed key that equals `key` and has `before` such keys before it.
    function _indexOfEqual(uint256 pointer, uint256 key, uint256 before) private pure returns (uint256 index) {
        assembly ("memory-safe") {
            for {} 1 { index := add(index, 1) } {
                // Lane index mod 4 of word index / 4, in its low 32 bits.
                let candidate := shr(224, mload(add(add(pointer, shl(3, index)), 4)))
                if eq(candidate, key) {
                    if iszero(before) { break }
                    before := sub(before, 1)
                }
            }
        }
    }
}
