// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {Draw, IRevealers, RevealParameters} from "../interfaces/IRevealers.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {RevealPanel} from "./RevealPanel.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

/// @title The hash of a later block, mixed with the secrets of the panel; recorded by anybody.
/// @dev One slot a request. While pending, from the low bits: target block (40), members (8), nothing above. Once recorded: the target, and
/// above it 216 bits of hash. The value is that whole slot, so it is never zero, and never below 2^48 (but for one hash in 2^208, which
/// would read as pending).
contract RandomBeacon is IRandomBeacon, RevealPanel {
    uint256 private constant TARGET = type(uint40).max;
    uint256 private constant MEMBERS_AT = 40;
    uint256 private constant PENDING = type(uint48).max;

    address public immutable market;
    address public immutable court;

    mapping(bytes32 id => uint256) private _entries;

    constructor(
        IStakeVault vault_,
        address market_,
        address court_,
        address treasury_,
        uint64 delay_,
        RevealParameters memory parameters_
    ) RevealPanel(vault_, treasury_, delay_, parameters_) {
        (market, court) = (market_, court_);
    }

    /// @inheritdoc IRandomBeacon
    function request(bytes32 key) external returns (uint64 targetBlock) {
        require(msg.sender == market || msg.sender == court, NotConsumer(msg.sender));
        bytes32 id = _id(msg.sender, key);
        // INVARIANT: nobody chooses between two values: a request is made once, and its block and panel are fixed then.
        require(_entries[id] == 0, AlreadyRequested(key));
        return _aim(msg.sender, key, panel);
    }

    /// @inheritdoc IRandomBeacon
    function renew(address consumer, bytes32 key) external returns (uint64 targetBlock) {
        Draw memory draw = _drawOf(consumer, key);
        require(draw.target != 0, NotRequested(key));
        // INVARIANT: secrets that came fix a value for good; secrets that are missing are paid for (`strike`).
        require(
            !draw.recorded && draw.members == 0 && block.number > draw.target && Blockhash.blockHash(draw.target) == 0,
            NotExpired(draw.target)
        );
        return _aim(consumer, key, panel);
    }

    /// @inheritdoc IRevealers
    function strike(address consumer, bytes32 key) external {
        Draw memory draw = _drawOf(consumer, key);
        require(draw.target != 0, NotRequested(key));
        require(draw.missing != 0, NothingMissing());
        require(
            block.number > uint256(draw.target) + _window, WrongRevealWindow(draw.target + 1, draw.target + _window)
        );
        emit Struck(consumer, key, draw.target, draw.missing);
        _forfeit(draw.target, draw.missing);
        // INVARIANT: each draw has fewer members than the one before, so a value comes after a bounded number of them, whoever withholds.
        _aim(consumer, key, draw.members & ~draw.missing & panel);
    }

    /// @inheritdoc IRandomBeacon
    function record(address consumer, bytes32 key) external returns (bytes32 value) {
        bytes32 id = _id(consumer, key);
        uint256 entry = _entries[id];
        require(entry != 0, NotRequested(key));
        if (entry > PENDING) return bytes32(entry);
        uint64 target = uint64(entry & TARGET);
        require(block.number > target, TooEarly(target));
        (bytes32 source, uint8 missing) = _collect(target, uint8(entry >> MEMBERS_AT));
        require(missing == 0, Unrevealed(target, missing));
        if (source == 0) source = Blockhash.blockHash(target);
        require(source != 0, Expired(target));
        value = bytes32((uint256(keccak256(abi.encode(source, id))) & ~TARGET) | target);
        _entries[id] = uint256(value);
        emit Recorded(consumer, key, value);
    }

    /// @inheritdoc IRandomBeacon
    function valueOf(address consumer, bytes32 key) external view returns (bytes32 value) {
        uint256 entry = _entries[_id(consumer, key)];
        return entry > PENDING ? bytes32(entry) : bytes32(0);
    }

    /// @inheritdoc IRandomBeacon
    function targetOf(address consumer, bytes32 key) external view returns (uint64 targetBlock) {
        return uint64(_entries[_id(consumer, key)] & TARGET);
    }

    /// @inheritdoc IRandomBeacon
    function delay() external view returns (uint64) {
        return _delay;
    }

    /// @inheritdoc IRevealers
    function drawOf(address consumer, bytes32 key) external view returns (Draw memory) {
        return _drawOf(consumer, key);
    }

    function _drawOf(address consumer, bytes32 key) private view returns (Draw memory draw) {
        uint256 entry = _entries[_id(consumer, key)];
        draw.target = uint64(entry & TARGET);
        draw.recorded = entry > PENDING;
        if (draw.recorded) return draw;
        draw.members = uint8(entry >> MEMBERS_AT);
        (, draw.missing) = _collect(draw.target, draw.members);
    }

    function _aim(address consumer, bytes32 key, uint8 members) private returns (uint64 targetBlock) {
        targetBlock = uint64(block.number) + _delay;
        _entries[_id(consumer, key)] = uint256(members) << MEMBERS_AT | targetBlock;
        emit Requested(consumer, key, targetBlock, members);
    }

    function _id(address consumer, bytes32 key) private pure returns (bytes32) {
        return keccak256(abi.encode(consumer, key));
    }
}
