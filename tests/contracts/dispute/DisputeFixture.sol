// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DisputeGame} from "../../../contracts/dispute/DisputeGame.sol";
import {DisputeProofs} from "../../../contracts/dispute/DisputeProofs.sol";
import {
    ClaimBody,
    ClaimRecord,
    ClaimRef,
    IAuditCourt,
    Slot,
    SlotState
} from "../../../contracts/interfaces/IAuditCourt.sol";
import {
    DigestChunk,
    Dispute,
    DisputeParameters,
    LeafProof,
    Outcome,
    Phase,
    ReadProof,
    TracePath
} from "../../../contracts/interfaces/IDisputeGame.sol";
import {IExecutor} from "../../../contracts/interfaces/IOpExecutor.sol";
import {IStakeVault} from "../../../contracts/interfaces/IStakeVault.sol";
import {ITaskMarket, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {DType} from "../../../contracts/types/DType.sol";
import {InputKind} from "../../../contracts/types/InputKind.sol";
import {TaskOptions} from "../../../contracts/types/TaskOptions.sol";
import {TestTree} from "../actors/TestTree.sol";
import {StubCourt, StubMarket, StubVault, ToyExecutor} from "./Stubs.sol";
import {Lie, Run, Toy, ToyTask} from "./ToyTask.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A dispute being played. In memory, because copying it from storage takes the compiler minutes.
struct Match {
    Toy toy;
    Run theirs; // the defender's
    Run mine; // the challenger's
    TaskTerms terms;
    ClaimBody body;
    uint256 id;
}

/// @title A dispute game on the toy machine, with a defender, a challenger, and a player for both.
abstract contract DisputeFixture is Test {
    using ToyTask for Toy;

    uint96 internal constant BOND = 1001;
    uint32 internal constant CLOCK = 3600;
    uint32 internal constant INCREMENT = 600;
    uint256 internal constant START = 1_800_000_000;
    bytes32 internal constant BEACON = keccak256("beacon");
    uint32 internal constant SEGMENT = 2;
    uint16 internal constant DEFENDER_INDEX = 0;
    uint16 internal constant CHALLENGER_INDEX = 1;

    address internal defender = makeAddr("defender");
    address internal challenger = makeAddr("challenger");
    address internal bystander = makeAddr("bystander");
    address internal treasury = makeAddr("treasury");

    StubCourt internal court;
    StubMarket internal market;
    StubVault internal vault;
    ToyExecutor internal executor;
    DisputeGame internal game;

    /// @dev Moves made, by side.
    uint256 internal reveals;
    uint256 internal picks;

    function setUp() public virtual {
        vm.warp(START);
        court = new StubCourt();
        market = new StubMarket();
        vault = new StubVault();
        executor = new ToyExecutor();
        DisputeParameters memory parameters = DisputeParameters(BOND, CLOCK, INCREMENT, 0);
        DisputeProofs proofs = new DisputeProofs(
            IAuditCourt(address(court)),
            ITaskMarket(address(market)),
            IStakeVault(address(vault)),
            IExecutor(address(executor)),
            treasury,
            parameters
        );
        game = new DisputeGame(
            IAuditCourt(address(court)),
            ITaskMarket(address(market)),
            IStakeVault(address(vault)),
            proofs,
            treasury,
            parameters
        );
        court.setWindow(uint64(START - 1), uint64(START + 1 days));
        Slot memory slot;
        slot.state = SlotState.Drawn;
        slot.beaconValue = BEACON;
        court.setSlot(slot);
    }

    function ref(uint16 index) internal pure returns (ClaimRef memory) {
        return ClaimRef(1, SEGMENT, 0, index);
    }

    /// @dev A task of two segments, the second of `steps` steps, and the claims of both parties about it.
    function arrange(Toy memory toy, uint256 steps, Lie memory theirLie, Lie memory myLie)
        internal
        returns (Match memory m)
    {
        m.toy = toy;
        bytes memory start = ToyTask.randomBytes(toy.size, 3);
        m.theirs = toy.run(start, steps, steps, theirLie);
        m.mine = toy.run(start, steps, steps, myLie);
        bytes32 program = sha256(abi.encodePacked(uint8(4), toy.header));
        m.terms = TaskTerms({
            id: 1,
            submitter: bystander,
            stepProgram: program,
            initProgram: keccak256("init"),
            stepWork: 1000,
            initWork: 1,
            stateChunks: uint64((toy.size - 1) / 1024 + 1),
            nodeCount: uint32(toy.nodeCount),
            initNodeCount: 1,
            seed: 7,
            steps: uint32(2 * steps),
            segmentSteps: uint16(steps),
            audits: 1,
            price: 1,
            wage: 1,
            levy: 1,
            acceptDeadline: 1,
            solveWindow: 1,
            options: TaskOptions.wrap(0),
            workRoot: 0
        });
        market.setTerms(m.terms);
        m.body = ClaimBody({
            startRoot: m.theirs.startRoot,
            checkpointRoot: bytes32(0),
            endRoot: m.theirs.states[steps - 1],
            digest: digestOf(m, m.theirs),
            commitment: bytes32(0),
            traceRoot: TestTree.root(traceLeaves(m.theirs))
        });
        post(m);
    }

    /// @dev Records the claims with the court.
    function post(Match memory m) internal {
        ClaimRecord memory record;
        record.claimant = defender;
        record.bodyHash = keccak256(abi.encode(m.body));
        record.endRoot = m.body.endRoot;
        court.setClaim(ref(DEFENDER_INDEX), record);
        record.claimant = challenger;
        record.bodyHash = keccak256("another body");
        record.endRoot = m.mine.states[m.mine.states.length - 1];
        court.setClaim(ref(CHALLENGER_INDEX), record);
    }

    /// @dev Two steps, two levels of nodes, two chunks of each tensor; the lie is in the second of each.
    function large() internal returns (Match memory) {
        return arrange(ToyTask.make(66, 1030, 11), 2, Lie(1, 64, 1025, 5), noLie());
    }

    /// @dev Five nodes of ten bytes; the lie is in the last step.
    function small(uint256 steps) internal returns (Match memory) {
        return arrange(ToyTask.make(5, 10, 1), steps, Lie(steps - 1, 2, 3, 1), noLie());
    }

    function noLie() internal pure returns (Lie memory lie) {}

    function open(Match memory m) internal returns (Match memory) {
        vm.prank(challenger);
        m.id = game.open(m.terms, ref(DEFENDER_INDEX), CHALLENGER_INDEX, m.body, false, 0);
        return m;
    }

    function openDigest(Match memory m, uint8 step) internal returns (Match memory) {
        vm.prank(challenger);
        m.id = game.open(m.terms, ref(DEFENDER_INDEX), CHALLENGER_INDEX, m.body, true, step);
        return m;
    }

    function phaseOf(uint256 id) internal view returns (Phase) {
        return game.disputeOf(id).phase;
    }

    // Playing

    /// @dev Makes moves until it is `phase`.
    function playTo(Match memory m, Phase phase) internal {
        while (phaseOf(m.id) != phase) move(m);
    }

    /// @dev The move of whoever's turn it is: the defender shows its run, the challenger picks the first difference.
    function move(Match memory m) internal {
        act(m, game.disputeOf(m.id));
    }

    /// @dev `act` as one call, for `vm.expectRevert`.
    function actOutside(Match memory m, Dispute memory dispute) external {
        act(m, dispute);
    }

    function expectMove(Match memory m, bytes memory error_) internal {
        Dispute memory dispute = game.disputeOf(m.id);
        vm.expectRevert(error_);
        this.actOutside(m, dispute);
    }

    /// @dev The move that fits `dispute`, made without a look at the game.
    function act(Match memory m, Dispute memory dispute) internal virtual {
        if (dispute.phase == Phase.States) showStates(m);
        else if (dispute.phase == Phase.Step) showStep(m, dispute);
        else if (dispute.phase == Phase.Nodes) showNodes(m, dispute);
        else if (dispute.phase == Phase.Chunks) showChunks(m, dispute);
        else if (dispute.phase == Phase.Data) showData(m, dispute);
        else pick(m, dispute);
    }

    function showStates(Match memory m) internal {
        vm.prank(defender);
        game.revealStates(m.id, m.theirs.states);
        ++reveals;
    }

    function showStep(Match memory m, Dispute memory dispute) internal {
        bytes32[] memory leaves = m.theirs.leaves[dispute.step];
        bytes32[] memory proof = TestTree.prove(leaves, leaves.length - 1);
        bytes32[] memory shown = children(leaves, dispute.level, 0);
        vm.prank(defender);
        game.revealStep(m.id, shown, proof);
        ++reveals;
    }

    function showNodes(Match memory m, Dispute memory dispute) internal {
        bytes32[] memory shown = children(m.theirs.leaves[dispute.step], dispute.level, dispute.index);
        vm.prank(defender);
        game.revealNodes(m.id, shown);
        ++reveals;
    }

    function showChunks(Match memory m, Dispute memory dispute) internal {
        bytes32[] memory hashes = ToyTask.chunkHashes(m.theirs.values[dispute.step][dispute.node]);
        bytes32[] memory shown = children(hashes, dispute.level, dispute.index);
        vm.prank(defender);
        game.revealChunks(m.id, m.toy.nodes[dispute.node], shown);
        ++reveals;
    }

    function showData(Match memory m, Dispute memory dispute) internal {
        bytes memory chunk = ToyTask.chunkOf(m.theirs.values[dispute.step][dispute.node], dispute.index);
        vm.prank(defender);
        game.revealData(m.id, m.toy.nodes[dispute.node], chunk);
        ++reveals;
    }

    function pick(Match memory m, Dispute memory dispute) internal {
        ++picks;
        if (dispute.phase == Phase.PickStep) {
            return pickStep(m, firstDifference(m.mine.states, m.theirs.states));
        }
        if (dispute.phase == Phase.PickBlock || dispute.phase == Phase.PickNode) {
            bytes32[] memory own = children(m.mine.leaves[dispute.step], dispute.level, dispute.index);
            bytes32[] memory shown = children(m.theirs.leaves[dispute.step], dispute.level, dispute.index);
            return pickChild(m, dispute, shown, firstDifference(own, shown));
        }
        bytes memory ownData = m.mine.values[dispute.step][dispute.node];
        bytes memory theirData = m.theirs.values[dispute.step][dispute.node];
        if (dispute.phase == Phase.PickChunk) {
            bytes32[] memory own = children(ToyTask.chunkHashes(ownData), dispute.level, dispute.index);
            bytes32[] memory shown = children(ToyTask.chunkHashes(theirData), dispute.level, dispute.index);
            return pickChild(m, dispute, shown, firstDifference(own, shown));
        }
        uint256 item = dispute.node == m.toy.nodeCount - 1 ? 32 : 1;
        uint256 element = 0;
        while (ownData[element] == theirData[element]) ++element;
        prove(m, dispute, element / item);
    }

    function pickStep(Match memory m, uint256 step) internal {
        bytes32[] memory proof = m.theirs.states.length == 1
            ? new bytes32[](0)
            : step == 0 ? TestTree.prove(m.theirs.states, 0) : TestTree.proveRange(m.theirs.states, step - 1, step + 1);
        bytes32 previous = step == 0 ? m.theirs.startRoot : m.theirs.states[step - 1];
        vm.prank(challenger);
        game.pickStep(m.id, uint8(step), previous, m.theirs.states[step], proof);
    }

    /// @dev Picks child `place` of those shown.
    function pickChild(Match memory m, Dispute memory dispute, bytes32[] memory shown, uint256 place) internal {
        bytes32[] memory proof = TestTree.prove(shown, place);
        uint32 index = dispute.index * 64 + uint32(place);
        if (dispute.phase == Phase.PickBlock) {
            vm.prank(challenger);
            game.pickBlock(m.id, index, shown[place], proof);
        } else if (dispute.phase == Phase.PickNode) {
            bytes32[] memory nodeProof = TestTree.prove(ToyTask.hashAll(m.toy.nodes), index);
            vm.prank(challenger);
            game.pickNode(m.id, m.terms, index, shown[place], proof, m.toy.header, m.toy.nodes[index], nodeProof);
        } else {
            vm.prank(challenger);
            game.pickChunk(m.id, m.toy.nodes[dispute.node], index, shown[place], proof);
        }
    }

    function prove(Match memory m, Dispute memory dispute, uint256 element) internal {
        bytes memory chunk = ToyTask.chunkOf(m.theirs.values[dispute.step][dispute.node], dispute.index);
        LeafProof memory leaf = leafProof(m, dispute.step, dispute.node, element);
        vm.prank(challenger);
        game.prove(m.id, m.terms, chunk, leaf);
    }

    // Proofs

    /// @dev A leaf with what it reads, all from the defender's run: before the first difference it is the challenger's, too.
    function leafProof(Match memory m, uint256 step, uint256 node, uint256 element)
        internal
        pure
        returns (LeafProof memory leaf)
    {
        leaf.header = m.toy.header;
        leaf.node = m.toy.nodes[node];
        leaf.element = uint64(element);
        if (node == m.toy.nodeCount - 1) {
            leaf.reads = new ReadProof[](1);
            leaf.reads[0].slot = uint16(element);
            leaf.reads[0].chunks = abi.encodePacked(
                element == 0 ? m.toy.rootOf(m.theirs.values[step][node - 1]) : m.toy.rootOf(m.toy.frozen)
            );
            proveInput(m, leaf.reads[0], step, node, element);
            return leaf;
        }
        bool literal = kindOf(m.toy, node, 1) == InputKind.I32;
        leaf.reads = new ReadProof[](literal ? 1 : 2);
        for (uint256 slot = 0; slot < leaf.reads.length; ++slot) {
            ReadProof memory read = leaf.reads[slot];
            bytes memory data = inputData(m, step, node, slot);
            bytes32[] memory hashes = ToyTask.chunkHashes(data);
            read.slot = uint16(slot);
            read.start = uint64(element);
            read.count = 1;
            read.header = ToyTask.tensorHeader(DType.U8, m.toy.size);
            read.chunks = ToyTask.chunkOf(data, element / 1024);
            read.chunkProof = TestTree.proveRange(hashes, element / 1024, element / 1024 + 1);
            proveInput(m, read, step, node, slot);
        }
    }

    function proveInput(Match memory m, ReadProof memory read, uint256 step, uint256 node, uint256 slot) internal pure {
        uint8 kind = kindOf(m.toy, node, slot);
        if (kind == InputKind.NODE) {
            read.rootProof = TestTree.prove(m.theirs.leaves[step], valueOf(m.toy, node, slot));
        } else if (kind == InputKind.STATE) {
            read.entry = m.toy.stateRoots(m.theirs.before[step]);
        } else {
            read.entry = m.toy.constantEntry;
        }
    }

    function inputData(Match memory m, uint256 step, uint256 node, uint256 slot) internal pure returns (bytes memory) {
        uint8 kind = kindOf(m.toy, node, slot);
        uint256 value = valueOf(m.toy, node, slot);
        if (kind == InputKind.NODE) return m.theirs.values[step][value];
        if (kind == InputKind.CONST) return m.toy.constant_;
        return value == 0 ? m.theirs.before[step] : m.toy.frozen;
    }

    function kindOf(Toy memory toy, uint256 node, uint256 slot) internal pure returns (uint8) {
        bytes memory encoded = toy.nodes[node];
        return uint8(encoded[encoded.length - 10 + 5 * slot]);
    }

    function valueOf(Toy memory toy, uint256 node, uint256 slot) internal pure returns (uint256) {
        bytes memory encoded = toy.nodes[node];
        return
            uint8(encoded[encoded.length - 6 + 5 * slot]) | uint256(uint8(encoded[encoded.length - 7 + 5 * slot])) << 8;
    }

    // Digests and traces

    function digestOf(Match memory m, Run memory run) internal view returns (bytes memory digest) {
        for (uint32 step = 0; step < run.states.length; ++step) {
            bytes memory state = run.values[step][m.toy.nodeCount - 2];
            bytes memory entry = abi.encodePacked(uint8(3), defender, keccak256(abi.encode(1, SEGMENT, 0)), step);
            for (uint8 n = 0; n < 2; ++n) {
                entry = bytes.concat(entry, ToyTask.chunkOf(state, digestPosition(m.toy, step, n)));
            }
            digest = bytes.concat(digest, bytes8(sha256(entry)));
        }
    }

    function digestPosition(Toy memory toy, uint32 step, uint8 n) internal view returns (uint256) {
        return uint256(sha256(abi.encodePacked(uint8(5), BEACON, defender, step, n))) % ((toy.size - 1) / 1024 + 1);
    }

    /// @dev Both chunks of a digest entry, from the challenger's run.
    function digestChunks(Match memory m, uint32 step) internal view returns (DigestChunk[2] memory chunks) {
        bytes memory state = m.mine.values[step][m.toy.nodeCount - 2];
        for (uint8 n = 0; n < 2; ++n) {
            uint256 chunk = digestPosition(m.toy, step, n);
            chunks[n].entry = m.toy.entries[0];
            chunks[n].entryProof = TestTree.prove(ToyTask.hashAll(m.toy.entries), 0);
            chunks[n].roots = m.toy.stateRoots(state);
            chunks[n].chunk = ToyTask.chunkOf(state, chunk);
            chunks[n].chunkProof = TestTree.prove(ToyTask.chunkHashes(state), chunk);
        }
    }

    /// @dev Proof of a state root among those revealed.
    function stateProof(Match memory m, uint256 step) internal pure returns (bytes32[] memory) {
        return m.theirs.states.length == 1 ? new bytes32[](0) : TestTree.prove(m.theirs.states, step);
    }

    function proveDigest(Match memory m, uint8 step) internal {
        DigestChunk[2] memory chunks = digestChunks(m, step);
        bytes32[] memory proof = stateProof(m, step);
        vm.prank(challenger);
        game.proveDigest(m.id, m.terms, m.body, m.theirs.states[step], proof, m.toy.header, chunks);
    }

    function tracePath(Match memory m, uint256 step, uint256 node, uint256 element)
        internal
        pure
        returns (TracePath memory path)
    {
        bytes32[] memory leaves = m.theirs.leaves[step];
        path.step = uint16(step);
        path.stepRoot = TestTree.root(leaves);
        path.traceProof = TestTree.proveRange(traceLeaves(m.theirs), step == 0 ? 0 : step - 1, step + 1);
        if (step != 0) {
            bytes32[] memory before = m.theirs.leaves[step - 1];
            path.previousStepRoot = TestTree.root(before);
            path.previousState = m.theirs.states[step - 1];
            path.previousProof = TestTree.prove(before, before.length - 1);
        }
        path.node = uint32(node);
        path.tensorProof = TestTree.prove(leaves, node);
        path.nodeProof = TestTree.prove(ToyTask.hashAll(m.toy.nodes), node);
        bytes memory data = m.theirs.values[step][node];
        uint256 chunk = element * (node == m.toy.nodeCount - 1 ? 32 : 1) / 1024;
        path.chunk = ToyTask.chunkOf(data, chunk);
        path.chunkProof = TestTree.prove(ToyTask.chunkHashes(data), chunk);
    }

    function oneShot(Match memory m, uint256 step, uint256 node, uint256 element) internal {
        TracePath memory path = tracePath(m, step, node, element);
        LeafProof memory leaf = leafProof(m, step, node, element);
        vm.prank(challenger);
        game.oneShot(m.terms, ref(DEFENDER_INDEX), CHALLENGER_INDEX, m.body, path, leaf);
    }

    // Trees

    /// @dev Hashes of `level` under subtree `index` one level up.
    function children(bytes32[] memory leaves, uint256 level, uint256 index)
        internal
        pure
        returns (bytes32[] memory shown)
    {
        for (; level != 0; --level) {
            bytes32[] memory above = new bytes32[]((leaves.length - 1) / 64 + 1);
            for (uint256 i = 0; i < above.length; ++i) {
                above[i] = TestTree.root(slice(leaves, i * 64));
            }
            leaves = above;
        }
        return slice(leaves, index * 64);
    }

    function slice(bytes32[] memory hashes, uint256 start) internal pure returns (bytes32[] memory part) {
        uint256 count = hashes.length - start < 64 ? hashes.length - start : 64;
        part = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            part[i] = hashes[start + i];
        }
    }

    function firstDifference(bytes32[] memory left, bytes32[] memory right) internal pure returns (uint256 place) {
        while (left[place] == right[place]) ++place;
    }

    function traceLeaves(Run memory run) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](run.leaves.length);
        for (uint256 s = 0; s < leaves.length; ++s) {
            leaves[s] = TestTree.hashLeaf(abi.encodePacked(TestTree.root(run.leaves[s])));
        }
    }

    /// @dev What the challenger gets back or loses, what the defender and the treasury get.
    function assertBonds(uint256 released, uint256 toDefender, uint256 toTreasury) internal view {
        assertEq(vault.released(challenger), released);
        assertEq(vault.paid(defender), toDefender);
        assertEq(vault.paid(treasury), toTreasury);
    }

    function assertOutcome(uint256 id, Outcome outcome) internal view {
        assertEq(uint8(game.disputeOf(id).phase), uint8(Phase.Resolved));
        assertEq(uint8(game.disputeOf(id).outcome), uint8(outcome));
    }
}
