// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DisputeGame} from "../../../contracts/dispute/DisputeGame.sol";
import {DisputeProofs} from "../../../contracts/dispute/DisputeProofs.sol";
import {IAuditCourt, Slot, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {
    Dispute,
    DisputeParameters,
    IDisputeBoard,
    LeafProof,
    Outcome,
    Phase
} from "../../../contracts/interfaces/IDisputeGame.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";
import {ITaskMarket, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {DisputeFixture, Match} from "./DisputeFixture.sol";
import {Lie, ToyTask} from "./ToyTask.sol";

/// @title Clocks, reveals that serve several disputes, ends without a proof, and proofs that do not fold.
abstract contract DisputeEnds is DisputeFixture {
    Phase[10] private _phases = [
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

    // Clocks

    function test_move_inTheLastSecond_counts() public {
        Match memory m = open(large());
        for (uint256 i = 0; i < _phases.length; ++i) {
            playTo(m, _phases[i]);
            uint256 snapshot = vm.snapshotState();
            uint64 deadline = game.deadlineOf(m.id);
            vm.warp(deadline);
            vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.ClockRunning.selector, deadline));
            game.timeout(m.id);
            move(m);
            vm.revertToState(snapshot);
            vm.warp(deadline + 1);
            expectMove(m, abi.encodeWithSelector(IDisputeBoard.ClockExpired.selector, deadline));
            game.timeout(m.id);
            assertOutcome(m.id, i % 2 == 0 ? Outcome.DefenderConvicted : Outcome.ChallengeFailed);
            vm.revertToState(snapshot);
        }
    }

    function test_timeout_ofTheDefender_paysTheChallenger() public {
        Match memory m = open(small(2));
        vm.warp(block.timestamp + CLOCK + 1);
        vm.prank(bystander);
        game.timeout(m.id);
        assertBonds(BOND, 0, 0);
        assertEq(court.lastWinner(), challenger);
        assertEq(court.closed(), 1);
    }

    function test_timeout_ofTheChallenger_paysTheDefenderHalf() public {
        Match memory m = open(small(2));
        move(m);
        vm.warp(block.timestamp + CLOCK + 1);
        vm.prank(bystander);
        game.timeout(m.id);
        assertBonds(0, BOND / 2, BOND - BOND / 2);
        assertEq(court.convictions(), 0);
        assertEq(court.closed(), 1);
    }

    function test_clock_isOneBudgetForAllTurns_withALeastTimeEach() public {
        Match memory m = open(small(2));
        vm.warp(START + CLOCK - 100);
        move(m);
        assertEq(game.disputeOf(m.id).defenderClock, 100);
        assertEq(game.deadlineOf(m.id), START + CLOCK - 100 + CLOCK);
        move(m);
        assertEq(game.disputeOf(m.id).challengerClock, CLOCK);
        assertEq(game.deadlineOf(m.id), START + CLOCK - 100 + INCREMENT);
    }

    // Reveals that serve several disputes

    function test_reveal_servesEveryDisputeOfTheClaim() public {
        Match memory m = open(large());
        uint256 first = m.id;
        open(m);
        playTo(m, Phase.Prove);
        m.id = first;
        uint256 before = reveals;
        playTo(m, Phase.Resolved);
        assertEq(reveals, before);
        assertOutcome(first, Outcome.DefenderConvicted);
    }

    function test_reveal_elsewhere_stopsTheClockAtItsTime() public {
        Match memory m = open(small(2));
        uint256 first = m.id;
        vm.warp(START + 50);
        open(m);
        vm.warp(START + 70);
        move(m);
        vm.warp(START + 1000);
        Dispute memory seen = game.disputeOf(first);
        assertEq(uint8(seen.phase), uint8(Phase.PickStep));
        assertEq(seen.turnStart, START + 70);
        assertEq(seen.defenderClock, CLOCK - 70);
        assertEq(game.deadlineOf(first), START + 70 + CLOCK);
        assertEq(game.disputeOf(m.id).defenderClock, CLOCK - 20);
        m.id = first;
        move(m);
        assertEq(game.disputeOf(first).challengerClock, CLOCK - 930);
        vm.warp(START + 70 + CLOCK + 1);
    }

    function test_reveal_elsewhere_doesNotExtendTheChallengersTurn() public {
        Match memory m = open(small(2));
        uint256 first = m.id;
        open(m);
        vm.warp(START + 70);
        move(m);
        vm.warp(START + 70 + CLOCK + 1);
        game.timeout(first);
        assertOutcome(first, Outcome.ChallengeFailed);
    }

    function test_reveal_elsewhereAfterTheDeadline_savesNobody() public {
        Match memory m = open(small(2));
        uint256 first = m.id;
        vm.warp(START + 100);
        open(m);
        vm.warp(START + CLOCK + 1);
        move(m);
        assertEq(uint8(phaseOf(m.id)), uint8(Phase.PickStep));
        assertEq(uint8(phaseOf(first)), uint8(Phase.States));
        m.id = first;
        expectMove(m, abi.encodeWithSelector(IDisputeBoard.ClockExpired.selector, uint64(START + CLOCK)));
        game.timeout(first);
        assertOutcome(first, Outcome.DefenderConvicted);
    }

    function test_pick_ofWhatWasRevealed_keepsTheTurn() public {
        Match memory m = open(small(2));
        uint256 first = m.id;
        open(m);
        playTo(m, Phase.PickNode);
        m.id = first;
        vm.warp(block.timestamp + 10);
        assertEq(uint8(phaseOf(first)), uint8(Phase.PickStep));
        move(m);
        Dispute memory seen = game.disputeOf(first);
        assertEq(uint8(seen.phase), uint8(Phase.PickNode));
        assertEq(seen.defenderClock, CLOCK);
        assertEq(seen.turnStart, block.timestamp);
    }

    // Ends elsewhere

    function test_withdraw_ofALiveDispute_reverts() public {
        Match memory m = open(small(2));
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.StillLive.selector, m.id));
        game.withdraw(m.id);
    }

    function test_withdraw_whenTheClaimFellElsewhere_returnsTheBond() public {
        Match memory m = open(small(2));
        court.convict(ref(0), false, bystander);
        assertWithdrawn(m);
    }

    function test_withdraw_whenTheTaskEnded_returnsTheBond() public {
        Match memory m = open(small(2));
        market.setState(TaskState.Void);
        assertWithdrawn(m);
    }

    function test_withdraw_whenTheSegmentEnded_returnsTheBond() public {
        Match memory m = open(small(2));
        Slot memory slot = court.slotOf(1, SEGMENT);
        slot.state = SlotState.Failed;
        court.setSlot(slot);
        assertWithdrawn(m);
    }

    function assertWithdrawn(Match memory m) private {
        vm.warp(block.timestamp + CLOCK + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.Moot.selector, m.id));
        game.timeout(m.id);
        vm.prank(bystander);
        game.withdraw(m.id);
        assertOutcome(m.id, Outcome.Withdrawn);
        assertBonds(BOND, 0, 0);
        assertEq(court.closed(), 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongPhase.selector, m.id, Phase.Resolved));
        game.withdraw(m.id);
    }

    function test_prove_whenTheClaimFellElsewhere_reverts() public {
        Match memory m = open(small(2));
        playTo(m, Phase.Prove);
        court.convict(ref(0), false, bystander);
        expectMove(m, abi.encodeWithSelector(IDisputeBoard.Moot.selector, m.id));
    }

    function test_digestDispute_outlivesAConvictionAboutTheEndRoot() public {
        Match memory m = openDigest(small(2), 1);
        court.convict(ref(0), false, bystander);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.StillLive.selector, m.id));
        game.withdraw(m.id);
        vm.warp(block.timestamp + CLOCK + 1);
        game.timeout(m.id);
        assertTrue(court.lastWasDigest());
    }

    // What does not fold

    function test_reveal_ofSomethingElse_reverts() public {
        Match memory m = open(large());
        bytes memory error_ = abi.encodeWithSelector(IDisputeBoard.DoesNotFold.selector);
        uint256 good = vm.snapshotState();
        m.theirs.states[1] ^= bytes32(uint256(1));
        expectMove(m, error_);
        m.theirs.states[1] ^= bytes32(uint256(1));
        vm.revertToState(good);
        playTo(m, Phase.Step);
        expectSpoiltLeaf(m, 65, error_); // the last leaf is the state root
        playTo(m, Phase.Nodes);
        expectSpoiltLeaf(m, 64, error_);
        playTo(m, Phase.Chunks);
        expectSpoiltByte(m, error_);
        playTo(m, Phase.Data);
        expectSpoiltByte(m, error_);
    }

    function expectSpoiltLeaf(Match memory m, uint256 leaf, bytes memory error_) private {
        m.theirs.leaves[1][leaf] ^= bytes32(uint256(1));
        expectMove(m, error_);
        m.theirs.leaves[1][leaf] ^= bytes32(uint256(1));
    }

    function expectSpoiltByte(Match memory m, bytes memory error_) private {
        m.theirs.values[1][64][1026] ^= bytes1(uint8(1));
        expectMove(m, error_);
        m.theirs.values[1][64][1026] ^= bytes1(uint8(1));
    }

    function test_reveal_ofTooManyOrTooFew_reverts() public {
        Match memory m = open(large());
        bytes32[] memory three = new bytes32[](3);
        bytes32[] memory none = new bytes32[](0);
        vm.startPrank(defender);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 2));
        game.revealStates(m.id, three);
        vm.stopPrank();
        playTo(m, Phase.Step);
        vm.startPrank(defender);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 2));
        game.revealStep(m.id, three, none);
        vm.stopPrank();
        playTo(m, Phase.Nodes);
        vm.startPrank(defender);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 2));
        game.revealNodes(m.id, three);
        vm.stopPrank();
        playTo(m, Phase.Chunks);
        vm.startPrank(defender);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 2));
        game.revealChunks(m.id, m.toy.nodes[64], three);
        vm.stopPrank();
        playTo(m, Phase.Data);
        vm.startPrank(defender);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 7, 6));
        game.revealData(m.id, m.toy.nodes[64], "1234567");
        vm.expectRevert(IDisputeBoard.WrongProgram.selector);
        game.revealData(m.id, m.toy.nodes[63], "123456");
        vm.stopPrank();
    }

    function test_pick_ofAnotherProgramsNode_reverts() public {
        Match memory m = open(large());
        playTo(m, Phase.PickNode);
        bytes memory error_ = abi.encodeWithSelector(IDisputeBoard.WrongProgram.selector);
        bytes memory node = m.toy.nodes[64];
        m.toy.nodes[64] = m.toy.nodes[63];
        expectMove(m, error_);
        m.toy.nodes[64] = node;
        m.toy.header[161] ^= bytes1(uint8(1));
        expectMove(m, error_);
    }

    function test_pick_outsideTheSubtreeShown_reverts() public {
        Match memory m = open(large());
        playTo(m, Phase.PickNode);
        bytes32[] memory none = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 64));
        vm.prank(challenger);
        game.pickNode(m.id, m.terms, 3, 0, none, m.toy.header, m.toy.nodes[3], none);
    }

    function test_prove_withWrongProofs_reverts() public {
        Match memory m = open(large());
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        bytes memory chunk = ToyTask.chunkOf(m.theirs.values[1][64], 1);
        LeafProof memory leaf = leafProof(m, 1, 64, 1025);
        assertEq(dispute.node, 64);

        leaf.element = 3; // in the other chunk
        expectProve(m, chunk, leaf, abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 1));
        leaf.element = 1030; // beyond the tensor
        expectProve(m, chunk, leaf, abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 1030, 1));
        leaf.element = 1025;

        leaf.reads[0].chunks[1] ^= bytes1(uint8(1));
        expectProve(m, chunk, leaf, abi.encodeWithSelector(IDisputeBoard.DoesNotFold.selector));
        leaf.reads[0].chunks[1] ^= bytes1(uint8(1));

        leaf.reads[0].header = ToyTask.tensorHeader(2, 1030);
        vm.expectRevert();
        provePublic(m, chunk, leaf);
        leaf.reads[0].header = ToyTask.tensorHeader(5, 1030);

        bytes memory root = abi.encodePacked(ToyTask.rootOf(m.toy, m.theirs.values[1][63]));
        (leaf.reads[0].count, leaf.reads[0].chunks) = (0, root);
        expectProve(m, chunk, leaf, abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 32, 32));
        (leaf.reads[0].header, leaf.reads[0].chunkProof) = ("", new bytes32[](0));
        vm.expectRevert(); // the executor wants an element, not a root
        provePublic(m, chunk, leaf);

        leaf = leafProof(m, 1, 64, 1025);
        leaf.reads[0].slot = 1;
        vm.expectRevert();
        provePublic(m, chunk, leaf);
        leaf = leafProof(m, 1, 64, 1025);
        chunk[0] ^= bytes1(uint8(1));
        expectProve(m, chunk, leaf, abi.encodeWithSelector(IDisputeBoard.DoesNotFold.selector));
        chunk[0] ^= bytes1(uint8(1));
        leaf.header[161] ^= bytes1(uint8(1));
        expectProve(m, chunk, leaf, abi.encodeWithSelector(IDisputeBoard.WrongProgram.selector));
        leaf.header[161] ^= bytes1(uint8(1));
        m.terms.seed = 9;
        expectProve(m, chunk, leaf, abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, 1));
        m.terms.seed = 7;
        provePublic(m, chunk, leaf);
        assertOutcome(m.id, Outcome.DefenderConvicted);
    }

    function expectProve(Match memory m, bytes memory chunk, LeafProof memory leaf, bytes memory error_) private {
        vm.expectRevert(error_);
        provePublic(m, chunk, leaf);
    }

    function provePublic(Match memory m, bytes memory chunk, LeafProof memory leaf) private {
        vm.prank(challenger);
        game.prove(m.id, m.terms, chunk, leaf);
    }

    // The two contracts

    function test_deploy_withOtherParameters_fails() public {
        DisputeProofs proofs = game.proofs();
        DisputeParameters memory other = game.parameters();
        other.clock = 1;
        vm.expectRevert();
        new DisputeGame(
            IAuditCourt(address(court)),
            ITaskMarket(address(market)),
            IStakeVault(address(vault)),
            proofs,
            treasury,
            other
        );
    }

    function test_proofs_calledByThemselves_knowNoDispute() public {
        Match memory m = open(small(2));
        playTo(m, Phase.Prove);
        DisputeProofs proofs = game.proofs();
        bytes memory chunk = ToyTask.chunkOf(m.theirs.values[1][2], 0);
        LeafProof memory leaf = leafProof(m, 1, 2, 3);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongPhase.selector, m.id, Phase.None));
        vm.prank(challenger);
        proofs.prove(m.id, m.terms, chunk, leaf);
    }

    function test_pathOf_isWhatRevealsAreKeptUnder() public {
        Match memory m = open(small(2));
        move(m);
        bytes32 path = game.pathOf(ref(0), Phase.States, 0, 0, 0, 0);
        (uint64 moment, bytes32 root) = game.revealOf(path);
        assertEq(moment, block.timestamp);
        assertEq(root, game.disputeOf(m.id).target);
        (moment,) = game.revealOf(game.pathOf(ref(1), Phase.States, 0, 0, 0, 0));
        assertEq(moment, 0);
    }
}
