// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

/// @title The hash of a later block, recorded by anybody while the chain still knows it.
/// @dev One slot a request: the target block in the low 40 bits; above them nothing until the value is recorded, then 216 bits of
/// hash. The value is that whole slot, so it is never zero and never below 2^40 (but for one hash in 2^216, which would read as pending).
contract RandomBeacon is IRandomBeacon {
    uint256 private constant TARGET = type(uint40).max;

    /// @inheritdoc IRandomBeacon
    uint64 public immutable delay;

    mapping(bytes32 id => uint256) private _entries;

    constructor(uint64 delay_) {
        delay = delay_;
    }

    /// @inheritdoc IRandomBeacon
    function request(bytes32 key) external returns (uint64 targetBlock) {
        bytes32 id = _id(msg.sender, key);
        // INVARIANT: nobody chooses between two values: a request is made once, and its block is fixed then.
        require(_entries[id] == 0, AlreadyRequested(key));
        return _request(id, msg.sender, key);
    }

    /// @inheritdoc IRandomBeacon
    function renew(address consumer, bytes32 key) external returns (uint64 targetBlock) {
        bytes32 id = _id(consumer, key);
        uint256 entry = _entries[id];
        require(entry != 0, NotRequested(key));
        require(
            entry <= TARGET && block.number > entry && Blockhash.blockHash(entry) == 0,
            NotExpired(uint64(entry & TARGET))
        );
        return _request(id, consumer, key);
    }

    /// @inheritdoc IRandomBeacon
    function record(address consumer, bytes32 key) external returns (bytes32 value) {
        bytes32 id = _id(consumer, key);
        uint256 entry = _entries[id];
        require(entry != 0, NotRequested(key));
        if (entry > TARGET) return bytes32(entry);
        require(block.number > entry, TooEarly(uint64(entry)));
        bytes32 blockHash = Blockhash.blockHash(entry);
        require(blockHash != 0, Expired(uint64(entry)));
        value = bytes32((uint256(keccak256(abi.encode(blockHash, id))) & ~TARGET) | entry);
        _entries[id] = uint256(value);
        emit Recorded(consumer, key, value);
    }

    /// @inheritdoc IRandomBeacon
    function valueOf(address consumer, bytes32 key) external view returns (bytes32 value) {
        uint256 entry = _entries[_id(consumer, key)];
        return entry > TARGET ? bytes32(entry) : bytes32(0);
    }

    /// @inheritdoc IRandomBeacon
    function targetOf(address consumer, bytes32 key) external view returns (uint64 targetBlock) {
        return uint64(_entries[_id(consumer, key)] & TARGET);
    }

    function _request(bytes32 id, address consumer, bytes32 key) private returns (uint64 targetBlock) {
        targetBlock = uint64(block.number) + delay;
        _entries[id] = targetBlock;
        emit Requested(consumer, key, targetBlock);
    }

    function _id(address consumer, bytes32 key) private pure returns (bytes32) {
        return keccak256(abi.encode(consumer, key));
    }
}
