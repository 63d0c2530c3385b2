// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Levies and slashes in, rewards for false positives (and later jackpots) out; solvent at every step.
/// @notice Its money is what the vault owes it; nobody can withdraw it.
/// @dev INVARIANT: what is paid for a verdict is at most half of what that verdict brought in, and is paid once.
interface IJackpotTreasury {
    event Paid(bytes32 indexed verdict, uint96 broughtIn, uint256 paid);

    /// @notice Thrown when anybody but the court asks for a payment.
    error NotCourt(address caller);
    /// @notice Thrown when a verdict's payments would exceed half of what that verdict brought in.
    error VerdictExhausted(bytes32 verdict, uint256 broughtIn, uint256 wouldPay);
    /// @notice Thrown when a verdict is paid for twice.
    error VerdictPaid(bytes32 verdict);

    /// @notice Court: credits each of `to` in the vault for a verdict that brought `broughtIn` to the treasury.
    function payVerdict(bytes32 verdict, uint96 broughtIn, address[] calldata to, uint96[] calldata amounts) external;
    /// @notice Whether a verdict was paid for.
    function paid(bytes32 verdict) external view returns (bool);
    /// @notice What the treasury has.
    function balance() external view returns (uint256);
}
