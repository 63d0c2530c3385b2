// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, SlotState} from "../interfaces/IAuditCourt.sol";
import {CourtKeys, CourtState, Report, SlotRecord} from "./CourtState.sol";

/// @title What withheld data and malformed starts do to a segment. The court's code in a library of its own, for its size.
library SegmentData {
    /// @notice Body of `IAuditCourt.failStart`.
    /// @param rest Zero for a malformed start; for a withheld one the account that takes the first finder's share where nobody is due it.
    function failStart(CourtState storage state, uint256 task, uint32 segment, address by, address rest) external {
        bytes32 key = CourtKeys.slotKey(task, segment);
        SlotRecord storage slot = state.slots[key];
        SlotState now_ = slot.state;
        require(now_ == SlotState.Drawn || now_ == SlotState.Redrawing, IAuditCourt.WrongSlot(segment, now_));
        address verifier = slot.verifier;
        bool ahead = now_ == SlotState.Drawn && slot.marks == 0 && block.timestamp <= slot.claimDeadline;
        if (rest == address(0)) {
            emit IAuditCourt.StartMalformed(task, segment, by);
        } else {
            // INVARIANT: who is about to be shown wrong gains nothing by letting a friend's demand lapse: that takes no finder's place, and the
            // friend gets a second finder's share.
            ahead = ahead
                || (slot.marks == CourtKeys.POSTED
                    && !state.claims[CourtKeys.claimKey(key, slot.round, 0)].head.convicted);
        }
        state.reports[key] = Report(by, by == verifier ? address(0) : ahead ? verifier : rest);
        slot.state = rest == address(0) ? SlotState.Failed : SlotState.Withheld;
        slot.marks = CourtKeys.MALFORMED;
        emit IAuditCourt.SegmentFinal(task, segment, slot.round, slot.state, CourtKeys.MALFORMED);
    }

    /// @notice Body of `IAuditCourt.extendClaims`.
    /// @param most Seconds that a round may be extended by in all.
    function extendClaims(CourtState storage state, uint256 task, uint32 segment, uint64 deadline, uint256 most)
        external
    {
        bytes32 key = CourtKeys.slotKey(task, segment);
        SlotRecord storage slot = state.slots[key];
        require(slot.state == SlotState.Drawn, IAuditCourt.WrongSlot(segment, slot.state));
        uint256 first = slot.claimDeadline - state.redraws[key].extension;
        // INVARIANT: whatever is demanded, a round ends.
        require(
            deadline >= first && deadline <= first + most, IAuditCourt.WrongWindow(uint64(first), uint64(first + most))
        );
        slot.claimDeadline = uint32(deadline);
        state.redraws[key].extension = uint32(deadline - first);
        emit IAuditCourt.ClaimsExtended(task, segment, slot.round, deadline);
    }
}
