// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IStakeVault, Payout} from "../interfaces/IStakeVault.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title The only holder of tokens: deposits, escrows, the treasury, and everything owed to anybody.
/// @dev Functions that move tokens cannot be entered while one of them runs; all others only move numbers between accounts, and no
/// number of one account depends on another's.
contract StakeVault is IStakeVault, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    struct Account {
        uint96 free;
        uint96 owed;
        uint32 duty; // weight in the draws, in units: so much of the free stake is there for draws
        bool kept; // the word is never zero: whoever fills an empty account again does not pay for a fresh one
    }

    struct Notice {
        uint96 amount; // to be withdrawn
        uint64 availableAt; // 0: none was given
    }

    struct Engagement {
        address account;
        uint96 amount;
    }

    IERC20 public immutable token;
    address public immutable market;
    address public immutable court;
    address public immutable game;
    address public immutable beacon;
    address public immutable demands;
    /// @inheritdoc IStakeVault
    uint64 public immutable withdrawalDelay;
    uint96 private immutable _weightUnit;

    mapping(address account => Account) private _accounts;
    mapping(address account => Notice) private _notices;
    mapping(bytes32 key => Engagement) private _engagements;

    modifier onlyModule() {
        require(
            msg.sender == market || msg.sender == court || msg.sender == game || msg.sender == beacon
                || msg.sender == demands,
            NotModule(msg.sender)
        );
        _;
    }

    /// @dev Those whose tasks' stakes and escrows are in the market's account.
    modifier onlyTasks() {
        require(msg.sender == market || msg.sender == court, NotModule(msg.sender));
        _;
    }

    constructor(
        IERC20 token_,
        address market_,
        address court_,
        address game_,
        address beacon_,
        address demands_,
        uint64 withdrawalDelay_,
        uint96 weightUnit
    ) {
        (token, market, court, game, beacon, demands) = (token_, market_, court_, game_, beacon_, demands_);
        (withdrawalDelay, _weightUnit) = (withdrawalDelay_, weightUnit);
        _accounts[market_].kept = true;
    }

    // Accounts

    /// @inheritdoc IStakeVault
    function deposit(uint96 amount) external nonReentrant {
        uint96 received = _pull(msg.sender, amount);
        _accounts[msg.sender].free += received;
        emit Deposited(msg.sender, received);
    }

    /// @inheritdoc IStakeVault
    function requestWithdrawal(uint96 amount) external {
        uint96 free = _accounts[msg.sender].free;
        require(free >= amount, InsufficientStake(msg.sender, free, amount));
        require(amount != 0, NothingToWithdraw(msg.sender));
        _giveNotice(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function withdrawStake() external nonReentrant {
        Notice memory notice = _notices[msg.sender];
        require(block.timestamp >= notice.availableAt, WithdrawalNotReady(notice.availableAt));
        Account storage account = _accounts[msg.sender];
        uint96 free = account.free;
        uint96 amount = notice.amount < free ? notice.amount : free;
        require(amount != 0, NothingToWithdraw(msg.sender));
        if (amount == notice.amount) delete _notices[msg.sender];
        else _notices[msg.sender].amount = notice.amount - amount;
        account.free = free -= amount;
        // What has left cannot be on duty; what an engagement holds comes back to it.
        if (uint256(account.duty) * _weightUnit > free) account.duty = uint32(free / _weightUnit);
        emit StakeWithdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function withdrawOwed() external nonReentrant {
        uint96 amount = _accounts[msg.sender].owed;
        require(amount != 0, NothingToWithdraw(msg.sender));
        _accounts[msg.sender].owed = 0;
        emit OwedWithdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function restake(uint96 amount) external {
        _takeOwed(msg.sender, amount);
        _accounts[msg.sender].free += amount;
        emit Restaked(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function pay(address[] calldata to, uint96[] calldata amounts, bytes32 reason) external {
        for (uint256 i = 0; i < to.length; ++i) {
            if (amounts[i] == 0) continue;
            _takeOwed(msg.sender, amounts[i]);
            _accounts[to[i]].owed += amounts[i];
            emit Credited(msg.sender, to[i], amounts[i], reason);
        }
    }

    /// @inheritdoc IStakeVault
    function credit(address to, uint96 amount, bytes32 reason) external nonReentrant {
        uint96 received = _pull(msg.sender, amount);
        _accounts[to].owed += received;
        emit Credited(msg.sender, to, received, reason);
    }

    // Modules

    /// @inheritdoc IStakeVault
    function lock(bytes32 engagement, address account, uint96 amount) external onlyModule {
        _take(account, amount, msg.sender != game && msg.sender != demands);
        _engage(engagement, account, amount);
    }

    /// @inheritdoc IStakeVault
    function escrow(address payer, uint96 amount, bytes32 reason) external onlyModule nonReentrant {
        uint96 received = _pull(payer, amount);
        require(received >= amount, ReceivedTooLittle(received, amount));
        _accounts[msg.sender].owed += amount;
        emit Credited(payer, msg.sender, amount, reason);
    }

    /// @inheritdoc IStakeVault
    function release(bytes32 engagement, uint96 amount) external onlyModule {
        address account = _disengage(engagement, amount);
        _accounts[account].free += amount;
        emit Released(msg.sender, engagement, account, amount);
    }

    /// @inheritdoc IStakeVault
    function slash(bytes32 engagement, address to, uint96 amount) external onlyModule {
        _disengage(engagement, amount);
        _credit(engagement, to, amount);
    }

    /// @inheritdoc IStakeVault
    function distribute(bytes32 engagement, address[] calldata to, uint96[] calldata amounts, address rest)
        external
        onlyModule
    {
        bytes32 key = _key(msg.sender, engagement);
        uint256 held = _engagements[key].amount;
        require(_engagements[key].account != address(0), EngagementTooSmall(engagement, 0, 1));
        uint256 left = held;
        for (uint256 i = 0; i < to.length; ++i) {
            require(amounts[i] <= left, EngagementTooSmall(engagement, held, held - left + amounts[i]));
            left -= amounts[i];
            if (amounts[i] != 0) _credit(engagement, to[i], amounts[i]);
        }
        // INVARIANT: an engagement is paid out to the last unit, once.
        delete _engagements[key];
        if (left != 0) _credit(engagement, rest, uint96(left));
    }

    // Duty

    /// @inheritdoc IStakeVault
    function setDuty(address account, uint32 units, bool stays) external {
        require(msg.sender == court, NotModule(msg.sender));
        _accounts[account].duty = units;
        if (stays) delete _notices[account];
    }

    /// @inheritdoc IStakeVault
    function endNotice(address account) external returns (bool over) {
        require(msg.sender == court, NotModule(msg.sender));
        Notice memory notice = _notices[account];
        if (notice.availableAt == 0) {
            _giveNotice(account, 0);
            return false;
        }
        require(block.timestamp >= notice.availableAt, WithdrawalNotReady(notice.availableAt));
        if (notice.amount == 0) delete _notices[account];
        return true;
    }

    // The tasks' pool

    /// @inheritdoc IStakeVault
    function hold(address[] calldata accounts, uint96 amount) external onlyTasks {
        for (uint256 i = 0; i < accounts.length; ++i) {
            _take(accounts[i], amount, msg.sender != court);
            emit Held(accounts[i], amount);
        }
        // All there is fits 96 bits, and so do the parts.
        _accounts[market].owed += uint96(amount * accounts.length);
    }

    /// @inheritdoc IStakeVault
    function payOut(Payout[] calldata payouts, bytes32 reason) external onlyTasks {
        uint256 total = 0;
        for (uint256 i = 0; i < payouts.length; ++i) {
            Payout calldata payout = payouts[i];
            if (payout.owed == 0 && payout.stake == 0) continue;
            total += uint256(payout.owed) + payout.stake;
            Account storage account = _accounts[payout.to];
            (account.free, account.owed) = (account.free + payout.stake, account.owed + payout.owed);
            emit Paid(payout.to, payout.owed, payout.stake, reason);
        }
        // INVARIANT: what is paid was there. It is taken in one piece.
        uint96 held = _accounts[market].owed;
        require(total <= held, InsufficientStake(market, held, total));
        _accounts[market].owed = held - uint96(total);
    }

    /// @inheritdoc IStakeVault
    function engage(bytes32 engagement, address account, uint96 amount) external onlyTasks {
        _takeOwed(market, amount);
        _engage(engagement, account, amount);
    }

    // Views

    /// @inheritdoc IStakeVault
    function freeStakeOf(address account) external view returns (uint96) {
        return _accounts[account].free;
    }

    /// @inheritdoc IStakeVault
    function owedTo(address account) external view returns (uint96) {
        return _accounts[account].owed;
    }

    /// @inheritdoc IStakeVault
    function unbondingOf(address account) external view returns (uint96 amount, uint64 availableAt) {
        return (_notices[account].amount, _notices[account].availableAt);
    }

    /// @inheritdoc IStakeVault
    function dutyOf(address account) external view returns (uint96) {
        return _accounts[account].duty * _weightUnit;
    }

    /// @inheritdoc IStakeVault
    function engagementOf(address module, bytes32 engagement) external view returns (address account, uint96 amount) {
        Engagement memory held = _engagements[_key(module, engagement)];
        return (held.account, held.amount);
    }

    // Helpers

    /// @dev Tokens that arrive of `amount` pulled from `from`.
    function _pull(address from, uint96 amount) private returns (uint96 received) {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        // INVARIANT: only what arrived is credited, and never more than was asked for.
        uint256 held = token.balanceOf(address(this));
        received = held - before < amount ? uint96(held - before) : amount;
        // INVARIANT: all balances together fit their type, so that no credit can overflow and block whoever else is paid with it.
        require(held <= type(uint96).max, TooMuchHeld(held));
    }

    /// @dev Takes free stake; `idle`: of that only which is not on duty.
    function _take(address account, uint96 amount, bool idle) private {
        Account storage held = _accounts[account];
        uint96 free = held.free;
        require(free >= amount, InsufficientStake(account, free, amount));
        uint256 duty = uint256(held.duty) * _weightUnit;
        // INVARIANT: what a verifier is weighed by leaves the draws by being drawn, disputed or slashed, or with notice. Else it could be gone
        // whenever a draw names it, and the solver's work with it.
        require(!idle || free - amount >= duty, StakeOnDuty(account, free, duty, amount));
        held.free = free - amount;
    }

    function _giveNotice(address account, uint96 amount) private {
        Notice storage notice = _notices[account];
        notice.amount += amount;
        notice.availableAt = uint64(block.timestamp) + withdrawalDelay;
        emit WithdrawalRequested(account, amount, notice.availableAt);
    }

    function _takeOwed(address account, uint96 amount) private {
        uint96 owed = _accounts[account].owed;
        require(owed >= amount, InsufficientStake(account, owed, amount));
        _accounts[account].owed = owed - amount;
    }

    function _engage(bytes32 engagement, address account, uint96 amount) private {
        Engagement storage held = _engagements[_key(msg.sender, engagement)];
        require(held.account == address(0), EngagementExists(engagement));
        held.account = account;
        held.amount = amount;
        emit Locked(msg.sender, engagement, account, amount);
    }

    /// @dev Takes `amount` out of the caller's engagement; an empty one is gone.
    function _disengage(bytes32 engagement, uint96 amount) private returns (address account) {
        bytes32 key = _key(msg.sender, engagement);
        Engagement memory held = _engagements[key];
        require(
            held.amount >= amount && held.account != address(0), EngagementTooSmall(engagement, held.amount, amount)
        );
        if (held.amount == amount) delete _engagements[key];
        else _engagements[key].amount = held.amount - amount;
        return held.account;
    }

    function _credit(bytes32 engagement, address to, uint96 amount) private {
        _accounts[to].owed += amount;
        emit Slashed(msg.sender, engagement, to, amount);
    }

    function _key(address module, bytes32 engagement) private pure returns (bytes32) {
        return keccak256(abi.encode(module, engagement));
    }
}
