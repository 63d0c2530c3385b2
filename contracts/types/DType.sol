// SPDX-License-Identifier: MIT
// Generated from offchain/lockstep/numerics/dtypes.py by lockstep.program.codegen; do not edit.
pragma solidity ^0.8.28;

/// @title Element types of tensors: their codes and sizes.
library DType {
    uint8 internal constant F32 = 0x01;
    uint8 internal constant I32 = 0x02;
    uint8 internal constant M16 = 0x03;
    uint8 internal constant E16 = 0x04;
    uint8 internal constant U8 = 0x05;
    uint8 internal constant U16 = 0x06;
    uint8 internal constant ROOT = 0x07;

    /// @dev The only NaN an f32 may hold.
    uint256 internal constant CANONICAL_NAN = 0x7fc00000;

    /// @notice Bytes an element takes in a commitment; 0 for a code that is no dtype.
    function itemSize(uint256 code) internal pure returns (uint256) {
        bytes32 row = 0x0000000000000000000000000000000000000000000000000000000000000000;
        if (code >> 5 == 0) row = 0x0004040202010220000000000000000000000000000000000000000000000000;
        return uint8(row[code & 31]);
    }
}
