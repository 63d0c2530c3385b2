// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice One contiguous run of elements of one input tensor of a node, already proven against its commitment by the
/// caller; or, for a `state` node, the root of one input tensor.
/// @param slot Position among the node's inputs.
/// @param start Row-major index of the first element.
/// @param header `dtype u8 || rank u8 || extent u32 * rank` of the input tensor (`contracts/commitments/TensorLib.sol`);
/// empty for the read of a root.
/// @param data Little-endian elements `[start, start + data.length / itemsize)`; 32 bytes for the read of a root.
struct Read {
    uint16 slot;
    uint64 start;
    bytes header;
    bytes data;
}

/// @title The machine a dispute ends on: recomputes one element of one node from proven inputs.
/// @notice The executor is total: every node encoding that the program checker accepts, and every element index below the node's
/// element count, has a defined value for every content of the inputs. It reverts only where the caller supplied other
/// reads than the leaf needs, or where the element's row is longer than one leaf carries.
/// @dev `DisputeGame` knows nothing else of ops, so that its own tests can run on a toy machine.
interface IOpExecutor {
    /// @notice Thrown when the reads are not exactly those the leaf needs: `slot` and `start` of the first one missing or wrong.
    error WrongRead(uint16 slot, uint64 start);

    /// @notice Thrown when the bytes are not the canonical encoding of a node.
    error MalformedNode();

    /// @notice Thrown when the element's row is longer than one leaf carries: `IRowExecutor` computes it, block by block.
    error LongRow(uint256 length);

    /// @notice Thrown when `element` is not below the node's element count.
    error ElementOutOfRange(uint256 element, uint256 elements);

    /// @notice The value of element `element` of the node's output.
    /// @param node Encoded node (`offchain/lockstep/program/encoding.py`).
    /// @param element Row-major index.
    /// @param step Global step number, the value of STEP.
    /// @param seed The task's seed: SEED's low word in bits 0..31, its high word in bits 32..63.
    /// @param reads What the leaf reads, in the order of `docs/PROGRAM.md`: by input slot, except that a gather reads
    /// its index first, and element 0 of its table where the index is out of range. Literals, STEP and SEED are never among them.
    /// @return value Little-endian bytes of the element, as many as the dtype takes.
    function execute(bytes calldata node, uint256 element, uint32 step, uint64 seed, Read[] calldata reads)
        external
        view
        returns (bytes memory value);
}

/// @title Elements whose row is longer than one leaf carries: of `exponent`, `matmul`, `sum`, `reduce_max`, `argmax`, `scatter_add`.
/// @notice Such a row is cut into blocks of `Limits.ROW_BLOCK` elements (`scatter_add`: `Limits.SCATTER_BLOCK`), the last perhaps
/// shorter. The *part* of a block is a signed 64-bit number, and the element is a function of its row's parts: of their sum
/// (`matmul`, `sum`, `scatter_add`) or of the largest (the others). What each part is, `docs/PROGRAM.md` says. Parts are written one after
/// the other, 8 bytes each, big-endian. Both functions are total: a block has a part for every content, and any numbers combine.
interface IRowExecutor {
    /// @notice Thrown when a row has one block only: then `IOpExecutor.execute` computes its element.
    error ShortRow(uint256 length);

    /// @notice Thrown when a row has no such block.
    error BlockOutOfRange(uint256 index, uint256 blocks);

    /// @notice What the parts of an element's row have to combine to.
    /// @param stated The element as its claimant states it: little-endian bytes, as many as the dtype takes.
    /// @param reads By slot: of the operand with the row (`matmul`: the first) its type alone, which is its header with start 0 and no
    /// data; then, of `matmul`, `sum` and `scatter_add`, the exponents of the element.
    /// @return claim For `combines` only.
    function openRow(bytes calldata node, uint256 element, bytes calldata stated, Read[] calldata reads)
        external
        view
        returns (bytes32 claim);

    /// @notice Whether parts are as many as the row has blocks, and combine to the element stated.
    /// @param claim From `openRow` of the same node.
    function combines(bytes calldata node, bytes32 claim, bytes calldata parts) external view returns (bool);

    /// @notice The part of one block.
    /// @param reads By slot: the block's run of the row (`matmul`: of both rows; `scatter_add`: of the indices, too, and the exponent).
    function executeBlock(bytes calldata node, uint256 element, uint256 index, Read[] calldata reads)
        external
        view
        returns (int64 part);
}

/// @title The whole machine.
interface IExecutor is IOpExecutor, IRowExecutor {}

/// @title The checker of one node, the chain's half of `lockstep.program.spec`.
interface IProgramChecker {
    /// @notice Thrown when there is not one header an input: nothing can be said of the node then.
    error HeaderCount(uint256 expected, uint256 given);

    /// @notice Thrown when the header of a NODE, STATE or CONST input that exists is empty.
    error MissingHeader(uint256 slot);

    /// @notice Whether a node is well formed, given the types of the tensors its inputs denote.
    /// @param node Encoded node.
    /// @param index Position of the node in its program; NODE inputs must be below it.
    /// @param nodeCount Number of nodes of the program.
    /// @param stateCount Number of state entries.
    /// @param constantCount Number of constants.
    /// @param isInit Whether the program is an init program (no STATE inputs, random sites with the top bit).
    /// @param inputHeaders Tensor header of every NODE, STATE and CONST input, by slot; empty for the other kinds.
    /// The caller has proven them; what is wrong with them is held against the program.
    /// @return valid False where the encoding, the arity, a dtype, a shape, an attribute or a limit breaks the rules.
    function checkNode(
        bytes calldata node,
        uint256 index,
        uint256 nodeCount,
        uint256 stateCount,
        uint256 constantCount,
        bool isInit,
        bytes[] calldata inputHeaders
    ) external view returns (bool valid);
}
