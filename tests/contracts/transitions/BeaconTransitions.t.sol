// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TestTree} from "../actors/TestTree.sol";
import {BeaconFixture} from "../beacon/BeaconFixture.sol";
import {TransitionTable} from "./TransitionTable.sol";

/// @title A draw of the beacon, and a seat of its panel: every call about them, by a revealer, anybody and the consumer.
contract BeaconTransitionsTest is BeaconFixture, TransitionTable {
    function test_draw_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("draw");
    }

    function test_seat_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("seat");
    }

    // Rows

    function _bringTo(string memory machine, string memory row) internal override {
        (string memory state, string memory how) = _partsOf(row);
        if (_same(machine, "draw")) _arrangeDraw(state, how);
        else _arrangeSeat(state, how);
    }

    function _arrangeDraw(string memory state, string memory how) private {
        bool empty = _same(how, "no panel") || _same(how, "forgotten");
        if (!empty) join(first);
        if (_same(state, "None")) return;
        uint64 target = request(KEY);
        if (_same(how, "waiting")) return;
        vm.roll(target + 1);
        if (_same(how, "forgotten")) vm.roll(target + SERVED_BLOCKS + 1);
        if (_same(how, "missing")) passWindow(target);
        if (_same(how, "revealed") || _same(state, "Recorded")) reveal(first, target);
        if (_same(state, "Recorded")) beacon.record(consumer, KEY);
    }

    function _arrangeSeat(string memory state, string memory how) private {
        if (_same(how, "panel full")) {
            stakeFor(outsider, BOND);
            join(second);
            join(third);
            join(outsider);
        }
        if (_same(state, "None")) return;
        join(first);
        if (_same(state, "Struck")) {
            request(KEY);
            strike();
        }
        if (_same(state, "Left")) {
            vm.prank(first);
            beacon.stepDown();
        }
        if (_same(how, "held long enough")) vm.roll(vm.getBlockNumber() + beacon.holdBlocks() + 1);
    }

    function _stateName(string memory machine) internal view override returns (string memory) {
        if (_same(machine, "draw")) {
            if (beacon.targetOf(consumer, KEY) == 0) return "None";
            return beacon.valueOf(consumer, KEY) == 0 ? "Pending" : "Recorded";
        }
        (bool found, uint8 seat) = beacon.seatOf(first);
        if (!found) return "None";
        if (beacon.seatAt(seat).struck) return "Struck";
        return beacon.seatAt(seat).leftAt == 0 ? "Seated" : "Left";
    }

    // Moves

    function _actor(string memory, string memory move, uint256 column) internal view override returns (address) {
        if (_same(_variantOf(move), "consumer")) return consumer;
        return column == 0 ? first : outsider;
    }

    function _move(string memory, string memory move, address actor)
        internal
        view
        override
        returns (address, bytes memory)
    {
        return (address(beacon), _beaconMove(vm.split(move, "_")[0], actor));
    }

    function _beaconMove(string memory move, address actor) private view returns (bytes memory) {
        if (_same(move, "request")) return abi.encodeCall(beacon.request, (KEY));
        if (_same(move, "record")) return abi.encodeCall(beacon.record, (consumer, KEY));
        if (_same(move, "renew")) return abi.encodeCall(beacon.renew, (consumer, KEY));
        if (_same(move, "strike")) return abi.encodeCall(beacon.strike, (consumer, KEY));
        if (_same(move, "stepDown")) return abi.encodeCall(beacon.stepDown, ());
        if (_same(move, "vacate")) return abi.encodeCall(beacon.vacate, (0));
        if (_same(move, "join")) {
            return abi.encodeCall(beacon.join, (TestTree.root(leavesOf(actor)), START, SECRETS));
        }
        require(_same(move, "reveal"), move);
        // Before anything is asked for: for the first block that could be.
        uint64 target = START + DELAY;
        bytes32[] memory proof = TestTree.prove(leavesOf(first), target - START);
        return abi.encodeCall(beacon.reveal, (0, target, secretOf(first, target), proof));
    }
}
