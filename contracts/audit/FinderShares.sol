// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ParametersLib} from "../types/Parameters.sol";

/// @title How finders share: each a third of the one before, at most four.
library FinderShares {
    /// @dev Weights 27, 9, 3, 1: the first share is 27/40 when all four are there, the whole when there is one.
    uint256 internal constant MOST = 4;

    /// @notice Shares of `amount` among `count` finders, rounded down: together at most `amount`, all of it for one finder.
    function split(uint96 amount, uint256 count) internal pure returns (uint96[] memory shares) {
        assert(count <= MOST);
        shares = new uint96[](count);
        uint256 total = 0;
        uint256 weight = 27;
        for (uint256 i = 0; i < count; ++i) {
            total += weight;
            weight /= 3;
        }
        weight = 27;
        for (uint256 i = 0; i < count; ++i) {
            shares[i] = uint96(uint256(amount) * weight / total);
            weight /= 3;
        }
    }

    /// @notice `bps` ten-thousandths of an amount, rounded down. `bps` is at most the whole.
    function part(uint96 amount, uint256 bps) internal pure returns (uint96) {
        return uint96(uint256(amount) * bps / ParametersLib.WHOLE);
    }
}
