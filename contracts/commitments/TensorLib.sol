// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DType} from "../types/DType.sol";
import {Limits} from "../types/Limits.sol";
import {Merkle} from "./Merkle.sol";

/// @title Tensor roots: `H(0x02 || header || tree over 1 KiB chunks)`.
/// @notice A header is `dtype u8 || rank u8 || extent u32 * rank`, big-endian. Data is little-endian and row-major; the last chunk
/// has exactly the bytes that remain. Twin of `offchain/lockstep/commitments/tensor.py`.
/// @dev Hashing is in assembly for the reasons `Merkle` gives.
library TensorLib {
    /// @notice Thrown when bytes are not a tensor header: unknown dtype, rank above 8, an extent of 0 or above 2^31 - 1, more than
    /// 2^30 elements, or a length that does not fit the rank.
    error MalformedHeader();

    /// @notice Thrown when the elements [`start`, `start + count`) are none, or not all in a tensor of `elements`.
    error RangeOutOfTensor(uint256 elements, uint256 start, uint256 count);

    /// @notice Thrown when the bytes given are not as many as the whole chunks that hold the elements.
    error ChunkBytes(uint256 expected, uint256 given);

    /// @notice Thrown when chunks, proof and header do not give the tensor's root.
    error WrongRoot(bytes32 expected, bytes32 given);

    /// @notice Number of elements; reverts with `MalformedHeader` for bytes that are no header.
    function elementCount(bytes memory header) internal pure returns (uint256 elements) {
        elements = tryElementCount(header);
        require(elements != 0, MalformedHeader());
    }

    /// @notice Number of elements, or 0 for bytes that are no header.
    function tryElementCount(bytes memory header) internal pure returns (uint256 elements) {
        if (header.length < 2) return 0;
        uint256 rank = uint8(header[1]);
        if (DType.itemSize(uint8(header[0])) == 0 || rank > Limits.MAX_RANK || header.length != 2 + 4 * rank) return 0;
        elements = 1;
        for (uint256 axis = 0; axis < rank; ++axis) {
            uint256 extent = extentAt(header, axis);
            if (extent == 0 || extent > Limits.MAX_DIM) return 0;
            elements *= extent; // 8 extents below 2^31 stay below 2^248
        }
        if (elements > Limits.MAX_ELEMENTS) return 0;
    }

    /// @notice Dtype code of a header.
    function dtypeOf(bytes memory header) internal pure returns (uint256) {
        return uint8(header[0]);
    }

    /// @notice Extent along `axis`, which must be below the rank.
    function extentAt(bytes memory header, uint256 axis) internal pure returns (uint256 extent) {
        require(axis < uint8(header[1]) && header.length >= 6 + 4 * axis, MalformedHeader());
        assembly ("memory-safe") {
            extent := shr(224, mload(add(add(header, 34), shl(2, axis))))
        }
    }

    /// @notice Number of bytes of the tensor's data.
    function byteLength(bytes memory header) internal pure returns (uint256) {
        return elementCount(header) * DType.itemSize(uint8(header[0]));
    }

    /// @notice Number of 1 KiB chunks of the tensor's data, at least 1.
    function chunkCount(bytes memory header) internal pure returns (uint256) {
        return (byteLength(header) - 1) / Limits.CHUNK_BYTES + 1;
    }

    /// @notice Length in bytes of chunk `index`, which must be below `chunkCount(header)`.
    function chunkLength(bytes memory header, uint256 index) internal pure returns (uint256) {
        uint256 rest = byteLength(header) - index * Limits.CHUNK_BYTES;
        return rest < Limits.CHUNK_BYTES ? rest : Limits.CHUNK_BYTES;
    }

    /// @notice Tensor root from its header and its chunk tree's root.
    function root(bytes memory header, bytes32 treeRoot) internal view returns (bytes32 digest) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let length := mload(header)
            mstore8(buffer, 2)
            mcopy(add(buffer, 1), add(header, 32), length)
            mstore(add(add(buffer, 1), length), treeRoot)
            if iszero(staticcall(gas(), 2, buffer, add(length, 33), 0, 32)) {
                mstore(0, 0xc176b3c5) // Merkle.Sha256Failed()
                revert(28, 4)
            }
            digest := mload(0)
        }
    }

    /// @notice Leaf hashes of the 1 KiB chunks of `data`, the last of which may be shorter.
    function chunkHashes(bytes calldata data) internal view returns (bytes32[] memory hashes) {
        require(data.length != 0, Merkle.EmptyTree());
        hashes = new bytes32[]((data.length - 1) / Limits.CHUNK_BYTES + 1);
        uint256 width = Limits.CHUNK_BYTES;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let out := add(hashes, 32)
            mstore8(buffer, 0)
            for { let from := 0 } lt(from, data.length) { from := add(from, width) } {
                let size := sub(data.length, from)
                if gt(size, width) { size := width }
                calldatacopy(add(buffer, 1), add(data.offset, from), size)
                if iszero(staticcall(gas(), 2, buffer, add(size, 1), out, 32)) {
                    mstore(0, 0xc176b3c5) // Merkle.Sha256Failed()
                    revert(28, 4)
                }
                out := add(out, 32)
            }
        }
    }

    /// @notice Which chunks hold the elements [`start`, `start + count`).
    /// @return first Index of the first chunk.
    /// @return skip Bytes of the first chunk before element `start`.
    /// @return length Bytes of all those chunks together.
    function chunksOfRange(bytes memory header, uint256 start, uint256 count)
        internal
        pure
        returns (uint256 first, uint256 skip, uint256 length)
    {
        uint256 elements = elementCount(header);
        require(count != 0 && start < elements && count <= elements - start, RangeOutOfTensor(elements, start, count));
        uint256 itemSize = DType.itemSize(uint8(header[0]));
        first = start * itemSize / Limits.CHUNK_BYTES;
        skip = start * itemSize % Limits.CHUNK_BYTES;
        uint256 end = ((start + count) * itemSize - 1) / Limits.CHUNK_BYTES + 1;
        uint256 total = elements * itemSize;
        length = (end * Limits.CHUNK_BYTES < total ? end * Limits.CHUNK_BYTES : total) - first * Limits.CHUNK_BYTES;
    }

    /// @notice Elements [`start`, `start + count`) of the tensor with this header whose root the chunks and the proof give: they are
    /// proven where that is a root already accepted.
    /// @param header Header of the tensor.
    /// @param start Row-major index of the first element.
    /// @param count Number of elements, at least 1.
    /// @param chunks The whole chunks that hold them, one after the other.
    /// @param proof Range proof of those chunks (`Merkle.rootFromRange`).
    /// @return tensorRoot Root of the tensor.
    /// @return data Little-endian bytes of the elements: a slice of `chunks`.
    function rootFromRange(
        bytes memory header,
        uint256 start,
        uint256 count,
        bytes calldata chunks,
        bytes32[] calldata proof
    ) internal view returns (bytes32 tensorRoot, bytes calldata data) {
        (uint256 first, uint256 skip, uint256 length) = chunksOfRange(header, start, count);
        require(chunks.length == length, ChunkBytes(length, chunks.length));
        tensorRoot = root(header, Merkle.rootFromRange(chunkCount(header), first, chunkHashes(chunks), proof));
        data = chunks[skip:skip + count * DType.itemSize(uint8(header[0]))];
    }

    /// @notice `rootFromRange` for a root that is known.
    /// @dev Reverts unless the chunks, under the header, fold to it.
    /// @param tensorRoot Root of the tensor.
    function readRange(
        bytes32 tensorRoot,
        bytes memory header,
        uint256 start,
        uint256 count,
        bytes calldata chunks,
        bytes32[] calldata proof
    ) internal view returns (bytes calldata data) {
        bytes32 given;
        (given, data) = rootFromRange(header, start, count, chunks, proof);
        require(given == tensorRoot, WrongRoot(tensorRoot, given));
    }
}
