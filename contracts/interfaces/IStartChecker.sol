// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "./ITaskMarket.sol";

/// @notice Where under a checkpoint's root a preimage belongs.
enum StartPart {
    State, // the state's root: header of a tensor of one root an entry, and its tree's root
    StateTree, // a node of the state's tree
    Entry, // an entry's tensor root: its header and its tree's root
    EntryTree // a node of an entry's chunk tree
}

/// @notice Proof that a checkpoint does not have the program's shape: a preimage of a hash under it that is not of the form its
/// place prescribes (tag, header, length; f32 NaNs canonical). What nobody knows a preimage of is withheld data, not a malformed start.
/// @param preimage What was hashed, its tag byte included.
/// @param level For the tree parts: binary levels above the leaves.
/// @param position For the tree parts: which subtree of that level.
/// @param path For the tree parts: inclusion proof of that subtree in the tree over the subtrees of its level.
/// @param header Encoded header of the step program.
/// @param entry For the entry parts: the encoded state entry, its index and its proof under the header.
/// @param roots For the entry parts: the chunk of the state's tensor of roots that holds the entry's root, and its proof.
struct MalformedStart {
    StartPart part;
    bytes preimage;
    uint8 level;
    uint64 position;
    bytes32[] path;
    bytes header;
    uint32 index;
    bytes entry;
    bytes32[] entryProof;
    bytes roots;
    bytes32[] rootsProof;
}

/// @title The judge of checkpoints' shapes.
interface IStartChecker {
    /// @notice Thrown when a proof does not hold: a hash does not fold, the header is not the program's.
    error NotInCheckpoint();
    /// @notice Thrown when a start claimed to be malformed is not.
    error StartIsWellFormed();

    /// @notice Anybody: proves that the checkpoint a drawn segment starts from does not have the program's shape; the segment fails at the
    /// solver's cost, and its claims are whole.
    /// @param start C_{i-1}, with its inclusion proof under the work root.
    function convictMalformedStart(
        TaskTerms calldata terms,
        uint32 segment,
        bytes32 start,
        bytes32[] calldata startProof,
        MalformedStart calldata proof
    ) external;

    /// @notice Anybody: the same of the checkpoint that a drawn segment ends in, which a program in tolerance mode reads.
    /// @param end C_i, with its inclusion proof under the work root.
    function convictMalformedEnd(
        TaskTerms calldata terms,
        uint32 segment,
        bytes32 end,
        bytes32[] calldata endProof,
        MalformedStart calldata proof
    ) external;

    /// @notice Whether the preimage shows that the checkpoint is malformed. Reverts where the proof does not hold.
    function isMalformed(bytes32 checkpoint, bytes32 stepProgram, MalformedStart calldata proof)
        external
        view
        returns (bool);
}
