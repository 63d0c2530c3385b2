// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {CourtBase} from "./CourtBase.sol";
import {CourtKeys, SlotRecord} from "./CourtState.sol";
import {ForcedErrors} from "./ForcedErrors.sol";
import {Registration} from "./Registration.sol";
import {SegmentDraw} from "./SegmentDraw.sol";
import {SortitionTree} from "./SortitionTree.sol";

/// @title Draws of segments and of verifiers by unlocked stake.
/// @dev A draw is a fixed sequence of candidates: candidate n of segment s is a function of the beacon's value, s, n and the weights before
/// the value was known. The first that can serve is taken, so nobody can steer a draw but by making itself unable to serve.
abstract contract AuditDraws is CourtBase {
    using SortitionTree for SortitionTree.Tree;
    using TaskMath for TaskTerms;

    /// @dev Candidates one call looks at.
    uint256 internal constant MAX_ATTEMPTS = 256;

    /// @dev What one draw needs to know.
    struct Draw {
        bytes32 value;
        uint256 task;
        uint256 atBlock; // whose weights count
        uint256 need; // stake each drawn account must have free
        address submitter;
        address solver;
        bool resumed; // an earlier call came not far enough
        uint256 left; // candidates this call may still look at
    }

    SortitionTree.Tree private _tree;
    /// @dev Whether a draw, by its beacon key, was left unfinished; and then by key and segment, which candidate comes next.
    mapping(bytes32 key => bool) private _stalled;
    mapping(bytes32 keyAndSegment => uint256) private _next;

    // Registration

    /// @inheritdoc IAuditCourt
    function registerVerifier(uint96 most) external {
        Registration.register(_tree, vault, msg.sender, most, _weightUnit, _forcedBps != 0);
    }

    /// @inheritdoc IAuditCourt
    function commitSecrets(bytes32 root) external {
        Registration.commitSecrets(_state, _tree, msg.sender, root, market.taskCount());
    }

    /// @inheritdoc IAuditCourt
    function retireVerifier() external {
        Registration.retire(_tree, vault, msg.sender);
    }

    /// @inheritdoc IAuditCourt
    function refreshVerifier(address verifier) external {
        Registration.refresh(_tree, vault, verifier, _weightUnit);
    }

    /// @inheritdoc IAuditCourt
    function weightOf(address verifier) external view returns (uint64) {
        return uint64(_tree.weightOf(verifier));
    }

    // Draws

    /// @inheritdoc IAuditCourt
    function drawAudits(TaskTerms memory terms) external {
        _drawAudits(terms);
    }

    function _drawAudits(TaskTerms memory terms) internal {
        Task memory task = _requireTask(terms, TaskState.Committed);
        _requireWindow(0, task.deadline);
        bytes32 key = bytes32(terms.id);
        Draw memory draw = _begin(terms, key, address(market), task.solver);
        uint32[] memory segments = SegmentDraw.segmentsOf(terms, draw.value);
        address[] memory drawn = _drawVerifiers(terms.id, key, draw, segments);
        if (drawn.length == 0) return;
        // INVARIANT: all segments are drawn in one transaction, so that a task is either audited or not.
        emit AuditsDrawn(terms.id, draw.value, segments);
        uint256 deadline = block.timestamp + _windowFor(terms);
        for (uint256 i = 0; i < segments.length; ++i) {
            _assign(terms.id, segments[i], 0, drawn[i], draw, deadline);
        }
        vault.hold(drawn, uint96(draw.need));
        market.beginAudit(terms.id, deadline);
    }

    /// @inheritdoc IAuditCourt
    function redraw(TaskTerms memory terms, uint32 segment) external {
        Task memory task = _requireTask(terms, TaskState.Auditing);
        bytes32 slotKey = CourtKeys.slotKey(terms.id, segment);
        SlotRecord memory slot = _requireSlot(slotKey, segment, SlotState.Redrawing);
        _requireWindow(0, _state.redraws[slotKey].deadline);
        uint8 round = slot.round + 1;
        bytes32 key = CourtKeys.beaconKey(slotKey, round);
        Draw memory draw = _begin(terms, key, address(this), task.solver);
        uint32[] memory segments = new uint32[](1);
        segments[0] = segment;
        address[] memory drawn = _drawVerifiers(terms.id, key, draw, segments);
        if (drawn.length == 0) return;
        delete _state.redraws[slotKey].extension;
        _assign(terms.id, segment, round, drawn[0], draw, block.timestamp + _windowFor(terms));
        vault.hold(drawn, uint96(draw.need));
    }

    function _begin(TaskTerms memory terms, bytes32 key, address consumer, address solver)
        private
        returns (Draw memory draw)
    {
        draw.value = beacon.record(consumer, key);
        draw.task = terms.id;
        // INVARIANT: weights changed since the deciding block was made count for nothing in this draw.
        draw.atBlock = uint40(uint256(draw.value)) - 1;
        draw.need = _stakeNeeded(terms);
        draw.submitter = terms.submitter;
        draw.solver = solver;
        draw.resumed = _stalled[key];
        draw.left = MAX_ATTEMPTS;
    }

    /// @dev A verifier for each segment; none at all when this call has looked at enough candidates: then it notes how far it came.
    function _drawVerifiers(uint256 task, bytes32 key, Draw memory draw, uint32[] memory segments)
        private
        returns (address[] memory drawn)
    {
        drawn = new address[](segments.length);
        uint256[] memory next = new uint256[](segments.length);
        for (uint256 i = 0; i < segments.length; ++i) {
            if (draw.resumed) next[i] = _next[CourtKeys.beaconKey(key, segments[i])];
            (drawn[i], next[i]) = _drawVerifier(draw, segments[i], next[i], drawn, i);
            if (drawn[i] != address(0)) continue;
            for (uint256 j = 0; j <= i; ++j) {
                _next[CourtKeys.beaconKey(key, segments[j])] = next[j];
            }
            _stalled[key] = true;
            emit DrawStalled(task, segments[i], next[i]);
            return new address[](0);
        }
    }

    /// @dev The first candidate from `n` on that can serve, given the first `count` already drawn, and its number; or zero, and the number
    /// of the first candidate that was not looked at.
    function _drawVerifier(Draw memory draw, uint256 segment, uint256 n, address[] memory drawn, uint256 count)
        private
        view
        returns (address, uint256)
    {
        for (; draw.left != 0; ++n) {
            --draw.left;
            uint256 random = uint256(keccak256(abi.encode("verifier", draw.value, segment, n)));
            (address candidate, uint256 weight, uint96 note) = _tree.draw(draw.atBlock, random);
            require(weight != 0, NoVerifier());
            // INVARIANT: whoever is drawn has a secret for this task, committed before the value could be known.
            if (_forcedBps != 0 && !ForcedErrors.covers(note, draw.task, draw.atBlock)) continue;
            // INVARIANT: the parties whose interest the audit decides do not audit.
            if (candidate == draw.submitter || candidate == draw.solver) continue;
            uint256 taken = 0;
            for (uint256 i = 0; i < count; ++i) {
                if (drawn[i] == candidate) taken += draw.need;
            }
            uint256 free = vault.freeStakeOf(candidate);
            if (free < taken + draw.need) continue;
            // Stake that is gone or locked since it was weighed counts for nothing: taken with probability free / weight.
            uint256 units = (free - taken) / _weightUnit;
            if (units < weight && (random >> 128) % weight >= units) continue;
            return (candidate, n);
        }
        return (address(0), n);
    }

    function _assign(uint256 task, uint32 segment, uint8 round, address verifier, Draw memory draw, uint256 deadline)
        private
    {
        bytes32 slotKey = CourtKeys.slotKey(task, segment);
        _state.slots[slotKey] = SlotRecord({
            state: SlotState.Drawn,
            round: round,
            verifier: verifier,
            claimDeadline: uint32(deadline),
            claims: 0,
            openDisputes: 0,
            marks: 0
        });
        emit SegmentDrawn(task, segment, round, verifier, draw.value, uint64(deadline));
    }
}
