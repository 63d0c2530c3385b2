// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BeaconFixture} from "./BeaconFixture.sol";

/// @title What a seat and a draw cost, with a tree of a million secrets.
/// @dev Transactions, as in `CleanTaskGas`.
/// forge-config: default.isolate = true
contract RevealGasTest is BeaconFixture {
    uint32 internal constant COUNT = 1 << 20;
    uint256 internal constant HEIGHT = 20;
    uint256 internal constant LIMIT = 120_000;

    function test_reveal_gas_isBelowTheLimit() public {
        uint64 target = START + DELAY;
        bytes32[] memory proof = new bytes32[](HEIGHT);
        bytes32 root = sha256(abi.encodePacked(uint8(0), first, target, secretOf(first, target)));
        // Of the tree nothing matters but the way up from one leaf.
        for (uint256 i = 0; i < HEIGHT; ++i) {
            proof[i] = keccak256(abi.encode(i));
            bool odd = (target - START) >> i & 1 == 1;
            root = sha256(odd ? abi.encodePacked(uint8(1), proof[i], root) : abi.encodePacked(uint8(1), root, proof[i]));
        }
        vm.prank(first);
        beacon.join(root, START, COUNT);
        vm.snapshotGasLastCall("join");
        join(second);
        assertEq(request(KEY), target);
        vm.snapshotGasLastCall("request");
        vm.roll(target + 1);
        beacon.reveal(0, target, secretOf(first, target), proof);
        vm.snapshotGasLastCall("reveal");
        assertLe(vm.lastCallGas().gasTotalUsed, LIMIT);
        reveal(second, target);
        beacon.record(consumer, KEY);
        vm.snapshotGasLastCall("record");

        uint64 late = request("late");
        passWindow(late);
        beacon.strike(consumer, "late");
        vm.snapshotGasLastCall("strike two");
    }
}
