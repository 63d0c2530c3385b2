// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ClaimBody, IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";

/// @title Whether a claim's body is one about its segment.
library ClaimBodies {
    using TaskMath for TaskTerms;

    /// @notice Checks a body against the task, whose terms these are: its checkpoints under the work root, its digest's length.
    function check(TaskTerms memory terms, uint32 segment, ClaimBody calldata body, bytes32[] calldata checkpointProof)
        internal
        view
    {
        require(body.endRoot != 0, IAuditCourt.BadClaim("end root"));
        require(body.digest.length == 8 * terms.stepsOf(segment), IAuditCourt.BadClaim("digest"));
        require(segment != 0 || body.startRoot == 0, IAuditCourt.BadClaim("start root"));
        // A range of one leaf is proven as its inclusion where it is the first: one walk serves both, and the court's size.
        bytes32[] memory leaves = new bytes32[](segment == 0 ? 1 : 2);
        leaves[0] = Merkle.leafOf(body.startRoot);
        leaves[leaves.length - 1] = Merkle.leafOf(body.checkpointRoot);
        uint256 first = segment == 0 ? 0 : segment - 1;
        bytes32 root = Merkle.rootFromRange(terms.segmentCount(), first, leaves, checkpointProof);
        require(root == terms.workRoot, IAuditCourt.BadCheckpointProof());
    }
}
