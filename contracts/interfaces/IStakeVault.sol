// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice What one account gets out of the tasks' pool.
struct Payout {
    address to;
    uint96 owed; // to its owed balance
    uint96 stake; // to its free stake
}

/// @title The only holder of tokens: deposits, escrows, the treasury, and everything owed to anybody.
/// @notice Per account: free `stake` (earning draws, locked per engagement, withdrawn with notice) and `owed` (payouts of all
/// contracts, withdrawn at once, or restaked). Free stake by which a verifier is weighed is on duty: draws and disputes may take it, its account
/// cannot, but with notice. An engagement is an amount of one account that only the module that made it
/// can release or pay out. Escrows are owed to the market, and so are the stakes of solvers and drawn verifiers while nothing is wrong: its
/// account is the tasks' pool, and the books of market and court say whose it is. Before any such stake is slashed it becomes an engagement. The modules (market, court, dispute game, beacon, data demands) are fixed at construction.
/// @dev INVARIANT: token balance >= sum of free stake, engagements and owed amounts.
/// Nothing but `deposit`, `credit`, `escrow`, `withdrawStake` and `withdrawOwed` moves tokens; no payout can fail because of its payee.
interface IStakeVault {
    event Deposited(address indexed account, uint96 amount);
    /// @notice An account gave notice, and asked for `amount` more; 0: it wants to leave the draws only.
    event WithdrawalRequested(address indexed account, uint96 amount, uint64 availableAt);
    event StakeWithdrawn(address indexed account, uint96 amount);
    event OwedWithdrawn(address indexed account, uint96 amount);
    event Restaked(address indexed account, uint96 amount);
    event Locked(address indexed module, bytes32 indexed engagement, address indexed account, uint96 amount);
    event Released(address indexed module, bytes32 indexed engagement, address indexed account, uint96 amount);
    /// @notice Part of an engagement went to `to`'s owed balance.
    event Slashed(address indexed module, bytes32 indexed engagement, address indexed to, uint96 amount);
    /// @notice Free stake went into the tasks' pool.
    event Held(address indexed account, uint96 amount);
    /// @notice The tasks' pool paid `owed` to an account's owed balance and `stake` to its free stake.
    event Paid(address indexed to, uint96 owed, uint96 stake, bytes32 reason);
    event Credited(address indexed from, address indexed to, uint96 amount, bytes32 reason);

    /// @notice Thrown when a function for modules is called by anybody else.
    error NotModule(address caller);
    /// @notice Thrown when an account has less free stake, or less owed to it, than is asked for.
    error InsufficientStake(address account, uint256 free, uint256 needed);
    /// @notice Thrown when stake that a verifier is weighed by, `duty` of its `free` stake, is wanted for something else.
    error StakeOnDuty(address account, uint256 free, uint256 duty, uint256 needed);
    /// @notice Thrown when an engagement is locked twice.
    error EngagementExists(bytes32 engagement);
    /// @notice Thrown when an engagement holds less than is to be released or slashed.
    error EngagementTooSmall(bytes32 engagement, uint256 held, uint256 needed);
    /// @notice Thrown when a withdrawal is asked for before its delay is over.
    error WithdrawalNotReady(uint64 availableAt);
    /// @notice Thrown when there is nothing to withdraw.
    error NothingToWithdraw(address account);
    /// @notice Thrown when fewer tokens arrived than an escrow needs.
    error ReceivedTooLittle(uint256 received, uint256 needed);
    /// @notice Thrown when more tokens would be held than any amount can say.
    error TooMuchHeld(uint256 held);

    /// @notice Adds to the caller's stake; what arrived counts, not what was asked for.
    function deposit(uint96 amount) external;
    /// @notice Gives notice that free stake will be withdrawn. Until it is, it stays what it was: free, and on duty where it is. A second
    /// request adds to the first and restarts the delay.
    function requestWithdrawal(uint96 amount) external;
    /// @notice After the delay, pays out what is free of the stake asked for; the rest can be had as it comes free.
    function withdrawStake() external;
    /// @notice Pays out everything owed to the caller.
    function withdrawOwed() external;
    /// @notice Turns what is owed to the caller into stake.
    function restake(uint96 amount) external;
    /// @notice Moves parts of what is owed to the caller to other accounts' owed balances.
    function pay(address[] calldata to, uint96[] calldata amounts, bytes32 reason) external;
    /// @notice Anybody: credits `to` with what arrives of `amount` tokens of the caller.
    function credit(address to, uint96 amount, bytes32 reason) external;

    /// @notice Module: locks free stake under `engagement` (namespaced by module).
    function lock(bytes32 engagement, address account, uint96 amount) external;
    /// @notice Module: takes tokens from `payer`, who allowed it, and owes them to the module.
    /// @dev INVARIANT: a module names nobody but its own caller as payer.
    function escrow(address payer, uint96 amount, bytes32 reason) external;
    /// @notice Module: returns `amount` of an engagement to its account's free stake.
    function release(bytes32 engagement, uint96 amount) external;
    /// @notice Module: moves `amount` of an engagement to `to`'s owed balance.
    function slash(bytes32 engagement, address to, uint96 amount) external;
    /// @notice Module: `slash` to each of several; what remains goes to `rest`'s owed balance and ends the engagement.
    function distribute(bytes32 engagement, address[] calldata to, uint96[] calldata amounts, address rest) external;

    /// @notice Court: a verifier is weighed by `units` now; `stays`: notice it gave is void, and with it the withdrawals it asked for.
    function setDuty(address account, uint32 units, bool stays) external;
    /// @notice Court: gives notice for a verifier that has given none, and then says false; true once notice is over.
    function endNotice(address account) external returns (bool over);

    /// @notice Market, court: moves `amount` of each account's free stake into the tasks' pool.
    function hold(address[] calldata accounts, uint96 amount) external;
    /// @notice Market, court: pays out of the tasks' pool.
    /// @dev INVARIANT: a pool that has less than is asked for pays nothing.
    function payOut(Payout[] calldata payouts, bytes32 reason) external;
    /// @notice Market, court: what the pool holds of `account` becomes an engagement of the caller.
    function engage(bytes32 engagement, address account, uint96 amount) external;

    function freeStakeOf(address account) external view returns (uint96);
    function owedTo(address account) external view returns (uint96);
    /// @notice Stake on its way out, still part of the free stake, and when it may be withdrawn, which is when a verifier may leave the draws: 0
    /// where no notice was given.
    function unbondingOf(address account) external view returns (uint96 amount, uint64 availableAt);
    /// @notice Free stake that a verifier's account cannot use but with notice.
    function dutyOf(address account) external view returns (uint96);
    function engagementOf(address module, bytes32 engagement) external view returns (address account, uint96 amount);
    function withdrawalDelay() external view returns (uint64);
}
