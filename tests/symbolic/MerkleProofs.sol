// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../../contracts/commitments/Merkle.sol";

/// @title What holds of inclusion proofs and reveals, for all hashes, in small trees: with every shape a level can have.
/// @dev SHA-256 is any function of its input: what is proven leans on nothing else about it. `Merkle.rootFromRange` is left to random tests: the
/// prover does not know its `clz`.
contract MerkleProofs {
    /// @dev Inputs of the hashes on the way up, and what they hash to.
    struct Walk {
        bytes32[] left;
        bytes32[] right;
        bytes32 root;
    }

    /// @dev The verifier is RFC 9162's recursive definition of a proof, and takes proofs of that length alone.
    function check_inclusion_inTreesOfUpToThree_isTheDefinition(bytes32 leaf, bytes32[3] calldata p) external view {
        for (uint256 size = 1; size <= 3; ++size) {
            for (uint256 index = 0; index < size; ++index) {
                isTheDefinition(size, index, leaf, p);
            }
            assert(refused(size, size, leaf, firstOf(p, 0)));
        }
    }

    function check_inclusion_inATreeOfFive_isTheDefinition(bytes32 leaf, bytes32[3] calldata p) external view {
        isTheDefinition(5, 0, leaf, p);
        isTheDefinition(5, 3, leaf, p);
        isTheDefinition(5, 4, leaf, p);
    }

    function isTheDefinition(uint256 size, uint256 index, bytes32 leaf, bytes32[3] calldata p) private view {
        uint256 length = depth(size, index);
        bytes32[] memory proof = firstOf(p, length);
        assert(this.root(size, index, leaf, proof) == walk(size, index, leaf, proof).root);
        if (length != 0) assert(refused(size, index, leaf, firstOf(p, length - 1)));
        if (length != 3) assert(refused(size, index, leaf, firstOf(p, length + 1)));
    }

    /// @dev Who proves two leaves in one place of one tree has two inputs of one hash.
    function check_inclusion_ofAnotherFirstLeaf_isACollision(
        bytes32 leaf,
        bytes32 other,
        bytes32[3] calldata p,
        bytes32[3] calldata q
    ) external view {
        isACollision(0, leaf, other, p, q);
    }

    function check_inclusion_ofAnotherLastLeaf_isACollision(
        bytes32 leaf,
        bytes32 other,
        bytes32[3] calldata p,
        bytes32[3] calldata q
    ) external view {
        isACollision(2, leaf, other, p, q);
    }

    /// @dev In a tree of three.
    function isACollision(uint256 index, bytes32 leaf, bytes32 other, bytes32[3] calldata p, bytes32[3] calldata q)
        private
        view
    {
        if (leaf == other) return;
        bytes32[] memory proof = firstOf(p, depth(3, index));
        bytes32[] memory second = firstOf(q, depth(3, index));
        if (this.root(3, index, leaf, proof) != this.root(3, index, other, second)) return;
        assert(collide(walk(3, index, leaf, proof), walk(3, index, other, second)));
    }

    /// @dev A reveal folds to the root of the tree over it.
    function check_fold_isTheTree(bytes32[7] calldata hashes) external view {
        for (uint256 count = 1; count <= 7; ++count) {
            bytes32[] memory shown = new bytes32[](count);
            for (uint256 i = 0; i < count; ++i) {
                shown[i] = hashes[i];
            }
            assert(this.fold(shown) == treeOf(shown, 0, count));
        }
    }

    /// @dev The reveals of a level show each subtree below it once: together as many as there are.
    function check_childCounts_partTheLevel(uint32 size, uint8 level, uint32 index) external pure {
        if (size == 0 || level == 0 || level > 5) return;
        uint256 parents = Merkle.levelCount(size, level);
        uint256 children = Merkle.levelCount(size, level - 1);
        if (index >= parents) return;
        uint256 count = Merkle.childCount(size, level, index);
        assert(count >= 1 && count <= 64);
        assert(index + 1 < parents ? count == 64 : uint256(index) * 64 + count == children);
    }

    // What is proven about

    function root(uint256 size, uint256 index, bytes32 leaf, bytes32[] calldata proof) external view returns (bytes32) {
        return Merkle.rootFromInclusion(size, index, leaf, proof);
    }

    function fold(bytes32[] calldata hashes) external view returns (bytes32) {
        return Merkle.fold(hashes);
    }

    // The definitions

    /// @dev Up from a leaf: RFC 9162's tree has the largest power of two below its size on the left.
    function walk(uint256 size, uint256 index, bytes32 leaf, bytes32[] memory proof)
        private
        pure
        returns (Walk memory w)
    {
        w.left = new bytes32[](proof.length);
        w.right = new bytes32[](proof.length);
        w.root = climb(size, index, leaf, proof, proof.length, w);
    }

    function climb(uint256 size, uint256 index, bytes32 leaf, bytes32[] memory proof, uint256 length, Walk memory w)
        private
        pure
        returns (bytes32)
    {
        if (size == 1) return leaf;
        uint256 left = split(size);
        uint256 last = length - 1;
        if (index < left) {
            (w.left[last], w.right[last]) = (climb(left, index, leaf, proof, last, w), proof[last]);
        } else {
            (w.left[last], w.right[last]) = (proof[last], climb(size - left, index - left, leaf, proof, last, w));
        }
        return node(w.left[last], w.right[last]);
    }

    function treeOf(bytes32[] memory hashes, uint256 low, uint256 count) private pure returns (bytes32) {
        if (count == 1) return hashes[low];
        uint256 left = split(count);
        return node(treeOf(hashes, low, left), treeOf(hashes, low + left, count - left));
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }

    function depth(uint256 size, uint256 index) private pure returns (uint256) {
        if (size == 1) return 0;
        uint256 left = split(size);
        return 1 + (index < left ? depth(left, index) : depth(size - left, index - left));
    }

    function split(uint256 size) private pure returns (uint256 left) {
        left = 1;
        while (left * 2 < size) left *= 2;
    }

    function collide(Walk memory a, Walk memory b) private pure returns (bool found) {
        for (uint256 i = 0; i < a.left.length; ++i) {
            bool differ = a.left[i] != b.left[i] || a.right[i] != b.right[i];
            if (differ && node(a.left[i], a.right[i]) == node(b.left[i], b.right[i])) found = true;
        }
    }

    function refused(uint256 size, uint256 index, bytes32 leaf, bytes32[] memory proof) private view returns (bool) {
        try this.root(size, index, leaf, proof) {
            return false;
        } catch {
            return true;
        }
    }

    function firstOf(bytes32[3] calldata given, uint256 count) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            proof[i] = given[i];
        }
    }
}
