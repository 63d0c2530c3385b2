// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IJackpotTreasury} from "../interfaces/IJackpotTreasury.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title Levies and slashes in, rewards for false positives out.
contract JackpotTreasury is IJackpotTreasury {
    IStakeVault public immutable vault;
    address public immutable court;

    /// @inheritdoc IJackpotTreasury
    mapping(bytes32 verdict => bool) public paid;

    constructor(IStakeVault vault_, address court_) {
        (vault, court) = (vault_, court_);
    }

    /// @inheritdoc IJackpotTreasury
    function payVerdict(bytes32 verdict, uint96 broughtIn, address[] calldata to, uint96[] calldata amounts) external {
        require(msg.sender == court, NotCourt(msg.sender));
        require(!paid[verdict], VerdictPaid(verdict));
        paid[verdict] = true;
        uint256 total = 0;
        for (uint256 i = 0; i < to.length; ++i) {
            total += amounts[i];
        }
        // INVARIANT: a verdict costs the treasury at most half of what it brought.
        require(total <= broughtIn / 2, VerdictExhausted(verdict, broughtIn, total));
        emit Paid(verdict, broughtIn, total);
        vault.pay(to, amounts, verdict);
    }

    /// @inheritdoc IJackpotTreasury
    function balance() external view returns (uint256) {
        return vault.owedTo(address(this));
    }
}
