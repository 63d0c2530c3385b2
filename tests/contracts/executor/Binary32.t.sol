// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Binary32} from "../../../contracts/executor/Binary32.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Laws that hold for correctly rounded arithmetic, each stated in exact integers. Bit-exact comparison with NumPy is in
/// tests/differential.
contract Binary32Test is Test {
    uint256 private constant NAN = 0x7fc00000;
    uint256 private constant INFINITY = 0x7f800000;
    uint256 private constant SIGN = 0x80000000;
    uint256 private constant ONE = 0x3f800000;
    uint256 private constant SMALLEST = 1;
    uint256 private constant LARGEST = 0x7f7fffff;

    // Known answers

    function test_add_edges_followTheStandard() public pure {
        assertEq(Binary32.add(0, SIGN), 0); // 0 + -0
        assertEq(Binary32.add(SIGN, SIGN), SIGN); // -0 + -0
        assertEq(Binary32.add(ONE, ONE | SIGN), 0); // 1 - 1
        assertEq(Binary32.add(INFINITY, ONE), INFINITY);
        assertEq(Binary32.add(INFINITY, INFINITY | SIGN), NAN);
        assertEq(Binary32.add(SMALLEST, SMALLEST), 2);
        assertEq(Binary32.add(0x007fffff, SMALLEST), 0x00800000); // largest subnormal and smallest
        assertEq(Binary32.add(LARGEST, 0x73000000), INFINITY); // half of the last place: a tie, to even, overflows
        assertEq(Binary32.add(LARGEST, 0x72ffffff), LARGEST); // just below the tie
        assertEq(Binary32.add(ONE, 0x33800000), ONE); // a tie, to even
        assertEq(Binary32.add(ONE, 0x33800001), ONE + 1); // just above it
        assertEq(Binary32.add(ONE + 1, 0x33800000), ONE + 2); // a tie, to even, upwards
        assertEq(Binary32.add(ONE, SMALLEST | SIGN), ONE); // far away, below
        assertEq(Binary32.add(0x00800000, SMALLEST | SIGN), 0x007fffff);
    }

    function test_mul_edges_followTheStandard() public pure {
        assertEq(Binary32.mul(0, INFINITY), NAN);
        assertEq(Binary32.mul(SIGN, ONE), SIGN);
        assertEq(Binary32.mul(LARGEST, 0x40000000), INFINITY);
        assertEq(Binary32.mul(SMALLEST, 0x3f000000), 0); // half of the smallest: a tie, to even
        assertEq(Binary32.mul(SMALLEST, 0x3f000001), 1);
        assertEq(Binary32.mul(SMALLEST | SIGN, 0x3e800000), SIGN); // underflow keeps the sign
        assertEq(Binary32.mul(0x1a800000, 0x1a800000), 2); // 2^-74 squared
        assertEq(Binary32.mul(0x1a000000, 0x1a000000), 0); // 2^-75 squared: a tie, to even
    }

    function test_div_edges_followTheStandard() public pure {
        assertEq(Binary32.div(ONE, 0), INFINITY);
        assertEq(Binary32.div(ONE, SIGN), INFINITY | SIGN);
        assertEq(Binary32.div(0, 0), NAN);
        assertEq(Binary32.div(INFINITY, INFINITY), NAN);
        assertEq(Binary32.div(ONE, INFINITY | SIGN), SIGN);
        assertEq(Binary32.div(ONE, 0x40400000), 0x3eaaaaab); // 1/3
        assertEq(Binary32.div(SMALLEST, SMALLEST), ONE);
        assertEq(Binary32.div(LARGEST, SMALLEST), INFINITY);
        assertEq(Binary32.div(SMALLEST, 0x40000000), 0); // a tie, to even
    }

    function test_sqrt_edges_followTheStandard() public pure {
        assertEq(Binary32.sqrt(SIGN), SIGN);
        assertEq(Binary32.sqrt(ONE | SIGN), NAN);
        assertEq(Binary32.sqrt(INFINITY), INFINITY);
        assertEq(Binary32.sqrt(0x40800000), 0x40000000); // 4
        assertEq(Binary32.sqrt(0x40000000), 0x3fb504f3); // 2
        assertEq(Binary32.sqrt(SMALLEST), 0x1a3504f3); // 2^-149: sqrt(2) * 2^-75
        assertEq(Binary32.sqrt(LARGEST), 0x5f7fffff);
    }

    function test_roundings_halves_followTheStandard() public pure {
        assertEq(Binary32.rne(0x3f000000), 0); // 0.5
        assertEq(Binary32.rne(0xbf000000), SIGN); // -0.5
        assertEq(Binary32.rne(0x3fc00000), 0x40000000); // 1.5
        assertEq(Binary32.rne(0x40200000), 0x40000000); // 2.5
        assertEq(Binary32.floor(0x80000001), 0xbf800000); // the smallest below zero
        assertEq(Binary32.ceil(0x80000001), SIGN);
        assertEq(Binary32.ceil(SMALLEST), ONE);
        assertEq(Binary32.trunc(0xbfffffff), 0xbf800000);
        assertEq(Binary32.floor(0x4b000001), 0x4b000001); // 2^23 + 1
    }

    function test_toInt32_edges_saturate() public pure {
        assertEq(Binary32.toInt32(NAN), 0);
        assertEq(Binary32.toInt32(INFINITY), 0x7fffffff);
        assertEq(Binary32.toInt32(0x4f000000), 0x7fffffff); // 2^31
        assertEq(Binary32.toInt32(0xcf000000), 0x80000000); // -2^31
        assertEq(Binary32.toInt32(0xcf000001), 0x80000000);
        assertEq(Binary32.toInt32(0x4effffff), 0x7fffff80);
        assertEq(Binary32.toInt32(0xbf7fffff), 0); // above -1
    }

    function test_minMax_zerosAndNaN_giveTheSecond() public pure {
        assertEq(Binary32.max(0, SIGN), SIGN);
        assertEq(Binary32.max(SIGN, 0), 0);
        assertEq(Binary32.min(0, SIGN), SIGN);
        assertEq(Binary32.max(NAN, ONE), ONE);
        assertEq(Binary32.max(ONE, NAN), NAN);
        assertEq(Binary32.min(ONE, 0xffffffff), NAN); // canonical
    }

    function test_roundScaled_extremes_areTotal() public pure {
        assertEq(Binary32.roundScaled(0, 1000), 0);
        assertEq(Binary32.roundScaled(-1, -100_000), SIGN);
        assertEq(Binary32.roundScaled(1, 100_000), INFINITY);
        assertEq(Binary32.roundScaled(-1, 128), INFINITY | SIGN);
        assertEq(Binary32.roundScaled(1, -149), 1);
        assertEq(Binary32.roundScaled(1, -150), 0); // a tie, to even
        assertEq(Binary32.roundScaled(3, -150), 2); // a tie, to even
        assertEq(Binary32.roundScaled(3, -151), 1);
        assertEq(Binary32.roundScaled(2 ** 24 + 1, 0), 0x4b800000); // a tie, to even
        assertEq(Binary32.roundScaled(2 ** 24 + 3, 0), 0x4b800002);
        assertEq(Binary32.roundScaled(0x1ffffff, 103), INFINITY); // the tie above the largest
        assertEq(Binary32.roundScaled(0x1fffffe, 103), LARGEST);
        assertEq(Binary32.roundScaled(2 ** 199, -199), ONE);
        assertEq(Binary32.roundScaled(2 ** 199 + 1, -199), ONE);
    }

    // Laws

    function testFuzz_roundScaled_anyInteger_isNearest(int128 integer, int256 exponent) public pure {
        exponent = bound(exponent, -260, 60);
        uint256 bits = Binary32.roundScaled(integer, exponent);
        uint256 magnitude = bits & 0x7fffffff;
        if (integer == 0) return assertEq(bits, 0);
        assertEq(bits >= SIGN, integer < 0);
        if (magnitude == INFINITY) return;
        // Twice the distance to the neighbours' midpoints, in units of the finer of the two scales.
        (uint256 significand, uint256 place) = Binary32.parts(magnitude);
        int256 fine = int256(place) - 150; // half a last place
        int256 common = exponent < fine ? exponent : fine;
        if (exponent - common > 120 || fine - common > 220) return;
        uint256 exact = uint256(integer < 0 ? -int256(integer) : int256(integer)) << uint256(exponent - common);
        uint256 half = 1 << uint256(fine - common);
        uint256 rounded = 2 * significand * half;
        uint256 distance = exact > rounded ? exact - rounded : rounded - exact;
        // Just above a power of two the place below is half as wide.
        bool narrow = exact < rounded && significand == 0x800000 && place != 0;
        assertLe(narrow ? 2 * distance : distance, half);
        if (distance == half && !narrow) assertEq(magnitude & 1, 0, "a tie goes to even");
    }

    function testFuzz_addMul_anyOperands_commute(uint32 a, uint32 b) public pure {
        assertEq(Binary32.add(a, b), Binary32.add(b, a));
        assertEq(Binary32.mul(a, b), Binary32.mul(b, a));
    }

    function testFuzz_results_anyOperands_areCanonical(uint32 a, uint32 b) public pure {
        uint256[13] memory results = [
            Binary32.add(a, b),
            Binary32.sub(a, b),
            Binary32.mul(a, b),
            Binary32.div(a, b),
            Binary32.sqrt(a),
            Binary32.max(a, b),
            Binary32.min(a, b),
            Binary32.floor(a),
            Binary32.ceil(a),
            Binary32.trunc(a),
            Binary32.rne(a),
            Binary32.neg(a),
            Binary32.abs(a)
        ];
        for (uint256 i = 0; i < results.length; ++i) {
            assertLt(results[i], 2 ** 32);
            assertEq(results[i], Binary32.canonical(results[i]));
        }
    }

    function testFuzz_units_anyOperand_areNeutral(uint32 bits) public pure {
        uint256 a = Binary32.canonical(bits);
        assertEq(Binary32.mul(a, ONE), a);
        assertEq(Binary32.div(a, ONE), a);
        assertEq(Binary32.sub(a, 0), a);
        assertEq(Binary32.add(a, SIGN), a);
    }

    function testFuzz_sub_anyOperands_changesSignWithTheirOrder(uint32 a, uint32 b) public pure {
        uint256 difference = Binary32.sub(a, b);
        uint256 reverse = Binary32.sub(b, a);
        if (difference == NAN) assertEq(reverse, NAN);
        // What is equal leaves +0 both ways, but for two zeros of different signs.
        else if (difference == 0) assertEq(reverse & ~uint256(SIGN), 0);
        else assertEq(reverse, difference ^ SIGN);
    }

    function testFuzz_sqrt_ofASquare_isTheRoot(uint16 root) public pure {
        uint256 a = Binary32.fromInteger(int256(uint256(root) & 0xfff)); // its square has 24 bits
        assertEq(Binary32.sqrt(Binary32.mul(a, a)), a);
    }

    function testFuzz_roundings_anyOperand_bracketIt(uint32 a) public pure {
        if (Binary32.isNaN(a)) return;
        assertTrue(Binary32.le(Binary32.floor(a), a));
        assertTrue(Binary32.le(a, Binary32.ceil(a)));
        assertTrue(Binary32.le(Binary32.abs(Binary32.trunc(a)), Binary32.abs(a)));
        uint256 nearest = Binary32.rne(a);
        assertTrue(Binary32.eq(nearest, Binary32.floor(a)) || Binary32.eq(nearest, Binary32.ceil(a)));
    }

    function testFuzz_comparisons_anyOperands_agreeWithTheOrder(uint32 a, uint32 b) public pure {
        uint256 keyA = Binary32.orderKey(a);
        uint256 keyB = Binary32.orderKey(b);
        if (Binary32.lt(a, b)) assertLt(keyA, keyB);
        if (Binary32.isNaN(a) || Binary32.isNaN(b)) {
            assertFalse(Binary32.lt(a, b) || Binary32.le(a, b) || Binary32.eq(a, b));
        } else {
            assertEq(Binary32.le(a, b), Binary32.lt(a, b) || Binary32.eq(a, b));
            assertTrue(Binary32.le(a, b) || Binary32.lt(b, a));
        }
        assertEq(Binary32.fromOrderKey(keyA), Binary32.canonical(a));
        if (Binary32.isNaN(a)) assertGe(keyA, keyB);
    }

    function testFuzz_integers_below2To24_surviveTheRoundTrip(int256 integer) public pure {
        integer = bound(integer, -(2 ** 24), 2 ** 24);
        uint256 bits = Binary32.fromInteger(integer);
        assertEq(int256(int32(uint32(Binary32.toInt32(bits)))), integer);
    }

    function testFuzz_scaleToInteger_anyOperand_isTheRoundingOfTheProduct(uint32 bits, int256 shift) public pure {
        vm.assume(Binary32.isFinite(bits));
        shift = bound(shift, -300, 300);
        int256 scaled = Binary32.scaleToInteger(bits, shift, 2 ** 34);
        (uint256 significand, uint256 place) = Binary32.parts(bits);
        int256 exponent = int256(place) - 149 + shift;
        int256 expected;
        if (exponent > 40) expected = significand == 0 ? int256(0) : int256(2 ** 34);
        else if (exponent >= 0) expected = int256(significand << uint256(exponent));
        else if (exponent > -30) expected = _roundedQuotient(significand, uint256(-exponent));
        if (expected > 2 ** 34) expected = 2 ** 34;
        assertEq(scaled, bits >= SIGN ? -expected : expected);
    }

    function _roundedQuotient(uint256 numerator, uint256 places) private pure returns (int256) {
        uint256 quotient = numerator >> places;
        uint256 rest = numerator - (quotient << places);
        uint256 half = (1 << places) / 2;
        if (rest > half || (rest == half && quotient & 1 == 1)) ++quotient;
        return int256(quotient);
    }
}
