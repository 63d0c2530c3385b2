// SPDX-License-Identifier: MIT
// Generated from offchain/lockstep/program/ops.py by lockstep.program.codegen; do not edit.
pragma solidity ^0.8.28;

/// @title Families of operations: the high nibble of an op's code; the executor dispatches by it.
library Family {
    uint8 internal constant FLOAT = 0x01;
    uint8 internal constant TRANSCENDENTAL = 0x02;
    uint8 internal constant INTEGER = 0x03;
    uint8 internal constant COMPARE = 0x04;
    uint8 internal constant CAST = 0x05;
    uint8 internal constant CONTRACTION = 0x06;
    uint8 internal constant ROW = 0x07;
    uint8 internal constant MOVEMENT = 0x08;
    uint8 internal constant GENERATOR = 0x09;
    uint8 internal constant STATE = 0x0a;

    /// @dev Bit f is set where output element j of family f reads exactly element j of each operand.
    uint256 internal constant ELEMENTWISE = 0x003e;
}

/// @title Operations: their codes and what is fixed about each.
library Op {
    /// @dev a + b
    uint8 internal constant ADD = 0x10;
    /// @dev a - b
    uint8 internal constant SUB = 0x11;
    /// @dev a * b
    uint8 internal constant MUL = 0x12;
    /// @dev a / b
    uint8 internal constant DIV = 0x13;
    /// @dev a if a > b else b
    uint8 internal constant MAX = 0x14;
    /// @dev a if a < b else b
    uint8 internal constant MIN = 0x15;
    /// @dev square root
    uint8 internal constant SQRT = 0x18;
    /// @dev round toward minus infinity
    uint8 internal constant FLOOR = 0x19;
    /// @dev round toward plus infinity
    uint8 internal constant CEIL = 0x1a;
    /// @dev round to nearest integer, ties to even
    uint8 internal constant RNE = 0x1b;
    /// @dev round toward zero
    uint8 internal constant TRUNC = 0x1c;
    /// @dev flip the sign bit (NaN stays the canonical NaN)
    uint8 internal constant NEG = 0x1d;
    /// @dev clear the sign bit
    uint8 internal constant ABS = 0x1e;
    /// @dev e**x
    uint8 internal constant EXP = 0x20;
    /// @dev natural logarithm
    uint8 internal constant LOG = 0x21;
    /// @dev hyperbolic tangent
    uint8 internal constant TANH = 0x22;
    /// @dev error function
    uint8 internal constant ERF = 0x23;
    /// @dev a + b modulo 2**32
    uint8 internal constant IADD = 0x30;
    /// @dev a - b modulo 2**32
    uint8 internal constant ISUB = 0x31;
    /// @dev a * b modulo 2**32
    uint8 internal constant IMUL = 0x32;
    /// @dev unsigned quotient, 0 for a zero divisor
    uint8 internal constant UDIV = 0x33;
    /// @dev unsigned remainder, 0 for a zero divisor
    uint8 internal constant UMOD = 0x34;
    /// @dev bitwise and
    uint8 internal constant AND = 0x35;
    /// @dev bitwise or
    uint8 internal constant OR = 0x36;
    /// @dev bitwise exclusive or
    uint8 internal constant XOR = 0x37;
    /// @dev shift left by 0..31
    uint8 internal constant SHL = 0x38;
    /// @dev shift right by 0..31, zeros in
    uint8 internal constant SHR = 0x39;
    /// @dev shift right by 0..31, sign in
    uint8 internal constant SAR = 0x3a;
    /// @dev f32 a < b, 0 with NaN
    uint8 internal constant LT = 0x40;
    /// @dev f32 a <= b, 0 with NaN
    uint8 internal constant LE = 0x41;
    /// @dev f32 a == b, 0 with NaN
    uint8 internal constant EQ = 0x42;
    /// @dev f32 a != b, 1 with NaN
    uint8 internal constant NE = 0x43;
    /// @dev i32 signed a < b
    uint8 internal constant ILT = 0x44;
    /// @dev i32 signed a <= b
    uint8 internal constant ILE = 0x45;
    /// @dev i32 a == b
    uint8 internal constant IEQ = 0x46;
    /// @dev i32 a != b
    uint8 internal constant INE = 0x47;
    /// @dev i32 unsigned a < b
    uint8 internal constant ULT = 0x48;
    /// @dev i32 unsigned a <= b
    uint8 internal constant ULE = 0x49;
    /// @dev a where the i32 condition is not 0, else b
    uint8 internal constant SELECT = 0x4c;
    /// @dev f32 <-> i32; m16, u8, u16 -> i32, f32; e16 -> i32
    uint8 internal constant CAST = 0x50;
    /// @dev f32 <-> i32, the bits (NaN canonical on the f32 side)
    uint8 internal constant BITCAST = 0x51;
    /// @dev block exponent of each row (last axis)
    uint8 internal constant EXPONENT = 0x60;
    /// @dev mantissas of x under the rows' exponents
    uint8 internal constant QUANTIZE = 0x61;
    /// @dev exact contraction of mantissa rows, rounded once
    uint8 internal constant MATMUL = 0x62;
    /// @dev exact sum of each row, rounded once
    uint8 internal constant SUM = 0x70;
    /// @dev largest of each row in the total order
    uint8 internal constant REDUCE_MAX = 0x71;
    /// @dev index of the largest of each row, lowest of equals
    uint8 internal constant ARGMAX = 0x72;
    /// @dev each row ascending in the total order
    uint8 internal constant SORT = 0x73;
    /// @dev indices that sort each row, stable
    uint8 internal constant ARGSORT = 0x74;
    /// @dev affine re-indexing with a fill value
    uint8 internal constant VIEW = 0x80;
    /// @dev join along an axis
    uint8 internal constant CONCAT = 0x81;
    /// @dev rows of a table by index, 0 out of range
    uint8 internal constant GATHER = 0x82;
    /// @dev exact sums of entries that share an index
    uint8 internal constant SCATTER_ADD = 0x83;
    /// @dev row-major element number
    uint8 internal constant IOTA = 0x90;
    /// @dev Threefry-2x32 words
    uint8 internal constant RANDOM_BITS = 0x91;
    /// @dev swap-or-not permutation of 0..n-1
    uint8 internal constant SHUFFLE = 0x92;
    /// @dev tensor roots of the new state
    uint8 internal constant STATE = 0xa0;

    /// @dev Arity of an op that takes any number of inputs from 1 up.
    uint256 internal constant VARIADIC = 0xff;
    /// @dev What `arity` gives for a code that is no op.
    uint256 internal constant UNKNOWN = 0xfe;

    /// @notice Number of inputs; `VARIADIC` for any number from 1 up, `UNKNOWN` for a code that is no op.
    function arity(uint256 code) internal pure returns (uint256) {
        bytes32 row = 0xfefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe;
        if (code >> 5 == 0) row = 0xfefefefefefefefefefefefefefefefe020202020202fefe01010101010101fe;
        if (code >> 5 == 1) row = 0x01010101fefefefefefefefefefefefe0202020202020202010101fefefefefe;
        if (code >> 5 == 2) row = 0x02020202020202020202fefe03fefefe0101fefefefefefefefefefefefefefe;
        if (code >> 5 == 3) row = 0x010204fefefefefefefefefefefefefe0201010101fefefefefefefefefefefe;
        if (code >> 5 == 4) row = 0x01ff0203fefefefefefefefefefefefe000102fefefefefefefefefefefefefe;
        if (code >> 5 == 5) row = 0xfffefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe;
        return uint8(row[code & 31]);
    }

    /// @notice Bytes of the fixed attributes; 0 for `view` and `concat`, whose layouts are their own.
    function attributeBytes(uint256 code) internal pure returns (uint256) {
        bytes32 row = 0x0000000000000000000000000000000000000000000000000000000000000000;
        if (code >> 5 == 1) row = 0x0000000000000000000000000000000000000000000000000101010000000000;
        if (code >> 5 == 3) row = 0x0201000000000000000000000000000000000000000000000000000000000000;
        if (code >> 5 == 4) row = 0x0000000000000000000000000000000000040800000000000000000000000000;
        return uint8(row[code & 31]);
    }
}
