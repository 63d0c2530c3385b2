// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "./ITaskMarket.sol";

/// @notice What of a segment's start and end can be demanded.
enum PieceKind {
    Link, // the roots of the checkpoints it starts from and ends in, and their proof under the work root
    Items, // entries of a list of one of the task's programs
    Constant, // chunks of a constant of one of them
    State, // chunks of an entry of the checkpoint it starts from
    Committed // chunks of an entry of the checkpoint it ends in: a replay in tolerance mode reads that
}

/// @notice What can be demanded at once, and once: a run of 32 entries or chunks.
struct Piece {
    uint256 task;
    uint32 segment; // a drawn one
    PieceKind kind;
    bool init; // Items, Constant: of the init program; else of the step program
    uint32 index; // Items: the list (0 nodes, 1 state, 2 constants, 3 metrics). Constant, State, Committed: the entry. Link: 0
    uint32 run; // which 32 of the list or the tensor; the last run may be shorter. Link: 0
}

/// @notice What shows that a piece exists; empty for a link.
struct Place {
    bytes header; // encoded header of the program
    bytes entry; // Constant, State, Committed: the encoded entry
    bytes32[] proof; // and its inclusion under the header
}

/// @notice What an answer is held against. The chain derives it and keeps its hash; the `Demanded` event has it.
struct Subject {
    bytes32 root; // Link, State, Committed: of the work; Items: of the list; Constant: the tensor's
    bytes32 form; // Constant, State, Committed: keccak256 of the tensor's header
    uint32 size; // Link, State, Committed: segments of the task; Items: entries of the list
    uint32 entries; // State, Committed: entries of the state
    uint32 length; // bytes that are paid for
}

/// @notice A run of a tensor's chunks.
struct Chunks {
    bytes header; // of the tensor
    bytes data; // the chunks' bytes, one after the other
    bytes32[] proof; // range proof of the chunks in the tensor's tree
}

/// @notice Where in the work an answered chunk of a state lies; empty for a constant's.
struct StatePath {
    bytes32 start; // root of the checkpoint, which for Committed is the one the segment ends in
    bytes32[] startProof; // and its inclusion under the work root
    bytes roots; // chunk of the state's roots that holds the entry's
    bytes32[] rootsProof; // and its inclusion in their tree
}

/// @notice Where a demand stands.
enum DemandState {
    None,
    Open,
    Answered,
    Lapsed, // not answered in time: the segment failed by it
    Dropped // the segment ended before
}

/// @notice What is stored of a demand.
struct Demand {
    address demander;
    uint40 deadline; // last second for an answer
    DemandState state;
    uint8 round; // of the segment's draw
    bool pauses; // the drawn verifier waits for it: its clock stands still
    bytes32 subject; // keccak256(abi.encode(Subject))
}

/// @notice A deployment's numbers for demands.
struct DemandParameters {
    uint96 flatFee; // of a demand, token base units
    uint96 byteFee; // of a byte, token base units
    uint32 rate; // bytes a second that a solver must be able to post for one task
    uint32 response; // seconds a solver has in any case
    uint32 doubling; // seconds of queue that add the plain fee once more
}

/// @title Demands for withheld data.
/// @notice Whoever misses what a drawn segment's replay needs may demand it from the solver, who acknowledged that it holds programs and data and
/// committed to its checkpoints: piece by piece, each once, for a fee that covers the gas of posting it. All demands of a task form one queue: the
/// deadline is the end of the queue at a fixed rate of bytes, and a least time. Whoever answers, the fee is the solver's. Where nobody does in
/// time, anybody says so: the segment fails at the solver's cost, as if its work had been shown wrong.
/// @dev INVARIANT: a demand is due before its segment's claim window ends; the drawn verifier's move that window, others must fit into it.
interface IDataDemands {
    event Demanded(
        bytes32 indexed id,
        uint256 indexed task,
        address indexed demander,
        Piece piece,
        Subject subject,
        uint64 deadline,
        uint96 fee
    );
    /// @param data Link: `abi.encode(start, checkpoint, proof)`; Items: `abi.encode(items)`; else the chunks' bytes.
    event Answered(bytes32 indexed id, uint256 indexed task, address answerer, bytes data);
    /// @notice The segment's drawn verifier waits for what somebody else demanded.
    event Joined(bytes32 indexed id, uint256 indexed task);
    event Closed(bytes32 indexed id, uint256 indexed task, DemandState state);

    /// @notice Thrown when terms are not the task's, or it is not audited.
    error NotAudited(uint256 task);
    /// @notice Thrown when a segment is not drawn, or its claim window is over.
    error NotOpen(uint32 segment);
    /// @notice Thrown when a piece does not exist; `what` says which part of it.
    error NoSuchPiece(string what);
    /// @notice Thrown when a piece was demanded before.
    error AlreadyDemanded(bytes32 id);
    /// @notice Thrown when a demand would be due only after the claim window, and does not move it.
    error DueTooLate(uint64 deadline, uint64 claimDeadline);
    /// @notice Thrown when a demand is not open.
    error WrongDemand(bytes32 id, DemandState actual);
    /// @notice Thrown when the caller is not a drawn verifier that has not claimed, or waits for this demand already.
    error NotWaiting(uint32 segment, address caller);
    /// @notice Thrown when an answer comes too late.
    error DemandOverdue(uint64 deadline);
    /// @notice Thrown when a demand is to be closed that may still be answered.
    error DemandPending(uint64 deadline);
    /// @notice Thrown when an answer does not give what was demanded.
    error WrongAnswer();

    /// @notice Anybody: demands a piece; the fee is locked from the caller's free stake.
    function demand(TaskTerms calldata terms, Piece calldata piece, Place calldata place) external returns (bytes32 id);
    /// @notice Drawn verifier that has not claimed: waits for what somebody else demanded, as if it had demanded it itself, but for the fee. So
    /// nobody can take its clock from it by demanding first.
    function join(Piece calldata piece) external;
    /// @notice Anybody: answers a demand for a link.
    function answerLink(
        Piece calldata piece,
        Subject calldata subject,
        bytes32 start,
        bytes32 checkpoint,
        bytes32[] calldata proof
    ) external;
    /// @notice Anybody: answers a demand for entries of a list.
    /// @param proof Range proof of their leaves.
    function answerItems(
        Piece calldata piece,
        Subject calldata subject,
        bytes[] calldata items,
        bytes32[] calldata proof
    ) external;
    /// @notice Anybody: answers a demand for chunks of a constant or a state.
    function answerChunks(
        Piece calldata piece,
        Subject calldata subject,
        Chunks calldata chunks,
        StatePath calldata path
    ) external;
    /// @notice Anybody: ends a demand that was not answered in time, or whose segment has ended; the fee goes back. An open segment fails by it.
    function close(Piece calldata piece) external;

    /// @notice `keccak256(abi.encode(piece))`.
    function idOf(Piece calldata piece) external pure returns (bytes32);
    function demandOf(bytes32 id) external view returns (Demand memory);
    /// @notice What a demand of so many bytes would cost now, the part of it that the solver gets, and when it would be due.
    function quote(uint256 task, uint32 length) external view returns (uint96 fee, uint96 plain, uint64 deadline);
    /// @notice End of a task's queue, a timestamp; at most now where it is empty.
    function queueEndOf(uint256 task) external view returns (uint64);
    function parameters() external view returns (DemandParameters memory);
}
