// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The only holder of deposits, and of everything owed to anybody.
/// @notice Per account: `stake` (earning draws, locked per engagement, withdrawn after a delay) and `owed` (payouts of all contracts,
/// withdrawn at once). The modules (market, court, dispute game) are fixed at construction.
/// @dev INVARIANT: token balance >= sum of stake (free, locked and unbonding) + sum of owed.
interface IStakeVault {
    event Deposited(address indexed account, uint96 amount);
    event WithdrawalRequested(address indexed account, uint96 amount, uint64 availableAt);
    event StakeWithdrawn(address indexed account, uint96 amount);
    event OwedWithdrawn(address indexed account, uint96 amount);
    event Restaked(address indexed account, uint96 amount);
    event Locked(bytes32 indexed engagement, address indexed account, uint96 amount);
    event Released(bytes32 indexed engagement, address indexed account, uint96 amount);
    event Slashed(bytes32 indexed engagement, address indexed account, address indexed to, uint96 amount);
    event Credited(address indexed account, uint96 amount, bytes32 reason);

    /// @notice Thrown when a function for modules is called by anybody else.
    error NotModule(address caller);
    /// @notice Thrown when an account has less free stake than a lock or withdrawal needs.
    error InsufficientStake(address account, uint256 free, uint256 needed);
    /// @notice Thrown when an engagement is locked twice.
    error EngagementExists(bytes32 engagement);
    /// @notice Thrown when an engagement holds less than is to be released or slashed.
    error EngagementTooSmall(bytes32 engagement, uint256 held, uint256 needed);
    /// @notice Thrown when a withdrawal is asked for before its delay is over.
    error WithdrawalNotReady(uint64 availableAt);
    /// @notice Thrown when there is nothing to withdraw.
    error NothingToWithdraw(address account);

    /// @notice Adds to the caller's stake; what arrived counts, not what was asked for.
    function deposit(uint96 amount) external;
    /// @notice Starts the withdrawal of free stake; it no longer earns draws, and stays slashable through no lock of its own.
    function requestWithdrawal(uint96 amount) external;
    /// @notice Pays out a requested withdrawal after the delay.
    function withdrawStake() external;
    /// @notice Pays out everything owed to the caller.
    function withdrawOwed() external;
    /// @notice Turns what is owed to the caller into stake.
    function restake(uint96 amount) external;

    /// @notice Module: locks free stake under `engagement` (namespaced by module).
    function lock(bytes32 engagement, address account, uint96 amount) external;
    /// @notice Module: returns `amount` of an engagement to its account's free stake.
    function release(bytes32 engagement, uint96 amount) external;
    /// @notice Module: moves `amount` of an engagement to `to`'s owed balance (the treasury is paid in tokens).
    function slash(bytes32 engagement, address to, uint96 amount) external;
    /// @notice Anybody: credits `to` with `amount` pulled from the caller (contracts pay out through this).
    function credit(address to, uint96 amount, bytes32 reason) external;

    function freeStakeOf(address account) external view returns (uint96);
    function stakeOf(address account) external view returns (uint96);
    function owedTo(address account) external view returns (uint96);
    function engagementOf(address module, bytes32 engagement) external view returns (address account, uint96 amount);
    function withdrawalDelay() external view returns (uint64);
}
