// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {IOpExecutor, IRowExecutor, Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Limits} from "../types/Limits.sol";
import {Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {Contraction} from "./Contraction.sol";
import {ExactSum} from "./ExactSum.sol";
import {Lanes} from "./Lanes.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {RowMax} from "./RowMax.sol";

/// @notice A block of a row.
struct Block {
    uint256 length; // of the row
    uint256 start; // in the row
    uint256 count; // elements
}

/// @title Rows longer than one leaf carries, block by block.
/// @notice Twin of `offchain/lockstep/numerics/parts.py` and `program/long_rows.py`. A claim holds, from its lowest bit: the stated
/// element's bits (32), the number of blocks (32), the exponents (16 each).
contract LongRows is IRowExecutor {
    /// @dev Half the range of a 32-bit number: keys and indices of the reference are signed.
    int256 private constant HALF = 1 << 31;
    uint256 private constant WORD = 0xffffffff;

    /// @inheritdoc IRowExecutor
    function openRow(bytes calldata node, uint256 element, bytes calldata stated, Read[] calldata reads)
        external
        pure
        returns (bytes32 claim)
    {
        Leaf memory leaf = LeafLib.open(node, element, 0, 0);
        (uint256 length, uint256 size) = _rowOf(leaf, reads);
        LeafLib.takeType(leaf, reads, 0);
        uint256 exponentA = 0;
        uint256 exponentB = 0;
        if (leaf.op == Op.MATMUL) {
            uint256[2] memory rows = Contraction.rowsOf(leaf, node);
            exponentA = LeafLib.scalar(leaf, node, reads, 1, rows[0], DType.E16);
            exponentB = LeafLib.scalar(leaf, node, reads, 3, rows[1], DType.E16);
        } else if (leaf.op == Op.SUM) {
            exponentA = LeafLib.scalar(leaf, node, reads, 1, leaf.element, DType.E16);
        } else if (leaf.op == Op.SCATTER_ADD) {
            exponentA = LeafLib.scalar(leaf, node, reads, 2, leaf.element / _outputRows(node), DType.E16);
        }
        LeafLib.close(leaf, reads);
        uint256 blocks = (length - 1) / size + 1;
        claim = bytes32(LeafLib.fromLittleEndian(stated) | blocks << 32 | exponentA << 64 | exponentB << 80);
    }

    /// @inheritdoc IRowExecutor
    function combines(bytes calldata node, bytes32 claim, bytes calldata parts) external pure returns (bool) {
        uint256 packed = uint256(claim);
        if (parts.length != 8 * ((packed >> 32) & WORD)) return false;
        (int256 sum, int256 largest) = _sumAndLargest(parts);
        return _combined(ProgramLib.opOf(node), sum, largest, packed) == packed & WORD;
    }

    /// @inheritdoc IRowExecutor
    function executeBlock(bytes calldata node, uint256 element, uint256 index, Read[] calldata reads)
        external
        pure
        returns (int64 part)
    {
        Leaf memory leaf = LeafLib.open(node, element, 0, 0);
        Block memory block_ = _blockOf(leaf, reads, index);
        if (leaf.op == Op.MATMUL) part = _contract(leaf, node, reads, block_);
        else if (leaf.op == Op.SUM) part = _add(leaf, node, reads, block_);
        else if (leaf.op == Op.SCATTER_ADD) part = _scatter(leaf, node, reads, block_);
        else part = _largest(leaf, node, reads, block_);
        LeafLib.close(leaf, reads);
    }

    /// @dev The element's bits that a row's parts make.
    function _combined(uint256 op, int256 sum, int256 largest, uint256 packed) private pure returns (uint256) {
        int256 exponentA = int16(uint16(packed >> 64));
        if (op == Op.MATMUL) return Contraction.round(sum, exponentA, int16(uint16(packed >> 80)));
        if (op == Op.SUM || op == Op.SCATTER_ADD) {
            return ExactSum.isUsable(exponentA) ? ExactSum.round(sum, exponentA) : Binary32.NAN;
        }
        if (op == Op.EXPONENT) return uint256(largest) & 0xffff;
        if (op == Op.REDUCE_MAX) return Binary32.fromOrderKey(uint256(largest + HALF) & WORD);
        return WORD - (uint256(largest) & WORD);
    }

    /// @dev Sum of products of a block of both rows.
    function _contract(Leaf memory leaf, bytes calldata node, Read[] calldata reads, Block memory block_)
        private
        pure
        returns (int64)
    {
        uint256[2] memory rows = Contraction.rowsOf(leaf, node);
        bytes calldata a = _run(leaf, reads, 0, rows[0], block_, DType.M16);
        return int64(Lanes.dot16(a, _run(leaf, reads, 2, rows[1], block_, DType.M16)));
    }

    /// @dev Sum of a block's terms; 0 under an exponent that gives no number.
    function _add(Leaf memory leaf, bytes calldata node, Read[] calldata reads, Block memory block_)
        private
        pure
        returns (int64)
    {
        (uint256 pointer, uint256 words) = Lanes.load32(_run(leaf, reads, 0, leaf.element, block_, DType.F32));
        int256 exponent = LeafLib.signed16(leaf, node, reads, 1, leaf.element, DType.E16);
        if (!ExactSum.isUsable(exponent)) return 0;
        return int64(ExactSum.sumAll(pointer, words, exponent));
    }

    /// @dev Sum of a block's terms with the element's index; 0 under an exponent that gives no number.
    function _scatter(Leaf memory leaf, bytes calldata node, Read[] calldata reads, Block memory block_)
        private
        pure
        returns (int64)
    {
        uint256 rows = _outputRows(node);
        uint256 channel = leaf.element / rows;
        (uint256 pointer, uint256 words) = Lanes.load32(_run(leaf, reads, 0, channel, block_, DType.F32));
        (uint256 indices,) = Lanes.load32(_run(leaf, reads, 1, 0, block_, DType.I32));
        int256 exponent = LeafLib.signed16(leaf, node, reads, 2, channel, DType.E16);
        if (!ExactSum.isUsable(exponent)) return 0;
        return int64(ExactSum.sumWhere(pointer, indices, words, leaf.element % rows, exponent));
    }

    /// @dev A block's exponent; its largest key; or that and, below it, the complement of the key's lowest index in the row.
    function _largest(Leaf memory leaf, bytes calldata node, Read[] calldata reads, Block memory block_)
        private
        pure
        returns (int64)
    {
        bytes calldata run = _run(leaf, reads, 0, leaf.element, block_, DType.F32);
        if (leaf.op == Op.EXPONENT) {
            int256 floor = int16(uint16(ProgramLib.readUint(node, leaf.attributes, 2)));
            return int64(Contraction.exponentOf(Lanes.maxExponentField(run), floor));
        }
        (uint256 pointer, uint256 words) = Lanes.load32(run);
        (uint256 key, uint256 index) = RowMax.largest(pointer, words, block_.count);
        int256 signed = int256(key) - HALF;
        if (leaf.op == Op.REDUCE_MAX) return int64(signed);
        return int64(signed * int256(WORD + 1) + int256(WORD - (block_.start + index)));
    }

    /// @dev Sum and largest of parts.
    function _sumAndLargest(bytes calldata parts) private pure returns (int256 sum, int256 largest) {
        largest = type(int64).min;
        assembly ("memory-safe") {
            let end := add(parts.offset, parts.length)
            for { let at := parts.offset } lt(at, end) { at := add(at, 8) } {
                let part := sar(192, calldataload(at))
                sum := add(sum, part)
                if sgt(part, largest) { largest := part }
            }
        }
    }

    /// @dev The block's run of row `row` of input `slot`, which must be the next read.
    function _run(
        Leaf memory leaf,
        Read[] calldata reads,
        uint256 slot,
        uint256 row,
        Block memory block_,
        uint256 dtype
    ) private pure returns (bytes calldata) {
        return LeafLib.run(leaf, reads, slot, row * block_.length + block_.start, block_.count, dtype);
    }

    /// @dev Length of the element's row, by the next read's type, and of its blocks but perhaps the last.
    function _rowOf(Leaf memory leaf, Read[] calldata reads) private pure returns (uint256 length, uint256 size) {
        size = _blockSize(leaf.op);
        length = LeafLib.lastExtent(leaf, reads, 0);
        require(length > size, ShortRow(length));
    }

    /// @dev Block `index` of the element's row.
    function _blockOf(Leaf memory leaf, Read[] calldata reads, uint256 index)
        private
        pure
        returns (Block memory block_)
    {
        (uint256 length, uint256 size) = _rowOf(leaf, reads);
        uint256 blocks = (length - 1) / size + 1;
        require(index < blocks, BlockOutOfRange(index, blocks));
        uint256 start = index * size;
        block_ = Block(length, start, length - start < size ? length - start : size);
    }

    /// @dev Elements of a block; other ops have no rows that one leaf does not carry.
    function _blockSize(uint256 op) private pure returns (uint256) {
        if (op == Op.SCATTER_ADD) return Limits.SCATTER_BLOCK;
        bool isLargest = op == Op.EXPONENT || op == Op.REDUCE_MAX || op == Op.ARGMAX;
        require(isLargest || op == Op.MATMUL || op == Op.SUM, IOpExecutor.MalformedNode());
        return Limits.ROW_BLOCK;
    }

    /// @dev R of a scatter_add's output [C, R].
    function _outputRows(bytes calldata node) private pure returns (uint256) {
        require(ProgramLib.rankOf(node) == 2, IOpExecutor.MalformedNode());
        return ProgramLib.extentAt(node, 1);
    }
}
