// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DType} from "../types/DType.sol";

/// @title Comparing types of tensors.
/// @notice A type is a well-formed tensor header (`TensorLib.tryElementCount` gave a number).
library Shapes {
    /// @notice Dtype code.
    function dtype(bytes memory header) internal pure returns (uint256) {
        return uint8(header[0]);
    }

    /// @notice Number of axes.
    function rank(bytes memory header) internal pure returns (uint256) {
        return uint8(header[1]);
    }

    /// @notice Extent along `axis`, which must be below the rank.
    function extent(bytes memory header, uint256 axis) internal pure returns (uint256 value) {
        assert(axis < rank(header));
        assembly ("memory-safe") {
            value := shr(224, mload(add(add(header, 34), shl(2, axis))))
        }
    }

    /// @notice Extent along the last axis of a type of rank 1 or more.
    function last(bytes memory header) internal pure returns (uint256) {
        return extent(header, rank(header) - 1);
    }

    /// @notice Whether two types have equal shapes.
    function sameShape(bytes memory a, bytes memory b) internal pure returns (bool) {
        return rank(a) == rank(b) && sameLeading(a, b, rank(a));
    }

    /// @notice Whether `a` has the shape of `b` without its last axis; `b` has rank 1 or more.
    function sameShapeButLast(bytes memory a, bytes memory b) internal pure returns (bool) {
        return rank(a) + 1 == rank(b) && sameLeading(a, b, rank(a));
    }

    /// @notice Whether the first `axes` extents of two types, which have so many, are equal.
    function sameLeading(bytes memory a, bytes memory b, uint256 axes) internal pure returns (bool same) {
        assert(axes <= rank(a) && axes <= rank(b));
        assembly ("memory-safe") {
            let size := shl(2, axes)
            same := eq(keccak256(add(a, 34), size), keccak256(add(b, 34), size))
        }
    }

    /// @notice Whether a type is a scalar of a dtype.
    function isScalar(bytes memory header, uint256 wanted) internal pure returns (bool) {
        return dtype(header) == wanted && rank(header) == 0;
    }

    /// @notice Whether 32 bits are an element of a dtype, zero-extended: an f32's NaN only as the canonical one, a mantissa
    /// within +-2^14, an exponent in [-126, 127] or 255.
    function isElement(uint256 bits, uint256 code) internal pure returns (bool) {
        if (code == DType.F32) return bits & 0x7fffffff <= 0x7f800000 || bits == DType.CANONICAL_NAN;
        if (code == DType.I32) return true;
        if (bits > 0xffff) return false;
        if (code == DType.M16) return bits <= 0x4000 || bits >= 0xc000;
        if (code == DType.E16) return bits <= 127 || bits == 255 || bits >= 0x10000 - 126;
        return code == DType.U16 || (code == DType.U8 && bits <= 0xff);
    }
}
