// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRef} from "./IAuditCourt.sol";
import {TaskTerms} from "./ITaskMarket.sol";

/// @notice What the side to move owes. Order is part of the ABI; twin: `lockstep.dispute.transition`.
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
    Prove, // challenger: the leaf, or the element whose row one leaf does not carry
    Parts, // defender: the parts of that row, one a block
    ProvePart, // challenger: a block's part
    Resolved
}

/// @notice How a dispute ended. Twin: `lockstep.dispute.transition`.
enum Outcome {
    None,
    DefenderConvicted,
    ChallengeFailed,
    Withdrawn // the claim fell in another dispute, or the task ended: bond back
}

/// @notice What is fixed about every dispute of a deployment.
struct DisputeParameters {
    uint96 openingBond; // O: a challenger's, lost when its challenge fails
    uint32 clock; // seconds each side has for a whole dispute
    uint32 increment; // seconds each side has for a move at least
    uint64 workRate; // units of work a party is sure to replay in a second; both clocks grow by segment work / rate; 0: they do not
}

/// @notice Proof of what a leaf reads of one input. A proof of one leaf is its inclusion proof, of several a range proof.
struct ReadProof {
    uint16 slot;
    uint64 start; // first element
    uint32 count; // elements; 0: no element, but the tensor's type (an open row's operand) or, without a header, its root (a `state` node's input)
    bytes header; // tensor header of the input
    bytes chunks; // the whole chunks that hold the elements; with count 0 the 32-byte root, of the chunks' tree where there is a header
    bytes32[] chunkProof; // of the chunks under the tensor's tree; empty with count 0
    // where the tensor root comes from, by the input's kind:
    bytes32[] rootProof; // NODE: of its leaf under the step's tree. STATE: of the chunk of roots under the state's tree. CONST: of the entry
    bytes entry; // STATE: the 1 KiB chunk of roots. CONST: the encoded constant entry. NODE: empty
}

/// @notice A leaf: one element of one node of one step.
struct LeafProof {
    bytes header; // encoded program header
    bytes node; // encoded node
    uint64 element; // row-major index in the node's output
    ReadProof[] reads; // in the executor's order
}

/// @notice One of the two chunks of a digest entry, with its way up to the state root.
struct DigestChunk {
    uint32 index; // of the state entry that holds the position
    bytes entry; // that entry, encoded
    bytes32[] entryProof; // of the entry under the header's state root
    bytes roots; // the 1 KiB chunk of the state's tensor of roots that holds root `index`
    bytes32[] rootsProof; // of that chunk under the state's tree
    bytes chunk;
    bytes32[] chunkProof; // under the tensor's tree
}

/// @notice The path from a trace root to a chunk, for a conviction in one transaction. The trace's tree has the leaf
/// `H(0x00 || root of the step's tree)` for each step of the segment.
struct TracePath {
    uint16 step;
    bytes32 stepRoot;
    bytes32 previousStepRoot; // of step - 1; unused for step 0
    bytes32[] traceProof; // of the leaves [step - 1, step], of leaf 0 for step 0
    bytes32 previousState; // state root before the step; unused for step 0, whose is the start root
    bytes32[] previousProof; // of `H(0x00 || previousState)` as last leaf under previousStepRoot
    uint32 node;
    bytes32[] tensorProof; // of the node's tensor root under stepRoot
    bytes32[] nodeProof; // of the node's encoding under the program
    bytes chunk; // the one that holds the element
    bytes32[] chunkProof; // under the tensor's tree
}

/// @notice What is stored of a dispute.
/// @dev While a tree is walked, `level` is that of the hashes the current reveal shows (0: leaves), `index` the subtree at
/// `level + 1` whose children they are, and `target` what they fold to. From `Data` on `index` is the chunk, from `Parts` on the
/// element; then `target` is what the parts must combine to, as the executor writes it, and from `ProvePart` on the parts' keccak256.
struct Dispute {
    uint256 task;
    // one slot
    uint32 segment;
    uint8 round;
    uint16 defenderIndex; // of the claims in the round
    uint16 challengerIndex;
    Phase phase;
    Outcome outcome;
    bool digest; // about a digest entry
    uint8 digestStep;
    uint8 steps; // of the segment
    uint8 step; // picked, within the segment
    uint8 level;
    uint32 nodeCount; // of the segment's program
    uint32 node; // picked
    uint32 index;
    // one slot
    address defender;
    uint40 turnStart;
    uint32 defenderClock; // seconds left at turnStart
    // one slot
    address challenger;
    uint32 challengerClock;
    bytes32 target;
    bytes32 previousState; // the start root; r_{s-1} once a step is picked
    bytes32 state; // the end root; r_s once a step is picked
    bytes32 nodeHash; // keccak256 of the picked node's encoding
}

