// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IJackpotTreasury} from "../../../contracts/interfaces/IJackpotTreasury.sol";
import {Deployment} from "../actors/Deployment.sol";

/// @title The treasury pays at most half of what a verdict brought, once, and only when the court says so.
contract JackpotTreasuryTest is Deployment {
    uint96 internal constant MAX_AMOUNT = 1e27;
    bytes32 internal constant VERDICT = "verdict";

    address internal solver = makeAddr("solver");
    address internal whistleblower = makeAddr("whistleblower");

    function setUp() public {
        deploy();
        fund(address(this), MAX_AMOUNT);
    }

    function _pay(uint96 broughtIn, uint96 first, uint96 second) private {
        address[] memory to = new address[](2);
        uint96[] memory amounts = new uint96[](2);
        (to[0], to[1]) = (solver, whistleblower);
        (amounts[0], amounts[1]) = (first, second);
        vm.prank(address(court));
        treasury.payVerdict(VERDICT, broughtIn, to, amounts);
    }

    function testFuzz_payVerdict_upToHalf_isCredited(uint96 broughtIn, uint96 first, uint96 second) public {
        broughtIn = uint96(bound(broughtIn, 0, MAX_AMOUNT));
        first = uint96(bound(first, 0, broughtIn / 2));
        second = uint96(bound(second, 0, broughtIn / 2 - first));
        vault.credit(address(treasury), broughtIn, "slash");
        _pay(broughtIn, first, second);
        assertEq(vault.owedTo(solver), first);
        assertEq(vault.owedTo(whistleblower), second);
        assertEq(treasury.balance(), broughtIn - first - second);
        assertTrue(treasury.paid(VERDICT));
    }

    function testFuzz_payVerdict_moreThanHalf_reverts(uint96 broughtIn, uint96 excess) public {
        broughtIn = uint96(bound(broughtIn, 0, MAX_AMOUNT));
        excess = uint96(bound(excess, 1, MAX_AMOUNT));
        vault.credit(address(treasury), broughtIn, "slash");
        uint256 total = uint256(broughtIn / 2) + excess;
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.VerdictExhausted.selector, VERDICT, broughtIn, total));
        _pay(broughtIn, broughtIn / 2, excess);
    }

    function test_payVerdict_twice_reverts() public {
        vault.credit(address(treasury), 100, "slash");
        _pay(100, 10, 10);
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.AlreadyPaid.selector, VERDICT));
        _pay(100, 10, 10);
    }

    function _payForced(bytes32 verdict, uint96 first, uint96 second) private {
        address[] memory to = new address[](2);
        uint96[] memory amounts = new uint96[](2);
        (to[0], to[1]) = (whistleblower, solver);
        (amounts[0], amounts[1]) = (first, second);
        vm.prank(address(court));
        treasury.payForced(verdict, to, amounts);
    }

    function test_payForced_withoutMoney_isOwedUntilThereIs() public {
        vault.credit(address(treasury), 100, "levy");
        _payForced(VERDICT, 70, 50);
        assertEq(vault.owedTo(whistleblower), 70);
        assertEq(vault.owedTo(solver), 30);
        assertEq(treasury.arrearsOf(solver), 20);
        assertEq(treasury.balance(), 0);
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.NothingToPay.selector, solver));
        treasury.payArrears(solver);
        vault.credit(address(treasury), 15, "levy");
        treasury.payArrears(solver);
        vault.credit(address(treasury), 15, "levy");
        treasury.payArrears(solver);
        assertEq(vault.owedTo(solver), 50);
        assertEq(treasury.balance(), 10);
        assertEq(treasury.arrearsOf(solver), 0);
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.NothingToPay.selector, solver));
        treasury.payArrears(solver);
    }

    function test_payForced_twice_reverts() public {
        vault.credit(address(treasury), 100, "levy");
        _payForced(VERDICT, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.AlreadyPaid.selector, VERDICT));
        _payForced(VERDICT, 1, 1);
    }

    function test_payForced_byAnybodyButTheCourt_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.NotModule.selector, address(this)));
        treasury.payForced(VERDICT, new address[](0), new uint96[](0));
    }

    function test_payVerdict_byAnybodyButTheCourt_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.NotModule.selector, address(this)));
        treasury.payVerdict(VERDICT, 100, new address[](0), new uint96[](0));
    }

    function test_payBonus_whatIsMissing_isOwed_once() public {
        vault.credit(address(treasury), 100, "levy");
        vm.prank(address(lots));
        treasury.payBonus(VERDICT, solver, 130);
        assertEq(vault.owedTo(solver), 100);
        assertEq(treasury.arrearsOf(solver), 30);
        vault.credit(address(treasury), 100, "levy");
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.AlreadyPaid.selector, VERDICT));
        vm.prank(address(lots));
        treasury.payBonus(VERDICT, solver, 130);
        treasury.payArrears(solver);
        assertEq(vault.owedTo(solver), 130);
        assertEq(treasury.balance(), 70);
    }

    function test_payBonus_byAnybodyButTheDraw_reverts() public {
        vm.prank(address(court));
        vm.expectRevert(abi.encodeWithSelector(IJackpotTreasury.NotModule.selector, address(court)));
        treasury.payBonus(VERDICT, solver, 1);
    }
}
