// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DType} from "../../../contracts/types/DType.sol";
import {InputKind} from "../../../contracts/types/InputKind.sol";
import {Op} from "../../../contracts/types/Op.sol";
import {TestTree} from "../actors/TestTree.sol";

/// @notice A program of the toy machine: a chain of additions over one tensor of bytes, `state` last.
struct Toy {
    uint256 nodeCount;
    uint256 size; // bytes of every tensor but the last
    bytes header;
    bytes[] nodes;
    bytes[] entries; // state: the chain's tensor, and a frozen one
    bytes constantEntry;
    bytes frozen;
    bytes constant_;
}

/// @notice A byte of a node that a run gets wrong.
struct Lie {
    uint256 step;
    uint256 node;
    uint256 element;
    uint8 delta; // 0: no lie
}

/// @notice Everything a run of a segment computed.
struct Run {
    bytes32 startRoot;
    bytes32[] states; // root after each step
    bytes[] before; // the chain's tensor before each step
    bytes[][] values; // by step and node; the last one's are the roots
    bytes32[][] leaves; // H(0x00 || tensor root), by step and node
}

/// @title The toy machine's programs and runs: the prover's side.
library ToyTask {
    function tensorHeader(uint8 dtype, uint256 size) internal pure returns (bytes memory) {
        return abi.encodePacked(dtype, uint8(1), uint32(size));
    }

    function chunkHashes(bytes memory data) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[]((data.length - 1) / 1024 + 1);
        for (uint256 i = 0; i < hashes.length; ++i) {
            hashes[i] = TestTree.hashLeaf(chunkOf(data, i));
        }
    }

    function chunkOf(bytes memory data, uint256 index) internal pure returns (bytes memory chunk) {
        uint256 start = index * 1024;
        uint256 length = data.length - start < 1024 ? data.length - start : 1024;
        chunk = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(chunk, 32), add(add(data, 32), start), length)
        }
    }

    function tensorRoot(bytes memory header, bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(2), header, TestTree.root(chunkHashes(data))));
    }

    function rootOf(Toy memory toy, bytes memory data) internal pure returns (bytes32) {
        return tensorRoot(tensorHeader(DType.U8, toy.size), data);
    }

    function stateRoots(Toy memory toy, bytes memory chain) internal pure returns (bytes memory) {
        return abi.encodePacked(rootOf(toy, chain), rootOf(toy, toy.frozen));
    }

    function stateRoot(Toy memory toy, bytes memory chain) internal pure returns (bytes32) {
        return tensorRoot(tensorHeader(DType.ROOT, 2), stateRoots(toy, chain));
    }

    /// @dev A program of `nodeCount` nodes (at least 2) over tensors of `size` bytes; the salt draws operands and data.
    function make(uint256 nodeCount, uint256 size, uint256 salt) internal pure returns (Toy memory toy) {
        toy.nodeCount = nodeCount;
        toy.size = size;
        toy.frozen = randomBytes(size, salt ^ 1);
        toy.constant_ = randomBytes(size, salt ^ 2);
        toy.entries = new bytes[](2);
        toy.entries[0] = abi.encodePacked(DType.U8, uint8(0), uint8(1), uint32(size), uint64(0));
        toy.entries[1] = abi.encodePacked(DType.U8, uint8(1), uint8(1), uint32(size), uint64((size - 1) / 1024 + 1));
        toy.constantEntry = abi.encodePacked(DType.U8, uint8(1), uint32(size), rootOf(toy, toy.constant_));
        toy.nodes = new bytes[](nodeCount);
        for (uint256 i = 0; i + 1 < nodeCount; ++i) {
            bytes memory chain = i == 0 ? input(InputKind.STATE, 0) : input(InputKind.NODE, i - 1);
            uint256 choice = uint256(keccak256(abi.encode(salt, i))) % 3;
            bytes memory other = choice == 0
                ? input(InputKind.STATE, 1)
                : choice == 1 ? input(InputKind.CONST, 0) : input(InputKind.I32, salt & 0xffffffff);
            toy.nodes[i] = abi.encodePacked(Op.IADD, tensorHeader(DType.U8, size), uint16(2), chain, other);
        }
        toy.nodes[nodeCount - 1] = abi.encodePacked(
            Op.STATE,
            tensorHeader(DType.ROOT, 2),
            uint16(2),
            input(InputKind.NODE, nodeCount - 2),
            input(InputKind.STATE, 1)
        );
        toy.header = abi.encodePacked(
            uint16(1),
            uint32(nodeCount),
            TestTree.root(hashAll(toy.nodes)),
            uint32(2),
            TestTree.root(hashAll(toy.entries)),
            uint64((size - 1) / 1024 + 1),
            uint32(1),
            TestTree.hashLeaf(toy.constantEntry),
            uint32(0),
            bytes32(0),
            uint64(1000)
        );
    }

    /// @dev A program whose last node but `state` sums the whole row before it (and has a literal, which it does not read).
    function makeRow(uint256 nodeCount, uint256 size, uint256 salt) internal pure returns (Toy memory toy) {
        toy = make(nodeCount, size, salt);
        uint256 row = nodeCount - 2;
        bytes memory chain = row == 0 ? input(InputKind.STATE, 0) : input(InputKind.NODE, row - 1);
        toy.nodes[row] =
            abi.encodePacked(Op.SUM, tensorHeader(DType.U8, size), uint16(2), chain, input(InputKind.I32, 0));
        bytes32 nodesRoot = TestTree.root(hashAll(toy.nodes));
        bytes memory header = toy.header;
        assembly ("memory-safe") {
            mstore(add(header, 38), nodesRoot)
        }
    }

    function input(uint8 kind, uint256 value) internal pure returns (bytes memory) {
        return abi.encodePacked(kind, uint32(value));
    }

    function hashAll(bytes[] memory items) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](items.length);
        for (uint256 i = 0; i < items.length; ++i) {
            leaves[i] = TestTree.hashLeaf(items[i]);
        }
    }

    function randomBytes(uint256 size, uint256 salt) internal pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            data[i] = bytes1(uint8(uint256(keccak256(abi.encode(salt, i / 32))) >> (8 * (i % 32))));
        }
    }

    /// @dev Runs `steps` steps from a start, the first with STEP = `firstStep`.
    function run(Toy memory toy, bytes memory start, uint256 steps, uint256 firstStep, Lie memory lie)
        internal
        pure
        returns (Run memory made)
    {
        made.startRoot = stateRoot(toy, start);
        made.states = new bytes32[](steps);
        made.before = new bytes[](steps);
        made.values = new bytes[][](steps);
        made.leaves = new bytes32[][](steps);
        bytes memory chain = start;
        for (uint256 s = 0; s < steps; ++s) {
            made.before[s] = chain;
            (made.values[s], made.leaves[s]) = _step(toy, chain, firstStep + s, s, lie);
            chain = made.values[s][toy.nodeCount - 2];
            made.states[s] = stateRoot(toy, chain);
        }
    }

    function _step(Toy memory toy, bytes memory chain, uint256 globalStep, uint256 step, Lie memory lie)
        private
        pure
        returns (bytes[] memory values, bytes32[] memory leaves)
    {
        values = new bytes[](toy.nodeCount);
        leaves = new bytes32[](toy.nodeCount);
        uint256 last = toy.nodeCount - 1;
        for (uint256 i = 0; i < last; ++i) {
            chain = uint8(toy.nodes[i][0]) == Op.SUM ? _rowSums(chain) : _add(chain, _other(toy, i), globalStep + 1);
            if (lie.delta != 0 && lie.step == step && lie.node == i) {
                chain[lie.element] = bytes1(uint8(chain[lie.element]) ^ lie.delta);
            }
            values[i] = chain;
            leaves[i] = TestTree.hashLeaf(abi.encodePacked(rootOf(toy, chain)));
        }
        values[last] = stateRoots(toy, chain);
        leaves[last] = TestTree.hashLeaf(abi.encodePacked(stateRoot(toy, chain)));
    }

    /// @dev In each place its index and the sum of all bytes, modulo 256.
    function _rowSums(bytes memory row) private pure returns (bytes memory out) {
        uint256 sum = 0;
        for (uint256 i = 0; i < row.length; ++i) {
            sum += uint8(row[i]);
        }
        out = new bytes(row.length);
        for (uint256 i = 0; i < row.length; ++i) {
            out[i] = bytes1(uint8(sum + i));
        }
    }

    /// @dev Tensor of a node's second input; empty for a literal.
    function _other(Toy memory toy, uint256 node) private pure returns (bytes memory) {
        uint8 kind = uint8(toy.nodes[node][toy.nodes[node].length - 5]);
        if (kind == InputKind.STATE) return toy.frozen;
        if (kind == InputKind.CONST) return toy.constant_;
        return "";
    }

    /// @dev Sum of the bytes in the same places, and of `amount`, modulo 256; 32 at a time.
    function _add(bytes memory left, bytes memory right, uint256 amount) private pure returns (bytes memory out) {
        uint256 size = left.length;
        out = new bytes(size);
        uint256 every = (amount & 0xff) * (type(uint256).max / 0xff);
        for (uint256 offset = 32; offset < size + 32; offset += 32) {
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(left, offset))
            }
            word = _addBytes(word, every);
            if (right.length != 0) {
                uint256 other;
                assembly ("memory-safe") {
                    other := mload(add(right, offset))
                }
                word = _addBytes(word, other);
            }
            assembly ("memory-safe") {
                mstore(add(out, offset), word)
            }
        }
    }

    /// @dev 32 additions modulo 256: the upper bits are added without the carry that would leave their byte.
    function _addBytes(uint256 left, uint256 right) private pure returns (uint256) {
        uint256 tops = 0x80 * (type(uint256).max / 0xff);
        return ((left & ~tops) + (right & ~tops)) ^ ((left ^ right) & tops);
    }
}
