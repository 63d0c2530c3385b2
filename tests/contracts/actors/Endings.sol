// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {FaultKind, ProgramFault} from "../../../contracts/interfaces/IProgramFaults.sol";
import {TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Scene} from "./Scene.sol";

/// @title Ways to bring the task into every state.
abstract contract Endings is Scene {
    bytes internal constant NODE = hex"00010203";
    /// @dev sha256(0x00 || NODE): a constant, because a call of the precompile would use up a test's `vm.expectRevert`.
    bytes32 internal constant NODE_LEAF = 0xa498efa8d0759e7b704095853db9bc1ef8cf65af37bed9d006c4b2917e695061;

    /// @dev The step program's only node is NODE, which the scripted checker may refuse.
    function programHeader(uint64 work, bytes32 salt) internal pure virtual override returns (bytes memory) {
        return abi.encodePacked(
            uint16(1),
            uint32(1),
            salt == "step" ? NODE_LEAF : salt,
            uint32(6),
            keccak256("state"),
            uint64(40),
            uint32(0),
            bytes32(0),
            uint32(0),
            bytes32(0),
            work
        );
    }

    /// @dev Proof that NODE, which is no encoded node, is in the step program.
    function fault() internal pure returns (ProgramFault memory proof) {
        proof.kind = FaultKind.Node;
        proof.header = programHeader(STEP_WORK, "step");
        proof.entries = new bytes[](1);
        proof.entries[0] = NODE;
        proof.proofs = new bytes32[][](1);
    }

    function toState(TaskState state) internal {
        if (state == TaskState.Open) toOpen();
        if (state == TaskState.Accepted) toAccepted();
        if (state == TaskState.Solving) toSolving();
        if (state == TaskState.Committed) toCommitted(0);
        if (state == TaskState.Auditing) toAuditing(0);
        if (state == TaskState.Settled) toEnd(0, true);
        if (state == TaskState.Rejected) toEnd(type(uint256).max, true);
        if (state == TaskState.Unavailable) toEnd(0, false);
        if (state == TaskState.Void) {
            toAuditing(0);
            market.voidInvalidProgram(terms, fault());
        }
        if (state == TaskState.Cancelled) {
            toOpen();
            vm.prank(submitter);
            market.cancel(terms);
        }
        if (state == TaskState.Expired) {
            toSolving();
            vm.warp(uint256(market.deadlineOf(terms.id)) + 1);
            market.expire(terms);
        }
        assertTask(state);
    }

    /// @dev All drawn verifiers claim honestly, or nobody ever does; then the task is settled.
    function toEnd(uint256 bad, bool claimed) internal {
        toAuditing(bad);
        uint32[] memory segments = drawnSegments();
        if (claimed) {
            for (uint256 i = 0; i < segments.length; ++i) {
                claimHonestly(segments[i]);
            }
            passUnblindWindow(segments[0]);
        } else {
            for (uint256 i = 0; i < segments.length; ++i) {
                missOut(segments[i]);
            }
        }
        market.settle(terms);
    }

    /// @dev Another account claims a segment blindly and opens that, until its claims can be disputed.
    function contest(address account, uint32 segment, bytes32 endRoot) internal {
        placeBlind(account, segment, endRoot);
        passClaimWindow(segment);
        unblind(account, segment, endRoot);
        passUnblindWindow(segment);
    }

    /// @dev As `contest`, of what the segment ends in; the account convicts the first claim, its end root or its digest, and all disputes are over.
    function refute(address account, uint32 segment, bool digest) internal {
        contest(account, segment, honestEnd(segment));
        convict(segment, 0, digest, account);
        passDisputeWindow(segment);
    }

    /// @dev Judges a claim of a segment's last round.
    function close(uint32 segment, uint16 index) internal {
        court.closeClaim(terms, segment, court.slotOf(terms.id, segment).round, index);
    }

    /// @dev Finders' share of the solver's deposit.
    function potOf() internal view returns (uint96) {
        return 3 * feeOf() * 3 / 10;
    }

    /// @dev What a claim locks.
    function lockOf() internal view returns (uint96) {
        return depositOf() + numbers.claimBond;
    }

    /// @dev Nobody claims in any round.
    function missOut(uint32 segment) internal {
        while (true) {
            passUnblindWindow(segment);
            court.finalize(terms, segment, 1);
            if (stateOf(segment) != SlotState.Redrawing) break;
            rollToValue();
            court.redraw(terms, segment);
        }
        assertSlot(segment, SlotState.Moot);
    }
}
