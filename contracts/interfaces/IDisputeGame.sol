// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRef} from "./IAuditCourt.sol";
import {TaskTerms} from "./ITaskMarket.sol";
import {Read} from "./IOpExecutor.sol";

/// @notice What the side to move owes.
enum Phase {
    None,
    States, // defender: state roots
    PickStep, // challenger: first differing step, or the digest entry
    Step, // defender: top of the step's tree
    PickBlock, // challenger: a block of the step's tree
    Nodes, // defender: the block's hashes
    PickNode, // challenger: the first differing node
    Chunks, // defender: hashes of the tensor's chunk tree
    PickChunk, // challenger: a block or chunk of it
    Data, // defender: the chunk
    Prove, // challenger: the leaf
    Resolved
}

/// @notice How a dispute ended.
enum Outcome {
    None,
    DefenderConvicted,
    ChallengeFailed,
    Withdrawn // the claim fell in another dispute, or the task ended: bonds back
}

/// @notice Proof of what a leaf reads of one input.
struct ReadProof {
    uint16 slot;
    uint64 start; // first element
    uint32 count; // elements; 0: the root itself (a `state` node's input)
    bytes header; // tensor header of the input; empty with count 0
    bytes chunks; // the whole chunks that hold the elements
    bytes32[] chunkProof; // range proof of the chunks under the tensor's tree
    bytes32 tensorRoot;
    // where the tensor root comes from, by the input's kind:
    bytes32[] rootProof; // NODE: range proof under the step tree. STATE: of the 1 KiB chunk of roots under the state's tree. CONST: of the entry
    bytes entry; // STATE: that chunk of roots. CONST: the encoded constant entry. NODE: empty
}

/// @notice A leaf: one element of one node of one step.
struct LeafProof {
    bytes header; // encoded program header
    bytes node; // encoded node
    uint64 element; // row-major index in the node's output
    ReadProof[] reads;
}

/// @notice What is stored of a dispute.
struct Dispute {
    ClaimRef defender;
    ClaimRef challenger;
    Phase phase;
    Outcome outcome;
    bool digest; // about a digest entry
    uint8 level; // of the tree being walked; 0: leaves
    uint16 digestStep;
    uint16 step; // within the segment
    uint32 node;
    uint32 index; // block or chunk picked at `level`
    uint64 turnStart;
    uint32 defenderClock; // seconds left
    uint32 challengerClock;
    bytes32 target; // the hash the next reveal must fold to
    bytes32 previousState; // r_{s-1}, or the start root
    bytes32 state; // r_s
    bytes32 stepRoot; // defender's tree over node roots
    bytes32 nodeHash; // keccak256 of the picked node's encoding
}

/// @title Moves, clocks and convictions of a dispute between two claims of one segment.
interface IDisputeGame {
    event Opened(uint256 indexed id, ClaimRef defender, ClaimRef challenger, bool digest, uint16 digestStep);
    event Revealed(uint256 indexed id, bytes32 indexed path, Phase phase, address by, bytes data);
    event Picked(uint256 indexed id, Phase phase, uint16 step, uint32 node, uint8 level, uint32 index);
    event Resolved(uint256 indexed id, Outcome outcome, bytes32 reason);
    event OneShot(ClaimRef defender, ClaimRef challenger, uint16 step, uint32 node);

    /// @notice Thrown when a move does not fit the phase.
    error WrongPhase(uint256 id, Phase actual);
    /// @notice Thrown when anybody but `mover` makes a move that is its alone.
    error NotYourMove(address caller, address mover);
    /// @notice Thrown when a move comes after its clock ran out.
    error ClockExpired(uint64 deadline);
    /// @notice Thrown when time is called too early.
    error ClockRunning(uint64 deadline);
    /// @notice Thrown when a reveal, pick or proof does not fold to what is on chain.
    error DoesNotFold();
    /// @notice Thrown when a list has a wrong number of entries.
    error WrongCount(uint256 actual, uint256 needed);
    /// @notice Thrown when claims cannot dispute each other: same claimant, other segment, equal end roots, already convicted.
    error NotDisputable();
    /// @notice Thrown when the leaf gives the very value the defender committed to.
    error LeafAgrees(bytes value);
    /// @notice Thrown when a digest entry is as it should be.
    error DigestAgrees();
    /// @notice Thrown when a claim body is not the one posted.
    error WrongBody();

