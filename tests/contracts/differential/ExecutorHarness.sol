// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../../../contracts/commitments/Merkle.sol";
import {TensorLib} from "../../../contracts/commitments/TensorLib.sol";
import {IOpExecutor, IProgramChecker, IRowExecutor, Read} from "../../../contracts/interfaces/IOpExecutor.sol";

/// @notice One operand of an elementwise batch: element j of the batch is item j of `data`.
struct Operand {
    uint16 slot;
    bytes header;
    uint256 itemSize;
    bytes data;
}

/// @notice One leaf of a batch.
struct LeafCall {
    bytes node;
    uint256 element;
    uint32 step;
    uint64 seed;
    Read[] reads;
}

/// @notice A node with its whole inputs and some of its leaves.
/// @param headers Tensor header of each proven input, by slot; empty for the other inputs.
/// @param tensors Data of each proven input, by slot.
/// @param leaves Packed: for each leaf `element u64 | reads u8 | (slot u16 | first byte u64 | start u64 | bytes u32) * reads`.
struct NodeCall {
    bytes node;
    uint32 step;
    uint64 seed;
    bytes[] headers;
    bytes[] tensors;
    bytes leaves;
}

/// @notice One element of a batch whose row one leaf does not carry, and parts that may combine to it.
struct RowCall {
    bytes node;
    uint256 element;
    bytes stated;
    Read[] reads;
    bytes parts;
}

/// @notice One block of such a row.
struct BlockCall {
    bytes node;
    uint256 element;
    uint256 index;
    Read[] reads;
}

/// @notice One node of a batch for the checker.
struct CheckCall {
    bytes node;
    uint256 index;
    uint256 nodeCount;
    uint256 stateCount;
    uint256 constantCount;
    bool isInit;
    bytes[] inputHeaders;
}

