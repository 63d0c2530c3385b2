// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DType} from "../types/DType.sol";
import {InputKind} from "../types/InputKind.sol";
import {Limits} from "../types/Limits.sol";
import {Op} from "../types/Op.sol";
import {Merkle} from "./Merkle.sol";

/// @notice Header of a program, decoded. The roots are of trees over encoded entries; 32 zero bytes for an empty list.
struct ProgramHeader {
    uint16 version;
    uint32 nodeCount;
    bytes32 nodesRoot;
    uint32 stateCount;
    bytes32 stateRoot;
    uint64 stateChunks;
    uint32 constantCount;
    bytes32 constantsRoot;
    uint32 metricCount;
    bytes32 metricsRoot;
    uint64 work;
}

/// @title Reading an encoded program: header, nodes, state entries and constants, each opened alone.
/// @notice All integers are big-endian; the layout is documented in `offchain/lockstep/program/encoding.py`, the twin:
///
///     node  = op u8 | dtype u8 | rank u8 | extent u32 * rank | attributes | count u16 | (kind u8 | value u32) * count
///     state entry    = dtype u8 | frozen u8 | rank u8 | extent u32 * rank | chunks before u64
///     constant entry = dtype u8 | rank u8 | extent u32 * rank | tensor root
///
/// A node's bytes from its second on begin with its output's tensor header.
/// @dev Node functions other than `isEncoded` read fields where a canonical encoding has them and revert with `MalformedNode`
/// where the node ends too early; they check nothing else.
library ProgramLib {
    /// @notice Thrown when a node's bytes end before the field that is read.
    error MalformedNode();

    /// @notice Thrown when bytes are not a program header of a known version.
    error MalformedProgramHeader();

    /// @notice Thrown when bytes are not a state or constant entry.
    error MalformedEntry();

    /// @notice Thrown when a node has no input `slot`.
    error NoSuchInput(uint256 slot, uint256 count);

    // Nodes

    /// @notice Op code.
    function opOf(bytes calldata node) internal pure returns (uint256) {
        return _at(node, 0, 1);
    }

    /// @notice Dtype code of the output.
    function dtypeOf(bytes calldata node) internal pure returns (uint256) {
        return _at(node, 1, 1);
    }

    /// @notice Rank of the output.
    function rankOf(bytes calldata node) internal pure returns (uint256) {
        return _at(node, 2, 1);
    }

    /// @notice Extent of the output along `axis`, which must be below the rank.
    function extentAt(bytes calldata node, uint256 axis) internal pure returns (uint256) {
        return _at(node, 3 + 4 * axis, 4);
    }

    /// @notice Tensor header of the output (`TensorLib`): dtype, rank and extents.
    function tensorHeaderOf(bytes calldata node) internal pure returns (bytes calldata) {
        uint256 end = attributesOffset(node);
        require(node.length >= end, MalformedNode());
        return node[1:end];
    }

    /// @notice Number of elements of the output; meaningless for a shape that no tensor has.
    function elementCount(bytes calldata node) internal pure returns (uint256 elements) {
        uint256 rank = rankOf(node);
        require(rank <= Limits.MAX_RANK, MalformedNode());
        elements = 1;
        unchecked {
            for (uint256 axis = 0; axis < rank; ++axis) {
                elements *= extentAt(node, axis);
            }
        }
    }

    /// @notice Offset of the attributes.
    function attributesOffset(bytes calldata node) internal pure returns (uint256) {
        return 3 + 4 * rankOf(node);
    }

    /// @notice Offset of the input count; a node without inputs ends two bytes behind it.
    function inputsOffset(bytes calldata node) internal pure returns (uint256) {
        uint256 position = attributesOffset(node);
        uint256 op = opOf(node);
        if (op == Op.VIEW) return position + 5 + 8 * _at(node, position, 1) + 5 * rankOf(node);
        if (op == Op.CONCAT) return position + 1;
        return position + Op.attributeBytes(op);
    }

    /// @notice Number of inputs.
    function inputCount(bytes calldata node) internal pure returns (uint256) {
        return _at(node, inputsOffset(node), 2);
    }

    /// @notice Input `slot`: where it comes from, and which one (for a literal: its bits).
    function inputAt(bytes calldata node, uint256 slot) internal pure returns (uint256 kind, uint256 value) {
        uint256 position = inputsOffset(node);
        uint256 count = _at(node, position, 2);
        require(slot < count, NoSuchInput(slot, count));
        uint256 packed = _at(node, position + 2 + 5 * slot, 5);
        return (packed >> 32, packed & 0xffffffff);
    }

    /// @notice Whether bytes are what `encode_node` could have written: known op, dtype, rank and input kinds, and exactly the
    /// length they imply. Says nothing of types, shapes or limits: that is the checker's part.
    function isEncoded(bytes calldata node) internal pure returns (bool encoded) {
        (encoded,,,) = partsOf(node);
    }

    /// @notice `isEncoded`, and where the parts lie if so.
    /// @return encoded Whether the bytes are an encoded node; the other results mean nothing if not.
    /// @return attributes Offset of the attributes.
    /// @return inputs Offset of the first input.
    /// @return count Number of inputs.
    function partsOf(bytes calldata node)
        internal
        pure
        returns (bool encoded, uint256 attributes, uint256 inputs, uint256 count)
    {
        unchecked {
            if (node.length < 3) return (false, 0, 0, 0);
            uint256 word = _at(node, 0, 3);
            uint256 op = word >> 16;
            uint256 rank = word & 0xff;
            attributes = 3 + 4 * rank;
            if (Op.arity(op) == Op.UNKNOWN || DType.itemSize((word >> 8) & 0xff) == 0 || rank > Limits.MAX_RANK) {
                return (false, 0, 0, 0);
            }
            inputs = attributes + 2;
            uint256 inputSize = 5;
            if (op == Op.VIEW) {
                if (node.length <= attributes) return (false, 0, 0, 0);
                uint256 sourceRank = _at(node, attributes, 1);
                if (sourceRank > Limits.MAX_RANK) return (false, 0, 0, 0);
                inputs += 5 + 8 * sourceRank + 5 * rank;
            } else if (op == Op.CONCAT) {
                inputs += 1;
                inputSize = 9;
            } else {
                inputs += Op.attributeBytes(op);
            }
            if (node.length < inputs) return (false, 0, 0, 0);
            count = _at(node, inputs - 2, 2);
            encoded = node.length == inputs + inputSize * count && _areKnownKinds(node, inputs, count);
        }
    }

    /// @notice Big-endian unsigned integer of `size` bytes (1 to 32) at offset `position` of `data`.
    function readUint(bytes calldata data, uint256 position, uint256 size) internal pure returns (uint256) {
        return _at(data, position, size);
    }

    // Header and entries

    /// @notice Program hash, `H(0x04 || header)`.
    function hashHeader(bytes calldata header) internal view returns (bytes32) {
        return Merkle.hashPrefixed(4, header);
    }

    /// @notice Decoded header; reverts unless it has the header's length and the known version.
    function decodeHeader(bytes calldata header) internal pure returns (ProgramHeader memory decoded) {
        require(header.length == Limits.HEADER_BYTES && _at(header, 0, 2) == Limits.VERSION, MalformedProgramHeader());
        decoded.version = uint16(_at(header, 0, 2));
        decoded.nodeCount = uint32(_at(header, 2, 4));
        decoded.nodesRoot = bytes32(_at(header, 6, 32));
        decoded.stateCount = uint32(_at(header, 38, 4));
        decoded.stateRoot = bytes32(_at(header, 42, 32));
        decoded.stateChunks = uint64(_at(header, 74, 8));
        decoded.constantCount = uint32(_at(header, 82, 4));
        decoded.constantsRoot = bytes32(_at(header, 86, 32));
        decoded.metricCount = uint32(_at(header, 118, 4));
        decoded.metricsRoot = bytes32(_at(header, 122, 32));
        decoded.work = uint64(_at(header, 154, 8));
    }

    /// @notice A state entry, decoded.
    /// @return tensorHeader Tensor header of the state tensor.
    /// @return frozen Whether the entry never changes.
    /// @return chunksBefore 1 KiB chunks of the entries before it that are not frozen.
    function decodeStateEntry(bytes calldata entry)
        internal
        pure
        returns (bytes memory tensorHeader, bool frozen, uint64 chunksBefore)
    {
        require(entry.length >= 11 && entry.length == 11 + 4 * _at(entry, 2, 1), MalformedEntry());
        require(_at(entry, 1, 1) <= 1, MalformedEntry());
        tensorHeader = bytes.concat(entry[0:1], entry[2:entry.length - 8]);
        frozen = _at(entry, 1, 1) == 1;
        chunksBefore = uint64(_at(entry, entry.length - 8, 8));
    }

    /// @notice A constant entry, decoded.
    /// @return tensorHeader Tensor header of the constant.
    /// @return tensorRoot Its tensor root.
    function decodeConstantEntry(bytes calldata entry)
        internal
        pure
        returns (bytes calldata tensorHeader, bytes32 tensorRoot)
    {
        require(entry.length >= 34 && entry.length == 34 + 4 * _at(entry, 1, 1), MalformedEntry());
        tensorHeader = entry[:entry.length - 32];
        tensorRoot = bytes32(_at(entry, entry.length - 32, 32));
    }

    /// @notice Header of the tensor that COMMITTED denotes behind the state's last entry: the draw's beacon value, as eight words.
    function drawHeader() internal pure returns (bytes memory) {
        return abi.encodePacked(DType.I32, uint8(1), uint32(8));
    }

    /// @dev Whether the kinds of `count` inputs from an offset on are all known; a state has up to 4,096 inputs.
    function _areKnownKinds(bytes calldata node, uint256 position, uint256 count) private pure returns (bool known) {
        uint256 highest = InputKind.I32;
        assembly ("memory-safe") {
            known := 1
            let input := add(node.offset, position)
            for { let end := add(input, mul(5, count)) } lt(input, end) { input := add(input, 5) } {
                if gt(byte(0, calldataload(input)), highest) { known := 0 }
            }
        }
    }

    /// @dev Assembly saves the checks and the masking that Solidity adds to every byte of a slice.
    function _at(bytes calldata data, uint256 position, uint256 size) private pure returns (uint256 value) {
        require(position + size <= data.length, MalformedNode());
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, size)), calldataload(add(data.offset, position)))
        }
    }
}
