// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Limits} from "../types/Limits.sol";
import {Binary32} from "./Binary32.sol";

/// @title Exact sums of f32 under a block exponent E: the arithmetic of `sum` and `scatter_add`.
/// @notice A term is clamp(rne(x * 2^(33 - E)), +-2^34), 0 where x is not finite; the integer sum is scaled by 2^(E - 33) and rounded
/// once. NaN where E is outside [-126, 127]. Twin of `offchain/lockstep/numerics/rows.py`.
/// @dev Between its ends a term depends on sign and exponent of x linearly: x * 2^(33 - E) = fraction * slope + intercept. Both
/// are tabulated for the 512 values of the sign and exponent bits, in units of 2^-64; zeros, subnormals, underflow,
/// clamping, infinities and NaN are entries like any other. A term then takes two look-ups and no branch, about 110 gas
/// where computing it afresh took half as much again, and a leaf has up to 4,096.
library ExactSum {
    int256 private constant HIGHEST_EXPONENT = 127;
    uint256 private constant TABLE_BYTES = 0x8000;

    /// @notice Whether an exponent gives a number at all.
    function isUsable(int256 exponent) internal pure returns (bool) {
        return exponent >= Limits.EXPONENT_FLOOR_SUM && exponent <= HIGHEST_EXPONENT;
    }

    /// @notice Rounds a sum of terms: the f32 nearest to `total` * 2^(`exponent` - 33).
    function round(int256 total, int256 exponent) internal pure returns (uint256) {
        return Binary32.roundScaled(total, exponent - 33);
    }

    /// @notice Sum of all terms of a row loaded by `Lanes.load32`. Padding lanes are zeros and add nothing.
    function sumAll(uint256 pointer, uint256 words, int256 exponent) internal pure returns (int256 total) {
        uint256 table = _table(exponent);
        assembly ("memory-safe") {
            // The term of the element whose last bit is bit `low` of a word; its sign and exponent bits, moved right by
            // `high`, are the offset of its entry. The intercept carries a half, so that what is left below the point is
            // 0 for ties alone, which go to even.
            function term(word, high, low, base) -> value {
                let entry := add(base, and(shr(high, word), 0x3fe0))
                value := add(mul(and(shr(low, word), 0x7fffff), mload(entry)), mload(add(entry, 0x4000)))
                value := and(sar(64, value), not(iszero(shl(192, value))))
            }
            for { let end := add(pointer, shl(5, words)) } lt(pointer, end) { pointer := add(pointer, 32) } {
                let word := mload(pointer)
                total := add(total, term(word, 242, 224, table))
                total := add(total, term(word, 210, 192, table))
                total := add(total, term(word, 178, 160, table))
                total := add(total, term(word, 146, 128, table))
                total := add(total, term(word, 114, 96, table))
                total := add(total, term(word, 82, 64, table))
                total := add(total, term(word, 50, 32, table))
                total := add(total, term(word, 18, 0, table))
            }
        }
    }

    /// @notice Sum of the terms whose index is `wanted`. Padding lanes of the values are zeros and add nothing.
    /// @param pointer Row of f32 loaded by `Lanes.load32`.
    /// @param indices Row of as many i32, loaded likewise.
    function sumWhere(uint256 pointer, uint256 indices, uint256 words, uint256 wanted, int256 exponent)
        internal
        pure
        returns (int256 total)
    {
        uint256 table = _table(exponent);
        assembly ("memory-safe") {
            // As in sumAll.
            function term(word, high, low, base) -> value {
                let entry := add(base, and(shr(high, word), 0x3fe0))
                value := add(mul(and(shr(low, word), 0x7fffff), mload(entry)), mload(add(entry, 0x4000)))
                value := and(sar(64, value), not(iszero(shl(192, value))))
            }
            let everywhere := mul(wanted, 0x0000000100000001000000010000000100000001000000010000000100000001)
            for { let end := add(pointer, shl(5, words)) } lt(pointer, end) { pointer := add(pointer, 32) } {
                let word := mload(pointer)
                let differing := xor(mload(indices), everywhere)
                if iszero(shr(224, differing)) { total := add(total, term(word, 242, 224, table)) }
                if iszero(and(shr(192, differing), 0xffffffff)) {
                    total := add(total, term(word, 210, 192, table))
                }
                if iszero(and(shr(160, differing), 0xffffffff)) {
                    total := add(total, term(word, 178, 160, table))
                }
                if iszero(and(shr(128, differing), 0xffffffff)) {
                    total := add(total, term(word, 146, 128, table))
                }
                if iszero(and(shr(96, differing), 0xffffffff)) {
                    total := add(total, term(word, 114, 96, table))
                }
                if iszero(and(shr(64, differing), 0xffffffff)) {
                    total := add(total, term(word, 82, 64, table))
                }
                if iszero(and(shr(32, differing), 0xffffffff)) {
                    total := add(total, term(word, 50, 32, table))
                }
                if iszero(and(shr(0, differing), 0xffffffff)) {
                    total := add(total, term(word, 18, 0, table))
                }
                indices := add(indices, 32)
            }
        }
    }

    /// @dev Slopes by sign and exponent bits in the first 16 KiB, intercepts (a half included) in the second.
    function _table(int256 exponent) private pure returns (uint256 table) {
        assembly ("memory-safe") {
            table := mload(0x40)
            mstore(0x40, add(table, TABLE_BYTES))
            function put(entry, slope, intercept) {
                let half := 0x8000000000000000
                mstore(entry, slope)
                mstore(add(entry, 0x2000), sub(0, slope))
                mstore(add(entry, 0x4000), add(half, intercept))
                mstore(add(entry, 0x6000), sub(half, intercept))
            }
            // x * 2^(33 - E + 64) = significand * 2^(field - 53 - E); from field E + 128 up |x| >= 2^(E + 1) is clamped.
            // Below scale 0 a term is below 2^-40, hence 0. (Field 0 has the scale of field 1.)
            let field := 0
            let linear := add(exponent, 53)
            let clamped := add(exponent, 128)
            if slt(linear, 1) { linear := 1 }
            put(table, shl(sub(1, add(exponent, 53)), 1), 0)
            for { field := 1 } lt(field, linear) { field := add(field, 1) } { put(add(table, shl(5, field)), 0, 0) }
            let slope := shl(sub(field, add(exponent, 53)), 1)
            for {} and(lt(field, clamped), lt(field, 255)) { field := add(field, 1) } {
                put(add(table, shl(5, field)), slope, shl(23, slope))
                slope := shl(1, slope)
            }
            for {} lt(field, 255) { field := add(field, 1) } { put(add(table, shl(5, field)), 0, shl(98, 1)) }
            put(add(table, 0x1fe0), 0, 0) // not finite
        }
    }
}
