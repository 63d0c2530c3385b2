// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Levies and slashes in, rewards for false positives and forced errors and the lots of useful work out; solvent at every step.
/// @notice Its money is what the vault owes it; nobody can withdraw it.
/// @dev INVARIANT: what is paid for a verdict is at most half of what that verdict brought in, and is paid once. What a forced error or
/// a lot pays is owed once, and paid as far as there is money: the rest waits for later levies.
interface IJackpotTreasury {
    event Paid(bytes32 indexed verdict, uint96 broughtIn, uint256 paid);
    /// @notice A forced error's reward, or a lot's; what of `due` was not `paid` is owed to its account.
    event PaidOrOwed(bytes32 indexed id, address indexed to, uint96 due, uint96 paid);
    event ArrearsPaid(address indexed to, uint96 amount);

    /// @notice Thrown when anybody but the contract that may asks for a payment.
    error NotModule(address caller);
    /// @notice Thrown when a verdict's payments would exceed half of what that verdict brought in.
    error VerdictExhausted(bytes32 verdict, uint256 broughtIn, uint256 wouldPay);
    /// @notice Thrown when a verdict or a lot is paid for twice.
    error AlreadyPaid(bytes32 id);
    /// @notice Thrown when nothing is owed to an account, or there is no money to pay it with.
    error NothingToPay(address to);

    /// @notice Court: credits each of `to` in the vault for a verdict that brought `broughtIn` to the treasury.
    function payVerdict(bytes32 verdict, uint96 broughtIn, address[] calldata to, uint96[] calldata amounts) external;
    /// @notice Court: rewards for a forced error, to each of `to` in turn while there is money; what is missing is owed.
    function payForced(bytes32 verdict, address[] calldata to, uint96[] calldata amounts) external;
    /// @notice Draw of useful work: a winning ticket's bonus, while there is money; what is missing is owed.
    function payBonus(bytes32 ticket, address to, uint96 amount) external;
    /// @notice Anybody: pays what is owed to an account, as far as there is money.
    function payArrears(address to) external;
    /// @notice What forced errors and lots have earned an account and the treasury could not pay yet.
    function arrearsOf(address to) external view returns (uint96);
    /// @notice Whether a verdict or a lot was paid for.
    function paid(bytes32 verdict) external view returns (bool);
    /// @notice What the treasury has.
    function balance() external view returns (uint256);
}
