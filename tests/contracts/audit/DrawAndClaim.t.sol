// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRecord, IAuditCourt, Slot, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {IRandomBeacon} from "../../../contracts/interfaces/IRandomBeacon.sol";
import {TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Endings} from "../actors/Endings.sol";

/// @title A draw and the first claim in one call: what both give one after the other, or nothing.
contract DrawAndClaimTest is Endings {
    uint32[] private _segments;
    address[] private _drawn;

    /// @dev Committed, the value known; who will be drawn for what is known too.
    function _foresee() private {
        toCommitted(0);
        rollToValue();
        uint256 before = vm.snapshotState();
        court.drawAudits(terms);
        uint32[] memory segments = drawnSegments();
        address[] memory drawn = new address[](segments.length);
        for (uint256 i = 0; i < segments.length; ++i) {
            drawn[i] = verifierOf(segments[i]);
        }
        vm.revertToState(before);
        (_segments, _drawn) = (segments, drawn);
    }

    function _undrawn() private view returns (uint32 segment) {
        while (segment == _segments[0] || segment == _segments[1]) ++segment;
    }

    function _refused(address by, uint32 segment, bytes memory error) private {
        ClaimBody memory body = bodyFor(segment, honestEnd(segment));
        bytes32[] memory proof = checkpointProof(segment);
        uint96 free = vault.freeStakeOf(by);
        vm.expectRevert(error);
        vm.prank(by);
        court.drawAndClaim(terms, segment, body, proof);
        assertEq(vault.freeStakeOf(by), free);
    }

    function _refusedUndrawn(address by, uint32 segment, bytes memory error) private {
        _refused(by, segment, error);
        assertTask(TaskState.Committed);
        assertSlot(segment, SlotState.None);
    }

    function _books() private view returns (bytes32) {
        Slot[2] memory slots;
        ClaimRecord[2] memory claims;
        for (uint256 i = 0; i < 2; ++i) {
            (slots[i], claims[i]) = (court.slotOf(terms.id, _segments[i]), claimOf(_segments[i], 0));
        }
        uint96[3] memory money =
            [vault.freeStakeOf(verifier), vault.freeStakeOf(secondVerifier), vault.owedTo(address(market))];
        return keccak256(abi.encode(slots, claims, money, market.taskOf(terms.id)));
    }

    // Where it can be

    function test_drawAndClaim_eitherSegment_isDrawAndThenClaim() public {
        _foresee();
        for (uint256 i = 0; i < 2; ++i) {
            uint32 segment = _segments[i];
            ClaimBody memory body = bodyFor(segment, i == 0 ? honestEnd(segment) : bytes32("other"));
            bytes32[] memory proof = checkpointProof(segment);
            uint256 before = vm.snapshotState();
            court.drawAudits(terms);
            vm.prank(_drawn[i]);
            court.postClaim(terms, segment, body, proof);
            bytes32 books = _books();
            vm.revertToState(before);
            vm.expectEmit(address(court));
            emit IAuditCourt.ClaimPosted(terms.id, segment, 0, 0, _drawn[i], body, 0);
            vm.prank(_drawn[i]);
            court.drawAndClaim(terms, segment, body, proof);
            assertEq(_books(), books);
            assertTask(TaskState.Auditing);
            assertEq(claimOf(segment, 0).bodyHash, keccak256(abi.encode(body)));
            assertEq(claimOf(_segments[1 - i], 0).bodyHash, 0);
            vm.revertToState(before);
        }
    }

    function test_drawAndClaim_thenTheOtherClaims_settles() public {
        _foresee();
        ClaimBody memory body = bodyFor(_segments[0], honestEnd(_segments[0]));
        bytes32[] memory proof = checkpointProof(_segments[0]);
        vm.prank(_drawn[0]);
        court.drawAndClaim(terms, _segments[0], body, proof);
        claimHonestly(_segments[1]);
        passUnblindWindow(_segments[0]);
        market.settle(terms);
        assertTask(TaskState.Settled);
        assertEq(vault.owedTo(_drawn[0]), terms.wage * (_drawn[0] == _drawn[1] ? 2 : 1));
    }

    // Where it cannot

    function test_drawAndClaim_byWhoIsNotDrawn_reverts() public {
        _foresee();
        bytes memory error = abi.encodeWithSelector(IAuditCourt.NotDrawnVerifier.selector, outsider, _drawn[0]);
        _refusedUndrawn(outsider, _segments[0], error);
        error = abi.encodeWithSelector(IAuditCourt.NotDrawnVerifier.selector, solver, _drawn[1]);
        _refusedUndrawn(solver, _segments[1], error);
    }

    function test_drawAndClaim_segmentThatIsNotDrawn_reverts() public {
        _foresee();
        bytes memory error = abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, _undrawn(), SlotState.None);
        _refusedUndrawn(_drawn[0], _undrawn(), error);
    }

    /// @dev A draw that comes not far enough notes nothing either: the next one begins where it would have.
    function test_drawAndClaim_drawThatStalls_reverts() public {
        enroll(outsider, 1_000_000 * TOKEN);
        vm.roll(block.number + 1);
        withdraw(outsider, 1_000_000 * TOKEN);
        toCommitted(0);
        rollToValue();
        uint256 before = vm.snapshotState();
        court.drawAudits(terms);
        assertTask(TaskState.Committed);
        vm.revertToState(before);
        for (uint32 segment = 0; segment < 5; ++segment) {
            bytes memory error = abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, segment, SlotState.None);
            _refusedUndrawn(verifier, segment, error);
        }
    }

    function test_drawAndClaim_outsideTheDrawsWindow_reverts() public {
        toCommitted(0);
        uint64 target = beacon.targetOf(address(market), bytes32(terms.id));
        _refusedUndrawn(verifier, 1, abi.encodeWithSelector(IRandomBeacon.TooEarly.selector, target));
        delete terms;
        _foresee();
        uint64 deadline = market.deadlineOf(terms.id);
        vm.warp(deadline + 1);
        bytes memory error = abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, 0, deadline);
        _refusedUndrawn(_drawn[0], _segments[0], error);
    }

    function test_drawAndClaim_onceDrawn_reverts() public {
        _foresee();
        court.drawAudits(terms);
        bytes memory error = abi.encodeWithSelector(IAuditCourt.WrongTaskState.selector, terms.id, TaskState.Auditing);
        _refused(_drawn[0], _segments[0], error);
        assertSlot(_segments[0], SlotState.Drawn);
        assertEq(claimOf(_segments[0], 0).bodyHash, 0);
    }

    function test_drawAndClaim_badBodyOrProof_reverts() public {
        _foresee();
        (uint32 segment, address by) = (_segments[0], _drawn[0]);
        bytes32[] memory proof = checkpointProof(segment);
        ClaimBody memory body = bodyFor(segment, honestEnd(segment));
        body.digest = new bytes(8 * 4 + 8);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.BadClaim.selector, "digest"));
        vm.prank(by);
        court.drawAndClaim(terms, segment, body, proof);
        body = bodyFor(segment, honestEnd(segment));
        body.checkpointRoot = "another";
        vm.expectRevert(IAuditCourt.BadCheckpointProof.selector);
        vm.prank(by);
        court.drawAndClaim(terms, segment, body, proof);
        assertTask(TaskState.Committed);
    }

    /// @dev The terms are checked once, by the draw; those without the work root are no more the task's.
    function test_drawAndClaim_otherTerms_reverts() public {
        _foresee();
        bytes memory error = abi.encodeWithSelector(IAuditCourt.WrongTerms.selector, terms.id);
        terms.workRoot = 0;
        _refusedUndrawn(_drawn[0], _segments[0], error);
        terms.workRoot = workRoot;
        terms.wage += 1;
        _refusedUndrawn(_drawn[0], _segments[0], error);
    }
}
