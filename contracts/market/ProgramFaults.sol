// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {IProgramChecker} from "../interfaces/IOpExecutor.sol";
import {FaultKind, IProgramFaults, ProgramFault} from "../interfaces/IProgramFaults.sol";
import {DType} from "../types/DType.sol";
import {InputKind} from "../types/InputKind.sol";
import {Op} from "../types/Op.sol";

/// @title The judge of a program's parts.
/// @dev An accusation may lean only on parts that are themselves well formed: of several malformed ones the first, in the order state
/// entries, constants, nodes, can always be accused alone.
contract ProgramFaults is IProgramFaults {
    IProgramChecker public immutable checker;

    constructor(IProgramChecker checker_) {
        checker = checker_;
    }

    /// @inheritdoc IProgramFaults
    function isFault(bytes32 program, ProgramFault calldata fault) external view returns (bool) {
        require(ProgramLib.hashHeader(fault.header) == program, NotInProgram());
        ProgramHeader memory header = ProgramLib.decodeHeader(fault.header);
        if (fault.kind == FaultKind.Node) return _isBadNode(header, fault);
        if (fault.kind == FaultKind.LastNode) return _isBadLastNode(header, fault);
        if (fault.kind == FaultKind.StateInput) return _isBadStateInput(header, fault);
        if (fault.kind == FaultKind.Constant) {
            _requireConstant(header, fault.index, fault, 0);
            return !_isConstant(fault.entries[0]);
        }
        _requireState(header, fault.index, fault, 0);
        if (fault.kind == FaultKind.StateEntry) return !_isState(fault.entries[0]);
        (uint256 before, uint256 behind) = _totals(fault, 0);
        if (fault.kind == FaultKind.StateEnd) {
            require(uint256(fault.index) + 1 == header.stateCount, NotInProgram());
            return behind != header.stateChunks;
        }
        if (fault.index == 0) return before != 0;
        _requireState(header, fault.index - 1, fault, 1);
        (, uint256 expected) = _totals(fault, 1);
        return before != expected;
    }

    // Nodes

    function _isBadNode(ProgramHeader memory header, ProgramFault calldata fault) private view returns (bool) {
        bytes calldata node = fault.entries[0];
        _requireNode(header, fault.index, fault, 0);
        if (!ProgramLib.isEncoded(node)) return true;
        uint256 count = ProgramLib.inputCount(node);
        bytes[] memory headers = new bytes[](count);
        for (uint256 slot = 0; slot < count; ++slot) {
            headers[slot] = _headerOf(header, fault, slot, 1 + slot);
        }
        return !checker.checkNode(
            node, fault.index, header.nodeCount, header.stateCount, header.constantCount, fault.init, headers
        );
    }

    function _isBadLastNode(ProgramHeader memory header, ProgramFault calldata fault) private view returns (bool) {
        bytes calldata node = fault.entries[0];
        require(uint256(fault.index) + 1 == header.nodeCount, NotInProgram());
        _requireNode(header, fault.index, fault, 0);
        return !ProgramLib.isEncoded(node) || ProgramLib.opOf(node) != Op.STATE
            || ProgramLib.inputCount(node) != header.stateCount
            || keccak256(ProgramLib.tensorHeaderOf(node))
                != keccak256(abi.encodePacked(DType.ROOT, uint8(1), header.stateCount));
    }

    function _isBadStateInput(ProgramHeader memory header, ProgramFault calldata fault) private view returns (bool) {
        bytes calldata node = fault.entries[0];
        _requireNode(header, header.nodeCount - 1, fault, 0);
        require(ProgramLib.isEncoded(node) && fault.index < ProgramLib.inputCount(node), AccuseThatOne(0));
        (uint256 kind, uint256 value) = ProgramLib.inputAt(node, fault.index);
        require(fault.index < header.stateCount, AccuseThatOne(0));
        _requireState(header, fault.index, fault, 2);
        require(_isState(fault.entries[2]), AccuseThatOne(2));
        (bytes memory expected, bool frozen,) = ProgramLib.decodeStateEntry(fault.entries[2]);
        if (frozen && !fault.init && (kind != InputKind.STATE || value != fault.index)) return true;
        return keccak256(_headerOf(header, fault, fault.index, 1)) != keccak256(expected);
    }

    /// @dev Tensor header of what input `slot` of the accused node denotes, proven by `entries[position]`; empty where it denotes no tensor
    /// of the program.
    function _headerOf(ProgramHeader memory header, ProgramFault calldata fault, uint256 slot, uint256 position)
        private
        view
        returns (bytes memory)
    {
        (uint256 kind, uint256 value) = ProgramLib.inputAt(fault.entries[0], slot);
        if (kind == InputKind.NODE && value < header.nodeCount) {
            _requireNode(header, value, fault, position);
            require(ProgramLib.isEncoded(fault.entries[position]), AccuseThatOne(position));
            return ProgramLib.tensorHeaderOf(fault.entries[position]);
        }
        if (kind == InputKind.COMMITTED && value == header.stateCount) return ProgramLib.drawHeader();
        if ((kind == InputKind.STATE || kind == InputKind.COMMITTED) && value < header.stateCount) {
            _requireState(header, value, fault, position);
            require(_isState(fault.entries[position]), AccuseThatOne(position));
            (bytes memory stateHeader,,) = ProgramLib.decodeStateEntry(fault.entries[position]);
            return stateHeader;
        }
        if (kind == InputKind.CONST && value < header.constantCount) {
            _requireConstant(header, value, fault, position);
            require(_isConstant(fault.entries[position]), AccuseThatOne(position));
            (bytes memory constantHeader,) = ProgramLib.decodeConstantEntry(fault.entries[position]);
            return constantHeader;
        }
        return "";
    }

    // Entries

    /// @dev Whether bytes are a state entry: f32 or i32, a shape within the limits.
    function _isState(bytes calldata entry) private pure returns (bool) {
        if (entry.length < 11 || uint8(entry[1]) > 1) return false;
        uint256 dtype = uint8(entry[0]);
        if (dtype != DType.F32 && dtype != DType.I32) return false;
        return TensorLib.tryElementCount(bytes.concat(entry[0:1], entry[2:entry.length - 8])) != 0;
    }

    /// @dev Whether bytes are a constant entry: f32, i32, u8 or u16, a shape within the limits.
    function _isConstant(bytes calldata entry) private pure returns (bool) {
        if (entry.length < 34) return false;
        uint256 dtype = uint8(entry[0]);
        if (dtype != DType.F32 && dtype != DType.I32 && dtype != DType.U8 && dtype != DType.U16) return false;
        return TensorLib.tryElementCount(entry[:entry.length - 32]) != 0;
    }

    /// @dev Chunks of non-frozen entries before a well-formed entry, and before the next.
    function _totals(ProgramFault calldata fault, uint256 position)
        private
        pure
        returns (uint256 before, uint256 behind)
    {
        bytes calldata entry = fault.entries[position];
        require(_isState(entry), AccuseThatOne(position));
        (bytes memory header, bool frozen, uint64 chunks) = ProgramLib.decodeStateEntry(entry);
        return (chunks, chunks + (frozen ? 0 : TensorLib.chunkCount(header)));
    }

    // Proofs

    function _requireNode(ProgramHeader memory header, uint256 index, ProgramFault calldata fault, uint256 position)
        private
        view
    {
        _requireIn(header.nodesRoot, header.nodeCount, index, fault, position);
    }

    function _requireState(ProgramHeader memory header, uint256 index, ProgramFault calldata fault, uint256 position)
        private
        view
    {
        _requireIn(header.stateRoot, header.stateCount, index, fault, position);
    }

    function _requireConstant(ProgramHeader memory header, uint256 index, ProgramFault calldata fault, uint256 position)
        private
        view
    {
        _requireIn(header.constantsRoot, header.constantCount, index, fault, position);
    }

    function _requireIn(bytes32 root, uint256 size, uint256 index, ProgramFault calldata fault, uint256 position)
        private
        view
    {
        bytes32 leaf = Merkle.hashLeaf(fault.entries[position]);
        require(Merkle.rootFromInclusion(size, index, leaf, fault.proofs[position]) == root, NotInProgram());
    }
}
