// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title RFC 9162 trees over leaf hashes, with proofs: the prover's side, for tests.
library TestTree {
    function hashLeaf(bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), data));
    }

    /// @dev Leaves `H(0x00 || root)` of 32-byte roots.
    function hashRoots(bytes32[] memory roots) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](roots.length);
        for (uint256 i = 0; i < roots.length; ++i) {
            leaves[i] = sha256(abi.encodePacked(uint8(0), roots[i]));
        }
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        return _root(leaves, 0, leaves.length);
    }

    /// @dev Inclusion proof: siblings from the leaf up.
    function prove(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory) {
        (bytes32[] memory proof,) = _prove(leaves, index, 0, leaves.length);
        return proof;
    }

    /// @dev Range proof of the leaves [start, stop): the subtrees outside, from left to right.
    function proveRange(bytes32[] memory leaves, uint256 start, uint256 stop)
        internal
        pure
        returns (bytes32[] memory proof)
    {
        bytes32[] memory buffer = new bytes32[](64);
        uint256 used = _range(leaves, 0, leaves.length, start, stop, buffer, 0);
        proof = new bytes32[](used);
        for (uint256 i = 0; i < used; ++i) {
            proof[i] = buffer[i];
        }
    }

    function _range(
        bytes32[] memory leaves,
        uint256 low,
        uint256 count,
        uint256 start,
        uint256 stop,
        bytes32[] memory buffer,
        uint256 used
    ) private pure returns (uint256) {
        if (low >= stop || low + count <= start) {
            buffer[used] = _root(leaves, low, count);
            return used + 1;
        }
        if (count == 1) return used;
        uint256 left = _split(count);
        used = _range(leaves, low, left, start, stop, buffer, used);
        return _range(leaves, low + left, count - left, start, stop, buffer, used);
    }

    function _prove(bytes32[] memory leaves, uint256 index, uint256 low, uint256 count)
        private
        pure
        returns (bytes32[] memory proof, uint256 used)
    {
        if (count == 1) return (new bytes32[](0), 0);
        uint256 left = _split(count);
        bytes32 sibling;
        bytes32[] memory below;
        if (index < left) {
            (below, used) = _prove(leaves, index, low, left);
            sibling = _root(leaves, low + left, count - left);
        } else {
            (below, used) = _prove(leaves, index - left, low + left, count - left);
            sibling = _root(leaves, low, left);
        }
        proof = new bytes32[](used + 1);
        for (uint256 i = 0; i < used; ++i) {
            proof[i] = below[i];
        }
        proof[used] = sibling;
        return (proof, used + 1);
    }

    function _root(bytes32[] memory leaves, uint256 low, uint256 count) private pure returns (bytes32) {
        if (count == 1) return leaves[low];
        uint256 left = _split(count);
        return sha256(abi.encodePacked(uint8(1), _root(leaves, low, left), _root(leaves, low + left, count - left)));
    }

    function _split(uint256 count) private pure returns (uint256 left) {
        left = 1;
        while (left * 2 < count) left *= 2;
    }
}
