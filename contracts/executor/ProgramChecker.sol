// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {IProgramChecker} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {InputKind} from "../types/InputKind.sol";
import {Limits} from "../types/Limits.sol";
import {Family, Op} from "../types/Op.sol";
import {Binary32} from "./Binary32.sol";
import {Shapes} from "./Shapes.sol";
import {ViewRules} from "./ViewRules.sol";

/// @title The checker of one node: the rules that a node and the types of its inputs can break.
/// @notice Twin of `offchain/lockstep/program/infer.py` and of the parts of `spec.py` that concern one node. A type is a tensor header
/// (`TensorLib`). What more than one node shows (state entries and their totals, frozen entries, sites used twice, work)
/// is judged elsewhere.
contract ProgramChecker is IProgramChecker {
    using Shapes for bytes;

    /// @inheritdoc IProgramChecker
    function checkNode(
        bytes calldata node,
        uint256 index,
        uint256 nodeCount,
        uint256 stateCount,
        uint256 constantCount,
        bool isInit,
        bytes[] calldata inputHeaders
    ) external pure returns (bool valid) {
        if (!ProgramLib.isEncoded(node)) return false;
        uint256 op = ProgramLib.opOf(node);
        uint256 count = ProgramLib.inputCount(node);
        if ((op == Op.STATE) != (index + 1 == nodeCount)) return false; // the last node and only that
        if (op == Op.STATE && count != stateCount) return false;
        uint256 arity = Op.arity(op);
        if (arity == Op.VARIADIC ? count == 0 : count != arity) return false;
        for (uint256 slot = 0; slot < count; ++slot) {
            (uint256 kind, uint256 value) = ProgramLib.inputAt(node, slot);
            if (!_isInput(op, kind, value, index, stateCount, constantCount, isInit)) return false;
        }
        bytes memory output = ProgramLib.tensorHeaderOf(node);
        if (TensorLib.tryElementCount(output) == 0) return false;
        if (!_isAttributes(node, op, isInit)) return false;
        require(inputHeaders.length == count, HeaderCount(count, inputHeaders.length));
        bytes[] memory types = new bytes[](count);
        for (uint256 slot = 0; slot < count; ++slot) {
            types[slot] = _typeOf(node, op, output, slot, inputHeaders[slot]);
            if (types[slot].length == 0) return false;
        }
        return _isTyped(node, op, output, types);
    }

    /// @dev Whether an input may stand where it stands, whatever its type.
    function _isInput(
        uint256 op,
        uint256 kind,
        uint256 value,
        uint256 index,
        uint256 stateCount,
        uint256 constantCount,
        bool isInit
    ) private pure returns (bool) {
        if (kind == InputKind.NODE) return value < index;
        if (kind == InputKind.STATE) return !isInit && value < stateCount;
        if (kind == InputKind.CONST) return value < constantCount;
        if (op == Op.STATE) return false;
        if (kind == InputKind.COMMITTED) return !isInit && value <= stateCount; // behind the last entry: the draw
        if (kind == InputKind.F32) return value == Binary32.canonical(value);
        return kind == InputKind.I32 || value == 0; // STEP and SEED are written with 0
    }

    /// @dev Type of input `slot`; empty where it is none that the input may have.
    function _typeOf(bytes calldata node, uint256 op, bytes memory output, uint256 slot, bytes calldata given)
        private
        pure
        returns (bytes memory header)
    {
        (uint256 kind,) = ProgramLib.inputAt(node, slot);
        if (kind == InputKind.STEP) return abi.encodePacked(DType.I32, uint8(0));
        if (kind == InputKind.SEED) return abi.encodePacked(DType.I32, uint8(1), uint32(2));
        if (kind > InputKind.COMMITTED) {
            uint8 literal = kind == InputKind.F32 ? DType.F32 : DType.I32;
            if ((Family.ELEMENTWISE >> (op >> 4)) & 1 == 0) return abi.encodePacked(literal, uint8(0));
            header = bytes.concat(output);
            header[0] = bytes1(literal);
            return header;
        }
        require(given.length != 0, MissingHeader(slot));
        header = given;
        uint256 dtype = uint8(header[0]);
        if (TensorLib.tryElementCount(header) == 0 || dtype == DType.ROOT) return "";
        bool carried = dtype == DType.F32 || dtype == DType.I32;
        if (kind == InputKind.CONST) carried = carried || dtype == DType.U8 || dtype == DType.U16;
        if (kind != InputKind.NODE && !carried) return "";
    }

    /// @dev Whether the fixed attributes are in their ranges; `view` and `concat` are checked with their types.
    function _isAttributes(bytes calldata node, uint256 op, bool isInit) private pure returns (bool) {
        uint256 size = Op.attributeBytes(op);
        if (size == 0) return true;
        uint256 value = ProgramLib.readUint(node, ProgramLib.attributesOffset(node), size);
        if (op == Op.QUANTIZE) return value == Limits.QUANTIZE_BITS;
        if (op == Op.EXPONENT) {
            int256 floor = int16(uint16(value));
            return floor == Limits.EXPONENT_FLOOR_QUANTIZE || floor == Limits.EXPONENT_FLOOR_SUM;
        }
        if (op == Op.RANDOM_BITS || op == Op.SHUFFLE) {
            if (op == Op.SHUFFLE && value >> 32 == 0) return false; // n is at least 1
            return (value & Limits.INIT_SITE_BIT != 0) == isInit;
        }
        return value < 32; // the count of a shift
    }

    /// @dev Whether the node's output is what the op makes of inputs of these types.
    function _isTyped(bytes calldata node, uint256 op, bytes memory output, bytes[] memory types)
        private
        pure
        returns (bool)
    {
        uint256 family = op >> 4;
        if ((Family.ELEMENTWISE >> family) & 1 == 1) return _isElementwise(op, output, types);
        if (family == Family.CONTRACTION || family == Family.ROW) return _isRowOp(op, output, types);
        if (op == Op.VIEW) return ViewRules.isView(node, output, types[0]);
        if (op == Op.CONCAT) return ViewRules.isConcat(node, output, types);
        if (op == Op.GATHER) return _isGather(output, types);
        if (op == Op.SCATTER_ADD) return _isScatterAdd(output, types);
        if (op == Op.STATE) return output.dtype() == DType.ROOT && output.rank() == 1 && output.last() == types.length;
        if (output.dtype() != DType.I32) return false;
        if (op == Op.IOTA) return true;
        if (op == Op.RANDOM_BITS) return types[0].isScalar(DType.I32);
        return types[0].dtype() == DType.I32 && types[0].sameShape(output) && types[1].isScalar(DType.I32); // shuffle
    }

    function _isElementwise(uint256 op, bytes memory output, bytes[] memory types) private pure returns (bool) {
        for (uint256 slot = 0; slot < types.length; ++slot) {
            if (!types[slot].sameShape(output)) return false;
        }
        uint256 to = output.dtype();
        uint256 from = types[0].dtype();
        if (op == Op.CAST) return _isCast(from, to);
        if (op == Op.BITCAST) return (from == DType.F32 && to == DType.I32) || (from == DType.I32 && to == DType.F32);
        if (op == Op.SELECT) {
            return from == DType.I32 && (to == DType.F32 || to == DType.I32) && types[1].dtype() == to
                && types[2].dtype() == to;
        }
        bool floats = op < Op.IADD || (op >= Op.LT && op <= Op.NE);
        for (uint256 slot = 0; slot < types.length; ++slot) {
            if (types[slot].dtype() != (floats ? DType.F32 : DType.I32)) return false;
        }
        return to == (op < Op.IADD ? DType.F32 : DType.I32);
    }

    function _isCast(uint256 from, uint256 to) private pure returns (bool) {
        if (to == DType.F32) return from == DType.I32 || from == DType.M16 || from == DType.U8 || from == DType.U16;
        return to == DType.I32 && from != DType.I32 && from != DType.ROOT;
    }

    /// @dev Ops along the last axis of input 0.
    function _isRowOp(uint256 op, bytes memory output, bytes[] memory types) private pure returns (bool) {
        if (types[0].rank() == 0) return false;
        if (op == Op.MATMUL) return _isMatmul(output, types);
        if (types[0].dtype() != DType.F32) return false;
        uint256 to = output.dtype();
        if (op == Op.QUANTIZE || op == Op.SUM) {
            if (types[1].dtype() != DType.E16 || !types[1].sameShapeButLast(types[0])) return false;
        }
        if (op == Op.QUANTIZE) return to == DType.M16 && output.sameShape(types[0]);
        if (op == Op.SORT || op == Op.ARGSORT) {
            return to == (op == Op.SORT ? DType.F32 : DType.I32) && output.sameShape(types[0])
                && types[0].last() <= Limits.MAX_SORT_ROW;
        }
        uint256 wanted = DType.F32; // sum, reduce_max
        if (op == Op.EXPONENT) wanted = DType.E16;
        if (op == Op.ARGMAX) wanted = DType.I32;
        uint256 longest = op == Op.SUM ? Limits.MAX_SUM_ROW : Limits.MAX_ROW;
        return to == wanted && output.sameShapeButLast(types[0]) && types[0].last() <= longest;
    }

    /// @dev m16 [L, M, K], e16 [L, M], m16 [L, N, K], e16 [L, N] -> f32 [L, M, N].
    function _isMatmul(bytes memory output, bytes[] memory types) private pure returns (bool) {
        bytes memory a = types[0];
        bytes memory b = types[2];
        uint256 rank = a.rank();
        if (a.dtype() != DType.M16 || b.dtype() != DType.M16 || types[1].dtype() != DType.E16) return false;
        if (types[3].dtype() != DType.E16 || output.dtype() != DType.F32) return false;
        if (rank < 2 || b.rank() != rank || output.rank() != rank) return false;
        if (a.last() != b.last() || a.last() > Limits.MAX_ROW) return false;
        if (!types[1].sameShapeButLast(a) || !types[3].sameShapeButLast(b)) return false;
        if (!a.sameLeading(b, rank - 2) || !output.sameLeading(a, rank - 1)) return false;
        return output.last() == b.extent(rank - 2);
    }

    /// @dev T [R, rest], i32 I -> T [I, rest].
    function _isGather(bytes memory output, bytes[] memory types) private pure returns (bool) {
        bytes memory table = types[0];
        bytes memory index = types[1];
        if (index.dtype() != DType.I32 || table.rank() == 0 || output.dtype() != table.dtype()) return false;
        uint256 indexRank = index.rank();
        if (output.rank() != indexRank + table.rank() - 1 || !output.sameLeading(index, indexRank)) return false;
        for (uint256 axis = 1; axis < table.rank(); ++axis) {
            if (output.extent(indexRank + axis - 1) != table.extent(axis)) return false;
        }
        return true;
    }

    /// @dev f32 [C, N], i32 [N], e16 [C] -> f32 [C, R].
    function _isScatterAdd(bytes memory output, bytes[] memory types) private pure returns (bool) {
        bytes memory x = types[0];
        bytes memory index = types[1];
        if (x.dtype() != DType.F32 || index.dtype() != DType.I32 || types[2].dtype() != DType.E16) return false;
        if (output.dtype() != DType.F32 || x.rank() != 2 || output.rank() != 2) return false;
        if (x.last() > Limits.MAX_SCATTER_ROW || index.rank() != 1 || index.last() != x.last()) return false;
        return types[2].sameShapeButLast(x) && output.extent(0) == x.extent(0);
    }
}
