// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {ClaimBodies} from "./ClaimBodies.sol";
import {ClaimData, CourtKeys, CourtState, SlotRecord} from "./CourtState.sol";
import {Bench, Finality} from "./Finality.sol";

/// @title Volunteers' claims on segments that were not drawn. The court's code in a library of its own, for its size.
/// @dev A called-up segment is a drawn one whose verifier is the volunteer and has condemned it, in a round that no redraw follows.
library CallUps {
    using TaskMath for TaskTerms;

    /// @dev Segments of a task that may be called up: as many as may be drawn, so that a task can be concluded.
    uint256 internal constant MOST = 64;

    /// @dev Where among the encoded arguments the offsets of body and proof lie: behind the terms' 20 words and the segment.
    uint256 private constant BODY_PLACE = 21 * 32;
    uint256 private constant PROOF_PLACE = 22 * 32;

    /// @notice Body of `IAuditCourt.callUp`, whose encoded arguments it takes.
    /// @param window Seconds of a claim window of this task.
    function callUp(CourtState storage state, Bench memory bench, uint256 window, bytes calldata arguments) external {
        (TaskTerms memory terms, uint32 segment) = abi.decode(arguments, (TaskTerms, uint32));
        (ClaimBody calldata body, bytes32[] calldata proof) = _tailOf(arguments);
        Finality.price(bench, terms);
        Task memory task = bench.market.taskOf(terms.id);
        require(terms.hash() == task.termsHash, IAuditCourt.WrongTerms(terms.id));
        require(task.state == TaskState.Auditing, IAuditCourt.WrongTaskState(terms.id, task.state));
        require(msg.sender != task.solver, IAuditCourt.OwnWork(terms.id));
        // INVARIANT: no demand for data moves this, so a task's end is moved by one claim window at most.
        require(block.timestamp <= task.deadline, IAuditCourt.WrongWindow(0, task.deadline));
        require(task.called < MOST, IAuditCourt.TooManyCalls(terms.id));
        bytes32 slotKey = CourtKeys.slotKey(terms.id, segment);
        SlotState now_ = state.slots[slotKey].state;
        require(
            now_ == SlotState.None && segment >= terms.firstAudited() && segment < terms.segmentCount(),
            IAuditCourt.WrongSlot(segment, now_)
        );
        ClaimBodies.check(terms, segment, body, proof);
        // INVARIANT: a segment that nobody condemns passes by itself.
        require(body.endRoot != body.checkpointRoot, IAuditCourt.BadClaim("end root"));
        uint256 deadline = block.timestamp + window;
        state.slots[slotKey] = SlotRecord({
            state: SlotState.Drawn,
            round: CourtKeys.CALLED,
            verifier: msg.sender,
            claimDeadline: uint32(deadline),
            claims: 1,
            openDisputes: 0,
            marks: CourtKeys.POSTED
        });
        ClaimData storage claim = state.claims[CourtKeys.claimKey(slotKey, CourtKeys.CALLED, 0)];
        (claim.bodyHash, claim.endRoot) = (keccak256(abi.encode(body)), body.endRoot);
        state.calls[CourtKeys.callKey(terms.id, task.called)] = segment;
        emit IAuditCourt.SegmentCalled(terms.id, segment, msg.sender, uint64(deadline));
        emit IAuditCourt.ClaimPosted(terms.id, segment, CourtKeys.CALLED, 0, msg.sender, body, 0);
        bench.market.countCall(terms.id);
        bench.vault
            .lock(CourtKeys.engagement(slotKey, CourtKeys.CALLED, msg.sender), msg.sender, bench.deposit + bench.bond);
    }

    /// @dev Body and proof where they came, at offsets that the court's decoder has checked.
    function _tailOf(bytes calldata arguments)
        private
        pure
        returns (ClaimBody calldata body, bytes32[] calldata proof)
    {
        assembly ("memory-safe") {
            body := add(arguments.offset, calldataload(add(arguments.offset, BODY_PLACE)))
            let place := add(arguments.offset, calldataload(add(arguments.offset, PROOF_PLACE)))
            proof.length := calldataload(place)
            proof.offset := add(place, 32)
        }
    }
}
