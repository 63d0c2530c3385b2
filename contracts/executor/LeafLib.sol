// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {IOpExecutor, Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {InputKind} from "../types/InputKind.sol";
import {Binary32} from "./Binary32.sol";

/// @notice One element of one node, about to be computed: the node's fields and how far the reads are used.
struct Leaf {
    uint256 op;
    uint256 dtype;
    uint256 element;
    uint256 step;
    uint256 seed;
    uint256 attributes; // offset in the node
    uint256 inputs; // offset in the node of the first input
    uint256 inputCount;
    uint256 used; // reads
}

/// @title How an op reads its operands: from proven reads, from the node's literals, or from the task (STEP, SEED).
/// @dev Operands are asked for in the order of `docs/PROGRAM.md`; each proven one takes the next of the caller's reads, which must
/// be exactly the run that is asked for.
library LeafLib {
    /// @notice Starts a leaf: decodes the node and checks the element.
    function open(bytes calldata node, uint256 element, uint256 step, uint256 seed)
        internal
        pure
        returns (Leaf memory leaf)
    {
        bool encoded;
        (encoded, leaf.attributes, leaf.inputs, leaf.inputCount) = ProgramLib.partsOf(node);
        require(encoded, IOpExecutor.MalformedNode());
        uint256 elements = ProgramLib.elementCount(node);
        require(element < elements, IOpExecutor.ElementOutOfRange(element, elements));
        leaf.op = ProgramLib.opOf(node);
        leaf.dtype = ProgramLib.dtypeOf(node);
        leaf.element = element;
        leaf.step = step;
        leaf.seed = seed;
    }

    /// @notice Ends a leaf: every read must have been used.
    function close(Leaf memory leaf, Read[] calldata reads) internal pure {
        uint256 used = leaf.used;
        if (used < reads.length) revert IOpExecutor.WrongRead(reads[used].slot, reads[used].start);
    }

    /// @notice Kind and value of input `slot`.
    function input(Leaf memory leaf, bytes calldata node, uint256 slot)
        internal
        pure
        returns (uint256 kind, uint256 value)
    {
        require(slot < leaf.inputCount, IOpExecutor.MalformedNode());
        uint256 packed = ProgramLib.readUint(node, leaf.inputs + 5 * slot, 5);
        return (packed >> 32, packed & 0xffffffff);
    }

    /// @notice Whether input `slot` is read from proofs: a NODE, STATE or CONST input.
    function isProven(Leaf memory leaf, bytes calldata node, uint256 slot) internal pure returns (bool) {
        (uint256 kind,) = input(leaf, node, slot);
        return kind <= InputKind.COMMITTED;
    }

    /// @notice Whether input `slot` is an f32 literal.
    function isFloatLiteral(Leaf memory leaf, bytes calldata node, uint256 slot) internal pure returns (bool) {
        (uint256 kind,) = input(leaf, node, slot);
        return kind == InputKind.F32;
    }

    /// @notice Bits of element `index` of input `slot`, an operand of this dtype: zero-extended, f32 NaN canonical.
    function scalar(
        Leaf memory leaf,
        bytes calldata node,
        Read[] calldata reads,
        uint256 slot,
        uint256 index,
        uint256 dtype
    ) internal pure returns (uint256 bits) {
        (uint256 kind, uint256 value) = input(leaf, node, slot);
        if (kind <= InputKind.COMMITTED) {
            bits = fromLittleEndian(run(leaf, reads, slot, index, 1, dtype));
        } else if (kind == InputKind.STEP && dtype == DType.I32) {
            bits = leaf.step;
        } else if (kind == InputKind.SEED && dtype == DType.I32) {
            bits = (leaf.seed >> (32 * (index & 1))) & 0xffffffff;
        } else if ((kind == InputKind.F32 && dtype == DType.F32) || (kind == InputKind.I32 && dtype == DType.I32)) {
            bits = value;
        } else {
            revert IOpExecutor.MalformedNode();
        }
        if (dtype == DType.F32) bits = Binary32.canonical(bits);
    }

    /// @notice An i16 operand as a signed number (an exponent or a mantissa).
    function signed16(
        Leaf memory leaf,
        bytes calldata node,
        Read[] calldata reads,
        uint256 slot,
        uint256 index,
        uint256 dtype
    ) internal pure returns (int256) {
        return int16(uint16(scalar(leaf, node, reads, slot, index, dtype)));
    }

    /// @notice Data of elements [`start`, `start + count`) of input `slot`, which must be the next read.
    function run(Leaf memory leaf, Read[] calldata reads, uint256 slot, uint256 start, uint256 count, uint256 dtype)
        internal
        pure
        returns (bytes calldata data)
    {
        Read calldata read = _next(leaf, reads, slot, start);
        bytes calldata tensorHeader = read.header;
        data = read.data;
        if (
            read.start != start || data.length != count * DType.itemSize(dtype) || tensorHeader.length < 2
                || uint8(tensorHeader[0]) != dtype
        ) {
            revert IOpExecutor.WrongRead(uint16(slot), uint64(start));
        }
    }

    /// @notice Shape of the next read's tensor, which must be input `slot`: its rank and where its extents lie.
    /// @dev The caller of the executor has proven the header; only its form is checked here.
    function header(Leaf memory leaf, Read[] calldata reads, uint256 slot)
        internal
        pure
        returns (bytes calldata tensorHeader, uint256 rank)
    {
        tensorHeader = _next(leaf, reads, slot, 0).header;
        if (tensorHeader.length >= 2) rank = uint8(tensorHeader[1]);
        if (tensorHeader.length != 2 + 4 * rank) revert IOpExecutor.WrongRead(uint16(slot), 0);
        --leaf.used;
    }

    /// @notice Extent of the last axis of the next read's tensor, which must be input `slot`.
    function lastExtent(Leaf memory leaf, Read[] calldata reads, uint256 slot) internal pure returns (uint256) {
        (bytes calldata tensorHeader, uint256 rank) = header(leaf, reads, slot);
        if (rank == 0) revert IOpExecutor.WrongRead(uint16(slot), 0);
        return ProgramLib.readUint(tensorHeader, tensorHeader.length - 4, 4);
    }

    /// @notice Length of the rows of input 0, the next read's tensor; reverts where one leaf does not carry so many elements.
    function leafExtent(Leaf memory leaf, Read[] calldata reads, uint256 longest)
        internal
        pure
        returns (uint256 length)
    {
        length = lastExtent(leaf, reads, 0);
        if (length > longest) revert IOpExecutor.LongRow(length);
    }

    /// @notice Takes the next read, which must show the type of input `slot` and nothing else.
    function takeType(Leaf memory leaf, Read[] calldata reads, uint256 slot) internal pure {
        Read calldata read = _next(leaf, reads, slot, 0);
        if (read.start != 0 || read.data.length != 0) revert IOpExecutor.WrongRead(uint16(slot), 0);
    }

    /// @notice Little-endian bytes of an element of this dtype, of at most four bytes.
    function toBytes(uint256 bits, uint256 dtype) internal pure returns (bytes memory value) {
        value = new bytes(DType.itemSize(dtype));
        uint256 reversed = _reverse(bits);
        assembly ("memory-safe") {
            mstore(add(value, 32), shl(224, reversed))
        }
    }

    /// @notice Number whose little-endian bytes these (four at most) are.
    function fromLittleEndian(bytes calldata data) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            bits := shr(224, calldataload(data.offset))
        }
        // The bytes behind the last are the number's high ones.
        return _reverse(bits) & ((1 << (8 * data.length)) - 1);
    }

    /// @dev The low four bytes of a word in reverse.
    function _reverse(uint256 word) private pure returns (uint256) {
        word = ((word & 0x00ff00ff) << 8) | ((word >> 8) & 0x00ff00ff);
        return ((word & 0xffff) << 16) | ((word >> 16) & 0xffff);
    }

    /// @dev The next of the caller's reads, if it is of input `slot`.
    function _next(Leaf memory leaf, Read[] calldata reads, uint256 slot, uint256 start)
        private
        pure
        returns (Read calldata read)
    {
        uint256 used = leaf.used++;
        if (used >= reads.length || reads[used].slot != slot) {
            revert IOpExecutor.WrongRead(uint16(slot), uint64(start));
        }
        return reads[used];
    }
}
