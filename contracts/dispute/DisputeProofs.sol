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
import {IExecutor} from "../interfaces/IOpExecutor.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {DigestPlace, DigestProver} from "./DigestProver.sol";
import {DisputeBoard} from "./DisputeBoard.sol";
import {LeafPlace, LeafProver} from "./LeafProver.sol";
import {TracePlace, TraceProver} from "./TraceProver.sol";

/// @title The moves that convict by proof, and those that open a row which one leaf does not carry.
/// @notice Code of `DisputeGame`, which runs it by delegatecall on its own storage: one contract may not have so much code. Called by
/// itself it knows no disputes, and the court does not know it.
contract DisputeProofs is DisputeBoard, IDisputeProofs {
    IExecutor public immutable executor;

    constructor(
        IAuditCourt court_,
        ITaskMarket market_,
        IStakeVault vault_,
        IExecutor executor_,
        address treasury_,
        DisputeParameters memory parameters_
    ) DisputeBoard(court_, market_, vault_, treasury_, parameters_) {
        executor = executor_;
    }

    /// @inheritdoc IDisputeProofs
    function prove(uint256 id, TaskTerms calldata terms, bytes calldata chunk, LeafProof calldata leaf) external {
        Dispute storage dispute = _begin(id, Phase.Prove);
        _requireMover(dispute.challenger);
        bytes32 beaconValue = _requireLive(id, dispute);
        _requireChunk(dispute, leaf.node, chunk);
        (LeafPlace memory place, ProgramHeader memory program) = _placeOf(dispute, terms, leaf, beaconValue);
        LeafProver.requireFalse(executor, place, leaf, program, chunk);
        _convict(id, dispute, "leaf");
    }

    /// @inheritdoc IDisputeProofs
    function pickElement(uint256 id, TaskTerms calldata terms, bytes calldata chunk, LeafProof calldata leaf) external {
        Dispute storage dispute = _begin(id, Phase.Prove);
        _requireMover(dispute.challenger);
        _requireChunk(dispute, leaf.node, chunk);
        (, bytes32 beaconValue) = _isLive(dispute);
        (LeafPlace memory place, ProgramHeader memory program) = _placeOf(dispute, terms, leaf, beaconValue);
        // INVARIANT: only a row that has parts is opened, so that an honest defender has what it is asked for.
        bytes32 claim = LeafProver.openRow(executor, place, leaf, program, chunk);
        dispute.target = claim;
        dispute.index = uint32(leaf.element);
        _picked(id, dispute, Phase.Parts, claim);
    }

    /// @inheritdoc IDisputeProofs
    function revealParts(uint256 id, bytes calldata node, bytes calldata parts) external {
        Dispute storage dispute = _begin(id, Phase.Parts);
        _requireMover(dispute.defender);
        _requireNode(dispute, node);
        // INVARIANT: where the element is false, so is one of the parts.
        require(executor.combines(node, dispute.target, parts), DoesNotFold());
        _commitReveal(id, dispute, keccak256(parts), parts);
    }

    /// @inheritdoc IDisputeProofs
    function provePart(
        uint256 id,
        TaskTerms calldata terms,
        uint32 index,
        bytes calldata parts,
        LeafProof calldata leaf
    ) external {
        Dispute storage dispute = _begin(id, Phase.ProvePart);
        _requireMover(dispute.challenger);
        bytes32 beaconValue = _requireLive(id, dispute);
        _requireNode(dispute, leaf.node);
        require(leaf.element == dispute.index, WrongCount(leaf.element, dispute.index));
        require(keccak256(parts) == dispute.target, DoesNotFold());
        require(index < parts.length / 8, WrongCount(index, parts.length / 8));
        (LeafPlace memory place, ProgramHeader memory program) = _placeOf(dispute, terms, leaf, beaconValue);
        int64 stated = int64(uint64(bytes8(parts[8 * uint256(index):8 * uint256(index) + 8])));
        LeafProver.requireFalsePart(executor, place, leaf, program, index, stated);
        _convict(id, dispute, "part");
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
        _convictDigest(id, dispute, entry);
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
        _addWork(place, terms, ref.segment, court.slotOf(ref.task, ref.segment).beaconValue);
        LeafProver.requireFalse(executor, place, leaf, program, path.chunk);
        emit OneShot(ref.task, ref.segment, ref.round, ref.index, challenger, path.step, path.node);
        court.convict(ref, false, msg.sender);
    }

    /// @dev What the proofs of a leaf are held against, and the program's header, which must be the leaf's.
    function _placeOf(Dispute storage dispute, TaskTerms calldata terms, LeafProof calldata leaf, bytes32 beaconValue)
        private
        view
        returns (LeafPlace memory place, ProgramHeader memory program)
    {
        place.stepRoot = _revealedRoot(_pathOf(dispute, Phase.Step, dispute.step, 0, 0, 0));
        place.previousState = dispute.previousState;
        place.nodeCount = dispute.nodeCount;
        place.chunk = dispute.index;
        place.step = _firstStep(terms, dispute.segment) + dispute.step;
        place.seed = terms.seed;
        _addWork(place, terms, dispute.segment, beaconValue);
        program = _decode(leaf.header, _programOf(terms, dispute.task, dispute.segment));
    }

    /// @dev What a program may read of the solver's work and of the draw (`InputKind.COMMITTED`).
    function _addWork(LeafPlace memory place, TaskTerms calldata terms, uint256 segment, bytes32 beaconValue)
        private
        pure
    {
        place.workRoot = terms.workRoot;
        place.segments = (uint256(terms.steps) + terms.segmentSteps - 1) / terms.segmentSteps + 1;
        place.segment = segment;
        place.beaconValue = beaconValue;
    }

    function _decode(bytes calldata header, bytes32 program) private view returns (ProgramHeader memory) {
        require(ProgramLib.hashHeader(header) == program, WrongProgram());
        return ProgramLib.decodeHeader(header);
    }
}
