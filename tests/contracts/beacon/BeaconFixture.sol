// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RandomBeacon} from "../../../contracts/beacon/RandomBeacon.sol";
import {RevealParameters, Seat} from "../../../contracts/interfaces/IRevealers.sol";
import {StakeVault} from "../../../contracts/stake/StakeVault.sol";
import {FaucetToken} from "../../../contracts/token/FaucetToken.sol";
import {TestTree} from "../actors/TestTree.sol";
import {Test} from "forge-std/Test.sol";

/// @title A beacon with its vault, accounts in the consumers' places, and revealers with their secrets.
abstract contract BeaconFixture is Test {
    uint64 internal constant DELAY = 2;
    uint32 internal constant WINDOW = 10;
    uint8 internal constant SEATS = 3;
    uint16 internal constant TIP_BPS = 500;
    uint96 internal constant BOND = 1000 ether + 1;
    uint96 internal constant TIP = 50 ether;
    uint256 internal constant SERVED_BLOCKS = 8191; // EIP-2935
    uint64 internal constant START = 100_000;
    /// @dev Blocks from START on for which a revealer has a secret.
    uint32 internal constant SECRETS = 72;
    bytes32 internal constant KEY = "key";

    address internal consumer = makeAddr("consumer");
    address internal court = makeAddr("court");
    address internal treasury = makeAddr("treasury");
    address internal outsider = makeAddr("outsider");
    address internal first = makeAddr("first revealer");
    address internal second = makeAddr("second revealer");
    address internal third = makeAddr("third revealer");
    FaucetToken internal token;
    StakeVault internal vault;
    RandomBeacon internal beacon;

    function setUp() public virtual {
        vm.roll(START);
        vm.warp(1_800_000_000);
        token = FaucetToken(deployCode("FaucetToken.sol:FaucetToken"));
        address expected = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        vault = StakeVault(
            deployCode(
                "StakeVault.sol:StakeVault",
                abi.encode(token, consumer, court, address(0), expected, address(0), uint64(1 days), uint96(1e18))
            )
        );
        beacon = deployBeacon(RevealParameters(SEATS, BOND, WINDOW, TIP_BPS));
        assertEq(address(beacon), expected);
        address[3] memory revealers = [first, second, third];
        for (uint256 i = 0; i < revealers.length; ++i) {
            stakeFor(revealers[i], 10_000 ether);
        }
    }

    function stakeFor(address account, uint96 amount) internal {
        vm.startPrank(account);
        token.drip(amount);
        token.approve(address(vault), type(uint256).max);
        vault.deposit(amount);
        vm.stopPrank();
    }

    function deployBeacon(RevealParameters memory parameters) internal returns (RandomBeacon) {
        return RandomBeacon(
            deployCode("RandomBeacon.sol:RandomBeacon", abi.encode(vault, consumer, court, treasury, DELAY, parameters))
        );
    }

    // Secrets

    function secretOf(address account, uint64 target) internal pure returns (bytes32) {
        return keccak256(abi.encode(account, target));
    }

    function leavesOf(address account) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](SECRETS);
        for (uint64 i = 0; i < SECRETS; ++i) {
            leaves[i] = sha256(abi.encodePacked(uint8(0), account, START + i, secretOf(account, START + i)));
        }
    }

    // Moves

    function join(address account) internal returns (uint8) {
        bytes32 root = TestTree.root(leavesOf(account));
        vm.prank(account);
        return beacon.join(root, START, SECRETS);
    }

    function request(bytes32 key) internal returns (uint64 target) {
        vm.prank(consumer);
        return beacon.request(key);
    }

    /// @dev Hands in an account's secret, and returns it.
    function reveal(address account, uint64 target) internal returns (bytes32 secret) {
        (, uint8 seat) = beacon.seatOf(account);
        secret = secretOf(account, target);
        bytes32[] memory proof = TestTree.prove(leavesOf(account), target - START);
        beacon.reveal(seat, target, secret, proof);
    }

    /// @dev To the first block in which time can be called on a target's secrets.
    function passWindow(uint64 target) internal {
        vm.roll(target + WINDOW + 1);
    }

    /// @dev Calls time on KEY's draw and returns its new target.
    function strike() internal returns (uint64) {
        passWindow(beacon.targetOf(consumer, KEY));
        vm.prank(outsider);
        beacon.strike(consumer, KEY);
        return beacon.targetOf(consumer, KEY);
    }

    function bondOf(uint8 seat) internal view returns (uint96 amount) {
        (, amount) = vault.engagementOf(address(beacon), bytes32(uint256(seat)));
    }

    function seated(address account) internal view returns (Seat memory) {
        (bool found, uint8 seat) = beacon.seatOf(account);
        assertTrue(found);
        return beacon.seatAt(seat);
    }

    /// @dev H(block hash, secrets, id) with the target in the low bits; the definition, for draws with secrets.
    function valueFrom(bytes32 key, uint64 target, bytes32[] memory secrets) internal view returns (bytes32) {
        bytes32 source = 0;
        for (uint256 i = 0; i < secrets.length; ++i) {
            bytes32 revealed = keccak256(abi.encode(blockhash(target), secrets[i]));
            source = keccak256(abi.encode(source, revealed));
        }
        uint256 mixed = uint256(keccak256(abi.encode(source, keccak256(abi.encode(consumer, key)))));
        return bytes32((mixed & ~uint256(type(uint40).max)) | target);
    }
}
