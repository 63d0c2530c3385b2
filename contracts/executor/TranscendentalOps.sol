// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Op} from "../types/Op.sol";
import {TranscendentalConstants as C} from "../types/TranscendentalConstants.sol";
import {Binary32 as F} from "./Binary32.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";

/// @title exp, log, tanh and erf as fixed sequences of f32 operations.
/// @notice Line by line the sequences of `offchain/lockstep/numerics/transcendental.py`, which says why they are as they are; the
/// order of the operations and of their operands is part of the definition.
contract TranscendentalOps is OpFamily {
    uint256 private constant WORD = 0xffffffff;

    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        uint256 op = leaf.op;
        uint256 x = LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.F32);
        if (op == Op.EXP) return _exp(x);
        if (op == Op.LOG) return _log(x);
        if (op == Op.TANH) return _tanh(x);
        require(op == Op.ERF, MalformedNode());
        return _erf(x);
    }

    function _exp(uint256 x) private pure returns (uint256) {
        uint256 b = F.min(C.EXP_MAX, F.max(C.EXP_MIN, x));
        uint256 n = F.rne(F.mul(b, C.LOG2_E));
        uint256 r = F.sub(F.sub(b, F.mul(n, C.LN2_HI)), F.mul(n, C.LN2_LO));
        uint256 z = F.mul(r, r);
        uint256 q = F.sub(r, F.mul(F.add(F.mul(z, C.EXP_P1), C.EXP_P0), z));
        uint256 p = F.add(F.add(F.div(F.mul(r, q), F.sub(C.TWO, q)), r), C.ONE);
        uint256 i = F.toInt32(n);
        uint256 m = _half(i);
        unchecked {
            uint256 scaled = (p + (m << 23)) & WORD;
            uint256 factor = ((i - m + 127) << 23) & WORD;
            return F.mul(scaled, factor);
        }
    }

    function _log(uint256 x) private pure returns (uint256) {
        bool tiny = F.lt(x, C.MIN_NORMAL);
        uint256 y = tiny ? F.mul(x, C.TWO_23) : x;
        uint256 i;
        unchecked {
            i = (y - (tiny ? C.LOG_SQRT_HALF_SCALED : C.LOG_SQRT_HALF)) & WORD;
        }
        uint256 k = F.fromInteger(int256(int32(uint32(i))) >> 23);
        uint256 f = F.sub((i & 0x007fffff) + C.LOG_SQRT_HALF, C.ONE);
        uint256 s = F.div(f, F.add(f, C.TWO));
        uint256 z = F.mul(s, s);
        uint256 t = F.mul(F.add(F.mul(F.add(F.mul(z, C.LOG_L2), C.LOG_L1), z), C.LOG_L0), z);
        y = F.add(F.mul(k, C.LN2), F.sub(f, F.mul(s, F.sub(f, t))));
        if (!F.lt(x, C.INFINITY)) y = x;
        if (!F.lt(C.ZERO, x)) y = F.eq(x, C.ZERO) ? C.MINUS_INFINITY : C.NAN;
        return F.canonical(y);
    }

    function _tanh(uint256 x) private pure returns (uint256) {
        uint256 a = F.abs(x);
        bool small = F.lt(a, C.TANH_SMALL);
        uint256 b = F.min(C.TANH_MAX, a);
        uint256 n = small ? C.ZERO : F.rne(F.mul(b, C.TWO_LOG2_E));
        uint256 r = F.sub(F.sub(b, F.mul(n, C.HALF_LN2_HI)), F.mul(n, C.HALF_LN2_LO));
        uint256 z = F.mul(r, r);
        uint256 w = F.add(F.mul(F.add(F.mul(z, C.TANH_Q3), C.TANH_Q2), z), C.TANH_Q1);
        w = F.mul(F.add(F.mul(w, z), C.TANH_Q0), z);
        uint256 d = F.add(w, C.ONE);
        uint256 scale;
        unchecked {
            scale = ((127 - F.toInt32(n)) << 23) & WORD;
        }
        uint256 u = F.mul(F.sub(d, r), scale);
        uint256 v = F.div(small ? w : u, small ? d : F.add(F.add(d, r), u));
        uint256 y = F.sub(small ? r : C.ONE, F.mul(small ? r : C.TWO, v));
        return F.canonical(y | (x & F.SIGN));
    }

    function _erf(uint256 x) private pure returns (uint256) {
        uint256 a = F.abs(x);
        uint256 b = F.min(C.ERF_MAX, a);
        bool small = F.lt(b, C.ERF_SMALL);
        uint256 t = small ? F.mul(b, b) : b;
        // Coefficients of 32 bits packed into a word, constant term lowest.
        uint256 coefficients = small ? C.ERF_SMALL_COEFFICIENTS : C.ERF_LARGE_COEFFICIENTS;
        uint256 p = coefficients >> 224;
        for (uint256 degree = 7; degree != 0;) {
            --degree;
            p = F.add(F.mul(p, t), (coefficients >> (32 * degree)) & WORD);
        }
        uint256 p2 = F.mul(p, p);
        uint256 v = small ? p : F.mul(p2, p2);
        uint256 m = small ? b : C.ONE;
        uint256 y = F.sub(m, F.mul(m, v));
        return F.canonical(y | (x & F.SIGN));
    }

    /// @dev i32 shifted right by one, the sign copied in.
    function _half(uint256 i) private pure returns (uint256) {
        return uint256(int256(int32(uint32(i))) >> 1) & WORD;
    }
}