    /// @notice Opens a dispute on the end root; the caller owns `challenger`.
    function open(TaskTerms calldata terms, ClaimRef calldata defender, ClaimRef calldata challenger, ClaimBody calldata body)
        external
        returns (uint256 id);
    /// @notice Opens a dispute on the digest entry of `step` (within the segment).
    function openDigest(
        TaskTerms calldata terms,
        ClaimRef calldata defender,
        ClaimRef calldata challenger,
        ClaimBody calldata body,
        uint16 step
    ) external returns (uint256 id);

    /// @notice Claimant: the state roots after each step.
    function revealStates(uint256 id, TaskTerms calldata terms, bytes32[] calldata roots) external;
    function pickStep(uint256 id, TaskTerms calldata terms, ClaimBody calldata body, uint16 step, bytes32 previous, bytes32 state, bytes32[] calldata proof)
        external;
    /// @notice Claimant: the top level of the step's tree, and the proof that its last leaf is the state root.
    function revealStep(uint256 id, TaskTerms calldata terms, bytes32[] calldata hashes, bytes32[] calldata lastProof) external;
    function pickBlock(uint256 id, TaskTerms calldata terms, uint32 index, bytes32 hash, bytes32[] calldata proof) external;
    /// @notice Anybody: the hashes of the picked block.
    function revealNodes(uint256 id, TaskTerms calldata terms, bytes32[] calldata hashes) external;
    function pickNode(
        uint256 id,
        TaskTerms calldata terms,
        uint32 index,
        bytes32 tensorRoot,
        bytes32[] calldata proof,
        bytes calldata header,
        bytes calldata node,
        bytes32[] calldata nodeProof
    ) external;
    /// @notice Anybody: the top level, or a picked block, of the chunk tree.
    function revealChunks(uint256 id, bytes calldata node, bytes32[] calldata hashes) external;
    function pickChunk(uint256 id, bytes calldata node, uint32 index, bytes32 hash, bytes32[] calldata proof) external;
    /// @notice Anybody: the chunk's bytes.
    function revealData(uint256 id, bytes calldata node, bytes calldata chunk) external;
    /// @notice Challenger: the leaf. Convicts the defender, or reverts.
    function prove(uint256 id, TaskTerms calldata terms, bytes calldata chunk, LeafProof calldata leaf) external;
    /// @notice Challenger: the digest entry, from two chunks of the state after the step. Convicts the defender, or reverts.
    function proveDigest(
        uint256 id,
        TaskTerms calldata terms,
        ClaimBody calldata body,
        bytes32 state,
        bytes32[] calldata stateProof,
        bytes calldata header,
        DigestChunk[2] calldata chunks
    ) external;
    /// @notice Anybody: the side to move has used its clock.
    function timeout(uint256 id, TaskTerms calldata terms) external;
    /// @notice Anybody: the defender's claim fell elsewhere or the task ended.
    function withdraw(uint256 id, TaskTerms calldata terms) external;
    /// @notice Owner of `challenger`: the whole path at once, against a claim that carries a trace root.
    function oneShot(
        TaskTerms calldata terms,
        ClaimRef calldata defender,
        ClaimRef calldata challenger,
        ClaimBody calldata body,
        TracePath calldata path,
        LeafProof calldata leaf
    ) external;

    function disputeOf(uint256 id) external view returns (Dispute memory);
    function revealedAt(ClaimRef calldata ref, bytes32 path) external view returns (uint64);
}

/// @notice One of the two chunks of a digest entry, with its way up to the state root.
struct DigestChunk {
    bytes entry; // encoded state entry that holds the position
    bytes32[] entryProof; // range proof under the header's state root
    uint32 index; // of the entry
    bytes roots; // 1 KiB chunk of the state's tensor of roots that holds root `index`
    bytes32[] rootsProof;
    bytes chunk;
    bytes32[] chunkProof;
}

/// @notice The path from a trace root to a chunk, for a conviction in one transaction.
struct TracePath {
    uint16 step;
    bytes32 previousState; // r_{s-1}: start root for step 0, else last leaf of the step before
    bytes32 previousStepRoot; // trace leaf s-1 (unused for step 0)
    bytes32[] previousLeafProof; // of `H(0x00 || previousState)` as last leaf under previousStepRoot
    bytes32 stepRoot;
    bytes32[] traceProof; // range proof of the leaves [s-1, s] (or [0]) under the trace root
    uint32 nodeIndex;
    bytes32 tensorRoot;
    bytes32[] tensorProof; // of the node's root under stepRoot
    bytes32[] nodeProof; // of the node's encoding under the program
    uint32 chunkIndex;
    bytes chunk;
    bytes32[] chunkProof; // under the tensor's tree
}
