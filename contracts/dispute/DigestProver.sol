// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {DigestChunk, IDisputeBoard} from "../interfaces/IDisputeGame.sol";
import {LeafProver} from "./LeafProver.sol";

/// @notice What an entry of a replay digest is bound to.
struct DigestPlace {
    bytes32 beaconValue;
    address claimant;
    bytes32 assignment; // keccak256(abi.encode(task, segment, round))
    uint32 step; // within the segment
    bytes32 state; // state root after the step
}

/// @title Entries of a replay digest: proof that a claimant held the state after every step.
/// @notice Entry s is the first 8 bytes of `H(0x03 || claimant || assignment || s || chunk 0 || chunk 1)`, the chunks being those at
/// `H(0x05 || beacon value || claimant || s || n) mod state chunks` of the non-frozen state after step s. Twin:
/// `offchain/lockstep/dispute/digest.py`.
library DigestProver {
    /// @notice Which of the `stateChunks` chunks of the non-frozen state chunk `n` of an entry is.
    function positionOf(bytes32 beaconValue, address claimant, uint32 step, uint8 n, uint256 stateChunks)
        internal
        pure
        returns (uint256)
    {
        return uint256(sha256(abi.encodePacked(uint8(5), beaconValue, claimant, step, n))) % stateChunks;
    }

    /// @notice The entry that the state has; reverts unless both chunks are the right ones.
    /// @param header Decoded header of the segment's program.
    function entryOf(DigestPlace memory place, ProgramHeader memory header, DigestChunk[2] calldata chunks)
        internal
        view
        returns (bytes8)
    {
        for (uint8 n = 0; n < 2; ++n) {
            uint256 position = positionOf(place.beaconValue, place.claimant, place.step, n, header.stateChunks);
            _requireChunk(place.state, header, position, chunks[n]);
        }
        return bytes8(
            sha256(
                abi.encodePacked(
                    uint8(3), place.claimant, place.assignment, place.step, chunks[0].chunk, chunks[1].chunk
                )
            )
        );
    }

    /// @dev Reverts unless this is the chunk at `position` of the non-frozen state.
    function _requireChunk(bytes32 state, ProgramHeader memory header, uint256 position, DigestChunk calldata proof)
        private
        view
    {
        require(
            Merkle.rootFromInclusion(header.stateCount, proof.index, Merkle.hashLeaf(proof.entry), proof.entryProof)
                == header.stateRoot,
            IDisputeBoard.WrongProgram()
        );
        (bytes memory tensorHeader, bool frozen, uint64 before) = ProgramLib.decodeStateEntry(proof.entry);
        uint256 count = TensorLib.chunkCount(tensorHeader);
        require(
            !frozen && before <= position && position < before + count, IDisputeBoard.WrongCount(proof.index, position)
        );
        uint256 chunk = position - before;
        uint256 length = TensorLib.chunkLength(tensorHeader, chunk);
        require(proof.chunk.length == length, IDisputeBoard.WrongCount(proof.chunk.length, length));
        bytes32 tree = Merkle.rootFromInclusion(count, chunk, Merkle.hashLeaf(proof.chunk), proof.chunkProof);
        require(
            TensorLib.root(tensorHeader, tree)
                == LeafProver.rootInState(state, header.stateCount, proof.index, proof.roots, proof.rootsProof),
            IDisputeBoard.DoesNotFold()
        );
    }
}
