// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRandomBeacon} from "../../../contracts/interfaces/IRandomBeacon.sol";
import {Draw, IRevealers} from "../../../contracts/interfaces/IRevealers.sol";
import {TestTree} from "../actors/TestTree.sol";
import {BeaconFixture} from "./BeaconFixture.sol";

/// @title Draws that need secrets: with all of them, with some missing, with none.
contract BondedDrawsTest is BeaconFixture {
    function setUp() public override {
        super.setUp();
        join(first);
        join(second);
    }

    function _secrets(uint64 target) private view returns (bytes32[] memory secrets) {
        secrets = new bytes32[](2);
        (secrets[0], secrets[1]) = (secretOf(first, target), secretOf(second, target));
    }

    // With all secrets

    function testFuzz_record_allSecrets_isHashAndSecretsInAnyOrder(bool turned, uint256 later) public {
        uint64 target = request(KEY);
        vm.roll(target + bound(later, 1, WINDOW));
        reveal(turned ? second : first, target);
        reveal(turned ? first : second, target);
        bytes32 expected = valueFrom(KEY, target, _secrets(target));
        vm.expectEmit();
        emit IRandomBeacon.Recorded(consumer, KEY, expected);
        vm.prank(outsider);
        assertEq(beacon.record(consumer, KEY), expected);
        assertEq(beacon.valueOf(consumer, KEY), expected);
        assertEq(beacon.targetOf(consumer, KEY), target);
        Draw memory draw = beacon.drawOf(consumer, KEY);
        assertTrue(draw.recorded);
        assertEq(draw.missing, 0);
    }

    function test_record_secretsMissing_reverts() public {
        uint64 target = request(KEY);
        vm.roll(target);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.TooEarly.selector, target));
        beacon.record(consumer, KEY);
        vm.roll(target + 1);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.Unrevealed.selector, target, 3));
        beacon.record(consumer, KEY);
        reveal(second, target);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.Unrevealed.selector, target, 1));
        beacon.record(consumer, KEY);
        passWindow(target);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.Unrevealed.selector, target, 1));
        beacon.record(consumer, KEY);
    }

    function test_record_twoRequestsOfOneBlock_shareSecretsAndDiffer() public {
        uint64 target = request(KEY);
        assertEq(request("other"), target);
        vm.roll(target + 1);
        reveal(first, target);
        reveal(second, target);
        assertNotEq(beacon.record(consumer, KEY), beacon.record(consumer, "other"));
    }

    /// @dev The secrets of a target differ from those of the next: what is revealed tells nothing of other draws.
    function test_record_requestsOfTwoBlocks_needSecretsOfTheirOwn() public {
        uint64 target = request(KEY);
        vm.roll(START + 1);
        uint64 next = request("next");
        assertEq(next, target + 1);
        vm.roll(next + 1);
        reveal(first, target);
        reveal(second, target);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.Unrevealed.selector, next, 3));
        beacon.record(consumer, "next");
    }

    function test_record_allSecrets_needsTheChainsMemoryNoMore() public {
        uint64 target = request(KEY);
        vm.roll(target + 1);
        reveal(first, target);
        reveal(second, target);
        bytes32 expected = valueFrom(KEY, target, _secrets(target));
        vm.roll(target + 10 * SERVED_BLOCKS);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotExpired.selector, target));
        beacon.renew(consumer, KEY);
        assertEq(beacon.record(consumer, KEY), expected);
    }

    function test_request_panelOfThatMoment_whoJoinsLaterIsNotNeeded() public {
        uint64 target = request(KEY);
        join(third);
        vm.roll(target + 1);
        reveal(third, target);
        assertEq(beacon.drawOf(consumer, KEY).missing, 3);
        reveal(first, target);
        reveal(second, target);
        bytes32 expected = valueFrom(KEY, target, _secrets(target));
        assertEq(beacon.record(consumer, KEY), expected, "a secret nobody asked for changes nothing");
    }

    function test_stepDown_doesNotFreeFromOpenDraws() public {
        uint64 target = request(KEY);
        vm.prank(first);
        beacon.stepDown();
        vm.roll(target + 1);
        reveal(second, target);
        strike();
        assertEq(bondOf(0), 0);
        assertTrue(seated(first).struck);
    }

    // With secrets missing

    function test_strike_missingSecret_takesTheBondAndDrawsAgain() public {
        uint64 target = request(KEY);
        vm.roll(target + 1);
        reveal(first, target);
        uint64 next = strike();
        assertEq(next, target + WINDOW + 1 + DELAY);
        assertEq(bondOf(1), 0);
        assertEq(vault.owedTo(outsider), TIP);
        assertEq(vault.owedTo(treasury), BOND - TIP);
        assertEq(bondOf(0), BOND, "who revealed keeps its bond");
        assertEq(beacon.panel(), 1);
        Draw memory draw = beacon.drawOf(consumer, KEY);
        assertEq(draw.members, 1);
        assertEq(draw.missing, 1);
        vm.roll(next + 1);
        bytes32[] memory secrets = new bytes32[](1);
        secrets[0] = reveal(first, next);
        assertEq(beacon.record(consumer, KEY), valueFrom(KEY, next, secrets));
    }

    function test_strike_beforeTheWindowEnds_reverts() public {
        uint64 target = request(KEY);
        vm.roll(target + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IRevealers.WrongRevealWindow.selector, target + 1, target + WINDOW));
        beacon.strike(consumer, KEY);
    }

    function test_strike_nothingMissing_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotRequested.selector, KEY));
        beacon.strike(consumer, KEY);
        uint64 target = request(KEY);
        vm.roll(target + 1);
        reveal(first, target);
        reveal(second, target);
        passWindow(target);
        vm.expectRevert(IRevealers.NothingMissing.selector);
        beacon.strike(consumer, KEY);
        beacon.record(consumer, KEY);
        vm.expectRevert(IRevealers.NothingMissing.selector);
        beacon.strike(consumer, KEY);
    }

    /// @dev A bond is lost once; a second draw that lacks the same secret is drawn again all the same, not made without it.
    function test_strike_twoDraws_oneBond() public {
        uint64 target = request(KEY);
        vm.roll(START + 1);
        uint64 other = request("other");
        vm.roll(other + 1);
        reveal(first, target);
        reveal(first, other);
        passWindow(other);
        beacon.strike(consumer, KEY);
        beacon.strike(consumer, "other");
        assertEq(vault.owedTo(treasury), BOND - TIP);
        assertEq(beacon.drawOf(consumer, "other").members, 1);
        assertEq(beacon.targetOf(consumer, "other"), other + WINDOW + 1 + DELAY);
    }

    function test_strike_nobodyLeft_theHashAloneDecides() public {
        request(KEY);
        uint64 next = strike();
        assertEq(beacon.panel(), 0);
        assertEq(beacon.drawOf(consumer, KEY).members, 0);
        assertEq(vault.owedTo(outsider), 2 * TIP);
        vm.roll(next + 1);
        assertNotEq(beacon.record(consumer, KEY), 0);
    }

    /// @dev One withholds in each draw; the last has the only one that never did, and nobody who joined in between.
    function test_strike_againAndAgain_theHonestSecretDecides() public {
        join(third);
        uint64 target = request(KEY);
        vm.roll(target + 1);
        reveal(first, target);
        reveal(second, target);
        target = strike(); // the third is out
        assertEq(beacon.drawOf(consumer, KEY).members, 3);
        vm.roll(target + 1);
        reveal(first, target);
        target = strike(); // the second is out
        assertEq(beacon.drawOf(consumer, KEY).members, 1);
        vm.roll(target + 1);
        bytes32[] memory secrets = new bytes32[](1);
        secrets[0] = reveal(first, target);
        assertEq(beacon.record(consumer, KEY), valueFrom(KEY, target, secrets));
        assertEq(vault.owedTo(treasury), 2 * (BOND - TIP));
    }

    /// @dev So draws come to an end: whoever joins meanwhile, each has fewer members than the one before.
    function test_strike_whoJoinedMeanwhile_isNotInTheNextDraw() public {
        uint64 target = request(KEY);
        join(third);
        vm.roll(target + 1);
        reveal(first, target);
        strike();
        assertEq(beacon.panel(), 5);
        assertEq(beacon.drawOf(consumer, KEY).members, 1);
    }

    /// @dev Who leaves is not needed again: it owes the draws of its time one secret each.
    function test_strike_whoLeftAndRevealed_isNotInTheNextDraw() public {
        uint64 target = request(KEY);
        vm.prank(first);
        beacon.stepDown();
        vm.roll(target + 1);
        reveal(first, target);
        strike();
        assertEq(beacon.drawOf(consumer, KEY).members, 0);
        assertEq(bondOf(0), BOND);
    }

    function test_reveal_afterTheWindow_savesNobody() public {
        uint64 target = request(KEY);
        passWindow(target);
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        bytes32 secret = secretOf(first, target);
        vm.expectRevert(abi.encodeWithSelector(IRevealers.WrongRevealWindow.selector, target + 1, target + WINDOW));
        beacon.reveal(0, target, secret, proof);
    }

    /// @dev Who was struck holds its seat until the hold is over.
    function test_join_struckAccount_reverts() public {
        request(KEY);
        strike();
        vm.expectRevert(abi.encodeWithSelector(IRevealers.AlreadySeated.selector, second));
        vm.prank(second);
        beacon.join("root", START, SECRETS);
    }

    function test_vacate_struckSeat_freesItWithoutABond() public {
        request(KEY);
        strike();
        uint256 struckAt = vm.getBlockNumber();
        vm.roll(struckAt + beacon.holdBlocks() + 1);
        beacon.vacate(0);
        assertEq(vault.freeStakeOf(first), 10_000 ether - BOND);
        (bool found,) = beacon.seatOf(first);
        assertFalse(found);
    }

    // Expiry

    function test_renew_openDrawWithSecretsMissing_reverts() public {
        uint64 target = request(KEY);
        vm.roll(target + SERVED_BLOCKS + 1);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotExpired.selector, target));
        beacon.renew(consumer, KEY);
        assertEq(strike(), vm.getBlockNumber() + DELAY);
    }
}