/// @title Events and errors of disputes.
interface IDisputeBoard {
    event Opened(
        uint256 indexed id,
        uint256 indexed task,
        uint32 indexed segment,
        uint8 round,
        uint16 defender,
        uint16 challenger,
        bool digest,
        uint8 digestStep
    );
    /// @param data The hashes one after the other, the chunk, or the parts.
    event Revealed(uint256 indexed id, bytes32 indexed path, Phase phase, address by, bytes data);
    /// @param hash What was picked: state root, block's hash, node's leaf, chunk's hash, an element's row as `IRowExecutor.openRow` says it.
    event Picked(uint256 indexed id, Phase phase, uint8 step, uint32 node, uint8 level, uint32 index, bytes32 hash);
    /// @param reason "leaf", "part", "digest", "silence", or the kind of end: "moot".
    event Resolved(uint256 indexed id, Outcome outcome, bytes32 reason);
    event OneShot(
        uint256 indexed task,
        uint32 indexed segment,
        uint8 round,
        uint16 defender,
        uint16 challenger,
        uint16 step,
        uint32 node
    );

    /// @notice Thrown when a move does not fit the phase, reveals made in other disputes considered.
    error WrongPhase(uint256 id, Phase actual);
    /// @notice Thrown when anybody but `mover` makes a move that is its alone.
    error NotYourMove(address caller, address mover);
    /// @notice Thrown when a move comes after its clock ran out.
    error ClockExpired(uint64 deadline);
    /// @notice Thrown when time is called too early.
    error ClockRunning(uint64 deadline);
    /// @notice Thrown when a reveal, pick or proof does not fold to what is on chain, or parts do not combine to the element.
    error DoesNotFold();
    /// @notice Thrown when a list, a chunk or an index does not fit its place.
    error WrongCount(uint256 actual, uint256 needed);
    /// @notice Thrown when claims cannot dispute each other: same claimant, unknown, equal end roots, already convicted, no trace.
    error NotDisputable();
    /// @notice Thrown when the leaf gives the very value the defender committed to.
    error LeafAgrees(bytes value);
    /// @notice Thrown when a block's part is as it should be.
    error PartAgrees(int64 part);
    /// @notice Thrown when a digest entry is as it should be.
    error DigestAgrees();
    /// @notice Thrown when a claim body is not the one posted.
    error WrongBody();
    /// @notice Thrown when the task's program does not have this header, or not this node in this place.
    error WrongProgram();
    /// @notice Thrown when a verdict is asked for although the claim fell elsewhere or the task ended; `withdraw` is the way out.
    error Moot(uint256 id);
    /// @notice Thrown when a dispute that still decides something is to be withdrawn.
    error StillLive(uint256 id);

    function parameters() external view returns (DisputeParameters memory);
}

/// @title The moves that convict by proof, and those that open a row which one leaf does not carry.
interface IDisputeProofs is IDisputeBoard {
    /// @notice Challenger: the leaf. Convicts the defender, or reverts.
    function prove(uint256 id, TaskTerms calldata terms, bytes calldata chunk, LeafProof calldata leaf) external;
    /// @notice Challenger, instead of `prove`: an element of the chunk whose row one leaf does not carry.
    /// @param leaf With the reads of `IRowExecutor.openRow`.
    function pickElement(uint256 id, TaskTerms calldata terms, bytes calldata chunk, LeafProof calldata leaf) external;
    /// @notice Claimant: the parts of the element's row, which must combine to the element.
    /// @param parts 8 bytes each, big-endian, one a block.
    function revealParts(uint256 id, bytes calldata node, bytes calldata parts) external;
    /// @notice Challenger: the part of block `index`. Convicts the defender, or reverts.
    /// @param parts What the defender revealed.
    /// @param leaf Of the element picked, with the reads of `IRowExecutor.executeBlock`.
    function provePart(
        uint256 id,
        TaskTerms calldata terms,
        uint32 index,
        bytes calldata parts,
        LeafProof calldata leaf
    ) external;
    /// @notice Challenger: the digest entry, from two chunks of the state after its step. Convicts the defender, or reverts.
    /// @param state State root after the step; `stateProof` as for `pickStep` of step 0.
    function proveDigest(
        uint256 id,
        TaskTerms calldata terms,
        ClaimBody calldata body,
        bytes32 state,
        bytes32[] calldata stateProof,
        bytes calldata header,
        DigestChunk[2] calldata chunks
    ) external;
    /// @notice Owner of `challenger`: the whole path at once, against a claim with another end root that carries a trace root.
    function oneShot(
        TaskTerms calldata terms,
        ClaimRef calldata ref,
        uint16 challenger,
        ClaimBody calldata body,
        TracePath calldata path,
        LeafProof calldata leaf
    ) external;
}

