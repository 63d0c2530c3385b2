// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Binary32} from "./Binary32.sol";

/// @title The largest of a row, in the total order of `Binary32.orderKey`.
library RowMax {
    /// @notice Order key of the largest element and the lowest index that has it.
    /// @param pointer Row of f32 loaded by `Lanes.load32`; the lanes behind its last element are overwritten.
    /// @param length At most 16,384.
    /// @dev Elements are compared as `key << 14 | (16383 - index)`, four at once in lanes of 64 bits; every NaN's key is 2^32 - 1
    /// until the end.
    function largest(uint256 pointer, uint256 words, uint256 length)
        internal
        pure
        returns (uint256 key, uint256 index)
    {
        assembly ("memory-safe") {
            // The larger of two words, lane by lane, the second made of the low halves of the lanes of `word`.
            function larger(best, word, indices) -> result {
                let ones := 0x0000000000000001000000000000000100000000000000010000000000000001
                let x := and(word, mul(ones, 0xffffffff))
                // Key as Binary32.orderKey: all bits flipped below zero, else the sign. Bit 32 of the sum shows a NaN.
                let negative := and(shr(31, x), ones)
                let keys := xor(x, mul(ones, 0x80000000))
                keys := xor(keys, mul(negative, 0x7fffffff))
                let nan := and(shr(32, add(and(x, mul(ones, 0x7fffffff)), mul(ones, 0x807fffff))), ones)
                keys := or(keys, mul(nan, 0xffffffff))
                keys := or(shl(14, keys), indices)
                // Bit 63 survives the subtraction where best >= keys.
                let keep := and(shr(63, sub(or(best, mul(ones, 0x8000000000000000)), keys)), ones)
                result := xor(keys, and(xor(best, keys), sub(shl(63, keep), keep)))
            }
            // Lanes behind the last element are -inf: no element is below that, and equals have lower indices.
            let excess := sub(shl(3, words), length)
            if excess {
                let last := add(pointer, shl(5, sub(words, 1)))
                let lanes := sub(shl(shl(5, excess), 1), 1)
                let lowest := 0xff800000ff800000ff800000ff800000ff800000ff800000ff800000ff800000
                mstore(last, or(mload(last), and(lanes, lowest)))
            }
            let best := 0
            // 16383 - index of the odd lanes of the first word (elements 1, 3, 5, 7); the even ones are one more.
            let indices := 0x0000000000003ffe0000000000003ffc0000000000003ffa0000000000003ff8
            let step := 0x0000000000000001000000000000000100000000000000010000000000000001
            for { let end := add(pointer, shl(5, words)) } lt(pointer, end) { pointer := add(pointer, 32) } {
                let word := mload(pointer)
                best := larger(best, word, indices)
                best := larger(best, shr(32, word), add(indices, step))
                indices := sub(indices, shl(3, step))
            }
            let lane := best
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                let candidate := and(lane, 0xffffffffffffffff)
                if or(gt(candidate, key), iszero(i)) { key := candidate }
                lane := shr(64, lane)
            }
            index := sub(0x3fff, and(key, 0x3fff))
            key := shr(14, key)
        }
        key = Binary32.orderKey(Binary32.fromOrderKey(key)); // a NaN's is the canonical one's
    }
}
