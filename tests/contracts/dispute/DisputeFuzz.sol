// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Dispute, IDisputeBoard, Outcome, Phase} from "../../../contracts/interfaces/IDisputeGame.sol";
import {TestTree} from "../actors/TestTree.sol";
import {DisputeFixture, Match} from "./DisputeFixture.sol";
import {Lie, ToyTask} from "./ToyTask.sol";

/// @title Random programs, trees and lies: an honest challenger always convicts a liar, nobody convicts an honest defender.
abstract contract DisputeFuzz is DisputeFixture {
    uint256 private constant MAX_STEPS = 5;
    uint256 private _random;

    function random(uint256 below) private returns (uint256) {
        _random = uint256(keccak256(abi.encode(_random)));
        return _random % below;
    }

    /// @dev A task of random shape; one in sixteen has two levels of nodes. (A test's memory does not hold two levels of chunks.)
    function randomMatch(uint256 seed, bool defenderLies) private returns (Match memory) {
        _random = seed;
        uint256 kind = random(16);
        uint256 nodes = kind == 0 ? 64 + random(70) : 2 + random(12);
        uint256 size = 1 + random(kind > 0 && kind < 4 ? 3000 : 100);
        uint256 steps = 1 + random(kind == 0 ? 2 : MAX_STEPS);
        Lie memory lie = Lie(random(steps), random(nodes - 1), random(size), uint8(1 + random(255)));
        if (defenderLies) return arrange(ToyTask.make(nodes, size, seed), steps, lie, noLie());
        return arrange(ToyTask.make(nodes, size, seed), steps, noLie(), lie);
    }

    function testFuzz_dispute_ofALie_convicts(uint256 seed) public {
        Match memory m = open(randomMatch(seed, true));
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
        assertEq(court.convictions(), 1);
    }

    /// @dev The challenger picks whatever folds, down to a leaf of its choice.
    function testFuzz_dispute_ofAnHonestClaim_neverConvicts(uint256 seed) public {
        Match memory m = open(randomMatch(seed, false));
        while (true) {
            Dispute memory dispute = game.disputeOf(m.id);
            if (dispute.phase == Phase.Prove) break;
            if (dispute.phase == Phase.PickStep) {
                pickStep(m, random(m.theirs.states.length));
            } else if (dispute.phase == Phase.PickBlock || dispute.phase == Phase.PickNode) {
                bytes32[] memory shown = children(m.theirs.leaves[dispute.step], dispute.level, dispute.index);
                pickChild(m, dispute, shown, random(shown.length));
            } else if (dispute.phase == Phase.PickChunk) {
                bytes32[] memory hashes = ToyTask.chunkHashes(m.theirs.values[dispute.step][dispute.node]);
                bytes32[] memory shown = children(hashes, dispute.level, dispute.index);
                pickChild(m, dispute, shown, random(shown.length));
            } else {
                act(m, dispute);
            }
        }
        expectAgreement(m);
        vm.warp(game.deadlineOf(m.id) + 1);
        game.timeout(m.id);
        assertOutcome(m.id, Outcome.ChallengeFailed);
        assertEq(court.convictions(), 0);
    }

    function expectAgreement(Match memory m) private {
        Dispute memory dispute = game.disputeOf(m.id);
        bytes memory chunk = ToyTask.chunkOf(m.theirs.values[dispute.step][dispute.node], dispute.index);
        uint256 item = dispute.node == m.toy.nodeCount - 1 ? 32 : 1;
        uint256 place = random(chunk.length / item);
        bytes memory value = new bytes(item);
        for (uint256 i = 0; i < item; ++i) {
            value[i] = chunk[place * item + i];
        }
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.LeafAgrees.selector, value));
        this.proveOutside(m, dispute, uint256(dispute.index) * 1024 / item + place);
    }

    function proveOutside(Match memory m, Dispute memory dispute, uint256 element) external {
        prove(m, dispute, element);
    }

    // One-shot

    function testFuzz_oneShot_ofALie_convicts(uint256 seed) public {
        Match memory m = randomMatch(seed, true);
        uint256 step = firstDifference(m.mine.states, m.theirs.states);
        uint256 node = firstDifference(m.mine.leaves[step], m.theirs.leaves[step]);
        bytes memory own = m.mine.values[step][node];
        uint256 element = 0;
        while (own[element] == m.theirs.values[step][node][element]) ++element;
        oneShot(m, step, node, element);
        assertEq(court.convictions(), 1);
        assertEq(court.lastWinner(), challenger);
        assertFalse(court.lastWasDigest());
    }

    function testFuzz_oneShot_ofAnHonestTrace_reverts(uint256 seed) public {
        Match memory m = randomMatch(seed, false);
        uint256 step = random(m.theirs.states.length);
        uint256 node = random(m.toy.nodeCount - 1);
        uint256 element = random(m.toy.size);
        bytes memory value = abi.encodePacked(m.theirs.values[step][node][element]);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.LeafAgrees.selector, value));
        this.oneShotOutside(m, step, node, element);
    }

    function oneShotOutside(Match memory m, uint256 step, uint256 node, uint256 element) external {
        oneShot(m, step, node, element);
    }

    function test_oneShot_withoutATrace_reverts() public {
        Match memory m = randomMatch(1, true);
        m.body.traceRoot = 0;
        post(m);
        vm.expectRevert(IDisputeBoard.NotDisputable.selector);
        this.oneShotOutside(m, 0, 0, 0);
    }

    function test_oneShot_ofAnotherTrace_reverts() public {
        Match memory m = randomMatch(2, true);
        m.body.traceRoot = keccak256("another");
        post(m);
        vm.expectRevert(IDisputeBoard.DoesNotFold.selector);
        this.oneShotOutside(m, 0, 0, 0);
    }

    function test_oneShot_afterTheWindow_reverts() public {
        Match memory m = randomMatch(3, true);
        vm.warp(START + 1 days + 1);
        vm.expectRevert();
        this.oneShotOutside(m, 0, 0, 0);
    }

    // Replay digests

    function testFuzz_digest_withAWrongEntry_convicts(uint256 seed) public {
        Match memory m = randomMatch(seed, false);
        m.mine = m.theirs; // the work is right, only the entry is not
        uint256 step = random(m.theirs.states.length);
        bytes8 right;
        for (uint256 i = 0; i < 8; ++i) {
            right |= bytes8(m.body.digest[8 * step + i]) >> (8 * i);
        }
        m.body.digest[8 * step + random(8)] ^= bytes1(uint8(1 + random(255)));
        post(m);
        openDigest(m, uint8(step));
        playTo(m, Phase.PickStep);
        proveDigest(m, uint8(step));
        assertOutcome(m.id, Outcome.DefenderConvicted);
        assertTrue(court.lastWasDigest());
        assertEq(court.lastStep(), step);
        assertEq(court.lastEntry(), right);
    }

    function testFuzz_digest_thatIsRight_convictsNobody(uint256 seed) public {
        Match memory m = randomMatch(seed, false);
        m.mine = m.theirs;
        uint256 step = random(m.theirs.states.length);
        openDigest(m, uint8(step));
        playTo(m, Phase.PickStep);
        vm.expectRevert(IDisputeBoard.DigestAgrees.selector);
        this.proveDigestOutside(m, uint8(step));
    }

    function proveDigestOutside(Match memory m, uint8 step) external {
        proveDigest(m, step);
    }

    /// @dev The entry is what the defender's state gives, but its state is wrong: then it is the ordinary dispute.
    function testFuzz_digest_ofAWrongState_convictsByTheLeaf(uint256 seed) public {
        Match memory m = randomMatch(seed, true);
        uint256 first = firstDifference(m.mine.states, m.theirs.states);
        uint256 step = first + random(m.theirs.states.length - first);
        openDigest(m, uint8(step));
        playTo(m, Phase.Resolved);
        assertOutcome(m.id, Outcome.DefenderConvicted);
        assertTrue(court.lastWasDigest());
    }

    function test_digest_pickOfALaterStep_reverts() public {
        Match memory m = arrange(ToyTask.make(4, 10, 1), 3, Lie(2, 1, 1, 1), noLie());
        openDigest(m, 1);
        playTo(m, Phase.PickStep);
        expectMove(m, abi.encodeWithSelector(IDisputeBoard.WrongCount.selector, 2, 2));
    }

    function test_digest_withAnotherChunk_reverts() public {
        Match memory m = arrange(ToyTask.make(4, 5000, 1), 2, noLie(), Lie(1, 1, 1, 1));
        m.mine = m.theirs;
        openDigest(m, 0);
        playTo(m, Phase.PickStep);
        m.toy.entries[0][14] ^= bytes1(uint8(1)); // another running total
        vm.expectRevert(IDisputeBoard.WrongProgram.selector);
        this.proveDigestOutside(m, 0);
        m.toy.entries[0][14] ^= bytes1(uint8(1));
        m.mine.values[0][2][1] ^= bytes1(uint8(1));
        vm.expectRevert(IDisputeBoard.DoesNotFold.selector);
        this.proveDigestOutside(m, 0);
    }

    function test_proveDigest_inADisputeAboutTheEndRoot_reverts() public {
        Match memory m = open(randomMatch(3, true));
        playTo(m, Phase.PickStep);
        vm.expectRevert(abi.encodeWithSelector(IDisputeBoard.WrongPhase.selector, m.id, Phase.PickStep));
        this.proveDigestOutside(m, 0);
    }

    function test_treesOfTheTest_areRfc9162() public pure {
        bytes32[] memory leaves = new bytes32[](3);
        assertEq(
            TestTree.root(leaves),
            sha256(abi.encodePacked(uint8(1), sha256(abi.encodePacked(uint8(1), bytes32(0), bytes32(0))), bytes32(0)))
        );
    }
}
