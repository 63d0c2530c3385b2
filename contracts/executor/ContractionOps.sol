// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Limits} from "../types/Limits.sol";
import {Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {Contraction} from "./Contraction.sol";
import {Lanes} from "./Lanes.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";

/// @title Block quantisation and exact contraction: `exponent`, `quantize`, `matmul`.
/// @notice Twin of `offchain/lockstep/numerics/contraction.py`.
contract ContractionOps is OpFamily {
    uint256 private constant MANTISSA_LIMIT = 1 << 14;

    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        if (leaf.op == Op.EXPONENT) return uint16(int16(_exponent(leaf, node, reads)));
        if (leaf.op == Op.QUANTIZE) return uint16(int16(_quantize(leaf, node, reads)));
        require(leaf.op == Op.MATMUL, MalformedNode());
        return _matmul(leaf, node, reads);
    }

    /// @dev max(floor(log2 max |x_i|), floor).
    function _exponent(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (int256) {
        int256 floor = int16(uint16(ProgramLib.readUint(node, leaf.attributes, 2)));
        uint256 length = LeafLib.leafExtent(leaf, reads, Limits.ROW_BLOCK);
        bytes calldata row = LeafLib.run(leaf, reads, 0, leaf.element * length, length, DType.F32);
        return Contraction.exponentOf(Lanes.maxExponentField(row), floor);
    }

    /// @dev clamp(rne(x * 2^(13 - E)), +-2^14); 0 where E is not usable or x is not finite.
    function _quantize(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (int256) {
        uint256 rank = ProgramLib.rankOf(node);
        require(rank != 0, MalformedNode());
        uint256 x = LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.F32);
        uint256 rowIndex = leaf.element / ProgramLib.extentAt(node, rank - 1);
        int256 exponent = LeafLib.signed16(leaf, node, reads, 1, rowIndex, DType.E16);
        if (!Contraction.isUsable(exponent) || !Binary32.isFinite(x)) return 0;
        return Binary32.scaleToInteger(x, 13 - exponent, MANTISSA_LIMIT);
    }

    /// @dev round((sum_k ma_k mb_k) * 2^(Ea + Eb - 26)); NaN where an exponent is not usable.
    function _matmul(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        uint256[2] memory rows = Contraction.rowsOf(leaf, node);
        uint256 length = LeafLib.leafExtent(leaf, reads, Limits.ROW_BLOCK);
        bytes calldata a = LeafLib.run(leaf, reads, 0, rows[0] * length, length, DType.M16);
        int256 exponentA = LeafLib.signed16(leaf, node, reads, 1, rows[0], DType.E16);
        bytes calldata b = LeafLib.run(leaf, reads, 2, rows[1] * length, length, DType.M16);
        int256 exponentB = LeafLib.signed16(leaf, node, reads, 3, rows[1], DType.E16);
        return Contraction.round(Lanes.dot16(a, b), exponentA, exponentB);
    }
}
