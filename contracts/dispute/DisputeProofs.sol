// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramHeader, ProgramLib} from "../commitments/ProgramLib.sol";
import {ClaimBody, ClaimRecord, ClaimRef, IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {
    DigestChunk,
    Dispute,
    DisputeParameters,
    IDisputeProofs,
    LeafProof,
    Phase,
    TracePath
} from "../interfaces/IDisputeGame.sol";
import {IOpExecutor} from "../interfaces/IOpExecutor.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {DigestPlace, DigestProver} from "./DigestProver.sol";
import {DisputeBoard} from "./DisputeBoard.sol";
import {LeafPlace, LeafProver} from "./LeafProver.sol";
import {TracePlace, TraceProver} from "./TraceProver.sol";

/// @title The moves that convict by proof.
/// @notice Code of `DisputeGame`, which runs it by delegatecall on its own storage: one contract may not have so much code. Called by
/// itself it knows no disputes, and the court does not know it.
contract DisputeProofs is DisputeBoard, IDisputeProofs {
    IOpExecutor public immutable executor;

    constructor(
        IAuditCourt court_,
        ITaskMarket market_,
        IStakeVault vault_,
        IOpExecutor executor_,
        address treasury_,
        DisputeParameters memory parameters_
    ) DisputeBoard(court_, market_, vault_, treasury_, parameters_) {
        executor = executor_;
    }

    /// @inheritdoc IDisputeProofs
    function prove(uint256 id, TaskTerms calldata terms, bytes calldata chunk, LeafProof calldata leaf) external {
        Dispute storage dispute = _begin(id, Phase.Prove);
        _requireMover(dispute.challenger);
        _requireLive(id, dispute);
        _requireChunk(dispute, leaf.node, chunk);
        LeafPlace memory place = LeafPlace({
            stepRoot: _revealedRoot(_pathOf(dispute, Phase.Step, dispute.step, 0, 0, 0)),
            previousState: dispute.previousState,
            nodeCount: dispute.nodeCount,
            chunk: dispute.index,
            step: _firstStep(terms, dispute.segment) + dispute.step,
            seed: terms.seed
        });
        bytes32 program = _programOf(terms, dispute.task, dispute.segment);
        LeafProver.requireFalse(executor, place, leaf, _decode(leaf.header, program), chunk);
        _convict(id, dispute, "leaf");
    }

    /// @inheritdoc IDisputeProofs
    function proveDigest(
        uint256 id,
        TaskTerms calldata terms,
        ClaimBody calldata body,
        bytes32 state,
        bytes32[] calldata stateProof,
        bytes calldata header,
        DigestChunk[2] calldata chunks
    ) external {
        Dispute storage dispute = _begin(id, Phase.PickStep);
        _requireMover(dispute.challenger);
        require(dispute.digest, WrongPhase(id, Phase.PickStep));
        uint256 step = dispute.digestStep;
        _requireState(dispute, step, state, stateProof);
        _requireBody(court.claimOf(_defenderRef(dispute)), body);
        DigestPlace memory place = DigestPlace({
            beaconValue: _requireLive(id, dispute),
            claimant: dispute.defender,
            assignment: keccak256(abi.encode(dispute.task, dispute.segment, dispute.round)),
            step: uint32(step),
            state: state
        });
        bytes32 program = _programOf(terms, dispute.task, dispute.segment);
        bytes8 entry = DigestProver.entryOf(place, _decode(header, program), chunks);
        require(entry != bytes8(body.digest[8 * step:8 * step + 8]), DigestAgrees());
        _convict(id, dispute, "digest");
    }

    /// @inheritdoc IDisputeProofs
    function oneShot(
        TaskTerms calldata terms,
        ClaimRef calldata ref,
        uint16 challenger,
        ClaimBody calldata body,
        TracePath calldata path,
        LeafProof calldata leaf
    ) external {
        {
            (ClaimRecord memory accused, ClaimRecord memory accuser) = _requireParties(terms, ref, challenger, body);
            require(accused.endRoot != accuser.endRoot && !accused.convicted && body.traceRoot != 0, NotDisputable());
        }
        (uint256 steps, uint256 nodeCount) = _shapeOf(terms, ref.segment);
        TracePlace memory trace = TracePlace({
            traceRoot: body.traceRoot,
            startRoot: body.startRoot,
            steps: steps,
            nodeCount: nodeCount,
            firstStep: _firstStep(terms, ref.segment),
            seed: terms.seed
        });
        ProgramHeader memory program = _decode(leaf.header, _programOf(terms, ref.task, ref.segment));
        LeafPlace memory place = TraceProver.placeOf(trace, path, leaf, program.nodesRoot);
        LeafProver.requireFalse(executor, place, leaf, program, path.chunk);
        emit OneShot(ref.task, ref.segment, ref.round, ref.index, challenger, path.step, path.node);
        court.convict(ref, false, msg.sender);
    }

    function _decode(bytes calldata header, bytes32 program) private view returns (ProgramHeader memory) {
        require(ProgramLib.hashHeader(header) == program, WrongProgram());
        return ProgramLib.decodeHeader(header);
    }
}
