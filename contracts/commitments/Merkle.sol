// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Limits} from "../types/Limits.sol";

/// @title Merkle trees as in RFC 6962 / RFC 9162 over SHA-256.
/// @notice Leaf hash `H(0x00 || data)`, inner hash `H(0x01 || left || right)`; the left subtree of n leaves has the largest power
/// of two below n. Every aligned block of 64^k leaves is a subtree, so a tree of n leaves is, one reveal higher, the tree of
/// `levelCount(n, 1)` subtree roots. Twin of `offchain/lockstep/commitments/merkle.py`.
/// @dev Hashing is in assembly because Solidity's `sha256(abi.encodePacked(..))` allocates and copies for every call and never
/// frees, which about doubles the gas of a proof and makes memory grow with its square. Here every hash is taken where its
/// input already lies: a reveal folds in place, proofs use one fixed scratch area. Each call of the precompile is
/// checked: it fails only for want of gas, and 1/64 of the gas survives such a failure.
library Merkle {
    /// @notice Thrown when a tree or a reveal has no hashes.
    error EmptyTree();

    /// @notice Thrown when the leaves [`start`, `start + count`) are none, or not all in a tree of `size`.
    error RangeOutOfTree(uint256 size, uint256 start, uint256 count);

    /// @notice Thrown when a proof does not have the length that its tree and place imply.
    error ProofLength(uint256 given);

    /// @notice Thrown when the SHA-256 precompile fails, for want of gas.
    error Sha256Failed();

    /// @notice Hash of a leaf, `H(0x00 || data)`.
    function hashLeaf(bytes calldata data) internal view returns (bytes32 digest) {
        return hashPrefixed(0, data);
    }

    /// @notice Leaf hash of a 32-byte object, `H(0x00 || object)`.
    function leafOf(bytes32 object) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), object));
    }

    /// @notice `H(tag || data)`.
    function hashPrefixed(uint8 tag, bytes calldata data) internal view returns (bytes32 digest) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, tag)
            calldatacopy(add(buffer, 1), data.offset, data.length)
            if iszero(staticcall(gas(), 2, buffer, add(data.length, 1), 0, 32)) {
                mstore(0, 0xc176b3c5) // Sha256Failed()
                revert(28, 4)
            }
            digest := mload(0)
        }
    }

    /// @notice Root of the tree whose leaf (or aligned subtree) hashes these are.
    /// @param hashes At least one; any number, though a reveal has at most 64.
    function fold(bytes32[] calldata hashes) internal view returns (bytes32 root) {
        require(hashes.length != 0, EmptyTree());
        assembly ("memory-safe") {
            // One word is left free before the hashes: its last byte takes the first pair's tag.
            let base := add(mload(0x40), 32)
            calldatacopy(base, hashes.offset, shl(5, hashes.length))
            let count := hashes.length
            for {} gt(count, 1) {} {
                let pairs := shr(1, count)
                for { let i := 0 } lt(i, pairs) { i := add(i, 1) } {
                    // The byte before a pair is the last of a hash that has been used.
                    let input := sub(add(base, shl(6, i)), 1)
                    mstore8(input, 1)
                    if iszero(staticcall(gas(), 2, input, 65, add(base, shl(5, i)), 32)) {
                        mstore(0, 0xc176b3c5) // Sha256Failed()
                        revert(28, 4)
                    }
                }
                if and(count, 1) { mstore(add(base, shl(5, pairs)), mload(add(base, shl(5, sub(count, 1))))) }
                count := add(pairs, and(count, 1))
            }
            root := mload(base)
        }
    }

    /// @notice Root that a leaf hash and its inclusion proof give (RFC 9162, 2.1.3.2).
    /// @param size Leaves of the tree.
    /// @param index Place of the leaf.
    /// @param leafHash Hash of the leaf, or the root of an aligned subtree where `size` and `index` count such subtrees.
    /// @param proof Sibling hashes from the leaf up.
    function rootFromInclusion(uint256 size, uint256 index, bytes32 leafHash, bytes32[] calldata proof)
        internal
        view
        returns (bytes32 root)
    {
        require(index < size, RangeOutOfTree(size, index, 1));
        uint256 used;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 1)
            root := leafHash
            let sibling := proof.offset
            for { let last := sub(size, 1) } last { last := shr(1, last) } {
                // A last node without a sibling is carried up as it is.
                if or(and(index, 1), lt(index, last)) {
                    // An even node goes to byte 1, before its sibling; an odd one to byte 33, behind it.
                    let side := shl(5, and(index, 1))
                    mstore(add(add(buffer, 1), side), root)
                    mstore(add(add(buffer, 1), xor(side, 32)), calldataload(sibling))
                    if iszero(staticcall(gas(), 2, buffer, 65, 0, 32)) {
                        mstore(0, 0xc176b3c5) // Sha256Failed()
                        revert(28, 4)
                    }
                    root := mload(0)
                    sibling := add(sibling, 32)
                }
                index := shr(1, index)
            }
            used := shr(5, sub(sibling, proof.offset))
        }
        // A proof too short was read beyond its end, which is of no avail.
        require(used == proof.length, ProofLength(proof.length));
    }

    /// @notice Root that the leaf hashes of a contiguous range and a range proof give.
    /// @param size Leaves of the tree.
    /// @param start Place of the first leaf.
    /// @param leafHashes Hashes of the leaves from `start` on; at least one.
    /// @param proof Hashes of the maximal subtrees that hold none of the range, from left to right.
    function rootFromRange(uint256 size, uint256 start, bytes32[] memory leafHashes, bytes32[] calldata proof)
        internal
        view
        returns (bytes32 root)
    {
        uint256 count = leafHashes.length;
        require(count != 0 && start < size && count <= size - start, RangeOutOfTree(size, start, count));
        uint256 used;
        assembly ("memory-safe") {
            // Root of the subtree of `leaves` leaves from `low` on, and the next of the proof's hashes.
            function walk(low, leaves, from, to, hashes, position) -> digest, next {
                next := position
                if or(iszero(lt(low, to)), iszero(gt(add(low, leaves), from))) {
                    digest := calldataload(position)
                    next := add(position, 32)
                    leave
                }
                if eq(leaves, 1) {
                    digest := mload(add(hashes, shl(5, sub(low, from))))
                    leave
                }
                let left := shl(sub(255, clz(sub(leaves, 1))), 1) // largest power of two below `leaves`
                digest, next := walk(low, left, from, to, hashes, next)
                let right
                right, next := walk(add(low, left), sub(leaves, left), from, to, hashes, next)
                let buffer := mload(0x40)
                mstore8(buffer, 1)
                mstore(add(buffer, 1), digest)
                mstore(add(buffer, 33), right)
                if iszero(staticcall(gas(), 2, buffer, 65, 0, 32)) {
                    mstore(0, 0xc176b3c5) // Sha256Failed()
                    revert(28, 4)
                }
                digest := mload(0)
            }
            root, used := walk(0, size, start, add(start, count), add(leafHashes, 32), proof.offset)
            used := shr(5, sub(used, proof.offset))
        }
        // A proof too short was read beyond its end, which is of no avail.
        require(used == proof.length, ProofLength(proof.length));
    }

    /// @notice Number of 64-ary levels below the root of a tree of `size` leaves; 1 for up to 64.
    function height(uint256 size) internal pure returns (uint256 levels) {
        levels = 1;
        while (size > Limits.TREE_WIDTH) {
            size = levelCount(size, 1);
            ++levels;
        }
    }

    /// @notice Number of aligned subtrees of 64^`level` leaves in a tree of `size` leaves (at least 1).
    function levelCount(uint256 size, uint256 level) internal pure returns (uint256) {
        return ((size - 1) >> (Limits.TREE_WIDTH_BITS * level)) + 1;
    }

    /// @notice Number of hashes that the reveal of subtree `index` at `level` shows: its aligned subtrees one level down.
    /// @dev The root of a tree is at level `height(size)`, index 0; `index` must be below `levelCount(size, level)`.
    function childCount(uint256 size, uint256 level, uint256 index) internal pure returns (uint256) {
        uint256 rest = levelCount(size, level - 1) - (index << Limits.TREE_WIDTH_BITS);
        return rest < Limits.TREE_WIDTH ? rest : Limits.TREE_WIDTH;
    }
}
