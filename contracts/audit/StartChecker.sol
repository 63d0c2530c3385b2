// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {IStartChecker, MalformedStart, StartPart} from "../interfaces/IStartChecker.sol";
import {ITaskMarket, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {DType} from "../types/DType.sol";
import {Limits} from "../types/Limits.sol";

/// @title The judge of checkpoints' shapes.
/// @dev Every hash under a checkpoint has one form its preimage may have: `0x02 || header || root` for a tensor's root, `0x01 || left ||
/// right` for an inner node, `0x00 || chunk` of the chunk's length for a leaf, f32 NaNs canonical. A preimage of any other form shows that nobody
/// could prove a leaf of a replay from this checkpoint; so no claim about the segment could be refuted.
contract StartChecker is IStartChecker {
    using TaskMath for TaskTerms;

    ITaskMarket public immutable market;
    IAuditCourt public immutable court;

    /// @dev Roots in a chunk of the state's tensor.
    uint256 private constant ROOTS_PER_CHUNK = Limits.CHUNK_BYTES / 32;

    /// @dev Little-endian f32 read as if it were big-endian: its exponent, its mantissa, and 0x7fc00000.
    uint32 private constant NAN_EXPONENT = 0x0000807f;
    uint32 private constant NAN_MANTISSA = 0xffff7f00;
    uint32 private constant CANONICAL_NAN = 0x0000c07f;

    constructor(ITaskMarket market_, IAuditCourt court_) {
        (market, court) = (market_, court_);
    }

    /// @inheritdoc IStartChecker
    function convictMalformedStart(
        TaskTerms memory terms,
        uint32 segment,
        bytes32 start,
        bytes32[] calldata startProof,
        MalformedStart calldata proof
    ) external {
        // The init segment starts from nothing, and the court knows the segments that are open.
        require(segment != 0, StartIsWellFormed());
        _convict(terms, segment, segment - 1, start, startProof, proof);
    }

    /// @inheritdoc IStartChecker
    function convictMalformedEnd(
        TaskTerms memory terms,
        uint32 segment,
        bytes32 end,
        bytes32[] calldata endProof,
        MalformedStart calldata proof
    ) external {
        _convict(terms, segment, segment, end, endProof, proof);
    }

    /// @inheritdoc IStartChecker
    function isMalformed(bytes32 checkpoint, bytes32 stepProgram, MalformedStart calldata proof)
        public
        view
        returns (bool)
    {
        require(ProgramLib.hashHeader(proof.header) == stepProgram, NotInCheckpoint());
        ProgramHeader memory program = ProgramLib.decodeHeader(proof.header);
        bytes memory header = _stateHeader(program.stateCount);
        bytes32 root = checkpoint;
        if (proof.part == StartPart.Entry || proof.part == StartPart.EntryTree) {
            (header, root) = _entry(checkpoint, header, program, proof);
        }
        bytes32 hash = sha256(proof.preimage);
        if (proof.part == StartPart.State || proof.part == StartPart.Entry) {
            require(hash == root, NotInCheckpoint());
            return !_isRoot(proof.preimage, header);
        }
        uint256 chunks = TensorLib.chunkCount(header);
        uint256 size = ((chunks - 1) >> proof.level) + 1;
        bytes32 tree = Merkle.rootFromInclusion(size, proof.position, hash, proof.path);
        require(TensorLib.root(header, tree) == root, NotInCheckpoint());
        return !_isNode(proof.preimage, header, proof.level, proof.position, chunks);
    }

    /// @dev Fails an open segment by checkpoint `index`, the one it starts from or the one it ends in.
    function _convict(
        TaskTerms memory terms,
        uint32 segment,
        uint256 index,
        bytes32 checkpoint,
        bytes32[] calldata path,
        MalformedStart calldata proof
    ) private {
        require(terms.hash() == market.termsHashOf(terms.id), IAuditCourt.WrongTerms(terms.id));
        bytes32 leaf = Merkle.leafOf(checkpoint);
        require(
            Merkle.rootFromInclusion(terms.segmentCount(), index, leaf, path) == terms.workRoot,
            IAuditCourt.BadCheckpointProof()
        );
        require(isMalformed(checkpoint, terms.stepProgram, proof), StartIsWellFormed());
        court.failStart(terms.id, segment, msg.sender);
    }

    /// @dev Header of the tensor of a state's roots.
    function _stateHeader(uint32 count) private pure returns (bytes memory) {
        return abi.encodePacked(DType.ROOT, uint8(1), count);
    }

    /// @dev The header that the program gives an entry, and the root that the checkpoint gives it.
    function _entry(
        bytes32 checkpoint,
        bytes memory stateHeader,
        ProgramHeader memory program,
        MalformedStart calldata proof
    ) private view returns (bytes memory header, bytes32 root) {
        bytes32 leaf = Merkle.hashLeaf(proof.entry);
        require(
            Merkle.rootFromInclusion(program.stateCount, proof.index, leaf, proof.entryProof) == program.stateRoot,
            NotInCheckpoint()
        );
        (header,,) = ProgramLib.decodeStateEntry(proof.entry);
        uint256 chunk = proof.index / ROOTS_PER_CHUNK;
        uint256 chunks = TensorLib.chunkCount(stateHeader);
        bytes32 tree = Merkle.rootFromInclusion(chunks, chunk, Merkle.hashLeaf(proof.roots), proof.rootsProof);
        require(
            proof.roots.length == TensorLib.chunkLength(stateHeader, chunk)
                && TensorLib.root(stateHeader, tree) == checkpoint,
            NotInCheckpoint()
        );
        uint256 offset = proof.index % ROOTS_PER_CHUNK * 32;
        root = bytes32(proof.roots[offset:offset + 32]);
    }

    /// @dev Whether a preimage is `0x02 || header || root`.
    function _isRoot(bytes calldata preimage, bytes memory header) private pure returns (bool) {
        uint256 end = 1 + header.length;
        return preimage.length == end + 32 && preimage[0] == 0x02 && keccak256(preimage[1:end]) == keccak256(header);
    }

    /// @dev Whether a preimage is an inner node, or a chunk of the right length, as its place has it. A subtree of one chunk is that chunk's
    /// leaf at any level.
    function _isNode(bytes calldata preimage, bytes memory header, uint256 level, uint256 position, uint256 chunks)
        private
        pure
        returns (bool)
    {
        uint256 first = position << level;
        if (level == 0 || first == chunks - 1) {
            return preimage.length == 1 + TensorLib.chunkLength(header, first) && preimage[0] == 0x00
                && (uint8(header[0]) != DType.F32 || _hasCanonicalNaNs(preimage));
        }
        return preimage.length == 65 && preimage[0] == 0x01;
    }

    /// @dev Whether every NaN of a chunk of f32, little-endian behind its tag, is the canonical one.
    function _hasCanonicalNaNs(bytes calldata chunk) private pure returns (bool) {
        for (uint256 i = 1; i < chunk.length; i += 4) {
            // The bytes as they lie, the least significant first: the mask of the exponent, and the rest without the sign.
            uint32 bits = uint32(bytes4(chunk[i:i + 4]));
            if (bits & NAN_EXPONENT == NAN_EXPONENT && bits & NAN_MANTISSA != 0 && bits != CANONICAL_NAN) return false;
        }
        return true;
    }
}
