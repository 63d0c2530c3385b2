// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {IOpExecutor} from "../interfaces/IOpExecutor.sol";
import {Limits} from "../types/Limits.sol";
import {Binary32} from "./Binary32.sol";
import {Leaf} from "./LeafLib.sol";

/// @title Exponents and contractions, whether a leaf has the whole row or a block of it.
/// @notice Twin of `offchain/lockstep/numerics/contraction.py`.
library Contraction {
    /// @dev Exponent of a row that holds an infinity or a NaN.
    int256 private constant ABSORBING = 255;
    int256 private constant HIGHEST_EXPONENT = 127;

    /// @notice max(floor(log2 max |x_i|), floor), from the largest exponent field: a zero's or subnormal's is 0, which is below
    /// every floor, an infinity's or NaN's is 255.
    function exponentOf(uint256 largestField, int256 floor) internal pure returns (int256) {
        int256 field = int256(largestField);
        if (field == 255) return ABSORBING;
        return field - 127 > floor ? field - 127 : floor;
    }

    /// @notice Whether mantissas have a value under an exponent.
    function isUsable(int256 exponent) internal pure returns (bool) {
        return exponent >= Limits.EXPONENT_FLOOR_QUANTIZE && exponent <= HIGHEST_EXPONENT;
    }

    /// @notice The f32 nearest to `total` * 2^(Ea + Eb - 26); NaN where an exponent is not usable.
    function round(int256 total, int256 exponentA, int256 exponentB) internal pure returns (uint256) {
        if (!isUsable(exponentA) || !isUsable(exponentB)) return Binary32.NAN;
        return Binary32.roundScaled(total, exponentA + exponentB - 26);
    }

    /// @notice The rows of the operands [L, M, K] and [L, N, K] that element (l, m, n) of a matmul contracts.
    /// @dev In memory: two numbers more on the stack are too many for the compiler.
    function rowsOf(Leaf memory leaf, bytes calldata node) internal pure returns (uint256[2] memory rows) {
        uint256 rank = ProgramLib.rankOf(node);
        require(rank >= 2, IOpExecutor.MalformedNode());
        uint256 n = ProgramLib.extentAt(node, rank - 1);
        rows[0] = leaf.element / n;
        rows[1] = rows[0] / ProgramLib.extentAt(node, rank - 2) * n + leaf.element % n;
    }
}
