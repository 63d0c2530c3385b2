// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramLib} from "../../../contracts/commitments/ProgramLib.sol";
import {ClaimRecord, ClaimRef, Slot} from "../../../contracts/interfaces/IAuditCourt.sol";
import {IOpExecutor, IRowExecutor, Read} from "../../../contracts/interfaces/IOpExecutor.sol";
import {TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {InputKind} from "../../../contracts/types/InputKind.sol";
import {Op} from "../../../contracts/types/Op.sol";

/// @title A court that says what a test tells it, and remembers what it was told.
contract StubCourt {
    mapping(bytes32 key => ClaimRecord) private _claims;
    Slot private _slot;
    uint64 public unblindDeadline;
    uint64 public openDeadline;
    uint256 public opened;
    uint256 public closed;
    uint256 public convictions;
    address public lastWinner;
    bool public lastWasDigest;
    uint8 public lastStep;
    bytes8 public lastEntry;

    function setClaim(ClaimRef memory ref, ClaimRecord memory record) external {
        _claims[keccak256(abi.encode(ref))] = record;
    }

    function setSlot(Slot memory slot) external {
        _slot = slot;
    }

    function setWindow(uint64 unblindDeadline_, uint64 openDeadline_) external {
        (unblindDeadline, openDeadline) = (unblindDeadline_, openDeadline_);
    }

    function convict(ClaimRef calldata ref, bool digest, address winner) external {
        ClaimRecord storage record = _claims[keccak256(abi.encode(ref))];
        if (digest) record.digestConvicted = true;
        else record.convicted = true;
        ++convictions;
        (lastWinner, lastWasDigest) = (winner, digest);
    }

    function convictDigest(ClaimRef calldata ref, uint8 step, bytes8 entry, address winner) external {
        _claims[keccak256(abi.encode(ref))].digestConvicted = true;
        ++convictions;
        (lastWinner, lastWasDigest, lastStep, lastEntry) = (winner, true, step, entry);
    }

    function disputeOpened(ClaimRef calldata) external {
        ++opened;
    }

    function disputeClosed(ClaimRef calldata) external {
        ++closed;
    }

    function slotOf(uint256, uint32) external view returns (Slot memory) {
        return _slot;
    }

    function claimOf(ClaimRef calldata ref) external view returns (ClaimRecord memory) {
        return _claims[keccak256(abi.encode(ref))];
    }

    function windowsOf(uint256, uint32) external view returns (uint64, uint64, uint64) {
        return (0, unblindDeadline, openDeadline);
    }
}

/// @title A market with one task.
contract StubMarket {
    bytes32 private _termsHash;
    TaskState public state = TaskState.Auditing;

    function setTerms(TaskTerms memory terms) external {
        _termsHash = keccak256(abi.encode(terms));
    }

    function setState(TaskState state_) external {
        state = state_;
    }

    function termsHashOf(uint256) external view returns (bytes32) {
        return _termsHash;
    }

    function stateOf(uint256) external view returns (TaskState) {
        return state;
    }
}

/// @title A vault that only counts.
contract StubVault {
    mapping(bytes32 engagement => uint256) public held;
    mapping(bytes32 engagement => address) public owner;
    mapping(address account => uint256) public paid;
    mapping(address account => uint256) public released;

    function lock(bytes32 engagement, address account, uint96 amount) external {
        require(owner[engagement] == address(0), "locked twice");
        (held[engagement], owner[engagement]) = (amount, account);
    }

    function release(bytes32 engagement, uint96 amount) external {
        held[engagement] -= amount;
        released[owner[engagement]] += amount;
    }

    function slash(bytes32 engagement, address to, uint96 amount) external {
        held[engagement] -= amount;
        paid[to] += amount;
    }
}

/// @title A machine on which every op but `state` adds: a byte of the output is 1 + step + the same bytes of its inputs, modulo 256;
/// of `sum`, its own index + all bytes of the first input, whose parts are the sums of a chunk each.
contract ToyExecutor {
    error WrongRead(uint16 slot, uint64 start);

    uint256 private constant BLOCK = 1024;

    function execute(bytes calldata node, uint256 element, uint32 step, uint64, Read[] calldata reads)
        external
        pure
        returns (bytes memory)
    {
        if (ProgramLib.opOf(node) == Op.STATE) {
            require(
                reads.length == 1 && reads[0].slot == element && reads[0].header.length == 0,
                WrongRead(uint16(element), 0)
            );
            return reads[0].data;
        }
        if (ProgramLib.opOf(node) == Op.SUM) revert IOpExecutor.LongRow(ProgramLib.elementCount(node));
        uint256 sum = 1 + step;
        uint256 next = 0;
        for (uint256 slot = 0; slot < ProgramLib.inputCount(node); ++slot) {
            (uint256 kind,) = ProgramLib.inputAt(node, slot);
            if (kind == InputKind.I32) continue;
            require(
                next < reads.length && reads[next].slot == slot && reads[next].start == element
                    && reads[next].data.length == 1,
                WrongRead(uint16(slot), uint64(element))
            );
            sum += uint8(reads[next++].data[0]);
        }
        require(next == reads.length, WrongRead(0, 0));
        return abi.encodePacked(uint8(sum));
    }

    function openRow(bytes calldata node, uint256 element, bytes calldata stated, Read[] calldata reads)
        external
        pure
        returns (bytes32)
    {
        require(ProgramLib.opOf(node) == Op.SUM, IOpExecutor.MalformedNode());
        require(
            reads.length == 1 && reads[0].slot == 0 && reads[0].start == 0 && reads[0].data.length == 0, WrongRead(0, 0)
        );
        uint256 length = uint32(bytes4(reads[0].header[2:6]));
        require(length > BLOCK, IRowExecutor.ShortRow(length));
        return bytes32(uint8(stated[0]) | element << 8 | ((length - 1) / BLOCK + 1) << 64);
    }

    function combines(bytes calldata, bytes32 claim, bytes calldata parts) external pure returns (bool) {
        if (parts.length != 8 * (uint256(claim) >> 64)) return false;
        uint256 sum = uint56(uint256(claim) >> 8);
        for (uint256 i = 0; i < parts.length; i += 8) {
            sum += uint64(bytes8(parts[i:i + 8]));
        }
        return uint8(sum) == uint8(uint256(claim));
    }

    function executeBlock(bytes calldata node, uint256, uint256 index, Read[] calldata reads)
        external
        pure
        returns (int64 part)
    {
        uint256 length = ProgramLib.elementCount(node);
        uint256 start = index * BLOCK;
        require(start < length, IRowExecutor.BlockOutOfRange(index, (length - 1) / BLOCK + 1));
        uint256 count = length - start < BLOCK ? length - start : BLOCK;
        require(
            reads.length == 1 && reads[0].slot == 0 && reads[0].start == start && reads[0].data.length == count,
            WrongRead(0, uint64(start))
        );
        for (uint256 i = 0; i < count; ++i) {
            part += int64(uint64(uint8(reads[0].data[i])));
        }
    }
}
