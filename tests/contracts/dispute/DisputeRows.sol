// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {
    Dispute,
    IDisputeBoard,
    LeafProof,
    Outcome,
    Phase,
    ReadProof
} from "../../../contracts/interfaces/IDisputeGame.sol";
import {IOpExecutor} from "../../../contracts/interfaces/IOpExecutor.sol";
import {DType} from "../../../contracts/types/DType.sol";
import {Op} from "../../../contracts/types/Op.sol";
import {TestTree} from "../actors/TestTree.sol";
import {Match} from "./DisputeFixture.sol";
import {DisputeMoves} from "./DisputeMoves.sol";
import {Lie, ToyTask} from "./ToyTask.sol";

/// @title Rows that one leaf does not carry: the element is picked, the defender shows its row's parts, one of them is proven false.
abstract contract DisputeRows is DisputeMoves {
    uint256 private constant BLOCK = 1024;

    /// @dev The block in whose part the defender hides what it got wrong.
    uint256 internal wrongBlock = 1;

    // Whole disputes

    function test_row_ofALie_convictsByAPart() public {
        Match memory m = open(row());
        playTo(m, Phase.Prove);
        (uint256 shown, uint256 picked) = (reveals, picks);
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
        assertBonds(BOND, 0, 0);
        assertEq(court.lastWinner(), challenger);
        assertEq(reveals, shown + 1);
        assertEq(picks, picked + 2);
    }

    function test_row_ofAnHonestClaim_endsInAPartThatAgrees() public {
        Match memory m = open(honestRow());
        playTo(m, Phase.ProvePart);
        Dispute memory dispute = game.disputeOf(m.id);
        for (uint256 block_ = 0; block_ < 3; ++block_) {
            bytes memory error_ =
                abi.encodeWithSelector(IDisputeBoard.PartAgrees.selector, truePart(m, dispute, block_));
            vm.expectRevert(error_);
            this.provePartOutside(m, dispute, block_);
        }
        vm.warp(block.timestamp + CLOCK + 1);
        game.timeout(m.id);
        assertOutcome(m.id, Outcome.ChallengeFailed);
        assertBonds(0, BOND / 2, BOND - BOND / 2);
        assertEq(court.convictions(), 0);
    }

    function test_row_parts_serveEveryDisputeOfTheClaim() public {
        Match memory m = open(row());
        uint256 first = m.id;
        open(m);
        playTo(m, Phase.ProvePart);
        m.id = first;
        uint256 before = reveals;
        playTo(m, Phase.Resolved);
        assertEq(reveals, before);
        assertOutcome(first, Outcome.DefenderConvicted);
    }

    // What is refused

    function test_row_asOneLeaf_reverts() public {
        Match memory m = open(row());
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.LongRow.selector, m.toy.size));
        this.proveOutsideAsLeaf(m, dispute);
    }

    function test_row_ofAnElementThatHasNone_cannotBeOpened() public {
        Match memory m = open(large());
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        vm.expectRevert(IOpExecutor.MalformedNode.selector);
        this.pickElementOutside(m, dispute, 1025);
    }

    function test_row_ofAnElementOfAnotherChunk_reverts() public {
        Match memory m = open(row());
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 2047, dispute.index));
        this.pickElementOutside(m, dispute, 2047);
    }

    function test_row_withAnotherType_reverts() public {
        Match memory m = open(row());
        playTo(m, Phase.Prove);
        Dispute memory dispute = game.disputeOf(m.id);
        m.toy.size += 1024; // a row of one block more
        vm.expectRevert(IDisputeBoard.DoesNotFold.selector);
        this.pickElementOutside(m, dispute, 5);
    }

    function test_row_partsThatDoNotCombine_revert() public {
        Match memory m = open(row());
        playTo(m, Phase.Parts);
        Dispute memory dispute = game.disputeOf(m.id);
        bytes memory node = m.toy.nodes[dispute.node];
        bytes memory parts = "";
        for (uint256 i = 0; i < 3; ++i) {
            refuseParts(m, node, parts); // too few
            parts = abi.encodePacked(parts, truePart(m, dispute, i));
        }
        refuseParts(m, node, parts); // true, so they give another element
        refuseParts(m, node, abi.encodePacked(statedParts(m, dispute), int64(0))); // too many
        vm.prank(defender);
        vm.expectRevert(IDisputeBoard.WrongProgram.selector);
        game.revealParts(m.id, m.toy.nodes[0], statedParts(m, dispute));
    }

    function test_row_partsByAnother_revert() public {
        Match memory m = open(row());
        playTo(m, Phase.Parts);
        Dispute memory dispute = game.disputeOf(m.id);
        bytes memory parts = statedParts(m, dispute);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.NotYourMove.selector, bystander, defender));
        vm.prank(bystander);
        game.revealParts(m.id, m.toy.nodes[dispute.node], parts);
    }

    function test_row_picksByAnother_revert() public {
        Match memory m = open(row());
        address owner = challenger;
        Phase[2] memory phases = [Phase.Prove, Phase.ProvePart];
        for (uint256 i = 0; i < 2; ++i) {
            playTo(m, phases[i]);
            challenger = bystander;
            expectMove(m, abi.encodeWithSelector(IDisputeBoard.NotYourMove.selector, bystander, owner));
            challenger = owner;
        }
    }

    function test_row_proofOfWhatWasNotSaid_reverts() public {
        Match memory m = open(row());
        playTo(m, Phase.ProvePart);
        Dispute memory dispute = game.disputeOf(m.id);
        bytes memory parts = statedParts(m, dispute);
        LeafProof memory leaf = rowProof(m, dispute, dispute.index, 1);
        vm.startPrank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 3, 3));
        game.provePart(m.id, m.terms, 3, parts, leaf);
        vm.expectRevert(); // the reads are another block's
        game.provePart(m.id, m.terms, 0, parts, leaf);
        parts[0] ^= bytes1(uint8(1));
        vm.expectRevert(IDisputeBoard.DoesNotFold.selector);
        game.provePart(m.id, m.terms, 1, parts, leaf);
        parts[0] ^= bytes1(uint8(1));
        leaf.element += 1;
        vm.expectRevert(
            abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, uint256(dispute.index) + 1, dispute.index)
        );
        game.provePart(m.id, m.terms, 1, parts, leaf);
        leaf.element -= 1;
        leaf.node = m.toy.nodes[0];
        vm.expectRevert(IDisputeBoard.WrongProgram.selector);
        game.provePart(m.id, m.terms, 1, parts, leaf);
        vm.stopPrank();
        move(m);
        assertOutcome(m.id, Outcome.DefenderConvicted);
    }

    function test_row_movesOutOfTheirPhase_revert() public {
        Match memory m = open(row());
        Phase[2] memory phases = [Phase.Parts, Phase.ProvePart];
        for (uint256 i = 0; i < 2; ++i) {
            playTo(m, phases[i]);
            refuseAllBut(m, phases[i]);
        }
    }

    function test_row_movesInTheLastSecond_count() public {
        Match memory m = open(row());
        Phase[2] memory phases = [Phase.Parts, Phase.ProvePart];
        for (uint256 i = 0; i < 2; ++i) {
            playTo(m, phases[i]);
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
            assertOutcome(m.id, i == 0 ? Outcome.DefenderConvicted : Outcome.ChallengeFailed);
            vm.revertToState(snapshot);
        }
    }

    function test_row_provenAfterTheClaimFell_reverts() public {
        Match memory m = open(row());
        playTo(m, Phase.ProvePart);
        court.convict(ref(DEFENDER_INDEX), false, bystander);
        expectMove(m, abi.encodeWithSelector(IDisputeBoard.Moot.selector, m.id));
    }

    // Any row

    function testFuzz_row_ofALie_convictsWhereverItHides(uint256 seed, uint256 element, uint8 delta, uint256 hidden)
        public
    {
        uint256 size = bound(seed, BLOCK + 1, 3 * BLOCK);
        wrongBlock = bound(hidden, 0, (size - 1) / BLOCK);
        Lie memory lie = Lie(0, 2, bound(element, 0, size - 1), delta == 0 ? 1 : delta);
        Match memory m = open(arrange(ToyTask.makeRow(4, size, seed), 1, lie, noLie()));
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
    }

    // Playing

    /// @dev Two steps; the lie is in one byte of the second's row sums. Three blocks.
    function row() internal returns (Match memory) {
        return arrange(ToyTask.makeRow(5, 2100, 21), 2, Lie(1, 3, 5, 9), noLie());
    }

    function honestRow() internal returns (Match memory) {
        return arrange(ToyTask.makeRow(5, 2100, 21), 2, noLie(), Lie(1, 3, 5, 9));
    }

    function act(Match memory m, Dispute memory dispute) internal virtual override {
        bool ofRow = dispute.phase == Phase.Prove && uint8(m.toy.nodes[dispute.node][0]) == Op.SUM;
        if (ofRow) {
            bytes memory own = m.mine.values[dispute.step][dispute.node];
            uint256 element = 0;
            while (own[element] == m.theirs.values[dispute.step][dispute.node][element]) ++element;
            pickElement(m, dispute, element);
        } else if (dispute.phase == Phase.Parts) {
            bytes memory parts = statedParts(m, dispute);
            vm.prank(defender);
            game.revealParts(m.id, m.toy.nodes[dispute.node], parts);
            ++reveals;
        } else if (dispute.phase == Phase.ProvePart) {
            uint256 block_ = 0;
            while (block_ != 2 && truePart(m, dispute, block_) == statedPart(m, dispute, block_)) ++block_;
            provePart(m, dispute, block_);
        } else {
            super.act(m, dispute);
        }
    }

    function pickElement(Match memory m, Dispute memory dispute, uint256 element) internal {
        bytes memory chunk = ToyTask.chunkOf(m.theirs.values[dispute.step][dispute.node], dispute.index);
        LeafProof memory leaf = rowProof(m, dispute, element, type(uint256).max);
        vm.prank(challenger);
        game.pickElement(m.id, m.terms, chunk, leaf);
        ++picks;
    }

    function provePart(Match memory m, Dispute memory dispute, uint256 block_) internal {
        bytes memory parts = statedParts(m, dispute);
        LeafProof memory leaf = rowProof(m, dispute, dispute.index, block_);
        vm.prank(challenger);
        game.provePart(m.id, m.terms, uint32(block_), parts, leaf);
        ++picks;
    }

    function pickElementOutside(Match memory m, Dispute memory dispute, uint256 element) external {
        pickElement(m, dispute, element);
    }

    function provePartOutside(Match memory m, Dispute memory dispute, uint256 block_) external {
        provePart(m, dispute, block_);
    }

    function proveOutsideAsLeaf(Match memory m, Dispute memory dispute) external {
        prove(m, dispute, 5);
    }

    function refuseParts(Match memory m, bytes memory node, bytes memory parts) private {
        vm.expectRevert(IDisputeBoard.DoesNotFold.selector);
        vm.prank(defender);
        game.revealParts(m.id, node, parts);
    }

    /// @dev A leaf of the row with one read: the block's bytes, or (for no block) the type of the operand alone.
    function rowProof(Match memory m, Dispute memory dispute, uint256 element, uint256 block_)
        internal
        pure
        returns (LeafProof memory leaf)
    {
        bytes memory data = inputData(m, dispute.step, dispute.node, 0);
        bytes32[] memory hashes = ToyTask.chunkHashes(data);
        leaf.header = m.toy.header;
        leaf.node = m.toy.nodes[dispute.node];
        leaf.element = uint64(element);
        leaf.reads = new ReadProof[](1);
        ReadProof memory read = leaf.reads[0];
        read.header = ToyTask.tensorHeader(DType.U8, m.toy.size);
        if (block_ == type(uint256).max) {
            read.chunks = abi.encodePacked(TestTree.root(hashes));
        } else {
            read.chunks = ToyTask.chunkOf(data, block_);
            read.start = uint64(block_ * BLOCK);
            read.count = uint32(read.chunks.length);
            read.chunkProof = TestTree.prove(hashes, block_);
        }
        proveInput(m, read, dispute.step, dispute.node, 0);
    }

    function truePart(Match memory m, Dispute memory dispute, uint256 block_) internal pure returns (int64 part) {
        bytes memory chunk = ToyTask.chunkOf(inputData(m, dispute.step, dispute.node, 0), block_);
        for (uint256 i = 0; i < chunk.length; ++i) {
            part += int64(uint64(uint8(chunk[i])));
        }
    }

    /// @dev What the defender shows: the truth, but for what makes it combine to the element it stated.
    function statedPart(Match memory m, Dispute memory dispute, uint256 block_) internal view returns (int64 part) {
        part = truePart(m, dispute, block_);
        if (block_ != wrongBlock) return part;
        int64 total = int64(uint64(dispute.index));
        for (uint256 i = 0; i * BLOCK < m.toy.size; ++i) {
            total += truePart(m, dispute, i);
        }
        uint8 stated = uint8(m.theirs.values[dispute.step][dispute.node][dispute.index]);
        unchecked {
            part += int64(uint64(stated - uint8(uint64(total))));
        }
    }

    function statedParts(Match memory m, Dispute memory dispute) internal view returns (bytes memory parts) {
        for (uint256 i = 0; i * BLOCK < m.toy.size; ++i) {
            parts = abi.encodePacked(parts, statedPart(m, dispute, i));
        }
    }
}
