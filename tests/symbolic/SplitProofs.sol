// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {FinderShares} from "../../contracts/audit/FinderShares.sol";
import {ForcedErrors} from "../../contracts/audit/ForcedErrors.sol";
import {Parameters, ParametersLib} from "../../contracts/types/Parameters.sol";

/// @title What holds of the splits of slashed deposits and of forced errors' rewards, for all amounts, by number of finders.
contract SplitProofs {
    function check_split_givesAllToOne(uint96 amount) external pure {
        assert(FinderShares.split(amount, 0).length == 0);
        assert(FinderShares.split(amount, 1)[0] == amount);
    }

    function check_split_amongTwo_losesLessThanAUnitEach(uint96 amount) external pure {
        isSplit(amount, FinderShares.split(amount, 2));
    }

    function check_split_amongThree_losesLessThanAUnitEach(uint96 amount) external pure {
        isSplit(amount, FinderShares.split(amount, 3));
    }

    function check_split_amongFour_losesLessThanAUnitEach(uint96 amount) external pure {
        isSplit(amount, FinderShares.split(amount, 4));
    }

    /// @dev Each share is the weight's part of the amount, rounded down: as `27 : 9 : 3 : 1` says, and no unit less.
    function check_split_amongFour_isByWeight(uint96 amount) external pure {
        uint96[] memory shares = FinderShares.split(amount, 4);
        isQuotient(shares[0], uint256(amount) * 27, 40);
        isQuotient(shares[1], uint256(amount) * 9, 40);
        isQuotient(shares[2], uint256(amount) * 3, 40);
        isQuotient(shares[3], uint256(amount), 40);
    }

    /// @dev Another finder takes from who is there already, and more so the more finders there are: one account gains nothing as two.
    function check_split_ofTwoAccountsIsNoMoreThanOfOne(uint96 amount) external pure {
        uint96[] memory two = FinderShares.split(amount, 2);
        uint96[] memory three = FinderShares.split(amount, 3);
        uint96[] memory four = FinderShares.split(amount, 4);
        assert(two[0] >= three[0] && three[0] >= four[0]);
        assert(two[1] >= three[1] && three[1] >= four[1]);
        assert(three[2] >= four[2]);
    }

    /// @dev Failed segments' parts of a pot are together at most the pot, for up to 16 of them. One by one: where the
    /// divisor is unknown the prover finds a proof in one run and none in the next.
    function check_pot_ofAllFailuresIsAtMostThePot(uint96 pot) external pure {
        for (uint256 failures = 1; failures <= 16; ++failures) {
            assert(uint256(uint96(pot / failures)) * failures <= pot);
        }
    }

    /// @dev A part is the amount's, rounded down, and never cut to its type.
    function check_part_isAtMostTheAmount(uint96 amount, uint16 bps) external pure {
        if (bps > ParametersLib.WHOLE) return;
        uint256 share = FinderShares.part(amount, bps);
        isQuotient(share, uint256(amount) * bps, ParametersLib.WHOLE);
        assert(share <= amount);
    }

    /// @dev Numbers that the constructors take leave at least half of every slash to the treasury.
    function check_parameters_leaveHalf(Parameters calldata p) external pure {
        ParametersLib.check(p);
        uint256 multiple = p.solverDepositMultiple;
        assert(uint256(p.finderBps) + p.clearedSolverBps <= ParametersLib.WHOLE / 2);
        assert(p.finderBps * multiple + p.compensationBps <= ParametersLib.WHOLE / 2 * multiple);
    }

    /// @dev What a condemned claim pays finders and solver is at most half of it: `JackpotTreasury.payVerdict` refuses none. Here and below with the
    /// shares of both profiles: products of two unknowns no solver has proven.
    function check_falsePositive_paysAtMostHalf(uint96 deposit) external pure {
        assert(uint256(FinderShares.part(deposit, 3000)) + FinderShares.part(deposit, 2000) <= deposit / 2);
    }

    /// @dev What a convicted digest pays its finder is at most half of what the claimant has locked.
    function check_digest_paysAtMostHalfOfWhatIsHeld(uint96 deposit, uint96 bond) external pure {
        uint256 held = uint256(deposit) + bond;
        assert(FinderShares.part(deposit, 3000) + (held - deposit) / 2 <= held / 2);
    }

    /// @dev Finders and submitter get at most half of the solver's deposit. `TaskMarket` computes the same products in place.
    function check_solversDeposit_paysAtMostHalf(uint96 fee) external pure {
        uint256 deposit = uint256(fee) * 3;
        if (deposit > type(uint96).max) return;
        uint256 compensation = uint256(fee) * 5000 / ParametersLib.WHOLE;
        assert(FinderShares.part(uint96(deposit), 3000) + compensation <= deposit / 2);
    }

    function check_rewards_ofNone(uint96 jackpot) external pure {
        areRewards(jackpot, 0, 1);
    }

    function check_rewards_ofOne(uint96 jackpot) external pure {
        areRewards(jackpot, 1, 5);
    }

    function check_rewards_ofTwo(uint96 jackpot) external pure {
        areRewards(jackpot, 2, 25);
    }

    function check_rewards_ofThree(uint96 jackpot) external pure {
        areRewards(jackpot, 3, 125);
    }

    function check_rewards_ofFour(uint96 jackpot) external pure {
        areRewards(jackpot, 4, 625);
    }

    /// @dev Finders of one's own, behind however many others, bring a forced error's maker no unit more.
    function check_rewards_ownFindersBringNothing(uint96 jackpot) external pure {
        if (jackpot > type(uint96).max / 2) return;
        for (uint256 others = 0; others < 4; ++others) {
            (, uint96 without) = ForcedErrors.rewards(jackpot, others);
            for (uint256 own = 1; others + own <= 4; ++own) {
                (uint96 each, uint96 maker) = ForcedErrors.rewards(jackpot, others + own);
                assert(own * each + maker <= without);
            }
        }
    }

    /// @dev All rewards together are at most 5/4 J, what the levy is reckoned with; the maker's is a fifth of it for each finder.
    function areRewards(uint96 jackpot, uint256 count, uint256 parts) private pure {
        if (jackpot > type(uint96).max / 2) return;
        (uint96 each, uint96 own) = ForcedErrors.rewards(jackpot, count);
        assert(count * each + own <= uint256(jackpot) * 5 / 4);
        isQuotient(own, uint256(jackpot) * 5, 4 * parts);
        if (count != 0) isQuotient(each, uint256(jackpot) * 5, parts);
    }

    /// @dev Shares are together at most the amount, and lack less than a unit each.
    function isSplit(uint96 amount, uint96[] memory shares) private pure {
        uint256 sum = 0;
        for (uint256 i = 0; i < shares.length; ++i) {
            sum += shares[i];
        }
        assert(sum <= amount);
        assert(sum + shares.length > amount);
    }

    function isQuotient(uint256 quotient, uint256 dividend, uint256 divisor) private pure {
        assert(quotient * divisor <= dividend && dividend < (quotient + 1) * divisor);
    }
}
