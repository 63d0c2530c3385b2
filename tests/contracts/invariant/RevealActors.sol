// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Draw, Seat} from "../../../contracts/interfaces/IRevealers.sol";
import {TestTree} from "../actors/TestTree.sol";
import {BeaconFixture} from "../beacon/BeaconFixture.sol";

/// @title Random requests, revealers and passers-by; the block is the actors' own, as in `TaskActors`.
contract RevealActors is BeaconFixture {
    uint256 internal constant MAX_DRAWS = 40;

    bytes32[] public keys;
    mapping(bytes32 key => bytes32) public known;
    bool public valueChanged;
    mapping(bytes32 kind => uint256) public done;
    uint256 private _block;
    /// @dev Trees of secrets are built once: they would be most of what a long campaign takes.
    mapping(address account => bytes32) private _roots;
    mapping(address account => mapping(uint64 target => bytes32[])) private _proofs;

    modifier timed(bytes32 kind) {
        if (_block != 0) vm.roll(_block);
        _;
        _block = vm.getBlockNumber();
        ++done[kind];
    }

    function setUp() public override timed("set up") {
        super.setUp();
        vm.pauseGasMetering(); // the trees take more than a transaction has
        for (uint256 i = 0; i < 3; ++i) {
            bytes32[] memory leaves = leavesOf(revealer(i));
            _roots[revealer(i)] = TestTree.root(leaves);
            for (uint64 j = 0; j < SECRETS; ++j) {
                _proofs[revealer(i)][START + j] = TestTree.prove(leaves, j);
            }
        }
        vm.resumeGasMetering();
    }

    function revealer(uint256 index) public view returns (address) {
        return index % 3 == 0 ? first : index % 3 == 1 ? second : third;
    }

    function pass(uint256 blocks) external timed("pass") {
        vm.roll(vm.getBlockNumber() + (blocks % 8 == 0 ? WINDOW + 1 : blocks % 4));
    }

    function takeSeat(uint256 seed) external timed("join") {
        address account = revealer(seed);
        vm.prank(account);
        beacon.join(_roots[account], START, SECRETS);
    }

    function stepDown(uint256 seed) external timed("step down") {
        vm.prank(revealer(seed));
        beacon.stepDown();
    }

    function vacate(uint8 seat) external timed("vacate") {
        beacon.vacate(seat % SEATS);
    }

    function ask() external timed("ask") {
        if (keys.length == MAX_DRAWS) return;
        bytes32 key = bytes32(keys.length + 1);
        request(key);
        keys.push(key);
    }

    function tell(uint256 seed, uint256 keySeed) external timed("tell") {
        if (keys.length == 0) return;
        address account = revealer(seed);
        uint64 target = beacon.targetOf(consumer, _openKey(keySeed));
        (, uint8 seat) = beacon.seatOf(account);
        beacon.reveal(seat, target, secretOf(account, target), _proofs[account][target]);
    }

    function callTime(uint256 keySeed) external timed("strike") {
        if (keys.length == 0) return;
        bytes32 key = _openKey(keySeed);
        vm.prank(outsider);
        beacon.strike(consumer, key);
    }

    function fix(uint256 keySeed) external timed("record") {
        if (keys.length == 0) return;
        _record(keySeed % 4 == 0 ? keys[keySeed % keys.length] : _openKey(keySeed));
    }

    /// @dev A draw without a value, where there is one: most calls are to do something, in long runs too.
    function _openKey(uint256 seed) private view returns (bytes32 key) {
        for (uint256 i = 0; i < keys.length; ++i) {
            key = keys[addmod(seed, i, keys.length)];
            if (known[key] == 0) return key;
        }
    }

    function _record(bytes32 key) private {
        bytes32 value = beacon.record(consumer, key);
        if (known[key] != 0 && known[key] != value) valueChanged = true;
        known[key] = value;
    }

    /// @dev Passers-by alone: every draw has a value after a bounded number of calls, and every seat is free again.
    function finishEverything() external timed("finish") {
        for (uint256 i = 0; i < keys.length; ++i) {
            _finish(keys[i]);
        }
        for (uint256 i = 0; i < 3; ++i) {
            (bool found, uint8 seat) = beacon.seatOf(revealer(i));
            if (found && beacon.seatAt(seat).leftAt == 0) {
                vm.prank(revealer(i));
                beacon.stepDown();
            }
        }
        vm.roll(vm.getBlockNumber() + beacon.holdBlocks() + 1);
        for (uint8 seat = 0; seat < SEATS; ++seat) {
            if (beacon.seatAt(seat).account != address(0)) beacon.vacate(seat);
        }
    }

    function _finish(bytes32 key) private {
        // Each draw may fail, and a value nobody recorded in time is asked for anew, once: then it is recorded at once.
        for (uint256 calls = 0; beacon.valueOf(consumer, key) == 0; ++calls) {
            assertLe(calls, 2 * (uint256(SEATS) + 2), "a draw without end");
            Draw memory draw = beacon.drawOf(consumer, key);
            if (vm.getBlockNumber() <= draw.target) vm.roll(draw.target + 1);
            if (draw.missing != 0) {
                if (vm.getBlockNumber() <= draw.target + WINDOW) vm.roll(draw.target + WINDOW + 1);
                beacon.strike(consumer, key);
                continue;
            }
            try beacon.record(consumer, key) {}
            catch {
                beacon.renew(consumer, key);
            }
        }
        _record(key);
    }

    // Sums

    function sumOfBonds() public view returns (uint256 total) {
        for (uint8 seat = 0; seat < SEATS; ++seat) {
            total += bondOf(seat);
        }
    }

    /// @dev What the seats should hold: a bond for each that is taken and not struck.
    function bondsDue() external view returns (uint256 total) {
        for (uint8 seat = 0; seat < SEATS; ++seat) {
            Seat memory held = beacon.seatAt(seat);
            if (held.account != address(0) && !held.struck) total += BOND;
        }
    }

    function panelDue() external view returns (uint8 due) {
        for (uint8 seat = 0; seat < SEATS; ++seat) {
            Seat memory held = beacon.seatAt(seat);
            if (held.account != address(0) && held.leftAt == 0) due |= uint8(1 << seat);
        }
    }

    function panel() external view returns (uint8) {
        return beacon.panel();
    }

    function liabilities() external view returns (uint256 total) {
        for (uint256 i = 0; i < 3; ++i) {
            total += vault.freeStakeOf(revealer(i)) + vault.owedTo(revealer(i));
        }
        total += vault.owedTo(outsider) + vault.owedTo(treasury) + vault.owedTo(address(this)) + sumOfBonds();
    }

    function assets() external view returns (uint256) {
        return token.balanceOf(address(vault));
    }
}
