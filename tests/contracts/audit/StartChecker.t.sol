// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {IStartChecker, MalformedStart, StartPart} from "../../../contracts/interfaces/IStartChecker.sol";
import {TaskOffer, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {DType} from "../../../contracts/types/DType.sol";
import {Scene} from "../actors/Scene.sol";
import {TestTree} from "../actors/TestTree.sol";

/// @title Checkpoints whose hashes have preimages of the wrong form, at every place where that can be.
contract StartCheckerTest is Scene {
    uint32 internal constant SEGMENT = 2;
    uint256 internal constant ENTRIES = 40; // two chunks of roots
    uint32 internal constant ENTRY = 33; // in the second
    uint32 internal constant ELEMENTS = 600; // three chunks, the last of 352 bytes

    bytes[] internal entries;
    /// @dev The checkpoint segment 2 starts from: tensors' roots and their headers.
    bytes32[] internal roots;
    bytes32[] internal chunkLeaves;
    bytes[] internal chunks;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < ENTRIES; ++i) {
            entries.push(abi.encodePacked(DType.F32, uint8(0), uint8(1), ELEMENTS, uint64(3 * i)));
            roots.push(keccak256(abi.encode("tensor", i)));
        }
        for (uint256 i = 0; i < 3; ++i) {
            chunks.push(new bytes(i == 2 ? 352 : 1024));
            chunkLeaves.push(TestTree.hashLeaf(chunks[i]));
        }
        roots[ENTRY] = _tensorRoot(_entryHeader(), TestTree.root(chunkLeaves));
    }

    // A checkpoint and its proofs

    function programHeader(uint64 work, bytes32 salt) internal pure override returns (bytes memory) {
        return abi.encodePacked(
            uint16(1),
            uint32(100),
            salt,
            uint32(ENTRIES),
            bytes32(0),
            uint64(120),
            uint32(0),
            bytes32(0),
            uint32(0),
            bytes32(0),
            work
        );
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.audits = 5;
        offer.stepHeader = _withState(offer.stepHeader);
        offer.initHeader = _withState(offer.initHeader);
    }

    function _withState(bytes memory header) private view returns (bytes memory) {
        bytes32 root = TestTree.root(_leaves(entries));
        assembly ("memory-safe") {
            mstore(add(header, 74), root)
        }
        return header;
    }

    function _leaves(bytes[] memory list) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            leaves[i] = TestTree.hashLeaf(list[i]);
        }
    }

    function _entryHeader() private pure returns (bytes memory) {
        return abi.encodePacked(DType.F32, uint8(1), ELEMENTS);
    }

    function _stateHeader() private pure returns (bytes memory) {
        return abi.encodePacked(DType.ROOT, uint8(1), uint32(ENTRIES));
    }

    function _tensorRoot(bytes memory header, bytes32 tree) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(2), header, tree));
    }

    function _rootChunk(uint256 index) private view returns (bytes memory chunk) {
        uint256 stop = index == 0 ? 32 : ENTRIES;
        for (uint256 i = 32 * index; i < stop; ++i) {
            chunk = abi.encodePacked(chunk, roots[i]);
        }
    }

    function _stateLeaves() private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](2);
        leaves[0] = TestTree.hashLeaf(_rootChunk(0));
        leaves[1] = TestTree.hashLeaf(_rootChunk(1));
    }

    function _stateRoot() private view returns (bytes32) {
        return _tensorRoot(_stateHeader(), TestTree.root(_stateLeaves()));
    }

    /// @dev Commits to `start` as the checkpoint that segment 2 starts from, with all segments drawn.
    function _commit(bytes32 start) private {
        toSolving();
        checkpoints = new bytes32[](5);
        for (uint256 i = 0; i < 5; ++i) {
            checkpoints[i] = i == SEGMENT - 1 ? start : honestEnd(i);
        }
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        workRoot = TestTree.root(leaves);
        bytes32[] memory proof = TestTree.prove(leaves, 4);
        vm.prank(solver);
        market.commit(terms, workRoot, checkpoints[4], proof, "");
        terms.workRoot = workRoot;
        rollToValue();
        court.drawAudits(terms);
    }

    function _proof(StartPart part, bytes memory preimage) private view returns (MalformedStart memory proof) {
        proof.part = part;
        proof.preimage = preimage;
        proof.header = defaultOffer().stepHeader;
        if (part == StartPart.Entry || part == StartPart.EntryTree) {
            proof.index = ENTRY;
            proof.entry = entries[ENTRY];
            proof.entryProof = TestTree.prove(_leaves(entries), ENTRY);
            proof.roots = _rootChunk(1);
            proof.rootsProof = TestTree.prove(_stateLeaves(), 1);
        }
    }

    function _isMalformed(bytes32 start, MalformedStart memory proof) private view returns (bool) {
        return starts.isMalformed(start, sha256(abi.encodePacked(uint8(4), proof.header)), proof);
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), left, right);
    }

    // Well-formed checkpoints

    function test_isMalformed_goodCheckpoint_atNoPlace() public view {
        bytes32 start = _stateRoot();
        bytes32[] memory leaves = _stateLeaves();
        bytes memory preimage = abi.encodePacked(uint8(2), _stateHeader(), TestTree.root(leaves));
        assertFalse(_isMalformed(start, _proof(StartPart.State, preimage)));
        assertFalse(_isMalformed(start, _at(_proof(StartPart.StateTree, _node(leaves[0], leaves[1])), 1, 0)));
        MalformedStart memory proof = _at(_proof(StartPart.StateTree, abi.encodePacked(uint8(0), _rootChunk(1))), 0, 1);
        proof.path = TestTree.prove(leaves, 1);
        assertFalse(_isMalformed(start, proof));
        preimage = abi.encodePacked(uint8(2), _entryHeader(), TestTree.root(chunkLeaves));
        assertFalse(_isMalformed(start, _proof(StartPart.Entry, preimage)));
        for (uint256 i = 0; i < 3; ++i) {
            proof = _at(_proof(StartPart.EntryTree, abi.encodePacked(uint8(0), chunks[i])), 0, uint64(i));
            proof.path = TestTree.prove(chunkLeaves, i);
            assertFalse(_isMalformed(start, proof));
        }
        // The third chunk is a subtree of its own one level up.
        proof = _at(_proof(StartPart.EntryTree, abi.encodePacked(uint8(0), chunks[2])), 1, 1);
        proof.path = new bytes32[](1);
        proof.path[0] = sha256(_node(chunkLeaves[0], chunkLeaves[1]));
        assertFalse(_isMalformed(start, proof));
        proof = _at(_proof(StartPart.EntryTree, _node(chunkLeaves[0], chunkLeaves[1])), 1, 0);
        proof.path = new bytes32[](1);
        proof.path[0] = chunkLeaves[2];
        assertFalse(_isMalformed(start, proof));
    }

    function _at(MalformedStart memory proof, uint8 level, uint64 position)
        private
        pure
        returns (MalformedStart memory)
    {
        proof.level = level;
        proof.position = position;
        return proof;
    }

    // Malformed ones

    function test_isMalformed_stateRootOfAnotherForm() public view {
        bytes32 tree = TestTree.root(_stateLeaves());
        bytes[4] memory preimages = [
            abi.encodePacked(uint8(2), DType.ROOT, uint8(1), uint32(ENTRIES + 1), tree),
            abi.encodePacked(uint8(2), DType.F32, uint8(1), uint32(ENTRIES), tree),
            abi.encodePacked(uint8(3), _stateHeader(), tree),
            abi.encodePacked(uint8(2), _stateHeader(), tree, uint8(0))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            assertTrue(_isMalformed(sha256(preimages[i]), _proof(StartPart.State, preimages[i])));
        }
    }

    function test_isMalformed_stateTreeWithAWrongLeafOrNode() public view {
        bytes32[] memory leaves = _stateLeaves();
        bytes memory short = abi.encodePacked(uint8(0), roots[0]);
        leaves[1] = sha256(short);
        MalformedStart memory proof = _at(_proof(StartPart.StateTree, short), 0, 1);
        proof.path = TestTree.prove(leaves, 1);
        assertTrue(_isMalformed(_tensorRoot(_stateHeader(), TestTree.root(leaves)), proof));
        // A leaf where the tree has two: the state's tree is one chunk only.
        bytes memory whole = abi.encodePacked(uint8(0), _rootChunk(0));
        proof = _at(_proof(StartPart.StateTree, whole), 1, 0);
        assertTrue(_isMalformed(_tensorRoot(_stateHeader(), sha256(whole)), proof));
        // An inner node where a leaf belongs: the tree is deeper.
        bytes memory inner = _node("left", "right");
        leaves[1] = sha256(inner);
        proof = _at(_proof(StartPart.StateTree, inner), 0, 1);
        proof.path = TestTree.prove(leaves, 1);
        assertTrue(_isMalformed(_tensorRoot(_stateHeader(), TestTree.root(leaves)), proof));
    }

    function test_isMalformed_entryOfAnotherHeader() public {
        bytes memory preimage = abi.encodePacked(uint8(2), DType.I32, uint8(1), ELEMENTS, TestTree.root(chunkLeaves));
        roots[ENTRY] = sha256(preimage);
        assertTrue(_isMalformed(_stateRoot(), _proof(StartPart.Entry, preimage)));
    }

    function test_isMalformed_entryWithAShortChunk() public {
        chunks[1] = new bytes(1000);
        chunkLeaves[1] = TestTree.hashLeaf(chunks[1]);
        roots[ENTRY] = _tensorRoot(_entryHeader(), TestTree.root(chunkLeaves));
        MalformedStart memory proof = _at(_proof(StartPart.EntryTree, abi.encodePacked(uint8(0), chunks[1])), 0, 1);
        proof.path = TestTree.prove(chunkLeaves, 1);
        assertTrue(_isMalformed(_stateRoot(), proof));
    }

    function test_isMalformed_entryWithPaddedLastChunk() public {
        chunks[2] = new bytes(1024);
        chunkLeaves[2] = TestTree.hashLeaf(chunks[2]);
        roots[ENTRY] = _tensorRoot(_entryHeader(), TestTree.root(chunkLeaves));
        MalformedStart memory proof = _at(_proof(StartPart.EntryTree, abi.encodePacked(uint8(0), chunks[2])), 0, 2);
        proof.path = TestTree.prove(chunkLeaves, 2);
        assertTrue(_isMalformed(_stateRoot(), proof));
    }

    /// @dev Replays hold canonical NaNs only: a start with another one is no state that any replay could go on from.
    function testFuzz_isMalformed_entryWithAWord_onlyWhereItIsAnotherNaN(uint32 bits, uint256 word, bool near) public {
        if (near) bits = bits & 0x807fffff | 0x7f800000; // exponents all ones: infinities and NaNs
        word = bound(word, 0, 87);
        bytes4 least =
            bytes4((bits & 0xff) << 24 | (bits & 0xff00) << 8 | (bits & 0xff0000) >> 8 | (bits & 0xff000000) >> 24);
        for (uint256 i = 0; i < 4; ++i) {
            chunks[2][4 * word + i] = least[i];
        }
        chunkLeaves[2] = TestTree.hashLeaf(chunks[2]);
        roots[ENTRY] = _tensorRoot(_entryHeader(), TestTree.root(chunkLeaves));
        MalformedStart memory proof = _at(_proof(StartPart.EntryTree, abi.encodePacked(uint8(0), chunks[2])), 0, 2);
        proof.path = TestTree.prove(chunkLeaves, 2);
        bool otherNaN = bits & 0x7fffffff > 0x7f800000 && bits != 0x7fc00000;
        assertEq(_isMalformed(_stateRoot(), proof), otherNaN);
    }

    function test_isMalformed_aWholeChunkOfFloats_isRead() public {
        chunks[0][1023] = 0xff;
        chunks[0][1022] = 0xc0; // -NaN in the last word
        chunkLeaves[0] = TestTree.hashLeaf(chunks[0]);
        roots[ENTRY] = _tensorRoot(_entryHeader(), TestTree.root(chunkLeaves));
        MalformedStart memory proof = _at(_proof(StartPart.EntryTree, abi.encodePacked(uint8(0), chunks[0])), 0, 0);
        proof.path = TestTree.prove(chunkLeaves, 0);
        assertTrue(_isMalformed(_stateRoot(), proof));
    }

    // Proofs that do not hold

    function test_isMalformed_anotherCheckpoint_reverts() public {
        MalformedStart memory proof = _proof(StartPart.State, "anything");
        bytes32 program = sha256(abi.encodePacked(uint8(4), proof.header));
        vm.expectRevert(IStartChecker.NotInCheckpoint.selector);
        starts.isMalformed("other", program, proof);
        bytes32 start = sha256("anything");
        vm.expectRevert(IStartChecker.NotInCheckpoint.selector);
        starts.isMalformed(start, "other program", proof);
    }

    // In the court

    function _convict(address by, bytes memory preimage) private {
        MalformedStart memory proof = _proof(StartPart.State, preimage);
        bytes32[] memory startProof = TestTree.prove(TestTree.hashRoots(checkpoints), SEGMENT - 1);
        vm.prank(by);
        starts.convictMalformedStart(terms, SEGMENT, checkpoints[SEGMENT - 1], startProof, proof);
    }

    function _settle() private {
        for (uint32 i = 0; i < 5; ++i) {
            if (i != SEGMENT) claim(i, checkpoints[i]);
        }
        passUnblindWindow(0);
        market.settle(terms);
        assertTask(TaskState.Rejected);
    }

    function test_convictMalformedStart_byTheVerifier_paysItAlone() public {
        _commit(sha256("not a state"));
        address drawn = verifierOf(SEGMENT);
        _convict(drawn, "not a state");
        assertSlot(SEGMENT, SlotState.Failed);
        uint256 before = wealthOf(verifier) + wealthOf(secondVerifier);
        _settle();
        uint256 locked = depositOf() + numbers.claimBond;
        uint256 pot = uint256(3 * feeOf()) * 3 / 10;
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), before + pot + 4 * (terms.wage + locked));
        court.closeClaim(terms, SEGMENT, 0, 0);
        assertEq(wealthOf(verifier) + wealthOf(secondVerifier), before + pot + 4 * terms.wage + 5 * locked);
    }

    function test_convictMalformedStart_byAnybody_leavesTheVerifierTheFirstShare() public {
        _commit(sha256("not a state"));
        address drawn = verifierOf(SEGMENT);
        uint256 before = wealthOf(outsider);
        _convict(outsider, "not a state");
        uint256 drawnBefore = wealthOf(drawn);
        _settle();
        uint256 pot = uint256(3 * feeOf()) * 3 / 10;
        assertEq(wealthOf(outsider), before + pot * 9 / 36);
        assertGe(wealthOf(drawn), drawnBefore + pot * 27 / 36);
    }

    function test_convictMalformedStart_afterAClaim_itsClaimIsWhole() public {
        _commit(sha256("not a state"));
        address drawn = verifierOf(SEGMENT);
        claim(SEGMENT, "whatever");
        uint256 before = wealthOf(outsider);
        _convict(outsider, "not a state");
        _settle();
        assertEq(wealthOf(outsider), before + uint256(3 * feeOf()) * 3 / 10);
        uint96 free = vault.freeStakeOf(drawn);
        court.closeClaim(terms, SEGMENT, 0, 0);
        assertEq(vault.freeStakeOf(drawn), free + depositOf() + numbers.claimBond);
    }

    function test_convictMalformedStart_wellFormed_reverts() public {
        bytes memory preimage = abi.encodePacked(uint8(2), _stateHeader(), TestTree.root(_stateLeaves()));
        _commit(_stateRoot());
        MalformedStart memory proof = _proof(StartPart.State, preimage);
        bytes32[] memory startProof = TestTree.prove(TestTree.hashRoots(checkpoints), SEGMENT - 1);
        vm.expectRevert(IStartChecker.StartIsWellFormed.selector);
        starts.convictMalformedStart(terms, SEGMENT, checkpoints[SEGMENT - 1], startProof, proof);
        vm.expectRevert(IStartChecker.StartIsWellFormed.selector);
        starts.convictMalformedStart(terms, 0, checkpoints[SEGMENT - 1], startProof, proof);
        startProof[0] = "other";
        vm.expectRevert(IAuditCourt.BadCheckpointProof.selector);
        starts.convictMalformedStart(terms, SEGMENT, checkpoints[SEGMENT - 1], startProof, proof);
    }

    /// @dev What a program in tolerance mode must end in: the checkpoint before `SEGMENT` is the end of the segment before it.
    function test_convictMalformedEnd_failsTheSegmentThatEndsInIt() public {
        _commit(sha256("not a state"));
        MalformedStart memory proof = _proof(StartPart.State, "not a state");
        bytes32[] memory endProof = TestTree.prove(TestTree.hashRoots(checkpoints), SEGMENT - 1);
        bytes32 end = checkpoints[SEGMENT - 1];
        vm.expectRevert(IAuditCourt.BadCheckpointProof.selector);
        starts.convictMalformedEnd(terms, SEGMENT, end, endProof, proof);
        vm.prank(outsider);
        starts.convictMalformedEnd(terms, SEGMENT - 1, end, endProof, proof);
        assertSlot(SEGMENT - 1, SlotState.Failed);
        assertSlot(SEGMENT, SlotState.Drawn);
    }

    function test_convictMalformedEnd_wellFormed_reverts() public {
        bytes memory preimage = abi.encodePacked(uint8(2), _stateHeader(), TestTree.root(_stateLeaves()));
        _commit(_stateRoot());
        MalformedStart memory proof = _proof(StartPart.State, preimage);
        bytes32[] memory endProof = TestTree.prove(TestTree.hashRoots(checkpoints), SEGMENT - 1);
        vm.expectRevert(IStartChecker.StartIsWellFormed.selector);
        starts.convictMalformedEnd(terms, SEGMENT - 1, checkpoints[SEGMENT - 1], endProof, proof);
    }

    function test_convictMalformedStart_finalSegment_reverts() public {
        _commit(sha256("not a state"));
        _convict(outsider, "not a state");
        MalformedStart memory proof = _proof(StartPart.State, "not a state");
        bytes32[] memory startProof = TestTree.prove(TestTree.hashRoots(checkpoints), SEGMENT - 1);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongSlot.selector, SEGMENT, SlotState.Failed));
        starts.convictMalformedStart(terms, SEGMENT, checkpoints[SEGMENT - 1], startProof, proof);
    }
}
