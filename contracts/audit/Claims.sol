// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRecord, ClaimRef, IAuditCourt, Slot, SlotState} from "../interfaces/IAuditCourt.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {ClaimBodies} from "./ClaimBodies.sol";
import {ClaimReader} from "./ClaimReader.sol";
import {CourtBase} from "./CourtBase.sol";
import {ClaimData, ClaimHead, CourtKeys, DigestVerdict, SlotRecord} from "./CourtState.sol";
import {ForcedErrors} from "./ForcedErrors.sol";
import {Judgement, Stake} from "./Judgement.sol";
import {SegmentData} from "./SegmentData.sol";

/// @title Claims: open and blind, their windows, and what the dispute game does to them.
abstract contract Claims is CourtBase {
    using TaskMath for TaskTerms;

    mapping(bytes32 blindKey => uint40 placedAt) private _blinds;

    // Posting

    /// @inheritdoc IAuditCourt
    function postClaim(
        TaskTerms memory terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof
    ) external returns (uint16 index) {
        // INVARIANT: a task ends with its last open segment, so a segment that is drawn is one of a task that is audited.
        if (_state.slots[CourtKeys.slotKey(terms.id, segment)].state != SlotState.Drawn) {
            _requireTask(terms, TaskState.Auditing);
        }
        require(terms.hash() == market.termsHashOf(terms.id), WrongTerms(terms.id));
        _postClaim(terms, segment, body, checkpointProof);
        return 0;
    }

    /// @dev The caller's claim on a segment that it was drawn for; the terms are the task's.
    function _postClaim(
        TaskTerms memory terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof
    ) internal {
        bytes32 slotKey = CourtKeys.slotKey(terms.id, segment);
        SlotRecord memory slot = _requireSlot(slotKey, segment, SlotState.Drawn);
        require(msg.sender == slot.verifier, NotDrawnVerifier(msg.sender, slot.verifier));
        _requireWindow(0, slot.claimDeadline);
        require(slot.marks == 0, AlreadyClaimed(msg.sender));
        ClaimBodies.check(terms, segment, body, checkpointProof);
        bool passes = _recordBody(_state.claims[CourtKeys.claimKey(slotKey, slot.round, 0)], body);
        _state.slots[slotKey].marks = passes ? CourtKeys.PASSES : CourtKeys.POSTED;
        emit ClaimPosted(terms.id, segment, slot.round, 0, msg.sender, body, 0);
    }

    /// @inheritdoc IAuditCourt
    function placeBlind(bytes32 commitment) external {
        bytes32 key = _blindKey(msg.sender, commitment);
        _blinds[key] = uint40(block.timestamp);
        emit BlindPlaced(commitment, msg.sender, uint40(block.timestamp));
        // A commitment that is already placed reverts here; once spent it may be placed anew.
        vault.lock(key, msg.sender, _blindBond);
    }

    /// @inheritdoc IAuditCourt
    function unblind(
        TaskTerms memory terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof,
        bytes32 salt
    ) external returns (uint16 index) {
        _requireTask(terms, TaskState.Auditing);
        bytes32 slotKey = CourtKeys.slotKey(terms.id, segment);
        SlotRecord memory slot = _requireSlot(slotKey, segment, SlotState.Drawn);
        _requireWindow(uint256(slot.claimDeadline) + 1, uint256(slot.claimDeadline) + _unblindWindow);
        bytes32 bodyHash = keccak256(abi.encode(body));
        uint40 placedAt = _spendBlind(terms, segment, slot.round, slot.claimDeadline, bodyHash, salt);
        ClaimBodies.check(terms, segment, body, checkpointProof);
        index = slot.claims;
        if (index == 0) {
            bytes32 held = CourtKeys.engagement(slotKey, slot.round, slot.verifier);
            vault.engage(held, slot.verifier, _stakeNeeded(terms));
            index = 1;
        }
        // INVARIANT: no place coincides with the mark of a malformed start.
        require(index < CourtKeys.MALFORMED - 1, BadClaim("index"));
        _state.slots[slotKey].claims = index + 1;
        if (index == 1 && slot.marks != 0) {
            ClaimHead storage first = _state.claims[CourtKeys.claimKey(slotKey, slot.round, 0)].head;
            first.claimant = slot.verifier;
            first.passes = slot.marks == CourtKeys.PASSES;
        }
        ClaimData storage claim = _state.claims[CourtKeys.claimKey(slotKey, slot.round, index)];
        bool passes = _recordBody(claim, body);
        claim.head = ClaimHead(msg.sender, placedAt, passes, false, false, 0);
        ForcedErrors.name(_state.namers, slotKey, slot.round, index, uint256(body.commitment));
        emit ClaimPosted(terms.id, segment, slot.round, index, msg.sender, body, placedAt);
        // INVARIANT: one claim an account, segment and round; the drawn verifier's engagement exists since the first other claim.
        bytes32 engagement = CourtKeys.engagement(slotKey, slot.round, msg.sender);
        (address account,) = vault.engagementOf(address(this), engagement);
        require(account == address(0), AlreadyClaimed(msg.sender));
        vault.lock(engagement, msg.sender, _stakeNeeded(terms));
    }

    /// @inheritdoc IAuditCourt
    function reclaimBlind(TaskTerms memory terms, uint32 segment, uint8 round, bytes32 bodyHash, bytes32 salt)
        external
    {
        Task memory task = _taskOf(terms);
        SlotRecord memory slot = _state.slots[CourtKeys.slotKey(terms.id, segment)];
        // INVARIANT: only an end that may come before the unblind window is over frees anybody from opening.
        require(
            slot.round == round && (task.state == TaskState.Void || slot.marks == CourtKeys.MALFORMED),
            WrongSlot(segment, slot.state)
        );
        _spendBlind(terms, segment, round, slot.claimDeadline, bodyHash, salt);
        emit BlindReclaimed(_commitment(terms.id, segment, round, bodyHash, salt), msg.sender);
    }

    /// @inheritdoc IAuditCourt
    function forfeitBlind(address claimant, bytes32 commitment) external {
        bytes32 key = _blindKey(claimant, commitment);
        // A claim window may be extended by as much again (`extendClaims`).
        uint256 open = 2 * uint256(_maxClaimWindow) + _unblindWindow;
        Judgement.forfeitBlind(_blinds, key, claimant, commitment, open);
        vault.slash(key, address(treasury), _blindBond);
    }

    // The dispute game

    /// @inheritdoc IAuditCourt
    function convict(ClaimRef calldata ref, bool digest, address winner) external onlyGame {
        _convict(ref, digest, DigestVerdict(winner, 0, 0));
    }

    /// @inheritdoc IAuditCourt
    function convictDigest(ClaimRef calldata ref, uint8 step, bytes8 entry, address winner) external onlyGame {
        _convict(ref, true, DigestVerdict(winner, step + 1, entry));
    }

    /// @inheritdoc IAuditCourt
    function disputeOpened(ClaimRef calldata ref) external onlyGame {
        Judgement.openDispute(_state, ref, _unblindWindow, _disputeTime());
    }

    /// @inheritdoc IAuditCourt
    function disputeClosed(ClaimRef calldata ref) external onlyGame {
        bytes32 slotKey = CourtKeys.slotKey(ref.task, ref.segment);
        // A segment that ended meanwhile no longer counts; its rounds cannot have changed while a dispute was open.
        if (_state.slots[slotKey].round == ref.round) --_state.slots[slotKey].openDisputes;
        --_state.claims[CourtKeys.claimKey(slotKey, ref.round, ref.index)].head.openDisputes;
    }

    // Data and starts

    /// @inheritdoc IAuditCourt
    function failStart(uint256 task, uint32 segment, address by) external {
        bool withheld = msg.sender == demands;
        require(withheld || msg.sender == startChecker, NotModule(msg.sender));
        SegmentData.failStart(_state, task, segment, by, withheld ? address(treasury) : address(0));
    }

    /// @inheritdoc IAuditCourt
    function extendClaims(uint256 task, uint32 segment, uint64 deadline) external {
        require(msg.sender == demands, NotModule(msg.sender));
        SegmentData.extendClaims(_state, task, segment, deadline, _maxClaimWindow);
    }

    // Views

    /// @inheritdoc IAuditCourt
    function slotOf(uint256 task, uint32 segment) external view returns (Slot memory) {
        bytes32 slotKey = CourtKeys.slotKey(task, segment);
        SlotRecord memory slot = _state.slots[slotKey];
        bool held = slot.claims == 0 && slot.state != SlotState.None;
        return Slot({
            state: slot.state,
            round: slot.round,
            misses: _state.redraws[slotKey].misses,
            verifier: slot.verifier,
            claimDeadline: slot.claimDeadline,
            claims: held ? 1 : slot.claims,
            openDisputes: slot.openDisputes,
            standing: slot.state > SlotState.Redrawing ? slot.marks : 0,
            beaconValue: slot.round == 0 || slot.round == CourtKeys.CALLED
                ? beacon.valueOf(address(market), bytes32(task))
                : beacon.valueOf(address(this), CourtKeys.beaconKey(slotKey, slot.round)),
            held: held
        });
    }

    /// @inheritdoc IAuditCourt
    function claimOf(ClaimRef calldata ref) external view returns (ClaimRecord memory) {
        _return(ClaimReader.claimOf(_state, vault, ref));
    }

    /// @inheritdoc IAuditCourt
    function windowsOf(uint256 task, uint32 segment)
        external
        view
        returns (uint64 claimDeadline, uint64 unblindDeadline, uint64 openDeadline)
    {
        SlotRecord memory slot = _state.slots[CourtKeys.slotKey(task, segment)];
        claimDeadline = slot.claimDeadline;
        unblindDeadline = claimDeadline + _unblindWindow;
        openDeadline = unblindDeadline + _disputeWindow;
    }

    // Helpers

    /// @dev Ends the call with what is encoded already.
    function _return(bytes memory encoded) internal pure {
        assembly ("memory-safe") {
            return(add(encoded, 32), mload(encoded))
        }
    }

    function _convict(ClaimRef calldata ref, bool digest, DigestVerdict memory verdict) private {
        Judgement.convict(_state, ref, digest, verdict, _disputeTime(), Stake(vault, address(treasury), _claimBond));
    }

    /// @dev Seconds after a claim window until no dispute may be opened any more.
    function _disputeTime() private view returns (uint256) {
        return uint256(_unblindWindow) + _disputeWindow;
    }

    function _recordBody(ClaimData storage claim, ClaimBody calldata body) private returns (bool passes) {
        claim.bodyHash = keccak256(abi.encode(body));
        passes = body.endRoot == body.checkpointRoot;
        if (!passes) claim.endRoot = body.endRoot;
    }

    /// @dev Uses up the caller's blind claim about this segment and round, which must have been placed in its claim window.
    function _spendBlind(
        TaskTerms memory terms,
        uint32 segment,
        uint8 round,
        uint256 claimDeadline,
        bytes32 bodyHash,
        bytes32 salt
    ) private returns (uint40 placedAt) {
        bytes32 commitment = _commitment(terms.id, segment, round, bodyHash, salt);
        bytes32 key = _blindKey(msg.sender, commitment);
        placedAt = _blinds[key];
        uint256 window = _windowFor(terms) + _state.redraws[CourtKeys.slotKey(terms.id, segment)].extension;
        require(placedAt != 0 && placedAt <= claimDeadline && placedAt >= claimDeadline - window, BadBlind(commitment));
        delete _blinds[key];
        vault.release(key, _blindBond);
    }

    function _commitment(uint256 task, uint32 segment, uint8 round, bytes32 bodyHash, bytes32 salt)
        private
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(msg.sender, task, segment, round, bodyHash, salt));
    }

    /// @dev By account too: a copied commitment must not be in the way of its maker's.
    function _blindKey(address claimant, bytes32 commitment) private pure returns (bytes32) {
        return keccak256(abi.encode("blind", claimant, commitment));
    }
}
