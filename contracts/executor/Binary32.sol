// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title IEEE-754 binary32 in integers: round to nearest even, subnormals exact, one NaN.
/// @notice An f32 is its 32 bits in the low end of a word. Every function accepts any bits (a NaN may carry any payload) and returns
/// canonical ones: NaN only as 0x7fc00000. Twin of `offchain/lockstep/numerics/{float32,elementwise,casts}.py`.
/// @dev One idea carries all of it: a finite f32 is an integer times a power of two, results are computed as such exactly (or with
/// a sticky bit far below the last place), and `roundScaled` is the only rounding. Words of 256 bits leave room for that:
/// there is no renormalisation and no separate path for subnormals. Beside it, add, mul and div have a short cut without branches
/// for normal operands with a normal result, at half the gas: the sequences of the transcendentals are made of them.
library Binary32 {
    uint256 internal constant SIGN = 0x80000000;
    uint256 internal constant MAGNITUDE = 0x7fffffff;
    uint256 internal constant INFINITY = 0x7f800000;
    uint256 internal constant NAN = 0x7fc00000;
    uint256 internal constant FRACTION = 0x007fffff;
    uint256 internal constant ONE = 0x3f800000;

    /// @dev The smallest f32 above zero is 2^-149; every finite f32 is a multiple of it.
    int256 internal constant LOWEST_EXPONENT = -149;
    /// @dev By how many places an operand of an addition is moved at most: beyond that the smaller one is only sticky.
    uint256 private constant FAR = 64;

    // Representation

    /// @notice The bits with every NaN replaced by the canonical one.
    function canonical(uint256 a) internal pure returns (uint256) {
        return isNaN(a) ? NAN : a;
    }

    /// @notice Whether the bits are a NaN.
    function isNaN(uint256 a) internal pure returns (bool) {
        return a & MAGNITUDE > INFINITY;
    }

    /// @notice Whether the bits are neither an infinity nor a NaN.
    function isFinite(uint256 a) internal pure returns (bool) {
        return a & INFINITY != INFINITY;
    }

    /// @notice Exact parts of a finite f32: |a| = significand * 2^(place - 149).
    /// @return significand Below 2^24; at least 2^23 where place > 0.
    /// @return place 0 to 253; 0 for subnormals and for the lowest normal binade.
    function parts(uint256 a) internal pure returns (uint256 significand, uint256 place) {
        assembly ("memory-safe") {
            place := and(shr(23, a), 0xff)
            let normal := iszero(iszero(place))
            significand := or(and(a, 0x007fffff), shl(23, normal))
            place := sub(place, normal)
        }
    }

    /// @notice Bits of the f32 nearest to `integer` * 2^`exponent`, ties to even: a zero is +0, anything else keeps its sign even
    /// where it underflows.
    /// @param integer Below 2^200 in magnitude.
    /// @param exponent Below 2^200 in magnitude.
    function roundScaled(int256 integer, int256 exponent) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            bits := sar(255, integer) // all ones below zero
            integer := sub(xor(integer, bits), bits)
        }
        return (bits & SIGN) | roundMagnitude(uint256(integer), exponent);
    }

    /// @notice `roundScaled` of a magnitude below 2^200.
    /// @dev The last place of the result is worth 2^(place - 149): 24 significant bits, but never below 2^-149. With the
    /// magnitude rounded to units of it, the bits are units + (place << 23): subnormals, carries into the next binade and
    /// overflow included.
    function roundMagnitude(uint256 magnitude, int256 exponent) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            if magnitude {
                // floor(log2) is 255 - clz; place = floor(log2) + exponent - 23 + 149
                let zeros := clz(magnitude)
                let place := add(sub(381, zeros), exponent)
                switch sgt(place, 0)
                case 1 {
                    // The first bit moved to bit 254: 231 bits are rounded away, by adding a half less one, and one more
                    // to an odd number of units.
                    let x := shr(1, shl(zeros, magnitude))
                    let below := 0x3fffffffffffffffffffffffffffffffffffffffffffffffffffffffff // 2^230 - 1
                    bits := add(shr(231, add(add(x, below), and(shr(231, x), 1))), shl(23, place))
                    if gt(bits, 0x7f800000) { bits := 0x7f800000 }
                }
                default {
                    // Units of 2^-149. Moved left by 24 first, so that the shift is never below 1.
                    let shift := sub(sub(0, 125), exponent)
                    let x := shl(24, magnitude)
                    let below := sub(shl(sub(shift, 1), 1), 1)
                    bits := shr(shift, add(add(x, below), and(shr(shift, x), 1)))
                }
            }
        }
    }

    // Arithmetic

    /// @notice a + b.
    function add(uint256 a, uint256 b) internal pure returns (uint256 sum) {
        bool done;
        assembly ("memory-safe") {
            // The larger magnitude first: the sum has its sign.
            let swap := mul(xor(a, b), lt(and(a, 0x7fffffff), and(b, 0x7fffffff)))
            let x := xor(a, swap)
            let y := xor(b, swap)
            let fieldX := and(shr(23, x), 0xff)
            let fieldY := and(shr(23, y), 0xff)
            let distance := sub(fieldX, fieldY)
            let magnitude :=
                add(
                    shl(distance, or(and(x, 0x7fffff), 0x800000)),
                    mul(or(and(y, 0x7fffff), 0x800000), sub(1, shl(1, shr(31, xor(x, y)))))
                )
            // As in `roundMagnitude`; the magnitude is in units of 2^(fieldY - 150).
            let zeros := clz(magnitude)
            let place := add(sub(231, zeros), fieldY)
            let units := shr(1, shl(zeros, magnitude))
            units := shr(
                231,
                add(add(units, 0x3fffffffffffffffffffffffffffffffffffffffffffffffffffffffff), and(shr(231, units), 1))
            )
            sum := or(and(x, 0x80000000), add(units, shl(23, place)))
            done := and(
                and(lt(sub(fieldY, 1), 254), lt(fieldX, 255)),
                and(lt(distance, 200), and(lt(sub(place, 1), 252), gt(magnitude, 0)))
            )
        }
        if (!done) return _addAny(a, b);
    }

    /// @notice a - b.
    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        return add(a, b ^ SIGN);
    }

    /// @notice a * b.
    function mul(uint256 a, uint256 b) internal pure returns (uint256 product) {
        bool done;
        assembly ("memory-safe") {
            let fieldA := and(shr(23, a), 0xff)
            let fieldB := and(shr(23, b), 0xff)
            // 47 or 48 bits; moved to 48, of which 24 stay.
            let units := mul(or(and(a, 0x7fffff), 0x800000), or(and(b, 0x7fffff), 0x800000))
            let carry := shr(47, units)
            units := shl(sub(1, carry), units)
            units := shr(24, add(add(units, 0x7fffff), and(shr(24, units), 1)))
            let place := sub(add(add(fieldA, fieldB), carry), 128)
            product := or(and(xor(a, b), 0x80000000), add(units, shl(23, place)))
            done := and(and(lt(sub(fieldA, 1), 254), lt(sub(fieldB, 1), 254)), lt(sub(place, 1), 252))
        }
        if (!done) return _mulAny(a, b);
    }

    /// @notice a / b: x / 0 is an infinity of the joint sign, 0 / 0 is NaN.
    function div(uint256 a, uint256 b) internal pure returns (uint256 quotient) {
        bool done;
        assembly ("memory-safe") {
            let fieldA := and(shr(23, a), 0xff)
            let fieldB := and(shr(23, b), 0xff)
            // 27 or 28 bits, the last one sticky; moved to 28, of which 24 stay.
            let divisor := or(and(b, 0x7fffff), 0x800000)
            let numerator := shl(27, or(and(a, 0x7fffff), 0x800000))
            let units := or(div(numerator, divisor), gt(mod(numerator, divisor), 0))
            let carry := shr(27, units)
            units := shl(sub(1, carry), units)
            units := shr(4, add(add(units, 7), and(shr(4, units), 1)))
            let place := add(add(sub(fieldA, fieldB), carry), 125)
            quotient := or(and(xor(a, b), 0x80000000), add(units, shl(23, place)))
            done := and(and(lt(sub(fieldA, 1), 254), lt(sub(fieldB, 1), 254)), lt(sub(place, 1), 252))
        }
        if (!done) return _divAny(a, b);
    }

    /// @notice Square root: NaN below zero, -0 of -0.
    /// @dev floor(sqrt(n)) by Newton's method from above: the first guess is at most a factor of 2 too large, six steps bring the
    /// error below 2^-90, and the last word is the smaller of guess and n / guess.
    function sqrt(uint256 a) internal pure returns (uint256) {
        if (a & MAGNITUDE == 0) return a;
        if (a >= INFINITY) return a == INFINITY ? a : NAN; // negative, or not finite
        uint256 root;
        int256 exponent;
        assembly ("memory-safe") {
            // As in `parts`.
            let place := shr(23, a)
            let normal := iszero(iszero(place))
            place := sub(place, normal)
            // a = n * 2^(place - 149 - up) with an even exponent; 63 bits of n or more give 31 of root.
            let up := add(63, and(place, 1))
            let n := shl(up, or(and(a, 0x7fffff), shl(23, normal)))
            root := shl(shr(1, sub(257, clz(n))), 1)
            root := shr(1, add(root, div(n, root)))
            root := shr(1, add(root, div(n, root)))
            root := shr(1, add(root, div(n, root)))
            root := shr(1, add(root, div(n, root)))
            root := shr(1, add(root, div(n, root)))
            root := shr(1, add(root, div(n, root)))
            let other := div(n, root)
            if lt(other, root) { root := other }
            // A sticky bit below.
            root := or(shl(1, root), iszero(eq(mul(root, root), n)))
            exponent := sub(sar(1, sub(place, add(149, up))), 1)
        }
        return roundMagnitude(root, exponent);
    }

    /// @notice a if a > b else b: b where either is NaN or both are equal.
    function max(uint256 a, uint256 b) internal pure returns (uint256) {
        return canonical(lt(b, a) ? a : b);
    }

    /// @notice a if a < b else b: b where either is NaN or both are equal.
    function min(uint256 a, uint256 b) internal pure returns (uint256) {
        return canonical(lt(a, b) ? a : b);
    }

    /// @notice The sign bit flipped; NaN stays the canonical NaN.
    function neg(uint256 a) internal pure returns (uint256) {
        return canonical(a ^ SIGN);
    }

    /// @notice The sign bit cleared; NaN stays the canonical NaN.
    function abs(uint256 a) internal pure returns (uint256) {
        return canonical(a & MAGNITUDE);
    }

    // Roundings to integers. The sign of a zero result is the operand's.

    /// @notice Largest integer not above a.
    function floor(uint256 a) internal pure returns (uint256) {
        return _toIntegral(a, a & SIGN == 0 ? 0 : type(uint256).max, false);
    }

    /// @notice Smallest integer not below a.
    function ceil(uint256 a) internal pure returns (uint256) {
        return _toIntegral(a, a & SIGN == 0 ? type(uint256).max : 0, false);
    }

    /// @notice Integer part.
    function trunc(uint256 a) internal pure returns (uint256) {
        return _toIntegral(a, 0, false);
    }

    /// @notice Nearest integer, ties to even.
    function rne(uint256 a) internal pure returns (uint256) {
        return _toIntegral(a, 0, true);
    }

    // Comparisons

    /// @notice a < b; false with NaN; -0 equals +0.
    function lt(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNaN(a) && !isNaN(b) && _signed(a) < _signed(b);
    }

    /// @notice a <= b; false with NaN.
    function le(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNaN(a) && !isNaN(b) && _signed(a) <= _signed(b);
    }

    /// @notice a == b; false with NaN.
    function eq(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNaN(a) && !isNaN(b) && _signed(a) == _signed(b);
    }

    /// @notice Key of the total order -inf < .. < -0 < +0 < .. < +inf < NaN, as an unsigned 32-bit number.
    /// @dev The reference's signed key `b ^ ((b >> 31) & 0x7fffffff)` plus 2^31.
    function orderKey(uint256 a) internal pure returns (uint256) {
        a = canonical(a);
        return a & SIGN == 0 ? a | SIGN : a ^ 0xffffffff;
    }

    /// @notice The canonical bits that have this key.
    function fromOrderKey(uint256 key) internal pure returns (uint256) {
        return key & SIGN == 0 ? key ^ 0xffffffff : key ^ SIGN;
    }

    // Conversions

    /// @notice f32 to i32 (as its 32 bits): truncated, saturated, 0 for NaN.
    function toInt32(uint256 a) internal pure returns (uint256) {
        unchecked {
            if (isNaN(a)) return 0;
            bool negative = a & SIGN != 0;
            if (a & MAGNITUDE >= 0x4f000000) return negative ? 0x80000000 : 0x7fffffff; // |a| >= 2^31
            (uint256 significand, uint256 place) = parts(a);
            // Below 2^31 the place is at most 156: 7 above that of an integer.
            uint256 magnitude = (significand << 8) >> (157 - place);
            return (negative ? 0 - magnitude : magnitude) & 0xffffffff;
        }
    }

    /// @notice Integer to the nearest f32, ties to even; 0 gives +0.
    /// @param integer Below 2^200 in magnitude.
    function fromInteger(int256 integer) internal pure returns (uint256) {
        return roundScaled(integer, 0);
    }

    /// @notice clamp(rne(a * 2^`shift`), +-`limit`) of a finite f32, on the exact product.
    /// @param shift Below 2^200 in magnitude.
    /// @param limit Below 2^40.
    function scaleToInteger(uint256 a, int256 shift, uint256 limit) internal pure returns (int256) {
        unchecked {
            (uint256 significand, uint256 place) = parts(a);
            shift += int256(place) + LOWEST_EXPONENT;
            // From 2^41 up a non-zero significand is clamped anyhow, and below 2^-25 it is 0 anyhow.
            if (shift > 41) shift = 41;
            if (shift < -26) shift = -26;
            // In units of 2^-26: the last 26 bits are rounded away.
            uint256 units = significand << uint256(shift + 26);
            units = (units + 0x1ffffff + ((units >> 26) & 1)) >> 26;
            if (units > limit) units = limit;
            return a & SIGN == 0 ? int256(units) : -int256(units);
        }
    }

    // Inside

    /// @dev a + b of any operands.
    function _addAny(uint256 a, uint256 b) private pure returns (uint256) {
        if (!isFinite(a) || !isFinite(b)) {
            if (isNaN(a) || isNaN(b)) return NAN;
            if (isFinite(b)) return a;
            if (isFinite(a)) return b;
            return a == b ? a : NAN;
        }
        (uint256 significandA, uint256 placeA) = parts(a);
        (uint256 significandB, uint256 placeB) = parts(b);
        int256 sum;
        int256 exponent;
        assembly ("memory-safe") {
            // As signed integers; the one with the higher place is moved to the other's.
            let x := xor(significandA, sub(0, shr(31, a)))
            x := add(x, shr(31, a))
            let y := xor(significandB, sub(0, shr(31, b)))
            y := add(y, shr(31, b))
            if lt(placeA, placeB) {
                let swap := x
                x := y
                y := swap
                swap := placeA
                placeA := placeB
                placeB := swap
            }
            let distance := sub(placeA, placeB)
            // Further away than FAR the smaller one (below 2^24) cannot reach the last place of the larger (at least
            // 2^23, since its place is not 0) nor tie: any place below does.
            if gt(distance, FAR) { distance := FAR }
            sum := add(shl(distance, x), y)
            exponent := sub(sub(placeA, distance), 149)
        }
        // x - x is +0, and so is every sum of zeros but (-0) + (-0).
        if (sum == 0) return a & b & SIGN;
        return roundScaled(sum, exponent);
    }

    /// @dev a * b of any operands.
    function _mulAny(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) & SIGN;
            if (!isFinite(a) || !isFinite(b)) {
                if (isNaN(a) || isNaN(b) || a & MAGNITUDE == 0 || b & MAGNITUDE == 0) return NAN;
                return sign | INFINITY;
            }
            (uint256 significandA, uint256 placeA) = parts(a);
            (uint256 significandB, uint256 placeB) = parts(b);
            return sign | roundMagnitude(significandA * significandB, int256(placeA + placeB) + 2 * LOWEST_EXPONENT);
        }
    }

    /// @dev a / b of any operands.
    function _divAny(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) & SIGN;
            if (!isFinite(a) || !isFinite(b)) {
                if (isNaN(a) || isNaN(b) || (!isFinite(a) && !isFinite(b))) return NAN;
                return isFinite(a) ? sign : sign | INFINITY;
            }
            (uint256 significandA, uint256 placeA) = parts(a);
            (uint256 significandB, uint256 placeB) = parts(b);
            if (significandB == 0) return significandA == 0 ? NAN : sign | INFINITY;
            // At least 40 bits of quotient (unless it is zero), and a sticky bit below them.
            uint256 numerator = significandA << 64;
            uint256 quotient = numerator / significandB;
            uint256 sticky = quotient * significandB == numerator ? 0 : 1;
            return sign | roundMagnitude((quotient << 1) | sticky, int256(placeA) - int256(placeB) - 65);
        }
    }

    /// @dev Sign and magnitude as a signed integer in the order of the numbers; both zeros are 0.
    function _signed(uint256 a) private pure returns (int256) {
        unchecked {
            return a & SIGN == 0 ? int256(a) : -int256(a & MAGNITUDE);
        }
    }

    /// @dev Rounds a magnitude to an integer: to nearest even, or up where `carry` (a word of ones) asks for it and a
    /// fraction is lost.
    function _toIntegral(uint256 a, uint256 carry, bool nearest) private pure returns (uint256) {
        unchecked {
            if (a & MAGNITUDE >= 0x4b000000) return canonical(a); // integers from 2^23 up, infinities, NaN
            (uint256 significand, uint256 place) = parts(a);
            // Fractional bits: 1 to 149. All but the first 25 of the significand's places are below a half.
            uint256 shift = 149 - place;
            uint256 fraction = (1 << shift) - 1;
            uint256 integer = nearest
                ? (significand + (fraction >> 1) + ((significand >> shift) & 1)) >> shift
                : (significand + (fraction & carry)) >> shift;
            return (a & SIGN) | roundMagnitude(integer, 0);
        }
    }
}
