// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";

/// @title Which segments a beacon value draws.
library SegmentDraw {
    using TaskMath for TaskTerms;

    /// @notice `audits` distinct segments among those that have something to replay, every such set as likely as any other (Floyd's algorithm).
    function segmentsOf(TaskTerms memory terms, bytes32 value) internal pure returns (uint32[] memory segments) {
        uint256 count = terms.audits;
        uint256 total = terms.segmentCount();
        uint256 first = terms.firstAudited();
        segments = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 last = total - count + i;
            uint256 pick = first + uint256(keccak256(abi.encode("segment", value, i))) % (last + 1 - first);
            for (uint256 j = 0; j < i; ++j) {
                if (segments[j] == pick) {
                    pick = last;
                    break;
                }
            }
            segments[i] = uint32(pick);
        }
    }
}
