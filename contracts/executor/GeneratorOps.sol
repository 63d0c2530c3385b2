// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../commitments/ProgramLib.sol";
import {Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {Op} from "../types/Op.sol";
import {Leaf, LeafLib} from "./LeafLib.sol";
import {OpFamily} from "./OpFamily.sol";
import {Threefry} from "./Threefry.sol";

/// @title Generators: element numbers, random bits, permutations.
contract GeneratorOps is OpFamily {
    /// @inheritdoc OpFamily
    function _compute(Leaf memory leaf, bytes calldata node, Read[] calldata reads)
        internal
        pure
        override
        returns (uint256)
    {
        if (leaf.op == Op.IOTA) return leaf.element & 0xffffffff;
        if (leaf.op == Op.RANDOM_BITS) {
            uint256 drawSite = ProgramLib.readUint(node, leaf.attributes, 4);
            uint256 drawCounter = LeafLib.scalar(leaf, node, reads, 0, 0, DType.I32);
            return Threefry.randomBits(leaf.seed, drawCounter, drawSite, leaf.element);
        }
        require(leaf.op == Op.SHUFFLE, MalformedNode());
        uint256 n = ProgramLib.readUint(node, leaf.attributes, 4);
        uint256 site = ProgramLib.readUint(node, leaf.attributes + 4, 4);
        uint256 x = LeafLib.scalar(leaf, node, reads, 0, leaf.element, DType.I32);
        uint256 counter = LeafLib.scalar(leaf, node, reads, 1, 0, DType.I32);
        return Threefry.shuffle(leaf.seed, counter, site, n, x);
    }
}
