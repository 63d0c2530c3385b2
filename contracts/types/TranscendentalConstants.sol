// SPDX-License-Identifier: MIT
// Generated from offchain/lockstep/numerics/transcendental.py by lockstep.program.codegen; do not edit.
pragma solidity ^0.8.28;

/// @title Bits of the f32 constants of exp, log, tanh and erf.
library TranscendentalConstants {
    uint256 internal constant ZERO = 0x00000000;
    uint256 internal constant ONE = 0x3f800000;
    uint256 internal constant TWO = 0x40000000;
    uint256 internal constant INFINITY = 0x7f800000;
    uint256 internal constant MINUS_INFINITY = 0xff800000;
    uint256 internal constant NAN = 0x7fc00000;
    uint256 internal constant MIN_NORMAL = 0x00800000;
    uint256 internal constant TWO_23 = 0x4b000000;
    uint256 internal constant EXP_MIN = 0xc2d00000;
    uint256 internal constant EXP_MAX = 0x42b20000;
    uint256 internal constant LOG2_E = 0x3fb8aa3b;
    uint256 internal constant LN2_HI = 0x3f317200;
    uint256 internal constant LN2_LO = 0x35bfbe8e;
    uint256 internal constant EXP_P0 = 0x3e2aaa8a;
    uint256 internal constant EXP_P1 = 0xbb354513;
    uint256 internal constant LN2 = 0x3f317218;
    uint256 internal constant LOG_L0 = 0x3f2aaabd;
    uint256 internal constant LOG_L1 = 0x3eccaf68;
    uint256 internal constant LOG_L2 = 0x3e98f073;
    uint256 internal constant TANH_MAX = 0x41200000;
    uint256 internal constant TANH_SMALL = 0x3f400000;
    uint256 internal constant TWO_LOG2_E = 0x4038aa3b;
    uint256 internal constant HALF_LN2_HI = 0x3eb17200;
    uint256 internal constant HALF_LN2_LO = 0x353fbe8e;
    uint256 internal constant TANH_Q0 = 0x3eaaaaa4;
    uint256 internal constant TANH_Q1 = 0xbcb606ce;
    uint256 internal constant TANH_Q2 = 0x3b09e97b;
    uint256 internal constant TANH_Q3 = 0xb94210fd;
    uint256 internal constant ERF_MAX = 0x40800000;
    uint256 internal constant ERF_SMALL = 0x3f920000;
    uint256 internal constant LOG_SQRT_HALF = 0x3f3504f3;
    uint256 internal constant LOG_SQRT_HALF_SCALED = 0x4ab504f3;
    /// @dev Coefficients of 32 bits, constant term lowest.
    uint256 internal constant ERF_SMALL_COEFFICIENTS =
        0x370e1608b8e2cfe93a5ca7ddbbaaec0a3cdc1101bde717583ec093a3be0375d5;
    /// @dev Coefficients of 32 bits, constant term lowest.
    uint256 internal constant ERF_LARGE_COEFFICIENTS =
        0xb93e9e3f3b561036bcb785e13d88a8eebd5371e1bd7e9a89be9e7d7d3f80ba8d;
}
