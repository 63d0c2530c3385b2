// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {IDisputeBoard, LeafProof, ReadProof} from "../interfaces/IDisputeGame.sol";
import {IOpExecutor, IRowExecutor, Read} from "../interfaces/IOpExecutor.sol";
import {DType} from "../types/DType.sol";
import {InputKind} from "../types/InputKind.sol";
import {Limits} from "../types/Limits.sol";

/// @notice What a leaf's proofs are held against.
struct LeafPlace {
    bytes32 stepRoot; // the defender's tree over node roots
    bytes32 previousState; // state root before the step
    uint256 nodeCount;
    uint256 chunk; // index of the defender's chunk in the node's tensor; not read for a part
    uint32 step; // global: the value of STEP
    uint64 seed;
    // of what the solver committed to
    bytes32 workRoot;
    uint256 segments; // of the task
    uint256 segment;
    bytes32 beaconValue; // of the segment's draw
}

/// @title The last move: what a leaf reads, proven against the defender's own commitments, and what the executor makes of it.
library LeafProver {
    /// @notice Recomputes a leaf; reverts with `LeafAgrees` when the defender's chunk holds that very value.
    /// @dev The caller has proven the node under the program, the header, and the chunk under the node's tensor.
    /// @param header Decoded program header.
    /// @param chunk The defender's chunk that holds the element.
    function requireFalse(
        IOpExecutor executor,
        LeafPlace memory place,
        LeafProof calldata leaf,
        ProgramHeader memory header,
        bytes calldata chunk
    ) internal view {
        bytes calldata stated = _elementOf(leaf, place.chunk, chunk);
        bytes memory value =
            executor.execute(leaf.node, leaf.element, place.step, place.seed, _reads(leaf, header, place));
        // INVARIANT: the executor's value has the dtype's size; were it otherwise, nobody may be convicted for it.
        assert(value.length == stated.length);
        require(keccak256(value) != keccak256(stated), IDisputeBoard.LeafAgrees(value));
    }

    /// @notice What the parts of an element's row have to combine to, as the executor says it; reverts where one leaf carries the row.
    /// @dev The caller has proven as much as for `requireFalse`.
    function openRow(
        IRowExecutor executor,
        LeafPlace memory place,
        LeafProof calldata leaf,
        ProgramHeader memory header,
        bytes calldata chunk
    ) internal view returns (bytes32 claim) {
        bytes calldata stated = _elementOf(leaf, place.chunk, chunk);
        return executor.openRow(leaf.node, leaf.element, stated, _reads(leaf, header, place));
    }

    /// @notice Recomputes the part of a block; reverts with `PartAgrees` when it is the one stated.
    /// @dev The caller has proven the node, the header, the element's place, and what is stated.
    function requireFalsePart(
        IRowExecutor executor,
        LeafPlace memory place,
        LeafProof calldata leaf,
        ProgramHeader memory header,
        uint256 index,
        int64 stated
    ) internal view {
        int64 part = executor.executeBlock(leaf.node, leaf.element, index, _reads(leaf, header, place));
        require(part != stated, IDisputeBoard.PartAgrees(part));
    }

    /// @notice Root `index` of a state, from the chunk of roots that holds it.
    /// @param state Root of the state: of a tensor of `count` roots.
    /// @param roots The whole chunk: 32 roots, fewer in the last.
    /// @param proof Inclusion proof of the chunk under the tensor's tree.
    function rootInState(bytes32 state, uint256 count, uint256 index, bytes calldata roots, bytes32[] calldata proof)
        internal
        view
        returns (bytes32 tensorRoot)
    {
        bytes memory header = abi.encodePacked(DType.ROOT, uint8(1), uint32(count));
        uint256 chunk = index / _ROOTS_PER_CHUNK;
        uint256 position = index % _ROOTS_PER_CHUNK;
        require(index < count, IDisputeBoard.WrongCount(index, count));
        uint256 length = TensorLib.chunkLength(header, chunk);
        require(roots.length == length, IDisputeBoard.WrongCount(roots.length, length));
        bytes32 tree = Merkle.rootFromInclusion(TensorLib.chunkCount(header), chunk, Merkle.hashLeaf(roots), proof);
        require(TensorLib.root(header, tree) == state, IDisputeBoard.DoesNotFold());
        tensorRoot = bytes32(roots[32 * position:32 * position + 32]);
    }

    uint256 private constant _ROOTS_PER_CHUNK = Limits.CHUNK_BYTES / 32;

    /// @dev The defender's bytes of the element, which must lie in the chunk.
    function _elementOf(LeafProof calldata leaf, uint256 index, bytes calldata chunk)
        private
        pure
        returns (bytes calldata)
    {
        bytes memory header = ProgramLib.tensorHeaderOf(leaf.node);
        uint256 itemSize = DType.itemSize(TensorLib.dtypeOf(header));
        uint256 offset = uint256(leaf.element) * itemSize;
        uint256 start = index * Limits.CHUNK_BYTES;
        require(
            offset >= start && offset + itemSize <= start + chunk.length, IDisputeBoard.WrongCount(leaf.element, index)
        );
        return chunk[offset - start:offset - start + itemSize];
    }

    function _reads(LeafProof calldata leaf, ProgramHeader memory header, LeafPlace memory place)
        private
        view
        returns (Read[] memory reads)
    {
        reads = new Read[](leaf.reads.length);
        for (uint256 i = 0; i < reads.length; ++i) {
            ReadProof calldata proof = leaf.reads[i];
            (bytes32 tensorRoot, bytes calldata data) = _rangeOf(proof);
            (uint256 kind, uint256 value) = ProgramLib.inputAt(leaf.node, proof.slot);
            _requireInput(kind, value, tensorRoot, proof, header, place);
            reads[i] = Read(proof.slot, proof.start, proof.header, data);
        }
    }

    /// @dev The elements a proof shows, and the root of the tensor they are elements of.
    function _rangeOf(ReadProof calldata proof) private view returns (bytes32 tensorRoot, bytes calldata data) {
        if (proof.count == 0) {
            require(
                proof.chunks.length == 32 && proof.chunkProof.length == 0,
                IDisputeBoard.WrongCount(proof.chunks.length, 32)
            );
            if (proof.header.length == 0) return (bytes32(proof.chunks), proof.chunks);
            return (TensorLib.root(proof.header, bytes32(proof.chunks)), proof.chunks[:0]);
        }
        bytes memory header = proof.header;
        (uint256 first, uint256 skip, uint256 length) = TensorLib.chunksOfRange(header, proof.start, proof.count);
        require(proof.chunks.length == length, IDisputeBoard.WrongCount(proof.chunks.length, length));
        bytes32 tree = Merkle.rootFromRange(
            TensorLib.chunkCount(header), first, TensorLib.chunkHashes(proof.chunks), proof.chunkProof
        );
        tensorRoot = TensorLib.root(header, tree);
        data = proof.chunks[skip:skip + proof.count * DType.itemSize(TensorLib.dtypeOf(header))];
    }

    /// @dev Root of what COMMITTED denotes: an entry of the checkpoint that the solver says the segment ends in, or the draw's beacon value.
    /// `entry` is the chunk of roots, the checkpoint's root, and in a last byte how many hashes of `rootProof` place that one under the work
    /// root; the others place the chunk in the checkpoint.
    function _committedRoot(
        uint256 index,
        ReadProof calldata proof,
        ProgramHeader memory header,
        LeafPlace memory place
    ) private view returns (bytes32) {
        if (index == header.stateCount) {
            return TensorLib.root(ProgramLib.drawHeader(), Merkle.leafOf(place.beaconValue));
        }
        uint256 end = proof.entry.length - 33;
        bytes32 checkpoint = bytes32(proof.entry[end:end + 32]);
        uint256 split = uint8(proof.entry[end + 32]);
        bytes32 leaf = Merkle.leafOf(checkpoint);
        bytes32 work = Merkle.rootFromInclusion(place.segments, place.segment, leaf, proof.rootProof[:split]);
        require(work == place.workRoot, IDisputeBoard.DoesNotFold());
        return rootInState(checkpoint, header.stateCount, index, proof.entry[:end], proof.rootProof[split:]);
    }

    /// @dev Reverts unless the node's input is this tensor: by the defender's step, the state before it, the program, or the solver's work.
    function _requireInput(
        uint256 kind,
        uint256 value,
        bytes32 tensorRoot,
        ReadProof calldata proof,
        ProgramHeader memory header,
        LeafPlace memory place
    ) private view {
        bool folds;
        if (kind == InputKind.NODE) {
            folds = Merkle.rootFromInclusion(place.nodeCount, value, Merkle.leafOf(tensorRoot), proof.rootProof)
                == place.stepRoot;
        } else if (kind == InputKind.STATE) {
            folds =
                rootInState(place.previousState, header.stateCount, value, proof.entry, proof.rootProof) == tensorRoot;
        } else if (kind == InputKind.COMMITTED) {
            folds = _committedRoot(value, proof, header, place) == tensorRoot;
        } else if (kind == InputKind.CONST) {
            (, bytes32 constantRoot) = ProgramLib.decodeConstantEntry(proof.entry);
            folds = constantRoot == tensorRoot
                && Merkle.rootFromInclusion(header.constantCount, value, Merkle.hashLeaf(proof.entry), proof.rootProof)
                    == header.constantsRoot;
        }
        require(folds, IDisputeBoard.DoesNotFold());
    }
}
