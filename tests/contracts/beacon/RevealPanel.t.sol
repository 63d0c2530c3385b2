// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../../../contracts/commitments/Merkle.sol";
import {IRevealers, RevealParameters, Seat} from "../../../contracts/interfaces/IRevealers.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";
import {ParametersLib} from "../../../contracts/types/Parameters.sol";
import {TestTree} from "../actors/TestTree.sol";
import {BeaconFixture} from "./BeaconFixture.sol";

/// @title Seats on the panel: taking one, leaving it, and secrets that fit it.
contract RevealPanelTest is BeaconFixture {
    // Numbers

    function _refuses(RevealParameters memory p, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(ParametersLib.BadParameters.selector, what));
        deployBeacon(p);
    }

    function test_constructor_numbersOutOfBounds_revert() public {
        _refuses(RevealParameters(9, BOND, WINDOW, TIP_BPS), "seats");
        _refuses(RevealParameters(SEATS, 0, WINDOW, TIP_BPS), "bond");
        _refuses(RevealParameters(SEATS, BOND, 0, TIP_BPS), "windowBlocks");
        _refuses(RevealParameters(SEATS, BOND, 8001, TIP_BPS), "windowBlocks");
        _refuses(RevealParameters(SEATS, BOND, WINDOW, 5001), "tipBps");
        deployBeacon(RevealParameters(0, 0, 1, 0));
    }

    function test_revealParameters_areThoseGiven() public view {
        RevealParameters memory p = beacon.revealParameters();
        assertEq(abi.encode(p), abi.encode(RevealParameters(SEATS, BOND, WINDOW, TIP_BPS)));
    }

    // Seats

    function test_join_takesTheFirstFreeSeat_andLocksItsBond() public {
        assertEq(join(first), 0);
        assertEq(join(second), 1);
        assertEq(beacon.panel(), 3);
        assertEq(bondOf(1), BOND);
        assertEq(vault.freeStakeOf(second), 10_000 ether - BOND);
        Seat memory seat = seated(second);
        assertEq(seat.account, second);
        assertEq(seat.joinedAt, START);
        assertEq(seat.leftAt, 0);
        assertFalse(seat.struck);
    }

    function test_join_twice_reverts() public {
        join(first);
        vm.expectRevert(abi.encodeWithSelector(IRevealers.AlreadySeated.selector, first));
        vm.prank(first);
        beacon.join("root", START, SECRETS);
    }

    function test_join_fullPanel_reverts() public {
        join(first);
        join(second);
        join(third);
        vm.expectRevert(IRevealers.NoSeat.selector);
        vm.prank(outsider);
        beacon.join("root", START, SECRETS);
    }

    function test_join_withoutStake_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientStake.selector, outsider, 0, BOND));
        vm.prank(outsider);
        beacon.join("root", START, SECRETS);
    }

    function testFuzz_join_treeWithoutTheNextSecret_reverts(uint64 from, uint32 count) public {
        uint256 next = START + DELAY;
        bool fits = from <= next && uint256(from) + count > next;
        if (!fits) vm.expectRevert(IRevealers.BadSecrets.selector);
        vm.prank(first);
        beacon.join("root", from, count);
        assertEq(beacon.panel(), fits ? 1 : 0);
    }

    function test_stepDown_laterRequestsDoNotNeedIt() public {
        join(first);
        join(second);
        request(KEY);
        vm.prank(first);
        beacon.stepDown();
        request("later");
        assertEq(beacon.drawOf(consumer, KEY).members, 3);
        assertEq(beacon.drawOf(consumer, "later").members, 2);
        assertEq(seated(first).leftAt, START);
    }

    function test_stepDown_withoutSeatOrTwice_reverts() public {
        vm.expectRevert(IRevealers.NotSeated.selector);
        vm.prank(outsider);
        beacon.stepDown();
        join(first);
        vm.startPrank(first);
        beacon.stepDown();
        vm.expectRevert(IRevealers.NotSeated.selector);
        beacon.stepDown();
    }

    function testFuzz_vacate_afterTheHold_givesTheBondBack(uint256 later) public {
        join(first);
        vm.prank(first);
        beacon.stepDown();
        uint64 until = START + beacon.holdBlocks();
        later = bound(later, 0, 2 * beacon.holdBlocks());
        vm.roll(START + later);
        if (START + later <= until) vm.expectRevert(abi.encodeWithSelector(IRevealers.SeatHeld.selector, until));
        vm.prank(outsider);
        beacon.vacate(0);
        bool free = START + later > until;
        assertEq(vault.freeStakeOf(first), free ? 10_000 ether : 10_000 ether - BOND);
        (bool found,) = beacon.seatOf(first);
        assertEq(found, !free);
    }

    function test_vacate_seatOnThePanelOrEmpty_reverts() public {
        vm.expectRevert(IRevealers.NotSeated.selector);
        beacon.vacate(0);
        join(first);
        vm.roll(START + 10_000);
        vm.expectRevert(IRevealers.NotSeated.selector);
        beacon.vacate(0);
    }

    /// @dev The hold outlasts whatever was asked for while the seat was on the panel: its secret's window, and as long again thrice.
    function test_holdBlocks_coverTheLastRequestsWindow() public view {
        assertEq(beacon.holdBlocks(), DELAY + 4 * WINDOW);
    }

    // Secrets

    function testFuzz_reveal_inItsWindow_isKept(uint256 later) public {
        join(first);
        uint64 target = request(KEY);
        later = bound(later, 0, 2 * WINDOW);
        vm.roll(target + later);
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        bytes32 secret = secretOf(first, target);
        bool inTime = later >= 1 && later <= WINDOW;
        if (!inTime) {
            vm.expectRevert(abi.encodeWithSelector(IRevealers.WrongRevealWindow.selector, target + 1, target + WINDOW));
        }
        vm.prank(outsider);
        beacon.reveal(0, target, secret, proof);
        assertEq(beacon.isRevealed(target, 0), inTime);
        assertEq(beacon.drawOf(consumer, KEY).missing, inTime ? 0 : 1);
    }

    function testFuzz_reveal_anotherSecret_reverts(bytes32 secret) public {
        join(first);
        uint64 target = request(KEY);
        vm.assume(secret != secretOf(first, target));
        vm.roll(target + 1);
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        vm.expectRevert(IRevealers.WrongSecret.selector);
        beacon.reveal(0, target, secret, proof);
    }

    function test_reveal_ofAnotherBlockOrSeat_reverts() public {
        join(first);
        join(second);
        uint64 target = request(KEY);
        vm.roll(target + 2);
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        bytes32 secret = secretOf(first, target);
        vm.expectRevert(IRevealers.WrongSecret.selector);
        beacon.reveal(1, target, secret, proof);
        vm.expectRevert(IRevealers.WrongSecret.selector);
        beacon.reveal(0, target + 1, secret, proof);
        proof = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(Merkle.ProofLength.selector, 0));
        beacon.reveal(0, target, secret, proof);
        vm.expectRevert(IRevealers.NotSeated.selector);
        beacon.reveal(2, target, secret, proof);
    }

    function test_reveal_beyondTheTree_reverts() public {
        join(first);
        uint64 beyond = START + SECRETS;
        vm.roll(beyond + 1);
        bytes32[] memory none = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(Merkle.RangeOutOfTree.selector, SECRETS, SECRETS, 1));
        beacon.reveal(0, beyond, "", none);
    }

    function test_reveal_twice_reverts() public {
        join(first);
        uint64 target = request(KEY);
        vm.roll(target + 1);
        reveal(first, target);
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        bytes32 secret = secretOf(first, target);
        vm.expectRevert(abi.encodeWithSelector(IRevealers.AlreadyRevealed.selector, target, 0));
        beacon.reveal(0, target, secret, proof);
    }

    /// @dev Its tree could have been made once the hash was known.
    function test_reveal_forATargetAskedForBeforeTheSeat_reverts() public {
        uint64 target = request(KEY);
        vm.roll(START + 1);
        join(first);
        vm.roll(target + 1);
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        bytes32 secret = secretOf(first, target);
        vm.expectRevert(
            abi.encodeWithSelector(IRevealers.WrongRevealWindow.selector, type(uint64).max, target + WINDOW)
        );
        beacon.reveal(0, target, secret, proof);
    }

    /// @dev A seat's next account owes nothing to a draw of the one before, and adds nothing to it.
    function test_seat_takenAnew_hasNoPartInOlderDraws() public {
        join(first);
        uint64 target = request(KEY);
        vm.prank(first);
        beacon.stepDown();
        vm.roll(START + beacon.holdBlocks() + 1);
        beacon.vacate(0);
        assertEq(join(second), 0);
        bytes32[] memory proof = TestTree.prove(leavesOf(second), target - START);
        bytes32 secret = secretOf(second, target);
        vm.expectRevert(
            abi.encodeWithSelector(IRevealers.WrongRevealWindow.selector, type(uint64).max, target + WINDOW)
        );
        beacon.reveal(0, target, secret, proof);
        beacon.strike(consumer, KEY);
        assertEq(bondOf(0), BOND);
        assertEq(beacon.panel(), 1);
    }
}
