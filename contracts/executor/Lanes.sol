// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Rows of little-endian elements as words of lanes, several elements an instruction.
/// @dev A calldata word holds 8 elements of 32 bits or 16 of 16 bits, the first at its top, each byte-reversed. Reversing a whole
/// word at once costs 5 gas an element; taking elements one by one from calldata would cost about 60.
library Lanes {
    /// @notice Copies a row of 32-bit elements to memory as words of eight lanes, the first element in the top lane. The lanes behind
    /// the last element are zero.
    /// @return pointer Memory address of the first word.
    /// @return words Number of words.
    function load32(bytes calldata data) internal pure returns (uint256 pointer, uint256 words) {
        assembly ("memory-safe") {
            words := shr(5, add(data.length, 31))
            pointer := mload(0x40)
            let end := add(pointer, shl(5, words))
            mstore(0x40, end)
            let source := data.offset
            let bytesMask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
            let pairsMask := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
            for { let to := pointer } lt(to, end) { to := add(to, 32) } {
                let word := calldataload(source)
                word := or(shl(8, and(word, bytesMask)), and(shr(8, word), bytesMask))
                word := or(shl(16, and(word, pairsMask)), and(shr(16, word), pairsMask))
                mstore(to, word)
                source := add(source, 32)
            }
            let excess := sub(shl(5, words), data.length)
            if excess {
                let last := sub(end, 32)
                mstore(last, and(mload(last), not(sub(shl(shl(3, excess), 1), 1))))
            }
        }
    }

    /// @notice Exact dot product of two rows of signed 16-bit elements, of the same length in bytes.
    /// @dev Four products a multiplication: with a_0..a_3 in lanes of 64 bits of one word and b_3..b_0 in those of the other, the
    /// top lane of the product (modulo 2^256) is their dot product. Elements are offset by 2^15 to be unsigned; lanes are
    /// below 2^16, so 2^28 products fit before a lane overflows, and the rows have at most 2^14 elements.
    function dot16(bytes calldata a, bytes calldata b) internal pure returns (int256 sum) {
        assembly ("memory-safe") {
            let lanes := 0x000000000000ffff000000000000ffff000000000000ffff000000000000ffff
            let products := 0
            let sums := 0
            let length := a.length
            for { let i := 0 } lt(i, length) { i := add(i, 32) } {
                let x := calldataload(add(a.offset, i))
                let y := calldataload(add(b.offset, i))
                let rest := sub(length, i)
                if lt(rest, 32) {
                    let mask := not(sub(shl(sub(256, shl(3, rest)), 1), 1))
                    x := and(x, mask)
                    y := and(y, mask)
                }
                {
                    // Bytes into order, then the offset.
                    let mask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    let signs := 0x8000800080008000800080008000800080008000800080008000800080008000
                    x := xor(or(shl(8, and(x, mask)), and(shr(8, x), mask)), signs)
                    y := xor(or(shl(8, and(y, mask)), and(shr(8, y), mask)), signs)
                }
                {
                    // The 64-bit groups of y in reverse.
                    let mask := 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff
                    y := or(shl(128, y), shr(128, y))
                    y := or(shl(64, and(y, mask)), and(shr(64, y), mask))
                }
                let p := and(x, lanes)
                let q := and(y, lanes)
                products := add(products, mul(p, q))
                sums := add(sums, add(p, q))
                p := and(shr(16, x), lanes)
                q := and(shr(16, y), lanes)
                products := add(products, mul(p, q))
                sums := add(sums, add(p, q))
                p := and(shr(32, x), lanes)
                q := and(shr(32, y), lanes)
                products := add(products, mul(p, q))
                sums := add(sums, add(p, q))
                p := and(shr(48, x), lanes)
                q := and(shr(48, y), lanes)
                products := add(products, mul(p, q))
                sums := add(sums, add(p, q))
            }
            // sum (u - 2^15) (v - 2^15) = sum u v - 2^15 sum (u + v) + 2^30 n, padding included: it counts as zeros.
            let group := 0xffffffffffffffff
            sums := add(
                add(and(sums, group), and(shr(64, sums), group)),
                add(and(shr(128, sums), group), shr(192, sums))
            )
            let count := shl(4, shr(5, add(length, 31)))
            sum := add(sub(shr(192, products), shl(15, sums)), shl(30, count))
        }
    }

    /// @notice Largest exponent field (0 to 255) of a row of f32.
    /// @dev Works on the bytes as they lie: of b0 b1 b2 b3 the field is the low seven bits of b3 and the top bit of b2.
    function maxExponentField(bytes calldata data) internal pure returns (uint256 largest) {
        assembly ("memory-safe") {
            let best := 0
            let length := data.length
            for { let i := 0 } lt(i, length) { i := add(i, 32) } {
                let word := calldataload(add(data.offset, i))
                let rest := sub(length, i)
                if lt(rest, 32) { word := and(word, not(sub(shl(sub(256, shl(3, rest)), 1), 1))) }
                let fields :=
                    or(
                        shl(1, and(word, 0x0000007f0000007f0000007f0000007f0000007f0000007f0000007f0000007f)),
                        and(shr(15, word), 0x0000000100000001000000010000000100000001000000010000000100000001)
                    )
                // Bit 8 of a lane survives the subtraction where best >= fields; spread to a mask of eight ones.
                let guard := 0x0000010000000100000001000000010000000100000001000000010000000100
                let above := and(sub(or(best, guard), fields), guard)
                best := xor(fields, and(xor(best, fields), sub(above, shr(8, above))))
            }
            for {} best { best := shr(32, best) } {
                let field := and(best, 0xff)
                if gt(field, largest) { largest := field }
            }
        }
    }
}
