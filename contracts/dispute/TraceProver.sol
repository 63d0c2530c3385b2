// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {IDisputeBoard, LeafProof, TracePath} from "../interfaces/IDisputeGame.sol";
import {DType} from "../types/DType.sol";
import {Limits} from "../types/Limits.sol";
import {LeafPlace} from "./LeafProver.sol";

/// @notice What a trace's path is held against.
struct TracePlace {
    bytes32 traceRoot;
    bytes32 startRoot;
    uint256 steps; // of the segment
    uint256 nodeCount;
    uint32 firstStep; // global
    uint64 seed;
}

/// @title The whole path of a dispute at once, from a claim's trace root down to the chunk.
library TraceProver {
    /// @notice Where a leaf of the trace lies; reverts where the path does not fold.
    function placeOf(TracePlace memory trace, TracePath calldata path, LeafProof calldata leaf, bytes32 nodesRoot)
        internal
        view
        returns (LeafPlace memory place)
    {
        place.previousState = _previousState(trace, path);
        place.stepRoot = path.stepRoot;
        place.nodeCount = trace.nodeCount;
        place.step = trace.firstStep + path.step;
        place.seed = trace.seed;
        bytes32 nodeLeaf = Merkle.hashLeaf(leaf.node);
        require(
            Merkle.rootFromInclusion(trace.nodeCount, path.node, nodeLeaf, path.nodeProof) == nodesRoot,
            IDisputeBoard.WrongProgram()
        );
        bytes memory header = ProgramLib.tensorHeaderOf(leaf.node);
        (uint256 chunk,, uint256 length) = TensorLib.chunksOfRange(header, leaf.element, 1);
        place.chunk = uint32(chunk);
        require(path.chunk.length == length, IDisputeBoard.WrongCount(path.chunk.length, length));
        bytes32 tree =
            Merkle.rootFromInclusion(TensorLib.chunkCount(header), chunk, Merkle.hashLeaf(path.chunk), path.chunkProof);
        bytes32 tensorLeaf = Merkle.leafOf(TensorLib.root(header, tree));
        require(
            Merkle.rootFromInclusion(trace.nodeCount, path.node, tensorLeaf, path.tensorProof) == path.stepRoot,
            IDisputeBoard.DoesNotFold()
        );
    }

    /// @dev The state root before the step, by the trace itself; the start root for the first.
    function _previousState(TracePlace memory trace, TracePath calldata path) private view returns (bytes32) {
        require(path.step < trace.steps, IDisputeBoard.WrongCount(path.step, trace.steps));
        bytes32[] memory leaves = new bytes32[](path.step == 0 ? 1 : 2);
        leaves[leaves.length - 1] = Merkle.leafOf(path.stepRoot);
        uint256 first = path.step;
        if (path.step != 0) {
            leaves[0] = Merkle.leafOf(path.previousStepRoot);
            bytes32 last = Merkle.leafOf(path.previousState);
            uint256 size = trace.nodeCount;
            require(
                Merkle.rootFromInclusion(size, size - 1, last, path.previousProof) == path.previousStepRoot,
                IDisputeBoard.DoesNotFold()
            );
            --first;
        }
        require(
            Merkle.rootFromRange(trace.steps, first, leaves, path.traceProof) == trace.traceRoot,
            IDisputeBoard.DoesNotFold()
        );
        return path.step == 0 ? trace.startRoot : path.previousState;
    }
}
