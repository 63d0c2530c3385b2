// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {LeafProver} from "../dispute/LeafProver.sol";
import {Chunks, IDataDemands, Piece, PieceKind, Place, StatePath, Subject} from "../interfaces/IDataDemands.sol";
import {TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {Limits} from "../types/Limits.sol";

/// @title Which pieces a drawn segment has, and what answers a demand for one.
library Pieces {
    using TaskMath for TaskTerms;

    /// @dev Entries or chunks of a piece.
    uint256 internal constant RUN = 32;
    /// @dev Bytes paid for beside the content: proofs, and what an answer repeats.
    uint256 internal constant OVERHEAD = 1024;
    /// @dev Bytes paid for an entry of a list, whose length nobody knows before.
    uint256 internal constant ITEM = 256;

    /// @notice What an answer is held against; reverts where the segment has no such piece.
    function subjectOf(TaskTerms memory terms, Piece calldata piece, Place calldata place)
        internal
        view
        returns (Subject memory subject)
    {
        PieceKind kind = piece.kind;
        if (kind == PieceKind.Link) {
            require(!piece.init && piece.index == 0 && piece.run == 0, IDataDemands.NoSuchPiece("run"));
            return Subject(terms.workRoot, 0, uint32(terms.segmentCount()), 0, uint32(OVERHEAD));
        }
        // INVARIANT: a stacked task's start is a root its parent's solver chose, not a program: nobody answers for one.
        require(!piece.init || !terms.isStacked(), IDataDemands.NoSuchPiece("init"));
        require(
            ProgramLib.hashHeader(place.header) == (piece.init ? terms.initProgram : terms.stepProgram),
            IDataDemands.NoSuchPiece("header")
        );
        ProgramHeader memory program = ProgramLib.decodeHeader(place.header);
        if (kind == PieceKind.Items) return _list(program, piece);
        bytes32 leaf = Merkle.hashLeaf(place.entry);
        bytes memory header;
        if (kind == PieceKind.Constant) {
            require(
                Merkle.rootFromInclusion(program.constantCount, piece.index, leaf, place.proof)
                    == program.constantsRoot,
                IDataDemands.NoSuchPiece("entry")
            );
            (header, subject.root) = ProgramLib.decodeConstantEntry(place.entry);
        } else {
            // The init segment starts from nothing.
            require(
                (piece.segment != 0 || kind == PieceKind.Committed) && !piece.init, IDataDemands.NoSuchPiece("segment")
            );
            require(
                Merkle.rootFromInclusion(program.stateCount, piece.index, leaf, place.proof) == program.stateRoot,
                IDataDemands.NoSuchPiece("entry")
            );
            (header,,) = ProgramLib.decodeStateEntry(place.entry);
            (subject.root, subject.size, subject.entries) =
            (terms.workRoot, uint32(terms.segmentCount()), program.stateCount);
        }
        subject.form = keccak256(header);
        subject.length = uint32(_runBytes(header, piece.run) + OVERHEAD);
    }

    /// @notice Reverts unless these are the roots the segment starts from and ends in.
    function requireLink(
        Piece calldata piece,
        Subject calldata subject,
        bytes32 start,
        bytes32 checkpoint,
        bytes32[] calldata proof
    ) internal view {
        require(piece.kind == PieceKind.Link && (piece.segment != 0 || start == 0), IDataDemands.WrongAnswer());
        bytes32[] memory leaves = new bytes32[](piece.segment == 0 ? 1 : 2);
        leaves[0] = Merkle.leafOf(start);
        leaves[leaves.length - 1] = Merkle.leafOf(checkpoint);
        uint256 first = piece.segment == 0 ? 0 : piece.segment - 1;
        require(Merkle.rootFromRange(subject.size, first, leaves, proof) == subject.root, IDataDemands.WrongAnswer());
    }

    /// @notice Reverts unless these are the list's entries.
    function requireItems(
        Piece calldata piece,
        Subject calldata subject,
        bytes[] calldata items,
        bytes32[] calldata proof
    ) internal view {
        uint256 first = piece.run * RUN;
        uint256 rest = subject.size - first;
        require(piece.kind == PieceKind.Items && items.length == (rest < RUN ? rest : RUN), IDataDemands.WrongAnswer());
        bytes32[] memory leaves = new bytes32[](items.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = Merkle.hashLeaf(items[i]);
        }
        require(Merkle.rootFromRange(subject.size, first, leaves, proof) == subject.root, IDataDemands.WrongAnswer());
    }

    /// @notice Reverts unless these are the tensor's chunks.
    function requireChunks(
        Piece calldata piece,
        Subject calldata subject,
        Chunks calldata chunks,
        StatePath calldata path
    ) internal view {
        require(keccak256(chunks.header) == subject.form, IDataDemands.WrongAnswer());
        bytes32 tensor = piece.kind == PieceKind.Constant ? subject.root : _tensorIn(piece, subject, path);
        require(_rootOf(chunks, piece.run) == tensor, IDataDemands.WrongAnswer());
    }

    /// @dev Root of an entry's tensor, proven down from the work.
    function _tensorIn(Piece calldata piece, Subject calldata subject, StatePath calldata path)
        private
        view
        returns (bytes32)
    {
        bytes32 leaf = Merkle.leafOf(path.start);
        uint256 index = piece.kind == PieceKind.Committed ? piece.segment : piece.segment - 1;
        bytes32 work = Merkle.rootFromInclusion(subject.size, index, leaf, path.startProof);
        require(work == subject.root, IDataDemands.WrongAnswer());
        return LeafProver.rootInState(path.start, subject.entries, piece.index, path.roots, path.rootsProof);
    }

    /// @dev Root of the tensor that a run of chunks, of its exact length, gives.
    function _rootOf(Chunks calldata chunks, uint256 run) private view returns (bytes32) {
        bytes memory header = chunks.header;
        require(chunks.data.length == _runBytes(header, run), IDataDemands.WrongAnswer());
        bytes32[] memory leaves = TensorLib.chunkHashes(chunks.data);
        bytes32 tree = Merkle.rootFromRange(TensorLib.chunkCount(header), run * RUN, leaves, chunks.proof);
        return TensorLib.root(header, tree);
    }

    function _list(ProgramHeader memory program, Piece calldata piece) private pure returns (Subject memory subject) {
        uint32 list = piece.index;
        require(list < 4, IDataDemands.NoSuchPiece("list"));
        if (list == 0) (subject.size, subject.root) = (program.nodeCount, program.nodesRoot);
        if (list == 1) (subject.size, subject.root) = (program.stateCount, program.stateRoot);
        if (list == 2) (subject.size, subject.root) = (program.constantCount, program.constantsRoot);
        if (list == 3) (subject.size, subject.root) = (program.metricCount, program.metricsRoot);
        uint256 first = uint256(piece.run) * RUN;
        require(first < subject.size, IDataDemands.NoSuchPiece("run"));
        uint256 count = subject.size - first < RUN ? subject.size - first : RUN;
        // The last node names every entry of the state, in five bytes each.
        uint256 last = list == 0 && first + count == subject.size ? 5 * uint256(program.stateCount) : 0;
        subject.length = uint32(count * ITEM + last + OVERHEAD);
    }

    /// @dev Bytes of a run of a tensor's chunks.
    function _runBytes(bytes memory header, uint256 run) private pure returns (uint256) {
        uint256 total = TensorLib.byteLength(header);
        uint256 first = run * RUN * Limits.CHUNK_BYTES;
        require(first < total, IDataDemands.NoSuchPiece("run"));
        return total - first < RUN * Limits.CHUNK_BYTES ? total - first : RUN * Limits.CHUNK_BYTES;
    }
}
