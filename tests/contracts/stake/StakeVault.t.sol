// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IStakeVault, Payout} from "../../../contracts/interfaces/IStakeVault.sol";
import {StakeVault} from "../../../contracts/stake/StakeVault.sol";
import {BlockingToken, CallbackToken, FeeToken, MintableToken} from "./TestTokens.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Test} from "forge-std/Test.sol";

/// @title The vault: accounts, engagements, and every way a token or a payee can be odd.
contract StakeVaultTest is Test {
    uint96 internal constant MAX_AMOUNT = 1e27;
    uint64 internal constant DELAY = 7 days;
    uint96 internal constant UNIT = 1e18;
    bytes32 internal constant ENGAGEMENT = "engagement";

    address internal market = makeAddr("market");
    address internal court = makeAddr("court");
    address internal game = makeAddr("game");
    address internal demands = makeAddr("demands");
    address internal beacon = makeAddr("beacon");
    address internal staker = makeAddr("staker");
    address internal payee = makeAddr("payee");
    address internal outsider = makeAddr("outsider");

    MintableToken internal token;
    StakeVault internal vault;

    function setUp() public {
        token = new MintableToken();
        vault = _vaultOf(token);
    }

    function _vaultOf(MintableToken token_) private returns (StakeVault made) {
        made = StakeVault(
            deployCode(
                "StakeVault.sol:StakeVault", abi.encode(token_, market, court, game, beacon, demands, DELAY, UNIT)
            )
        );
        _fund(token_, made, staker);
    }

    function _fund(MintableToken token_, StakeVault vault_, address account) private {
        token_.mint(account, MAX_AMOUNT);
        vm.prank(account);
        token_.approve(address(vault_), type(uint256).max);
    }

    function _deposit(uint96 amount) private {
        vm.prank(staker);
        vault.deposit(amount);
    }

    function _lock(uint96 amount) private {
        vm.prank(court);
        vault.lock(ENGAGEMENT, staker, amount);
    }

    // Accounts

    function testFuzz_deposit_anyAmount_isFreeStake(uint96 amount) public {
        amount = uint96(bound(amount, 0, MAX_AMOUNT));
        _deposit(amount);
        assertEq(vault.freeStakeOf(staker), amount);
        assertEq(token.balanceOf(address(vault)), amount);
    }

    function testFuzz_deposit_feeToken_countsWhatArrived(uint96 amount) public {
        FeeToken taxed = new FeeToken();
        StakeVault own = _vaultOf(taxed);
        amount = uint96(bound(amount, 0, MAX_AMOUNT));
        vm.prank(staker);
        own.deposit(amount);
        assertEq(own.freeStakeOf(staker), amount - amount / 100);
        assertEq(own.freeStakeOf(staker), taxed.balanceOf(address(own)));
    }

    function test_deposit_moreThanAmountsCanSay_reverts() public {
        token.mint(address(vault), type(uint96).max);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.TooMuchHeld.selector, uint256(type(uint96).max) + 1));
        _deposit(1);
    }

    function test_deposit_reentered_reverts() public {
        CallbackToken calling = new CallbackToken();
        StakeVault own = _vaultOf(calling);
        calling.arm(address(own), abi.encodeCall(IStakeVault.deposit, (1)));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.prank(staker);
        own.deposit(5);
    }

    function test_withdrawOwed_reenteredByItsPayee_reverts() public {
        CallbackToken calling = new CallbackToken();
        StakeVault own = _vaultOf(calling);
        vm.startPrank(staker);
        own.credit(staker, 10, "");
        calling.arm(address(own), abi.encodeCall(IStakeVault.withdrawOwed, ()));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        own.withdrawOwed();
        vm.stopPrank();
    }

    function testFuzz_withdrawStake_afterDelay_paysOut(uint96 amount, uint96 part) public {
        amount = uint96(bound(amount, 1, MAX_AMOUNT));
        part = uint96(bound(part, 1, amount));
        _deposit(amount);
        vm.startPrank(staker);
        vault.requestWithdrawal(part);
        assertEq(vault.freeStakeOf(staker), amount, "until it is withdrawn it stays stake");
        (uint96 unbonding, uint64 availableAt) = vault.unbondingOf(staker);
        assertEq(unbonding, part);
        assertEq(availableAt, block.timestamp + DELAY);
        vm.warp(availableAt);
        vault.withdrawStake();
        assertEq(vault.freeStakeOf(staker), amount - part);
        assertEq(token.balanceOf(staker), MAX_AMOUNT - amount + part);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NothingToWithdraw.selector, staker));
        vault.withdrawStake();
        vm.stopPrank();
    }

    function test_withdrawStake_beforeDelay_reverts() public {
        _deposit(10);
        vm.startPrank(staker);
        vault.requestWithdrawal(10);
        uint64 availableAt = uint64(block.timestamp) + DELAY;
        vm.warp(availableAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.WithdrawalNotReady.selector, availableAt));
        vault.withdrawStake();
    }

    function test_requestWithdrawal_twice_restartsTheDelay() public {
        _deposit(10);
        vm.startPrank(staker);
        vault.requestWithdrawal(4);
        vm.warp(block.timestamp + DELAY - 1);
        vault.requestWithdrawal(6);
        (uint96 unbonding, uint64 availableAt) = vault.unbondingOf(staker);
        assertEq(unbonding, 10);
        assertEq(availableAt, block.timestamp + DELAY);
    }

    function testFuzz_requestWithdrawal_moreThanFree_reverts(uint96 amount, uint96 locked) public {
        amount = uint96(bound(amount, 1, MAX_AMOUNT));
        locked = uint96(bound(locked, 1, amount));
        _deposit(amount);
        _lock(locked);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.InsufficientStake.selector, staker, amount - locked, uint256(amount) - locked + 1
            )
        );
        vm.prank(staker);
        vault.requestWithdrawal(amount - locked + 1);
    }

    function test_requestWithdrawal_ofNothing_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NothingToWithdraw.selector, staker));
        vm.prank(staker);
        vault.requestWithdrawal(0);
    }

    /// @dev Stake that is locked meanwhile comes later, by the same notice.
    function testFuzz_withdrawStake_partlyLocked_paysWhatIsFree_andTheRestAsItComesFree(uint96 amount, uint96 locked)
        public
    {
        amount = uint96(bound(amount, 2, MAX_AMOUNT));
        locked = uint96(bound(locked, 1, amount - 1));
        _deposit(amount);
        vm.prank(staker);
        vault.requestWithdrawal(amount);
        _lock(locked);
        vm.warp(block.timestamp + DELAY);
        vm.startPrank(staker);
        vault.withdrawStake();
        assertEq(token.balanceOf(staker), MAX_AMOUNT - locked);
        (uint96 asked, uint64 availableAt) = vault.unbondingOf(staker);
        assertEq(asked, locked);
        assertEq(availableAt, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NothingToWithdraw.selector, staker));
        vault.withdrawStake();
        vm.stopPrank();
        vm.prank(court);
        vault.release(ENGAGEMENT, locked);
        vm.prank(staker);
        vault.withdrawStake();
        assertEq(token.balanceOf(staker), MAX_AMOUNT);
        (asked, availableAt) = vault.unbondingOf(staker);
        assertEq(asked, 0);
        assertEq(availableAt, 0);
    }

    // Duty

    function _setDuty(uint32 units, bool stays) private {
        vm.prank(court);
        vault.setDuty(staker, units, stays);
    }

    /// @dev Its account cannot bring stake on duty away by locking it elsewhere; draws, disputes and demands may take it.
    function testFuzz_lock_ofStakeOnDuty_isRefused_butToDrawsDisputesAndDemands(uint32 units, uint96 idle) public {
        units = uint32(bound(units, 1, 1_000_000));
        idle = uint96(bound(idle, 0, UNIT));
        uint96 duty = units * UNIT;
        _deposit(duty + idle);
        _setDuty(units, true);
        assertEq(vault.dutyOf(staker), duty);
        address[] memory accounts = new address[](1);
        accounts[0] = staker;
        bytes memory refused =
            abi.encodeWithSelector(IStakeVault.StakeOnDuty.selector, staker, duty + idle, duty, idle + 1);
        address[3] memory others = [market, court, beacon];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(refused);
            vm.prank(others[i]);
            vault.lock(ENGAGEMENT, staker, idle + 1);
        }
        vm.expectRevert(refused);
        vm.prank(market);
        vault.hold(accounts, idle + 1);
        vm.prank(market);
        vault.hold(accounts, idle);
        uint96 third = duty / 3;
        vm.prank(court);
        vault.hold(accounts, third);
        vm.prank(game);
        vault.lock(ENGAGEMENT, staker, third);
        vm.prank(demands);
        vault.lock(ENGAGEMENT, staker, third);
        assertEq(vault.freeStakeOf(staker), duty - 3 * third);
    }

    function test_withdrawStake_ofStakeOnDuty_endsItsDuty() public {
        _deposit(10 * UNIT);
        _setDuty(10, true);
        vm.startPrank(staker);
        vault.requestWithdrawal(4 * UNIT + 1);
        vm.warp(block.timestamp + DELAY);
        vault.withdrawStake();
        assertEq(vault.dutyOf(staker), 5 * UNIT);
        assertEq(vault.freeStakeOf(staker), 6 * UNIT - 1);
    }

    function test_setDuty_staying_takesNoticeBack() public {
        _deposit(10 * UNIT);
        vm.prank(staker);
        vault.requestWithdrawal(3);
        _setDuty(5, false);
        (uint96 asked, uint64 availableAt) = vault.unbondingOf(staker);
        assertEq(asked, 3);
        _setDuty(6, true);
        (asked, availableAt) = vault.unbondingOf(staker);
        assertEq(asked, 0);
        assertEq(availableAt, 0);
        assertEq(vault.dutyOf(staker), 6 * UNIT);
    }

    function test_endNotice_givesIt_waits_andEnds() public {
        uint64 end = uint64(block.timestamp) + DELAY;
        vm.startPrank(court);
        vm.expectEmit(address(vault));
        emit IStakeVault.WithdrawalRequested(staker, 0, end);
        assertFalse(vault.endNotice(staker));
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.WithdrawalNotReady.selector, end));
        vault.endNotice(staker);
        vm.warp(end);
        assertTrue(vault.endNotice(staker));
        assertFalse(vault.endNotice(staker), "one notice is for one end");
    }

    function test_endNotice_withAWithdrawal_leavesItToBeHad() public {
        _deposit(10);
        vm.prank(staker);
        vault.requestWithdrawal(10);
        vm.warp(block.timestamp + DELAY);
        vm.prank(court);
        assertTrue(vault.endNotice(staker));
        vm.prank(staker);
        vault.withdrawStake();
        assertEq(token.balanceOf(staker), MAX_AMOUNT);
    }

    function test_duty_byAnybodyElse_reverts() public {
        address[4] memory others = [market, game, beacon, outsider];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(IStakeVault.NotModule.selector, others[i]));
            vault.setDuty(staker, 1, true);
            vm.expectRevert(abi.encodeWithSelector(IStakeVault.NotModule.selector, others[i]));
            vault.endNotice(staker);
            vm.stopPrank();
        }
    }

    function test_withdrawOwed_nothing_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NothingToWithdraw.selector, outsider));
        vm.prank(outsider);
        vault.withdrawOwed();
    }

    function testFuzz_restake_partOfOwed_isFreeStake(uint96 amount, uint96 part) public {
        amount = uint96(bound(amount, 1, MAX_AMOUNT));
        part = uint96(bound(part, 0, amount));
        vm.prank(staker);
        vault.credit(payee, amount, "gift");
        vm.prank(payee);
        vault.restake(part);
        assertEq(vault.freeStakeOf(payee), part);
        assertEq(vault.owedTo(payee), amount - part);
    }

    function testFuzz_pay_severalAccounts_movesOwed(uint96 first, uint96 second, uint96 rest) public {
        first = uint96(bound(first, 0, MAX_AMOUNT / 3));
        second = uint96(bound(second, 0, MAX_AMOUNT / 3));
        rest = uint96(bound(rest, 0, MAX_AMOUNT / 3));
        (address[] memory to, uint96[] memory amounts) = _pair(first, second);
        vm.startPrank(staker);
        vault.credit(staker, first + second + rest, "");
        vault.pay(to, amounts, "reason");
        vm.stopPrank();
        assertEq(vault.owedTo(payee), first);
        assertEq(vault.owedTo(outsider), second);
        assertEq(vault.owedTo(staker), rest);
    }

    function test_pay_moreThanOwed_reverts() public {
        (address[] memory to, uint96[] memory amounts) = _pair(3, 3);
        vm.startPrank(staker);
        vault.credit(staker, 5, "");
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, staker, 2, 3));
        vault.pay(to, amounts, "");
    }

    // Modules

    function test_moduleFunctions_byAnybodyElse_revert() public {
        bytes memory notModule = abi.encodeWithSelector(IStakeVault.NotModule.selector, outsider);
        vm.startPrank(outsider);
        vm.expectRevert(notModule);
        vault.lock(ENGAGEMENT, staker, 1);
        vm.expectRevert(notModule);
        vault.release(ENGAGEMENT, 1);
        vm.expectRevert(notModule);
        vault.slash(ENGAGEMENT, outsider, 1);
        vm.expectRevert(notModule);
        vault.escrow(staker, 1, "");
        vm.expectRevert(notModule);
        vault.distribute(ENGAGEMENT, new address[](0), new uint96[](0), outsider);
    }

    // The tasks' pool

    function _hold(address module, uint96 amount) private {
        address[] memory accounts = new address[](1);
        accounts[0] = staker;
        vm.prank(module);
        vault.hold(accounts, amount);
    }

    function _payout(address to, uint96 owed, uint96 stake) private pure returns (Payout[] memory payouts) {
        payouts = new Payout[](1);
        payouts[0] = Payout(to, owed, stake);
    }

    function test_pool_isMarketsAndCourtsAlone() public {
        _deposit(10);
        _hold(market, 5);
        address[3] memory others = [game, beacon, demands];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory notModule = abi.encodeWithSelector(IStakeVault.NotModule.selector, others[i]);
            vm.startPrank(others[i]);
            vm.expectRevert(notModule);
            vault.hold(new address[](0), 0);
            vm.expectRevert(notModule);
            vault.payOut(_payout(others[i], 1, 0), "");
            vm.expectRevert(notModule);
            vault.engage(ENGAGEMENT, others[i], 1);
            vm.stopPrank();
        }
    }

    function testFuzz_hold_payOut_moveExactly(uint96 amount, uint96 held, uint96 owed, uint96 stake) public {
        amount = uint96(bound(amount, 1, MAX_AMOUNT));
        held = uint96(bound(held, 1, amount));
        owed = uint96(bound(owed, 0, held));
        stake = uint96(bound(stake, 0, held - owed));
        _deposit(amount);
        _hold(court, held);
        assertEq(vault.freeStakeOf(staker), amount - held);
        assertEq(vault.owedTo(market), held);
        vm.prank(market);
        vault.payOut(_payout(payee, owed, stake), "");
        assertEq(vault.owedTo(payee), owed);
        assertEq(vault.freeStakeOf(payee), stake);
        assertEq(vault.owedTo(market), held - owed - stake);
    }

    function testFuzz_payOut_moreThanThePoolHas_reverts(uint96 held, uint96 owed, uint96 stake) public {
        held = uint96(bound(held, 0, MAX_AMOUNT));
        owed = uint96(bound(owed, 0, held));
        stake = uint96(bound(stake, held - owed + 1, MAX_AMOUNT + 1));
        _deposit(held);
        _hold(market, held);
        uint256 total = uint256(owed) + stake;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, market, held, total));
        vm.prank(court);
        vault.payOut(_payout(payee, owed, stake), "");
    }

    function test_hold_moreThanFree_reverts() public {
        _deposit(10);
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (staker, staker);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, staker, 4, 6));
        vm.prank(court);
        vault.hold(twice, 6);
    }

    function testFuzz_engage_isTheCallersEngagement_fromThePool(uint96 held, uint96 engaged) public {
        held = uint96(bound(held, 1, MAX_AMOUNT));
        engaged = uint96(bound(engaged, 1, held));
        _deposit(held);
        _hold(market, held);
        vm.startPrank(court);
        vault.engage(ENGAGEMENT, staker, engaged);
        (address account, uint96 amount) = vault.engagementOf(court, ENGAGEMENT);
        assertEq(account, staker);
        assertEq(amount, engaged);
        assertEq(vault.owedTo(market), held - engaged);
        uint256 left = held - engaged;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, market, left, left + 1));
        vault.engage("another", staker, uint96(left + 1));
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementExists.selector, ENGAGEMENT));
        vault.engage(ENGAGEMENT, staker, 0);
        vm.stopPrank();
    }

    // Engagements

    function testFuzz_lock_release_slash_moveExactly(uint96 amount, uint96 locked, uint96 slashed) public {
        amount = uint96(bound(amount, 1, MAX_AMOUNT));
        locked = uint96(bound(locked, 1, amount));
        slashed = uint96(bound(slashed, 0, locked));
        _deposit(amount);
        _lock(locked);
        (address account, uint96 held) = vault.engagementOf(court, ENGAGEMENT);
        assertEq(account, staker);
        assertEq(held, locked);
        vm.startPrank(court);
        vault.slash(ENGAGEMENT, payee, slashed);
        if (slashed != locked) vault.release(ENGAGEMENT, locked - slashed);
        vm.stopPrank();
        (account, held) = vault.engagementOf(court, ENGAGEMENT);
        assertEq(account, address(0), "an engagement that is used up is gone");
        assertEq(vault.owedTo(payee), slashed);
        assertEq(vault.freeStakeOf(staker), amount - slashed);
    }

    function test_lock_twice_reverts() public {
        _deposit(10);
        _lock(1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementExists.selector, ENGAGEMENT));
        vm.prank(court);
        vault.lock(ENGAGEMENT, staker, 1);
    }

    function test_lock_sameEngagementOfTwoModules_areTwo() public {
        _deposit(10);
        _lock(1);
        vm.prank(game);
        vault.lock(ENGAGEMENT, staker, 2);
        (, uint96 held) = vault.engagementOf(game, ENGAGEMENT);
        assertEq(held, 2);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementTooSmall.selector, ENGAGEMENT, 1, 2));
        vm.prank(court);
        vault.slash(ENGAGEMENT, payee, 2);
    }

    function test_lock_moreThanFree_reverts() public {
        _deposit(10);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, staker, 10, 11));
        _lock(11);
    }

    /// @dev Notice alone takes nothing away from whoever may lock the stake.
    function test_lock_ofStakeAskedFor_isAllowed() public {
        _deposit(10);
        vm.prank(staker);
        vault.requestWithdrawal(10);
        _lock(10);
        assertEq(vault.freeStakeOf(staker), 0);
    }

    function test_release_unknownEngagement_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementTooSmall.selector, ENGAGEMENT, 0, 0));
        vm.prank(court);
        vault.release(ENGAGEMENT, 0);
    }

    function testFuzz_distribute_sharesAndRest_emptyTheEngagement(uint96 locked, uint96 first, uint96 second) public {
        locked = uint96(bound(locked, 1, MAX_AMOUNT));
        first = uint96(bound(first, 0, locked));
        second = uint96(bound(second, 0, locked - first));
        (address[] memory to, uint96[] memory amounts) = _pair(first, second);
        _deposit(locked);
        _lock(locked);
        vm.prank(court);
        vault.distribute(ENGAGEMENT, to, amounts, game);
        assertEq(vault.owedTo(payee), first);
        assertEq(vault.owedTo(outsider), second);
        assertEq(vault.owedTo(game), locked - first - second);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementTooSmall.selector, ENGAGEMENT, 0, 1));
        vm.prank(court);
        vault.distribute(ENGAGEMENT, to, amounts, game);
    }

    function test_distribute_moreThanHeld_reverts() public {
        (address[] memory to, uint96[] memory amounts) = _pair(6, 5);
        _deposit(10);
        _lock(10);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.EngagementTooSmall.selector, ENGAGEMENT, 10, 11));
        vm.prank(court);
        vault.distribute(ENGAGEMENT, to, amounts, game);
    }

    function test_escrow_isOwedToTheModule() public {
        vm.prank(market);
        vault.escrow(staker, 10, "task");
        assertEq(vault.owedTo(market), 10);
        assertEq(token.balanceOf(staker), MAX_AMOUNT - 10);
    }

    function test_escrow_feeToken_refusesWhatFallsShort() public {
        StakeVault own = _vaultOf(new FeeToken());
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.ReceivedTooLittle.selector, 99, 100));
        vm.prank(market);
        own.escrow(staker, 100, "task");
    }

    // Payees

    function test_payout_payeeThatCannotReceive_blocksNobody() public {
        BlockingToken blocking = new BlockingToken();
        StakeVault own = _vaultOf(blocking);
        blocking.setBlocked(payee, true);
        vm.prank(staker);
        own.deposit(10);
        (address[] memory to, uint96[] memory amounts) = _pair(4, 5);
        vm.startPrank(court);
        own.lock(ENGAGEMENT, staker, 10);
        own.distribute(ENGAGEMENT, to, amounts, game);
        vm.stopPrank();
        vm.prank(outsider);
        own.withdrawOwed();
        assertEq(blocking.balanceOf(outsider), 5);
        vm.expectRevert(abi.encodeWithSelector(BlockingToken.Blocked.selector, payee));
        vm.prank(payee);
        own.withdrawOwed();
        blocking.setBlocked(payee, false);
        vm.prank(payee);
        own.withdrawOwed();
        assertEq(blocking.balanceOf(payee), 4);
    }

    function _pair(uint96 first, uint96 second) private view returns (address[] memory to, uint96[] memory amounts) {
        to = new address[](2);
        amounts = new uint96[](2);
        (to[0], to[1]) = (payee, outsider);
        (amounts[0], amounts[1]) = (first, second);
    }
}
