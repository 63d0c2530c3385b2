// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice What is wrong with a program.
enum FaultKind {
    Node, // a node that the program checker refuses
    LastNode, // the last node is not a `state` of one root an entry
    StateInput, // an input of the last node has not its state entry's type, or replaces a frozen entry
    StateEntry, // a state entry is malformed
    StateTotals, // a state entry's running total does not follow from the entry before
    StateEnd, // the header's total of chunks does not follow from the last entry
    Constant // a constant entry is malformed
}

/// @notice Proof that one of a task's programs breaks the rules.
/// @param index Of the node or entry; of the later entry for `StateTotals`; of the input for `StateInput`.
/// @param entries The accused node or entry; then, for `Node`, what each input denotes (encoded node, state entry or constant entry,
/// empty for other inputs); for `StateInput` what that input denotes and then the state entry; for `StateTotals` the entry before.
/// @param proofs Inclusion proof of each of `entries` under the header's roots, empty where the entry is.
struct ProgramFault {
    FaultKind kind;
    bool init; // in the init program
    bytes header; // encoded program header
    uint32 index;
    bytes[] entries;
    bytes32[][] proofs;
}

/// @title The judge of a program's parts: what `lockstep.program.spec` refuses and one node or entry shows.
interface IProgramFaults {
    /// @notice Thrown when an entry is not where the proof says under the header's roots, or the header is not the program's.
    error NotInProgram();
    /// @notice Thrown when an entry that the accusation leans on is itself malformed: accuse that one.
    error AccuseThatOne(uint256 position);

    /// @notice Whether the fault is one. Reverts where the proof does not hold.
    function isFault(bytes32 program, ProgramFault calldata fault) external view returns (bool);
}