/// @title Thousands of leaves in one call, for tests that compare the executor with the reference.
/// @dev Every leaf goes through `OpExecutor.execute` from outside, as a dispute's does.
contract ExecutorHarness {
    /// @notice Elements [first, first + count) of an elementwise (or movement-free) node.
    /// @param operands What each element reads: item j of every operand, at row-major index first + j. Empty for an op that
    /// reads nothing.
    /// @param outputSize Bytes of an output element.
    /// @return out Their little-endian bytes, one after the other.
    function executeElementwise(
        IOpExecutor executor,
        bytes calldata node,
        uint32 step,
        uint64 seed,
        Operand[] calldata operands,
        uint256 first,
        uint256 count,
        uint256 outputSize
    ) external view returns (bytes memory out) {
        Read[] memory reads = new Read[](operands.length);
        uint256[] memory sources = new uint256[](operands.length);
        uint256[] memory sizes = new uint256[](operands.length);
        for (uint256 i = 0; i < operands.length; ++i) {
            bytes calldata data = operands[i].data;
            reads[i] = Read(operands[i].slot, 0, operands[i].header, new bytes(operands[i].itemSize));
            sizes[i] = operands[i].itemSize;
            assembly {
                mstore(add(sources, mul(32, add(i, 1))), data.offset)
            }
        }
        bytes memory request = abi.encodeCall(IOpExecutor.execute, (node, first, step, seed, reads));
        out = new bytes(outputSize * count + 32);
        assembly {
            // One encoded call, whose element, starts and data are replaced for each leaf.
            let head := add(request, 36)
            let list := add(add(head, mload(add(head, 0x80))), 32)
            let to := add(out, 32)
            for { let j := 0 } lt(j, count) { j := add(j, 1) } {
                mstore(add(head, 0x20), add(first, j))
                for { let i := 0 } lt(i, mload(sources)) { i := add(i, 1) } {
                    let tuple := add(list, mload(add(list, shl(5, i))))
                    let size := mload(add(sizes, shl(5, add(i, 1))))
                    mstore(add(tuple, 0x20), add(first, j))
                    let data := add(add(tuple, mload(add(tuple, 0x60))), 32)
                    mstore(data, calldataload(add(mload(add(sources, shl(5, add(i, 1)))), mul(j, size))))
                }
                if iszero(staticcall(gas(), executor, add(request, 32), mload(request), 0, 0)) {
                    returndatacopy(0, 0, returndatasize())
                    revert(0, returndatasize())
                }
                returndatacopy(to, 64, outputSize)
                to := add(to, outputSize)
            }
            mstore(out, mul(outputSize, count))
        }
    }

    /// @notice Leaves of nodes whose inputs are sent once.
    /// @return values The little-endian bytes of each node's elements, one after the other. A refusal reverts.
    function executeNodes(IOpExecutor executor, NodeCall[] calldata nodes)
        external
        view
        returns (bytes[] memory values)
    {
        values = new bytes[](nodes.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            values[i] = _executeNode(executor, nodes[i]);
        }
    }

    /// @notice Any leaves.
    /// @return values Little-endian bytes of each element.
    /// @return gasUsed Gas of each leaf's call, as `DisputeGame` would see it.
    function executeLeaves(IOpExecutor executor, LeafCall[] calldata leaves)
        external
        view
        returns (bytes[] memory values, uint256[] memory gasUsed)
    {
        values = new bytes[](leaves.length);
        gasUsed = new uint256[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            LeafCall calldata leaf = leaves[i];
            bytes memory request =
                abi.encodeCall(IOpExecutor.execute, (leaf.node, leaf.element, leaf.step, leaf.seed, leaf.reads));
            uint256 before = gasleft();
            (bool success, bytes memory result) = address(executor).staticcall(request);
            gasUsed[i] = before - gasleft();
            // A refusal is shown as its error: four bytes and its arguments, never the length of an element.
            values[i] = success ? abi.decode(result, (bytes)) : bytes.concat("revert", result);
        }
    }

    /// @notice Whether parts combine to the elements stated, and the gas of asking.
    function combineRows(IRowExecutor executor, RowCall[] calldata rows)
        external
        view
        returns (bool[] memory combine, uint256[] memory gasUsed)
    {
        combine = new bool[](rows.length);
        gasUsed = new uint256[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            RowCall calldata row = rows[i];
            uint256 before = gasleft();
            bytes32 claim = executor.openRow(row.node, row.element, row.stated, row.reads);
            combine[i] = executor.combines(row.node, claim, row.parts);
            gasUsed[i] = before - gasleft();
        }
    }

    /// @notice Parts of blocks.
    function executeBlocks(IRowExecutor executor, BlockCall[] calldata blocks)
        external
        view
        returns (int64[] memory parts, uint256[] memory gasUsed)
    {
        parts = new int64[](blocks.length);
        gasUsed = new uint256[](blocks.length);
        for (uint256 i = 0; i < blocks.length; ++i) {
            BlockCall calldata call = blocks[i];
            uint256 before = gasleft();
            parts[i] = executor.executeBlock(call.node, call.element, call.index, call.reads);
            gasUsed[i] = before - gasleft();
        }
    }

    /// @notice Gas of proving one read: its chunks' hashes, their range proof, the tensor's root.
    /// @dev What the proof proves does not matter to its cost.
    function measureRead(
        bytes calldata header,
        uint256 start,
        uint256 count,
        bytes calldata chunks,
        bytes32[] calldata proof
    ) external view returns (uint256 gasUsed, bytes32 root) {
        uint256 before = gasleft();
        (root,) = TensorLib.rootFromRange(header, start, count, chunks, proof);
        gasUsed = before - gasleft();
    }

    /// @notice Gas of proving that a leaf is in a tree.
    function measurePath(uint256 size, uint256 index, bytes calldata leaf, bytes32[] calldata proof)
        external
        view
        returns (uint256 gasUsed, bytes32 root)
    {
        uint256 before = gasleft();
        root = Merkle.rootFromInclusion(size, index, Merkle.hashLeaf(leaf), proof);
        gasUsed = before - gasleft();
    }

    /// @notice Verdicts on many nodes.
    function checkNodes(IProgramChecker checker, CheckCall[] calldata nodes)
        external
        view
        returns (bool[] memory valid, uint256[] memory gasUsed)
    {
        valid = new bool[](nodes.length);
        gasUsed = new uint256[](nodes.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            CheckCall calldata c = nodes[i];
            uint256 before = gasleft();
            valid[i] = checker.checkNode(
                c.node, c.index, c.nodeCount, c.stateCount, c.constantCount, c.isInit, c.inputHeaders
            );
            gasUsed[i] = before - gasleft();
        }
    }

    function _executeNode(IOpExecutor executor, NodeCall calldata call) private view returns (bytes memory out) {
        bytes calldata packed = call.leaves;
        out = new bytes(32 * packed.length / 9 + 32); // at most 32 bytes a leaf
        uint256 size = 0;
        for (uint256 position = 0; position < packed.length;) {
            uint256 free;
            assembly {
                free := mload(0x40)
            }
            uint256 element = uint64(bytes8(packed[position:position + 8]));
            Read[] memory reads = new Read[](uint8(packed[position + 8]));
            position += 9;
            for (uint256 k = 0; k < reads.length; ++k) {
                reads[k] = _read(call, packed[position:position + 22]);
                position += 22;
            }
            bytes memory value = executor.execute(call.node, element, call.step, call.seed, reads);
            assembly {
                mcopy(add(add(out, 32), size), add(value, 32), mload(value))
                mstore(0x40, free) // nothing of this leaf is needed again
            }
            size += value.length;
        }
        assembly {
            mstore(out, size)
        }
    }

    function _read(NodeCall calldata call, bytes calldata packed) private pure returns (Read memory) {
        uint256 slot = uint16(bytes2(packed[:2]));
        uint256 from = uint64(bytes8(packed[2:10]));
        uint256 size = uint32(bytes4(packed[18:22]));
        return
            Read(uint16(slot), uint64(bytes8(packed[10:18])), call.headers[slot], call.tensors[slot][from:from + size]);
    }
}
