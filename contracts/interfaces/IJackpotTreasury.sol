// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Levies and slashes in, rewards for false positives (and later jackpots) out; solvent at every step.
interface IJackpotTreasury {
    event Received(address indexed from, uint96 amount, bytes32 reason);
    event Paid(address indexed to, uint96 amount, bytes32 indexed verdict);

    /// @notice Thrown when anybody but the court asks for a payment.
    error NotCourt(address caller);
    /// @notice Thrown when a verdict's payments would exceed half of what that verdict brought in.
    error VerdictExhausted(bytes32 verdict, uint256 broughtIn, uint256 wouldPay);

    /// @notice Takes `amount` from the caller as income; with a verdict id other than zero the income is booked to it.
    function receiveFunds(uint96 amount, bytes32 verdict, bytes32 reason) external;
    /// @notice Court: books `amount`, already transferred by the vault, to a verdict.
    function bookVerdict(bytes32 verdict, uint96 amount) external;
    /// @notice Court: credits `to` in the vault, at most half of what the verdict brought.
    function payVerdict(bytes32 verdict, address to, uint96 amount) external;
    function balance() external view returns (uint256);
}
