// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {Limits} from "../types/Limits.sol";
import {Shapes} from "./Shapes.sol";

/// @title The rules of `view` and `concat`, whose attributes have layouts of their own.
library ViewRules {
    using Shapes for bytes;

    /// @notice Whether a view's attributes and types fit: a source shape of as many elements as the source has, mapped axes that
    /// exist (stride 0 is written with axis 0), a bounded reach, a fill that is an element.
    /// @param node Encoded node.
    /// @param output Type of the node.
    /// @param source Type of its input.
    function isView(bytes calldata node, bytes memory output, bytes memory source) internal pure returns (bool) {
        if (output.dtype() != source.dtype()) return false;
        uint256 position = ProgramLib.attributesOffset(node);
        uint256 rank = ProgramLib.readUint(node, position, 1);
        bytes memory shape = bytes.concat(source[0], node[position:position + 1 + 4 * rank]);
        if (TensorLib.tryElementCount(shape) != TensorLib.elementCount(source)) return false;
        position += 1 + 4 * rank;
        uint256[] memory reach = new uint256[](rank);
        for (uint256 axis = 0; axis < rank; ++axis) {
            reach[axis] = _magnitude(node, position);
            position += 4;
        }
        for (uint256 j = 0; j < output.rank(); ++j) {
            uint256 axis = ProgramLib.readUint(node, position, 1);
            uint256 stride = _magnitude(node, position + 1);
            if (axis >= rank || (stride == 0 && axis != 0)) return false;
            reach[axis] += stride * (output.extent(j) - 1);
            position += 5;
        }
        for (uint256 axis = 0; axis < rank; ++axis) {
            if (reach[axis] > Limits.MAX_VIEW_REACH) return false;
        }
        return Shapes.isElement(ProgramLib.readUint(node, position, 4), source.dtype());
    }

    /// @notice Whether a concat's inputs differ from its output only along the axis, where their extents, listed in its attributes,
    /// add up to the output's.
    /// @param node Encoded node.
    /// @param output Type of the node.
    /// @param types Types of its inputs.
    function isConcat(bytes calldata node, bytes memory output, bytes[] memory types) internal pure returns (bool) {
        uint256 count = types.length;
        uint256 rank = output.rank();
        uint256 axis = ProgramLib.readUint(node, ProgramLib.attributesOffset(node), 1);
        if (count > Limits.MAX_CONCAT || axis >= rank) return false;
        uint256 extents = ProgramLib.inputsOffset(node) + 2 + 5 * count;
        uint256 total = 0;
        for (uint256 slot = 0; slot < count; ++slot) {
            bytes memory given = types[slot];
            if (given.dtype() != output.dtype() || given.rank() != rank) return false;
            if (given.extent(axis) != ProgramLib.readUint(node, extents + 4 * slot, 4)) return false;
            for (uint256 other = 0; other < rank; ++other) {
                if (other != axis && given.extent(other) != output.extent(other)) return false;
            }
            total += given.extent(axis);
        }
        return total == output.extent(axis);
    }

    /// @dev Magnitude of the i32 at an offset.
    function _magnitude(bytes calldata node, uint256 position) private pure returns (uint256) {
        int256 value = int32(uint32(ProgramLib.readUint(node, position, 4)));
        return uint256(value < 0 ? -value : value);
    }
}
