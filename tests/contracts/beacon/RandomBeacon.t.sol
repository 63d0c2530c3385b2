// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRandomBeacon} from "../../../contracts/interfaces/IRandomBeacon.sol";
import {BeaconFixture} from "./BeaconFixture.sol";

/// @title The beacon without revealers: one value a request, fixed by a block after it.
contract RandomBeaconTest is BeaconFixture {
    function _request() private returns (uint64 target) {
        return request(KEY);
    }

    function test_request_byAnybodyElse_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotConsumer.selector, outsider));
        vm.prank(outsider);
        beacon.request(KEY);
    }

    function test_request_namesALaterBlock() public {
        uint64 target = _request();
        assertEq(target, block.number + DELAY);
        assertEq(beacon.targetOf(consumer, KEY), target);
        assertEq(beacon.valueOf(consumer, KEY), 0);
    }

    function test_request_twice_reverts() public {
        uint64 target = _request();
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.AlreadyRequested.selector, KEY));
        _request();
        vm.roll(target + 1);
        beacon.record(consumer, KEY);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.AlreadyRequested.selector, KEY));
        _request();
    }

    function test_record_unknownKey_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotRequested.selector, KEY));
        beacon.record(outsider, KEY);
    }

    function test_record_beforeAndAtTheTarget_reverts() public {
        uint64 target = _request();
        vm.roll(target);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.TooEarly.selector, target));
        beacon.record(consumer, KEY);
    }

    function testFuzz_record_byAnybodyInTime_fixesTheValue(uint256 later) public {
        uint64 target = _request();
        later = bound(later, 1, 256);
        vm.roll(target + later);
        vm.setBlockhash(target, keccak256("hash"));
        vm.prank(outsider);
        bytes32 value = beacon.record(consumer, KEY);
        assertNotEq(value, 0);
        assertEq(beacon.valueOf(consumer, KEY), value);
        assertEq(beacon.targetOf(consumer, KEY), target);
        vm.roll(target + 10_000);
        assertEq(beacon.record(consumer, KEY), value, "a recorded value does not change");
    }

    function test_record_twoConsumersAndKeys_differ() public {
        uint64 target = _request();
        vm.prank(consumer);
        beacon.request("other");
        vm.prank(court);
        beacon.request(KEY);
        vm.roll(target + 1);
        bytes32 value = beacon.record(consumer, KEY);
        assertNotEq(value, beacon.record(consumer, "other"));
        assertNotEq(value, beacon.record(court, KEY));
    }

    function test_record_olderThan256Blocks_readsTheHistoryContract() public {
        uint64 target = _request();
        vm.roll(target + 1000);
        // Stands in for EIP-2935's contract: answers any block.
        vm.etch(
            0x0000F90827F1C53a10cb7A02335B175320002935,
            hex"7fabababababababababababababababababababababababababababababababab5f5260205ff3"
        );
        assertNotEq(beacon.record(consumer, KEY), 0);
    }

    function test_record_forgottenBlock_revertsUntilRenewed() public {
        uint64 target = _request();
        vm.roll(target + SERVED_BLOCKS + 1);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.Expired.selector, target));
        beacon.record(consumer, KEY);
        vm.prank(outsider);
        uint64 renewed = beacon.renew(consumer, KEY);
        assertEq(renewed, block.number + DELAY);
        vm.roll(renewed + 1);
        assertNotEq(beacon.record(consumer, KEY), 0);
    }

    function test_renew_aliveOrRecordedRequest_reverts() public {
        uint64 target = _request();
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotExpired.selector, target));
        beacon.renew(consumer, KEY);
        vm.roll(target + 1);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotExpired.selector, target));
        beacon.renew(consumer, KEY);
        beacon.record(consumer, KEY);
        vm.roll(target + SERVED_BLOCKS + 1);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotExpired.selector, target));
        beacon.renew(consumer, KEY);
        vm.expectRevert(abi.encodeWithSelector(IRandomBeacon.NotRequested.selector, KEY));
        beacon.renew(outsider, KEY);
    }
}
