// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A settlement token that gives itself away: for local chains and test networks only.
contract FaucetToken is ERC20 {
    /// @dev Most of it that one call may mint; far below 2^96, so that no sum of sane numbers overflows.
    uint256 public constant MAX_DRIP = 1_000_000_000 ether;

    /// @notice Thrown when more than `MAX_DRIP` is asked for at once.
    error TooMuch(uint256 amount);

    constructor() ERC20("Lockstep Faucet", "LOCK") {}

    /// @notice Mints `amount` to the caller.
    function drip(uint256 amount) external {
        require(amount <= MAX_DRIP, TooMuch(amount));
        _mint(msg.sender, amount);
    }
}
