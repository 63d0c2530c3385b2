// SPDX-License-Identifier: MIT
// Generated from offchain/lockstep/program/ops.py and its neighbours by lockstep.program.codegen; do not edit.
pragma solidity ^0.8.28;

/// @title Limits of a valid program, and the sizes of encodings.
library Limits {
    /// @dev Version of the program encoding.
    uint256 internal constant VERSION = 1;
    /// @dev Nodes of a program.
    uint256 internal constant MAX_NODES = 65_536;
    /// @dev Axes of a tensor.
    uint256 internal constant MAX_RANK = 8;
    /// @dev Extent of an axis; the least is 1.
    uint256 internal constant MAX_DIM = 0x7fffffff;
    /// @dev Elements of a tensor.
    uint256 internal constant MAX_ELEMENTS = 0x40000000;
    /// @dev State entries of a program.
    uint256 internal constant MAX_STATE = 4096;
    /// @dev Constants of a program.
    uint256 internal constant MAX_CONSTANTS = 4096;
    /// @dev Metrics of a program.
    uint256 internal constant MAX_METRICS = 64;
    /// @dev Inputs of a concat.
    uint256 internal constant MAX_CONCAT = 256;
    /// @dev Elements of a row that one leaf carries.
    uint256 internal constant ROW_BLOCK = 4096;
    /// @dev Elements of a scatter_add's row that one leaf carries.
    uint256 internal constant SCATTER_BLOCK = 2048;
    /// @dev Longest row of exponent, reduce_max, argmax and of matmul's operands.
    uint256 internal constant MAX_ROW = 0x1000000;
    /// @dev Longest row of scatter_add.
    uint256 internal constant MAX_SCATTER_ROW = 0x800000;
    /// @dev Longest row of sum.
    uint256 internal constant MAX_SUM_ROW = 16_384;
    /// @dev Longest row of sort and argsort.
    uint256 internal constant MAX_SORT_ROW = 1024;
    /// @dev Bound on |offset| + sum |stride| * (extent - 1) of a view's source axis.
    uint256 internal constant MAX_VIEW_REACH = 0x10000000000;
    /// @dev Work of a step.
    uint256 internal constant MAX_WORK = 0x4000000000000000;
    /// @dev Mantissa bits of quantize.
    uint256 internal constant QUANTIZE_BITS = 14;
    /// @dev Floor of an exponent made for quantize.
    int256 internal constant EXPONENT_FLOOR_QUANTIZE = -113;
    /// @dev Floor of an exponent made for sum.
    int256 internal constant EXPONENT_FLOOR_SUM = -126;
    /// @dev Set in the random sites of init programs, clear in all others.
    uint256 internal constant INIT_SITE_BIT = 0x80000000;
    /// @dev Bytes of a program's encoded header.
    uint256 internal constant HEADER_BYTES = 162;
    /// @dev Bytes of a tensor's chunk; the last may be shorter.
    uint256 internal constant CHUNK_BYTES = 1024;
    /// @dev Hashes a reveal shows at most.
    uint256 internal constant TREE_WIDTH = 64;
    /// @dev Binary levels of a tree that one reveal opens.
    uint256 internal constant TREE_WIDTH_BITS = 6;
}