/// @title Moves, clocks and convictions of a dispute between two claims of one segment.
/// @notice A reveal below the states and the top of a step's tree is fixed by a hash on chain, so anybody may make it; those two, and
/// the parts of a row, are new commitments of the claimant, bound to what it said before. Reveals are kept once per claim and path and serve all its disputes:
/// a dispute that waits for a reveal made in another goes on by itself, at the time of that reveal.
/// @dev INVARIANT: a claimant that followed the program is never convicted for what it says, only for silence.
/// INVARIANT: against a claim with another end root, a challenger that followed the program has a winning move in every turn.
interface IDisputeGame is IDisputeProofs {
    /// @notice Opens a dispute about the end root, or about one digest entry, in the dispute window; locks the opening bond.
    /// @param ref The claim under attack.
    /// @param challenger Index of the caller's own claim in the same round.
    /// @param body Of the claim under attack.
    /// @param digest Whether it is about the digest entry of `digestStep` (within the segment).
    function open(
        TaskTerms calldata terms,
        ClaimRef calldata ref,
        uint16 challenger,
        ClaimBody calldata body,
        bool digest,
        uint8 digestStep
    ) external returns (uint256 id);

    /// @notice Claimant: the state roots after each step, the last the end root.
    function revealStates(uint256 id, bytes32[] calldata roots) external;
    /// @notice Challenger: a step whose state root differs and whose start does not. In a dispute about a digest entry, a step
    /// up to that entry's.
    /// @param previous State root before the step (the start root for step 0).
    /// @param proof Of `[previous, state]` among the state roots revealed; of `state` alone for step 0; empty with one step.
    function pickStep(uint256 id, uint8 step, bytes32 previous, bytes32 state, bytes32[] calldata proof) external;
    /// @notice Claimant: the top level of the step's tree, and the proof that its last leaf is the state root.
    function revealStep(uint256 id, bytes32[] calldata hashes, bytes32[] calldata lastProof) external;
    /// @notice Challenger: a block of the step's tree; `index` counts blocks of its level over the whole tree.
    /// @param proof Of the block's hash among the hashes revealed.
    function pickBlock(uint256 id, uint32 index, bytes32 hash, bytes32[] calldata proof) external;
    /// @notice Anybody: the hashes of the picked block.
    function revealNodes(uint256 id, bytes32[] calldata hashes) external;
    /// @notice Challenger: the first node that differs, with its place in the program.
    /// @param hash Its leaf, `H(0x00 || tensor root)`; `proof` of it among the hashes revealed.
    /// @param nodeProof Of the encoded node under the program's nodes root.
    function pickNode(
        uint256 id,
        TaskTerms calldata terms,
        uint32 index,
        bytes32 hash,
        bytes32[] calldata proof,
        bytes calldata header,
        bytes calldata node,
        bytes32[] calldata nodeProof
    ) external;
    /// @notice Anybody: the top level, or a picked block, of the tensor's chunk tree.
    function revealChunks(uint256 id, bytes calldata node, bytes32[] calldata hashes) external;
    /// @notice Challenger: a block of the chunk tree, or a chunk; `index` counts over the whole tree.
    function pickChunk(uint256 id, bytes calldata node, uint32 index, bytes32 hash, bytes32[] calldata proof) external;
    /// @notice Anybody: the chunk's bytes.
    function revealData(uint256 id, bytes calldata node, bytes calldata chunk) external;
    /// @notice Anybody: the side to move has used its clock.
    function timeout(uint256 id) external;
    /// @notice Anybody: the defender's claim fell elsewhere or the task ended; the bond goes back.
    function withdraw(uint256 id) external;
    /// @notice A dispute as it stands, reveals made in other disputes considered.
    function disputeOf(uint256 id) external view returns (Dispute memory);
    /// @notice Last second in which the side to move may move; 0 when resolved.
    function deadlineOf(uint256 id) external view returns (uint64);
    function disputeCount() external view returns (uint256);
    /// @notice When a path was revealed, 0 if it was not; and the root of what was revealed, for states, the top of a
    /// step and parts.
    function revealOf(bytes32 path) external view returns (uint64 moment, bytes32 root);
    /// @notice Key of a reveal: `keccak256(abi.encode(keccak256(abi.encode(ref)), kind, step, node, level, index))`. `States` has all of
    /// them 0, `Step` its step, `Nodes` and the `Chunks` of a node the level of the hashes and the subtree, `Data` the chunk as index,
    /// `Parts` the element.
    function pathOf(ClaimRef calldata ref, Phase kind, uint8 step, uint32 node, uint8 level, uint32 index)
        external
        pure
        returns (bytes32);
}
