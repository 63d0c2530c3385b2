// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "../interfaces/ITaskMarket.sol";

/// @title A task's shape and prices, from its terms.
/// @dev Terms were checked by `submit`: every amount fits `uint96`, every count its type.
library TaskMath {
    /// @dev Units of work a price is for.
    uint256 internal constant PRICE_UNIT = 1_000_000;
    uint256 internal constant WHOLE = 10_000;

    /// @notice `keccak256(abi.encode(terms))`.
    function hash(TaskTerms memory terms) internal pure returns (bytes32 digest) {
        // All fields are static: in memory they lie as they would be encoded.
        assembly ("memory-safe") {
            digest := keccak256(terms, 640)
        }
    }

    /// @notice Segments with the init segment: S + 1.
    function segmentCount(TaskTerms memory terms) internal pure returns (uint256) {
        return (uint256(terms.steps) + terms.segmentSteps - 1) / terms.segmentSteps + 1;
    }

    /// @notice The first segment that may be drawn: a stacked task's segment 0 is its parent's end, and nothing to replay.
    function firstAudited(TaskTerms memory terms) internal pure returns (uint256) {
        return isStacked(terms) ? 1 : 0;
    }

    /// @notice Whether a task starts from a settled one's final root.
    function isStacked(TaskTerms memory terms) internal pure returns (bool) {
        return terms.options.parent() != 0;
    }

    /// @notice Whether a task's solver is drawn among applicants.
    function isDrawn(TaskTerms memory terms) internal pure returns (bool) {
        return terms.options.applyDeadline() != 0;
    }

    /// @notice Steps of one segment; `segment` must be below `segmentCount`.
    function stepsOf(TaskTerms memory terms, uint256 segment) internal pure returns (uint256) {
        if (segment == 0) return 1;
        uint256 rest = uint256(terms.steps) - (segment - 1) * terms.segmentSteps;
        return rest < terms.segmentSteps ? rest : terms.segmentSteps;
    }

    /// @notice Work of replaying the dearest segment.
    function replayWork(TaskTerms memory terms) internal pure returns (uint256) {
        uint256 full = terms.steps < terms.segmentSteps ? terms.steps : terms.segmentSteps;
        full *= terms.stepWork;
        return full > terms.initWork ? full : terms.initWork;
    }

    /// @notice C, what the whole work costs at the task's price.
    function fee(TaskTerms memory terms) internal pure returns (uint256) {
        return _price(terms, wholeWork(terms));
    }

    /// @notice Work of all steps and of the start.
    function wholeWork(TaskTerms memory terms) internal pure returns (uint256) {
        return uint256(terms.stepWork) * terms.steps + terms.initWork;
    }

    /// @notice c, what replaying the dearest segment costs at the task's price.
    function replayCost(TaskTerms memory terms) internal pure returns (uint256) {
        return _price(terms, replayWork(terms));
    }

    /// @notice What a submitter puts in: the fee, the margin on it, the wages and the levy.
    function escrow(TaskTerms memory terms, uint256 marginBps) internal pure returns (uint256) {
        uint256 base = fee(terms);
        return base + base * marginBps / WHOLE + uint256(terms.wage) * terms.audits + terms.levy;
    }

    function _price(TaskTerms memory terms, uint256 work) private pure returns (uint256) {
        return (work * terms.price + PRICE_UNIT - 1) / PRICE_UNIT;
    }
}
