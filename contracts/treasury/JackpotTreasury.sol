// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IJackpotTreasury} from "../interfaces/IJackpotTreasury.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title Levies and slashes in, rewards for false positives and forced errors and the lots of useful work out.
contract JackpotTreasury is IJackpotTreasury {
    IStakeVault public immutable vault;
    address public immutable court;
    address public immutable usefulWork;

    /// @inheritdoc IJackpotTreasury
    mapping(bytes32 verdict => bool) public paid;
    /// @inheritdoc IJackpotTreasury
    mapping(address to => uint96) public arrearsOf;

    constructor(IStakeVault vault_, address court_, address usefulWork_) {
        (vault, court, usefulWork) = (vault_, court_, usefulWork_);
    }

    /// @inheritdoc IJackpotTreasury
    function payVerdict(bytes32 verdict, uint96 broughtIn, address[] calldata to, uint96[] calldata amounts) external {
        _begin(verdict, court);
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
    function payForced(bytes32 verdict, address[] calldata to, uint96[] calldata amounts) external {
        _begin(verdict, court);
        _payOrOwe(verdict, to, amounts);
    }

    /// @inheritdoc IJackpotTreasury
    function payBonus(bytes32 ticket, address to, uint96 amount) external {
        _begin(ticket, usefulWork);
        address[] memory accounts = new address[](1);
        uint96[] memory amounts = new uint96[](1);
        (accounts[0], amounts[0]) = (to, amount);
        _payOrOwe(ticket, accounts, amounts);
    }

    /// @inheritdoc IJackpotTreasury
    function payArrears(address to) external {
        uint96 owing = arrearsOf[to];
        uint96 held = vault.owedTo(address(this));
        address[] memory account = new address[](1);
        uint96[] memory amount = new uint96[](1);
        (account[0], amount[0]) = (to, owing < held ? owing : held);
        require(amount[0] != 0, NothingToPay(to));
        arrearsOf[to] = owing - amount[0];
        emit ArrearsPaid(to, amount[0]);
        vault.pay(account, amount, "arrears");
    }

    /// @inheritdoc IJackpotTreasury
    function balance() external view returns (uint256) {
        return vault.owedTo(address(this));
    }

    /// @dev Pays each in turn while there is money, and owes the rest.
    function _payOrOwe(bytes32 id, address[] memory to, uint96[] memory amounts) private {
        uint96 left = vault.owedTo(address(this));
        uint96[] memory now_ = new uint96[](to.length);
        for (uint256 i = 0; i < to.length; ++i) {
            // INVARIANT: no verdict waits for money: what is missing is owed, and whoever is owed it asks for it later.
            now_[i] = amounts[i] < left ? amounts[i] : left;
            left -= now_[i];
            arrearsOf[to[i]] += amounts[i] - now_[i];
            emit PaidOrOwed(id, to[i], amounts[i], now_[i]);
        }
        vault.pay(to, now_, id);
    }

    function _begin(bytes32 id, address payer) private {
        require(msg.sender == payer, NotModule(msg.sender));
        require(!paid[id], AlreadyPaid(id));
        paid[id] = true;
    }
}
