// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {ClaimBody, ClaimRecord, ClaimRef, IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {
    DigestChunk,
    Dispute,
    DisputeParameters,
    IDisputeGame,
    IDisputeProofs,
    LeafProof,
    Phase,
    TracePath
} from "../interfaces/IDisputeGame.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {Limits} from "../types/Limits.sol";
import {DisputeBoard} from "./DisputeBoard.sol";
import {DisputeClock} from "./DisputeClock.sol";
import {DisputeProofs} from "./DisputeProofs.sol";

/// @title Moves, clocks and convictions of a dispute between two claims of one segment.
contract DisputeGame is DisputeBoard, IDisputeGame {
    DisputeProofs public immutable proofs;

    /// @param proofs_ Deployed with the same addresses and parameters.
    constructor(
        IAuditCourt court_,
        ITaskMarket market_,
        IStakeVault vault_,
        DisputeProofs proofs_,
        address treasury_,
        DisputeParameters memory parameters_
    ) DisputeBoard(court_, market_, vault_, treasury_, parameters_) {
        proofs = proofs_;
        assert(
            address(proofs_.court()) == address(court_) && address(proofs_.market()) == address(market_)
                && address(proofs_.vault()) == address(vault_) && proofs_.treasury() == treasury_
                && keccak256(abi.encode(proofs_.parameters())) == keccak256(abi.encode(parameters_))
        );
    }

    // Opening

    /// @inheritdoc IDisputeGame
    function open(
        TaskTerms calldata terms,
        ClaimRef calldata ref,
        uint16 challenger,
        ClaimBody calldata body,
        bool digest,
        uint8 digestStep
    ) external returns (uint256 id) {
        (ClaimRecord memory accused, ClaimRecord memory accuser) = _requireParties(terms, ref, challenger, body);
        (uint256 steps, uint256 nodeCount) = _shapeOf(terms, ref.segment);
        if (digest) {
            require(!accused.digestConvicted, NotDisputable());
            require(digestStep < steps, WrongCount(digestStep, steps));
        } else {
            require(!accused.convicted && accused.endRoot != accuser.endRoot, NotDisputable());
        }
        id = ++_disputeCount;
        uint256 work = steps * (ref.segment == 0 ? terms.initWork : terms.stepWork);
        uint32 budget = DisputeClock.budget(_clock, work, _workRate);
        Dispute storage dispute = _disputes[id];
        dispute.task = ref.task;
        dispute.segment = ref.segment;
        dispute.round = ref.round;
        dispute.defenderIndex = ref.index;
        dispute.challengerIndex = challenger;
        dispute.phase = steps > 1 ? Phase.States : digest ? Phase.PickStep : Phase.Step;
        dispute.digest = digest;
        dispute.digestStep = digestStep;
        dispute.steps = uint8(steps);
        dispute.level = steps > 1 ? 0 : _topLevel(nodeCount);
        dispute.nodeCount = uint32(nodeCount);
        dispute.defender = accused.claimant;
        dispute.turnStart = uint40(block.timestamp);
        dispute.defenderClock = budget;
        dispute.challenger = msg.sender;
        dispute.challengerClock = budget;
        dispute.previousState = body.startRoot;
        dispute.state = body.endRoot;
        emit Opened(id, ref.task, ref.segment, ref.round, ref.index, challenger, digest, digestStep);
        court.disputeOpened(ref);
        vault.lock(_engagementOf(id), msg.sender, _openingBond);
    }

    // The segment's states

    /// @inheritdoc IDisputeGame
    function revealStates(uint256 id, bytes32[] calldata roots) external {
        Dispute storage dispute = _begin(id, Phase.States);
        _requireMover(dispute.defender);
        _requireCount(roots.length, dispute.steps);
        require(roots[roots.length - 1] == dispute.state, DoesNotFold());
        _commitReveal(id, dispute, Merkle.fold(roots), abi.encodePacked(roots));
    }

    /// @inheritdoc IDisputeGame
    function pickStep(uint256 id, uint8 step, bytes32 previous, bytes32 state, bytes32[] calldata proof) external {
        Dispute storage dispute = _begin(id, Phase.PickStep);
        _requireMover(dispute.challenger);
        uint256 limit = dispute.digest ? uint256(dispute.digestStep) + 1 : dispute.steps;
        require(step < limit, WrongCount(step, limit));
        if (step == 0) {
            _requireState(dispute, 0, state, proof);
            require(previous == dispute.previousState, DoesNotFold());
        } else {
            bytes32[] memory pair = new bytes32[](2);
            pair[0] = previous;
            pair[1] = state;
            require(Merkle.rootFromRange(dispute.steps, step - 1, pair, proof) == dispute.target, DoesNotFold());
            dispute.previousState = previous;
        }
        dispute.step = step;
        dispute.state = state;
        dispute.level = _topLevel(dispute.nodeCount);
        _picked(id, dispute, Phase.Step, state);
    }

    // The step's tree

    /// @inheritdoc IDisputeGame
    function revealStep(uint256 id, bytes32[] calldata hashes, bytes32[] calldata lastProof) external {
        Dispute storage dispute = _begin(id, Phase.Step);
        _requireMover(dispute.defender);
        uint256 size = dispute.nodeCount;
        _requireCount(hashes.length, Merkle.childCount(size, dispute.level + 1, 0));
        bytes32 root = Merkle.fold(hashes);
        // INVARIANT: the last leaf is the state root, so that where the states differ a leaf of the trees does.
        bytes32 last = Merkle.leafOf(dispute.state);
        require(Merkle.rootFromInclusion(size, size - 1, last, lastProof) == root, DoesNotFold());
        _commitReveal(id, dispute, root, abi.encodePacked(hashes));
    }

    /// @inheritdoc IDisputeGame
    function pickBlock(uint256 id, uint32 index, bytes32 hash, bytes32[] calldata proof) external {
        Dispute storage dispute = _begin(id, Phase.PickBlock);
        _requireMover(dispute.challenger);
        require(_rootOfChild(dispute, dispute.nodeCount, index, hash, proof) == dispute.target, DoesNotFold());
        dispute.target = hash;
        dispute.index = index;
        --dispute.level;
        _picked(id, dispute, Phase.Nodes, hash);
    }

    /// @inheritdoc IDisputeGame
    function revealNodes(uint256 id, bytes32[] calldata hashes) external {
        Dispute storage dispute = _begin(id, Phase.Nodes);
        _requireCount(hashes.length, Merkle.childCount(dispute.nodeCount, dispute.level + 1, dispute.index));
        require(Merkle.fold(hashes) == dispute.target, DoesNotFold());
        _reveal(id, dispute, abi.encodePacked(hashes));
    }

    /// @inheritdoc IDisputeGame
    function pickNode(
        uint256 id,
        TaskTerms calldata terms,
        uint32 index,
        bytes32 hash,
        bytes32[] calldata proof,
        bytes calldata header,
        bytes calldata node,
        bytes32[] calldata nodeProof
    ) external {
        Dispute storage dispute = _begin(id, Phase.PickNode);
        _requireMover(dispute.challenger);
        require(_rootOfChild(dispute, dispute.nodeCount, index, hash, proof) == dispute.target, DoesNotFold());
        require(ProgramLib.hashHeader(header) == _programOf(terms, dispute.task, dispute.segment), WrongProgram());
        bytes32 nodesRoot = bytes32(header[6:38]); // checked in full when the task was submitted
        bytes32 nodeLeaf = Merkle.hashLeaf(node);
        require(Merkle.rootFromInclusion(dispute.nodeCount, index, nodeLeaf, nodeProof) == nodesRoot, WrongProgram());
        uint256 chunks = TensorLib.chunkCount(ProgramLib.tensorHeaderOf(node));
        dispute.node = index;
        dispute.nodeHash = keccak256(node);
        dispute.target = hash;
        dispute.index = 0;
        dispute.level = _topLevel(chunks);
        _picked(id, dispute, chunks == 1 ? Phase.Data : Phase.Chunks, hash);
    }

    // The tensor's chunks

    /// @inheritdoc IDisputeGame
    function revealChunks(uint256 id, bytes calldata node, bytes32[] calldata hashes) external {
        Dispute storage dispute = _begin(id, Phase.Chunks);
        bytes memory header = _tensorHeader(dispute, node);
        uint256 size = TensorLib.chunkCount(header);
        _requireCount(hashes.length, Merkle.childCount(size, dispute.level + 1, dispute.index));
        require(
            _chunkTarget(header, dispute.level + 1 == Merkle.height(size), Merkle.fold(hashes)) == dispute.target,
            DoesNotFold()
        );
        _reveal(id, dispute, abi.encodePacked(hashes));
    }

    /// @inheritdoc IDisputeGame
    function pickChunk(uint256 id, bytes calldata node, uint32 index, bytes32 hash, bytes32[] calldata proof) external {
        Dispute storage dispute = _begin(id, Phase.PickChunk);
        _requireMover(dispute.challenger);
        bytes memory header = _tensorHeader(dispute, node);
        uint256 size = TensorLib.chunkCount(header);
        bytes32 root = _rootOfChild(dispute, size, index, hash, proof);
        require(_chunkTarget(header, dispute.level + 1 == Merkle.height(size), root) == dispute.target, DoesNotFold());
        dispute.target = hash;
        dispute.index = index;
        if (dispute.level == 0) {
            _picked(id, dispute, Phase.Data, hash);
        } else {
            --dispute.level;
            _picked(id, dispute, Phase.Chunks, hash);
        }
    }

    /// @inheritdoc IDisputeGame
    function revealData(uint256 id, bytes calldata node, bytes calldata chunk) external {
        Dispute storage dispute = _begin(id, Phase.Data);
        _requireChunk(dispute, node, chunk);
        _reveal(id, dispute, chunk);
    }

    // The proofs

    /// @inheritdoc IDisputeProofs
    function prove(uint256, TaskTerms calldata, bytes calldata, LeafProof calldata) external {
        _runProofs();
    }

    /// @inheritdoc IDisputeProofs
    function pickElement(uint256, TaskTerms calldata, bytes calldata, LeafProof calldata) external {
        _runProofs();
    }

    /// @inheritdoc IDisputeProofs
    function revealParts(uint256, bytes calldata, bytes calldata) external {
        _runProofs();
    }

    /// @inheritdoc IDisputeProofs
    function provePart(uint256, TaskTerms calldata, uint32, bytes calldata, LeafProof calldata) external {
        _runProofs();
    }

    /// @inheritdoc IDisputeProofs
    function proveDigest(
        uint256,
        TaskTerms calldata,
        ClaimBody calldata,
        bytes32,
        bytes32[] calldata,
        bytes calldata,
        DigestChunk[2] calldata
    ) external {
        _runProofs();
    }

    /// @inheritdoc IDisputeProofs
    function oneShot(
        TaskTerms calldata,
        ClaimRef calldata,
        uint16,
        ClaimBody calldata,
        TracePath calldata,
        LeafProof calldata
    ) external {
        _runProofs();
    }

    // Ends without a proof

    /// @inheritdoc IDisputeGame
    function timeout(uint256 id) external {
        Dispute storage dispute = _load(id);
        uint256 deadline = _deadlineOf(dispute);
        require(block.timestamp > deadline, ClockRunning(uint64(deadline)));
        _requireLive(id, dispute);
        if (_defends(dispute.phase)) _convict(id, dispute, "silence");
        else _fail(id, dispute, "silence");
    }

    /// @inheritdoc IDisputeGame
    function withdraw(uint256 id) external {
        Dispute storage dispute = _load(id);
        (bool live,) = _isLive(dispute);
        require(!live, StillLive(id));
        _withdraw(id, dispute, "moot");
    }

    // Views

    /// @inheritdoc IDisputeGame
    function disputeCount() external view returns (uint256) {
        return _disputeCount;
    }

    /// @inheritdoc IDisputeGame
    function disputeOf(uint256 id) external view returns (Dispute memory dispute) {
        dispute = _disputes[id];
        (uint64 moment, bytes32 root) = _awaitedReveal(_disputes[id]);
        if (moment == 0) return dispute;
        dispute.phase = _afterReveal(dispute.phase, dispute.level);
        if (root != 0) dispute.target = root;
        if (moment > dispute.turnStart) {
            dispute.defenderClock = DisputeClock.charge(dispute.defenderClock, dispute.turnStart, moment);
            dispute.turnStart = uint40(moment);
        }
    }

    /// @inheritdoc IDisputeGame
    function deadlineOf(uint256 id) external view returns (uint64) {
        Dispute memory dispute = this.disputeOf(id);
        if (dispute.phase == Phase.None || dispute.phase == Phase.Resolved) return 0;
        uint32 left = _defends(dispute.phase) ? dispute.defenderClock : dispute.challengerClock;
        return uint64(DisputeClock.deadline(dispute.turnStart, left, _increment));
    }

    /// @inheritdoc IDisputeGame
    function revealOf(bytes32 path) external view returns (uint64 moment, bytes32 root) {
        return (_revealedAt[path], _revealedRoot(path));
    }

    /// @inheritdoc IDisputeGame
    function pathOf(ClaimRef calldata ref, Phase kind, uint8 step, uint32 node, uint8 level, uint32 index)
        external
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(keccak256(abi.encode(ref)), kind, step, node, level, index));
    }

    // Parts of moves

    /// @dev Root of the current reveal, from the child that is subtree `index` of its level in a tree of `size` leaves.
    function _rootOfChild(Dispute storage dispute, uint256 size, uint256 index, bytes32 hash, bytes32[] calldata proof)
        private
        view
        returns (bytes32)
    {
        uint256 parent = dispute.index;
        require(index >> Limits.TREE_WIDTH_BITS == parent, WrongCount(index, parent << Limits.TREE_WIDTH_BITS));
        uint256 count = Merkle.childCount(size, dispute.level + 1, parent);
        return Merkle.rootFromInclusion(count, index & (Limits.TREE_WIDTH - 1), hash, proof);
    }

    /// @dev Runs the same call in `DisputeProofs`, on this contract's storage.
    function _runProofs() private {
        address target = address(proofs);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, 0, calldatasize())
            let done := delegatecall(gas(), target, buffer, calldatasize(), 0, 0)
            returndatacopy(buffer, 0, returndatasize())
            if iszero(done) { revert(buffer, returndatasize()) }
            return(buffer, returndatasize())
        }
    }
}
