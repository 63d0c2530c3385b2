// SPDX-License-Identifier: MIT
// Generated from offchain/lockstep/program/ops.py by lockstep.program.codegen; do not edit.
pragma solidity ^0.8.28;

/// @title Kinds of node inputs: where an operand comes from.
library InputKind {
    uint8 internal constant NODE = 0x00;
    uint8 internal constant STATE = 0x01;
    uint8 internal constant CONST = 0x02;
    uint8 internal constant COMMITTED = 0x03;
    uint8 internal constant STEP = 0x04;
    uint8 internal constant SEED = 0x05;
    uint8 internal constant F32 = 0x06;
    uint8 internal constant I32 = 0x07;
}
