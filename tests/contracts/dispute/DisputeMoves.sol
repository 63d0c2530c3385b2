// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimRecord, IAuditCourt, Slot, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {Dispute, IDisputeBoard, LeafProof, Outcome, Phase} from "../../../contracts/interfaces/IDisputeGame.sol";
import {ITaskMarket, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {DisputeFixture, Match} from "./DisputeFixture.sol";
import {Lie, ToyTask} from "./ToyTask.sol";

/// @title Moves and ends of one dispute: what is legal in which phase, and by whom.
abstract contract DisputeMoves is DisputeFixture {
    // Whole disputes

    function test_dispute_ofALie_convictsTheDefender() public {
        Match memory m = open(large());
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
        assertBonds(BOND, 0, 0);
        assertEq(court.convictions(), 1);
        assertEq(court.lastWinner(), challenger);
        assertFalse(court.lastWasDigest());
        assertEq(court.opened(), 1);
        assertEq(court.closed(), 1);
        assertEq(reveals, 5);
        assertEq(picks, 5);
    }

    function test_dispute_picksTheLie() public {
        Match memory m = open(large());
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        assertEq(dispute.step, 1);
        assertEq(dispute.node, 64);
        assertEq(dispute.index, 1);
    }

    function test_dispute_withOneStep_skipsTheStates() public {
        Match memory m = open(small(1));
        assertEq(uint8(phaseOf(m.id)), uint8(Phase.Step));
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
        assertEq(reveals, 2);
        assertEq(picks, 2);
    }

    function test_dispute_ofAnHonestClaim_endsInALeafThatAgrees() public {
        Match memory m = open(arrange(ToyTask.make(5, 10, 1), 2, noLie(), Lie(0, 2, 3, 1)));
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        bytes memory value = abi.encodePacked(m.theirs.values[dispute.step][dispute.node][3]);
        expectMove(m, abi.encodeWithSelector(IDisputeBoard.LeafAgrees.selector, value));
        vm.warp(block.timestamp + CLOCK + 1);
        game.timeout(m.id);
        assertOutcome(m.id, Outcome.ChallengeFailed);
        assertBonds(0, BOND / 2, BOND - BOND / 2);
        assertEq(court.convictions(), 0);
        assertEq(court.closed(), 1);
    }

    function test_dispute_aboutTheStateNode_convicts() public {
        // The defender's last tensor is not the list of its nodes' roots.
        Match memory m = arrange(ToyTask.make(5, 10, 1), 1, noLie(), noLie());
        bytes memory roots = abi.encodePacked(keccak256("another"), ToyTask.rootOf(m.toy, m.toy.frozen));
        bytes32 state = ToyTask.tensorRoot(ToyTask.tensorHeader(7, 2), roots);
        m.theirs.values[0][4] = roots;
        m.theirs.leaves[0][4] = sha256(abi.encodePacked(uint8(0), state));
        m.theirs.states[0] = state;
        m.body.endRoot = state;
        post(m);
        open(m);
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
    }

    // Opening

    function test_open_byAnother_reverts() public {
        Match memory m = small(2);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.NotYourMove.selector, bystander, challenger));
        vm.prank(bystander);
        game.open(m.terms, ref(0), 1, m.body, false, 0);
    }

    function test_open_withEqualEndRoots_reverts() public {
        Match memory m = arrange(ToyTask.make(5, 10, 1), 2, noLie(), noLie());
        expectOpen(m, abi.encodeWithSelector(IDisputeBoard.NotDisputable.selector));
    }

    function test_open_againstAConvictedClaim_reverts() public {
        Match memory m = small(2);
        court.convict(ref(0), false, bystander);
        expectOpen(m, abi.encodeWithSelector(IDisputeBoard.NotDisputable.selector));
    }

    function test_open_againstOneself_reverts() public {
        Match memory m = small(2);
        ClaimRecord memory record = court.claimOf(ref(0));
        record.claimant = challenger;
        court.setClaim(ref(0), record);
        expectOpen(m, abi.encodeWithSelector(IDisputeBoard.NotDisputable.selector));
    }

    function test_open_againstAnUnknownClaim_reverts() public {
        Match memory m = small(2);
        vm.expectRevert(IDisputeBoard.NotDisputable.selector);
        vm.prank(challenger);
        game.open(m.terms, ref(7), 1, m.body, false, 0);
    }

    function test_open_outsideTheWindow_reverts() public {
        Match memory m = small(2);
        bytes memory error_ =
            abi.encodeWithSelector(IAuditCourt.WrongWindow.selector, uint64(START - 1), uint64(START + 1 days));
        vm.warp(START - 1);
        expectOpen(m, error_);
        vm.warp(START + 1 days + 1);
        expectOpen(m, error_);
        vm.warp(START + 1 days);
        open(m);
    }

    function test_open_withOtherTerms_reverts() public {
        Match memory m = small(2);
        m.terms.seed = 8;
        expectOpen(m, abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, 1));
    }

    function test_open_withAnotherBody_reverts() public {
        Match memory m = small(2);
        m.body.digest = "12345678";
        expectOpen(m, abi.encodeWithSelector(IDisputeBoard.WrongBody.selector));
    }

    function test_open_inAnotherRound_reverts() public {
        Match memory m = small(2);
        Slot memory slot = court.slotOf(1, SEGMENT);
        slot.round = 1;
        court.setSlot(slot);
        expectOpen(m, abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, SEGMENT, SlotState.Drawn));
    }

    function test_open_whenTheTaskIsNotAudited_reverts() public {
        Match memory m = small(2);
        market.setState(TaskState.Void);
        expectOpen(m, abi.encodeWithSelector(IDisputeBoard.NotDisputable.selector));
    }

    function test_open_aboutADigestEntryBeyondTheSegment_reverts() public {
        Match memory m = small(2);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 2, 2));
        vm.prank(challenger);
        game.open(m.terms, ref(0), 1, m.body, true, 2);
    }

    function expectOpen(Match memory m, bytes memory error_) private {
        vm.expectRevert(error_);
        vm.prank(challenger);
        game.open(m.terms, ref(0), 1, m.body, false, 0);
    }

    // Who may move

    function test_reveal_ofStatesAndStep_byAnother_reverts() public {
        Match memory m = open(large());
        address owner = defender;
        bytes memory error_ = abi.encodeWithSelector(IDisputeBoard.NotYourMove.selector, bystander, defender);
        Phase[2] memory phases = [Phase.States, Phase.Step];
        for (uint256 i = 0; i < 2; ++i) {
            playTo(m, phases[i]);
            defender = bystander;
            expectMove(m, error_);
            defender = owner;
        }
    }

    function test_reveal_belowTheStep_byAnybody() public {
        Match memory m = open(large());
        address owner = defender;
        Phase[3] memory phases = [Phase.Nodes, Phase.Chunks, Phase.Data];
        for (uint256 i = 0; i < 3; ++i) {
            playTo(m, phases[i]);
            defender = bystander;
            move(m);
            defender = owner;
        }
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
    }

    function test_pick_byAnother_reverts() public {
        Match memory m = open(large());
        address owner = challenger;
        Phase[5] memory phases = [Phase.PickStep, Phase.PickBlock, Phase.PickNode, Phase.PickChunk, Phase.Prove];
        for (uint256 i = 0; i < 5; ++i) {
            playTo(m, phases[i]);
            challenger = bystander;
            expectMove(m, abi.encodeWithSelector(IDisputeBoard.NotYourMove.selector, bystander, owner));
            challenger = owner;
        }
    }

    // Which moves fit which phase

    function test_move_outOfItsPhase_reverts() public {
        Match memory m = open(large());
        Phase[10] memory phases = [
            Phase.States,
            Phase.PickStep,
            Phase.Step,
            Phase.PickBlock,
            Phase.Nodes,
            Phase.PickNode,
            Phase.Chunks,
            Phase.PickChunk,
            Phase.Data,
            Phase.Prove
        ];
        for (uint256 i = 0; i < phases.length; ++i) {
            playTo(m, phases[i]);
            refuseAllBut(m, phases[i]);
        }
        playTo(m, Phase.Resolved);
        refuseAllBut(m, Phase.Resolved);
    }

    function test_move_inADisputeThatDoesNotExist_reverts() public {
        Match memory m = small(2);
        m.id = 17;
        refuseAllBut(m, Phase.None);
    }

    /// @dev Tries every move but the one that fits, as whoever would be allowed to.
    function refuseAllBut(Match memory m, Phase phase) internal {
        uint256 id = m.id;
        bytes32[] memory none = new bytes32[](0);
        LeafProof memory nothing;
        bytes memory error_ = abi.encodeWithSelector(IDisputeBoard.WrongPhase.selector, id, phase);
        vm.startPrank(defender);
        if (phase != Phase.States) {
            vm.expectRevert(error_);
            game.revealStates(id, none);
        }
        if (phase != Phase.Step) {
            vm.expectRevert(error_);
            game.revealStep(id, none, none);
        }
        if (phase != Phase.Nodes) {
            vm.expectRevert(error_);
            game.revealNodes(id, none);
        }
        if (phase != Phase.Chunks) {
            vm.expectRevert(error_);
            game.revealChunks(id, "", none);
        }
        if (phase != Phase.Data) {
            vm.expectRevert(error_);
            game.revealData(id, "", "");
        }
        if (phase != Phase.Parts) {
            vm.expectRevert(error_);
            game.revealParts(id, "", "");
        }
        vm.stopPrank();
        vm.startPrank(challenger);
        if (phase != Phase.PickStep) {
            vm.expectRevert(error_);
            game.pickStep(id, 0, 0, 0, none);
        }
        if (phase != Phase.PickBlock) {
            vm.expectRevert(error_);
            game.pickBlock(id, 0, 0, none);
        }
        if (phase != Phase.PickNode) {
            vm.expectRevert(error_);
            game.pickNode(id, m.terms, 0, 0, none, "", "", none);
        }
        if (phase != Phase.PickChunk) {
            vm.expectRevert(error_);
            game.pickChunk(id, "", 0, 0, none);
        }
        if (phase != Phase.Prove) {
            vm.expectRevert(error_);
            game.prove(id, m.terms, "", nothing);
            vm.expectRevert(error_);
            game.pickElement(id, m.terms, "", nothing);
        }
        if (phase != Phase.ProvePart) {
            vm.expectRevert(error_);
            game.provePart(id, m.terms, 0, "", nothing);
        }
        if (phase == Phase.None || phase == Phase.Resolved) {
            vm.expectRevert(error_);
            game.timeout(id);
            vm.expectRevert(error_);
            game.withdraw(id);
        }
        vm.stopPrank();
    }
}
