// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {InputKind} from "../types/InputKind.sol";
import {Limits} from "../types/Limits.sol";
import {Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {ExactSum} from "./ExactSum.sol";
import {Lanes} from "./Lanes.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";

/// @title Movement: `view`, `concat`, `gather`, and `scatter_add`, which sums what it moves.
/// @notice Twin of `offchain/lockstep/numerics/movement.py` and of `scatter_add` in `rows.py`.
contract MovementOps is OpFamily {
    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        if (leaf.op == Op.VIEW) return _view(leaf, node, reads);
        if (leaf.op == Op.CONCAT) return _concat(leaf, node, reads);
        if (leaf.op == Op.GATHER) return _gather(leaf, node, reads);
        require(leaf.op == Op.SCATTER_ADD, MalformedNode());
        return _scatterAdd(leaf, node, reads);
    }

    /// @dev Source index d = offset_d + sum of stride_j * o_j over the output axes j mapped to d; the fill where any is outside.
    function _view(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        uint256 rank = ProgramLib.rankOf(node);
        uint256 sourceRank = ProgramLib.readUint(node, leaf.attributes, 1);
        uint256 extents = leaf.attributes + 1;
        uint256 offsets = extents + 4 * sourceRank;
        uint256 mapping_ = offsets + 4 * sourceRank;
        int256[] memory source = new int256[](sourceRank);
        for (uint256 axis = 0; axis < sourceRank; ++axis) {
            source[axis] = _int32(node, offsets + 4 * axis);
        }
        uint256 rest = leaf.element;
        for (uint256 j = rank; j != 0;) {
            --j;
            uint256 extent = ProgramLib.extentAt(node, j);
            int256 stride = _int32(node, mapping_ + 5 * j + 1);
            if (stride != 0) {
                uint256 axis = ProgramLib.readUint(node, mapping_ + 5 * j, 1);
                require(axis < sourceRank, MalformedNode());
                source[axis] += stride * int256(rest % extent);
            }
            rest /= extent;
        }
        uint256 position = 0;
        for (uint256 axis = 0; axis < sourceRank; ++axis) {
            uint256 extent = ProgramLib.readUint(node, extents + 4 * axis, 4);
            if (source[axis] < 0 || uint256(source[axis]) >= extent) {
                return ProgramLib.readUint(node, mapping_ + 5 * rank, 4);
            }
            position = position * extent + uint256(source[axis]);
        }
        return LeafLib.scalar(leaf, node, reads, 0, position, leaf.dtype);
    }

    /// @dev With `inner` elements behind the axis, the output is rows of `width * inner`, each input's of `extent * inner`.
    function _concat(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        uint256 axis = ProgramLib.readUint(node, leaf.attributes, 1);
        uint256 rank = ProgramLib.rankOf(node);
        require(axis < rank, MalformedNode());
        uint256 inner = _product(node, axis + 1, rank);
        uint256 width = ProgramLib.extentAt(node, axis);
        uint256 outer = leaf.element / (width * inner);
        uint256 along = leaf.element / inner % width;
        uint256 extents = leaf.inputs + 5 * leaf.inputCount;
        for (uint256 slot = 0; slot < leaf.inputCount; ++slot) {
            uint256 extent = ProgramLib.readUint(node, extents + 4 * slot, 4);
            if (along < extent) {
                uint256 position = (outer * extent + along) * inner + leaf.element % inner;
                return LeafLib.scalar(leaf, node, reads, slot, position, leaf.dtype);
            }
            along -= extent;
        }
        revert MalformedNode();
    }

    /// @dev Row `index` (signed) of the table, zero bits where it has no such row. Element 0 of the table is read there: its
    /// proven header says how many rows there are.
    function _gather(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        uint256 inner = _product(node, _indexRank(leaf, node, reads), ProgramLib.rankOf(node));
        uint256 position = leaf.element / inner;
        int256 index = int32(uint32(LeafLib.scalar(leaf, node, reads, 1, position, DType.I32)));
        uint256 rows = _tableRows(leaf, node, reads);
        if (index < 0 || uint256(index) >= rows) {
            LeafLib.scalar(leaf, node, reads, 0, 0, leaf.dtype);
            return 0;
        }
        return LeafLib.scalar(leaf, node, reads, 0, uint256(index) * inner + leaf.element % inner, leaf.dtype);
    }

    /// @dev Sum over n with index[n] = r of the terms of row c, for the output element (c, r).
    function _scatterAdd(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        require(ProgramLib.rankOf(node) == 2, MalformedNode());
        uint256 rows = ProgramLib.extentAt(node, 1);
        uint256 channel = leaf.element / rows;
        uint256 length = LeafLib.leafExtent(leaf, reads, Limits.SCATTER_BLOCK);
        (uint256 pointer, uint256 words) =
            Lanes.load32(LeafLib.run(leaf, reads, 0, channel * length, length, DType.F32));
        uint256 indices = _indices(leaf, node, reads, length);
        int256 exponent = LeafLib.signed16(leaf, node, reads, 2, channel, DType.E16);
        if (!ExactSum.isUsable(exponent)) return Binary32.NAN;
        return ExactSum.round(ExactSum.sumWhere(pointer, indices, words, leaf.element % rows, exponent), exponent);
    }

    /// @dev The index row of a scatter_add as `Lanes.load32` gives it; SEED may be one, of two elements.
    function _indices(Leaf memory leaf, bytes calldata node, Read[] calldata reads, uint256 length)
        private
        pure
        returns (uint256 pointer)
    {
        if (LeafLib.isProven(leaf, node, 1)) {
            (pointer,) = Lanes.load32(LeafLib.run(leaf, reads, 1, 0, length, DType.I32));
            return pointer;
        }
        require(length == 2, MalformedNode());
        uint256 lanes = LeafLib.scalar(leaf, node, reads, 1, 0, DType.I32) << 224
            | LeafLib.scalar(leaf, node, reads, 1, 1, DType.I32) << 192;
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, 32))
            mstore(pointer, lanes)
        }
    }

    /// @dev Rank of a gather's index: that of its proven header, 1 for SEED, 0 for STEP and literals.
    function _indexRank(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        private
        pure
        returns (uint256 rank)
    {
        if (LeafLib.isProven(leaf, node, 1)) {
            (, rank) = LeafLib.header(leaf, reads, 1);
        } else {
            (uint256 kind,) = LeafLib.input(leaf, node, 1);
            rank = kind == InputKind.SEED ? 1 : 0;
        }
        require(rank <= ProgramLib.rankOf(node), MalformedNode());
    }

    /// @dev First extent of a gather's table: of its proven header; SEED has 2.
    function _tableRows(Leaf memory leaf, bytes calldata node, Read[] calldata reads) private pure returns (uint256) {
        if (!LeafLib.isProven(leaf, node, 0)) return 2;
        (bytes calldata tensorHeader, uint256 rank) = LeafLib.header(leaf, reads, 0);
        require(rank != 0, WrongRead(0, 0));
        return ProgramLib.readUint(tensorHeader, 2, 4);
    }

    /// @dev Product of the output's extents from axis `from` to below axis `to`.
    function _product(bytes calldata node, uint256 from, uint256 to) private pure returns (uint256 product) {
        product = 1;
        for (uint256 axis = from; axis < to; ++axis) {
            product *= ProgramLib.extentAt(node, axis);
        }
        require(product <= Limits.MAX_ELEMENTS && product != 0, MalformedNode());
    }

    function _int32(bytes calldata node, uint256 position) private pure returns (int256) {
        return int32(uint32(ProgramLib.readUint(node, position, 4)));
    }
}
