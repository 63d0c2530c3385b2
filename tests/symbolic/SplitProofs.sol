// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {FinderShares} from "../../contracts/audit/FinderShares.sol";
import {ForcedErrors} from "../../contracts/audit/ForcedErrors.sol";

/// @title What holds of the splits, for every amount.
contract SplitProofs {
    /// @dev One finder gets all.
    function check_split_givesAllToOne(uint96 amount) external pure {
        assert(FinderShares.split(amount, 1)[0] == amount);
    }

    function check_split2(uint96 amount) external pure {
        uint96[] memory shares = FinderShares.split(amount, 2);
        _requireWhole(amount, shares);
    }

    function check_split3(uint96 amount) external pure {
        uint96[] memory shares = FinderShares.split(amount, 3);
        _requireWhole(amount, shares);
    }

    function check_split4(uint96 amount) external pure {
        uint96[] memory shares = FinderShares.split(amount, 4);
        _requireWhole(amount, shares);
    }

    function check_lemma40_27(uint96 amount) external pure {
        uint256 share = FinderShares.split(amount, 4)[0];
        assert(share * 40 <= uint256(amount) * 27);
        assert(share * 40 + 40 > uint256(amount) * 27);
    }

    function _requireWhole(uint96 amount, uint96[] memory shares) private pure {
        uint256 sum = 0;
        for (uint256 i = 0; i < shares.length; ++i) {
            sum += shares[i];
        }
        assert(sum <= amount);
        assert(sum + shares.length > amount);
    }

    function check_rewards(uint96 jackpot, uint8 count) external pure {
        if (count > 4) return;
        (uint96 each, uint96 own) = ForcedErrors.rewards(jackpot, count);
        assert(uint256(each) * count + own <= uint256(jackpot) * 5 / 4);
    }
}
