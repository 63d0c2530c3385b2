// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IExecutor, IOpExecutor, IRowExecutor, Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Family, Op} from "../types/Op.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";

/// @notice The executor of each op family, and of rows that one leaf does not carry.
struct OpFamilies {
    IOpExecutor float;
    IOpExecutor transcendental;
    IOpExecutor integer; // integer, compare and cast
    IOpExecutor contraction;
    IOpExecutor row;
    IOpExecutor movement;
    IOpExecutor generator;
    IRowExecutor longRow;
}

/// @title The executor: one entry for all ops, each family a contract of its own.
/// @notice Hands a leaf to its family's contract unchanged, by the high nibble of the op code; computes `state` itself, whose
/// element j is the root of input j.
contract OpExecutor is IExecutor {
    IOpExecutor private immutable _float;
    IOpExecutor private immutable _transcendental;
    IOpExecutor private immutable _integer;
    IOpExecutor private immutable _contraction;
    IOpExecutor private immutable _row;
    IOpExecutor private immutable _movement;
    IOpExecutor private immutable _generator;
    IRowExecutor private immutable _longRow;

    /// @param families The executors; fixed from then on.
    constructor(OpFamilies memory families) {
        _float = families.float;
        _transcendental = families.transcendental;
        _integer = families.integer;
        _contraction = families.contraction;
        _row = families.row;
        _movement = families.movement;
        _generator = families.generator;
        _longRow = families.longRow;
    }

    /// @inheritdoc IOpExecutor
    function execute(bytes calldata node, uint256 element, uint32 step, uint64 seed, Read[] calldata reads)
        external
        view
        returns (bytes memory value)
    {
        require(node.length != 0, MalformedNode());
        uint256 family = uint8(node[0]) >> 4;
        if (family == Family.STATE) return _state(node, element, step, seed, reads);
        address target = address(familyExecutor(family));
        require(target != address(0), MalformedNode());
        _forward(target);
    }

    /// @inheritdoc IRowExecutor
    function openRow(bytes calldata, uint256, bytes calldata, Read[] calldata) external view returns (bytes32) {
        _forward(address(_longRow));
    }

    /// @inheritdoc IRowExecutor
    function combines(bytes calldata, bytes32, bytes calldata) external view returns (bool) {
        _forward(address(_longRow));
    }

    /// @inheritdoc IRowExecutor
    function executeBlock(bytes calldata, uint256, uint256, Read[] calldata) external view returns (int64) {
        _forward(address(_longRow));
    }

    /// @notice The contract that computes a family's ops; zero for `state` and for families that do not exist.
    /// @param family High nibble of an op code (`Family`).
    function familyExecutor(uint256 family) public view returns (IOpExecutor) {
        if (family == Family.FLOAT) return _float;
        if (family == Family.TRANSCENDENTAL) return _transcendental;
        if (family == Family.INTEGER || family == Family.COMPARE || family == Family.CAST) return _integer;
        if (family == Family.CONTRACTION) return _contraction;
        if (family == Family.ROW) return _row;
        if (family == Family.MOVEMENT) return _movement;
        if (family == Family.GENERATOR) return _generator;
        return IOpExecutor(address(0));
    }

    /// @dev Makes the same call to another contract, and ends with what that says.
    function _forward(address target) private view {
        // The call's own bytes are the target's: decoding and encoding 64 KiB again would cost more than most leaves.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, 0, calldatasize())
            let success := staticcall(gas(), target, buffer, calldatasize(), 0, 0)
            returndatacopy(buffer, 0, returndatasize())
            if iszero(success) { revert(buffer, returndatasize()) }
            return(buffer, returndatasize())
        }
    }

    /// @dev Element j of the state is the tensor root of input j: the one read, without a header.
    function _state(bytes calldata node, uint256 element, uint32 step, uint64 seed, Read[] calldata reads)
        private
        pure
        returns (bytes memory value)
    {
        Leaf memory leaf = LeafLib.open(node, element, step, seed);
        require(
            leaf.op == Op.STATE && leaf.dtype == DType.ROOT && LeafLib.isProven(leaf, node, element), MalformedNode()
        );
        if (
            reads.length == 0 || reads[0].slot != element || reads[0].start != 0 || reads[0].header.length != 0
                || reads[0].data.length != 32
        ) {
            revert WrongRead(uint16(element), 0);
        }
        value = reads[0].data;
        leaf.used = 1;
        LeafLib.close(leaf, reads);
    }
}
