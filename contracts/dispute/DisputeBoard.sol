// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {ProgramLib} from "../commitments/ProgramLib.sol";
import {TensorLib} from "../commitments/TensorLib.sol";
import {ClaimBody, ClaimRecord, ClaimRef, IAuditCourt, Slot, SlotState} from "../interfaces/IAuditCourt.sol";
import {Dispute, DisputeParameters, IDisputeBoard, Outcome, Phase} from "../interfaces/IDisputeGame.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {DisputeClock} from "./DisputeClock.sol";

/// @title What every move shares: whose turn it is, the clocks, reveals kept for all disputes of a claim, bonds and ends.
abstract contract DisputeBoard is IDisputeBoard {
    IAuditCourt public immutable court;
    ITaskMarket public immutable market;
    IStakeVault public immutable vault;
    address public immutable treasury;
    uint96 internal immutable _openingBond;
    uint32 internal immutable _clock;
    uint32 internal immutable _increment;
    uint64 internal immutable _workRate;

    /// @dev Bytes of a `TaskTerms` in calldata: 18 words.
    uint256 private constant _TERMS_BYTES = 20 * 32;

    uint256 internal _disputeCount;
    mapping(uint256 id => Dispute) internal _disputes;
    mapping(bytes32 path => uint64) internal _revealedAt;
    mapping(bytes32 path => bytes32) private _roots;

    constructor(
        IAuditCourt court_,
        ITaskMarket market_,
        IStakeVault vault_,
        address treasury_,
        DisputeParameters memory parameters_
    ) {
        (court, market, vault, treasury) = (court_, market_, vault_, treasury_);
        _openingBond = parameters_.openingBond;
        _clock = parameters_.clock;
        _increment = parameters_.increment;
        _workRate = parameters_.workRate;
    }

    /// @inheritdoc IDisputeBoard
    function parameters() external view returns (DisputeParameters memory) {
        return DisputeParameters(_openingBond, _clock, _increment, _workRate);
    }

    // Parties

    /// @dev Reverts unless the caller's claim may act against `ref` now: terms, body, window, round, two claimants.
    function _requireParties(
        TaskTerms calldata terms,
        ClaimRef calldata ref,
        uint16 challenger,
        ClaimBody calldata body
    ) internal view returns (ClaimRecord memory accused, ClaimRecord memory accuser) {
        require(terms.id == ref.task, ITaskMarket.WrongTerms(ref.task));
        _requireTerms(terms);
        Slot memory slot = court.slotOf(ref.task, ref.segment);
        require(
            slot.state == SlotState.Drawn && slot.round == ref.round, IAuditCourt.WrongSlot(ref.segment, slot.state)
        );
        require(market.stateOf(ref.task) == TaskState.Auditing, NotDisputable());
        (, uint64 opens, uint64 closes) = court.windowsOf(ref.task, ref.segment);
        require(block.timestamp > opens && block.timestamp <= closes, IAuditCourt.WrongWindow(opens, closes));
        accused = court.claimOf(ref);
        accuser = court.claimOf(ClaimRef(ref.task, ref.segment, ref.round, challenger));
        require(msg.sender == accuser.claimant, NotYourMove(msg.sender, accuser.claimant));
        require(accused.claimant != address(0) && accused.claimant != accuser.claimant, NotDisputable());
        _requireBody(accused, body);
    }

    // Turns

    /// @dev The dispute, reveals made in others taken into account; reverts unless it is in `phase` and in time.
    function _begin(uint256 id, Phase phase) internal returns (Dispute storage dispute) {
        dispute = _load(id);
        require(dispute.phase == phase, WrongPhase(id, dispute.phase));
        uint256 deadline = _deadlineOf(dispute);
        require(block.timestamp <= deadline, ClockExpired(uint64(deadline)));
    }

    /// @dev The dispute, reveals made in others taken into account; reverts when it is over or never was.
    function _load(uint256 id) internal returns (Dispute storage dispute) {
        dispute = _disputes[id];
        require(dispute.phase != Phase.None && dispute.phase != Phase.Resolved, WrongPhase(id, dispute.phase));
        (uint64 moment, bytes32 root) = _awaitedReveal(dispute);
        if (moment != 0) _passTurn(dispute, moment, root);
    }

    /// @dev Ends the defender's turn at the time of the reveal it owed.
    function _passTurn(Dispute storage dispute, uint256 moment, bytes32 root) private {
        dispute.phase = _afterReveal(dispute.phase, dispute.level);
        if (root != 0) dispute.target = root;
        uint256 start = dispute.turnStart;
        if (moment > start) {
            dispute.defenderClock = DisputeClock.charge(dispute.defenderClock, start, moment);
            dispute.turnStart = uint40(moment);
        }
    }

    /// @dev When the reveal that the dispute waits for was made in another one (0: it was not, or after this one's deadline), and its
    /// root if it is a commitment.
    function _awaitedReveal(Dispute storage dispute) internal view returns (uint64 moment, bytes32 root) {
        if (!_defends(dispute.phase)) return (0, 0);
        bytes32 path = _awaitedPath(dispute);
        moment = _revealedAt[path];
        if (moment == 0) return (0, 0);
        // INVARIANT: a reveal made elsewhere after the deadline does not save the defender here.
        if (moment > _deadlineOf(dispute)) return (0, 0);
        root = _roots[path];
    }

    function _deadlineOf(Dispute storage dispute) internal view returns (uint256) {
        uint32 left = _defends(dispute.phase) ? dispute.defenderClock : dispute.challengerClock;
        return DisputeClock.deadline(dispute.turnStart, left, _increment);
    }

    /// @dev Whether it is the defender that owes a move; enum order alternates from States on.
    function _defends(Phase phase) internal pure returns (bool) {
        return phase == Phase.States || phase == Phase.Step || phase == Phase.Nodes || phase == Phase.Chunks
            || phase == Phase.Data || phase == Phase.Parts;
    }

    /// @dev What the challenger owes after a reveal that shows the hashes of `level`.
    function _afterReveal(Phase phase, uint8 level) internal pure returns (Phase) {
        if (phase == Phase.States) return Phase.PickStep;
        if (phase == Phase.Chunks) return Phase.PickChunk;
        if (phase == Phase.Data) return Phase.Prove;
        if (phase == Phase.Parts) return Phase.ProvePart;
        return level == 0 ? Phase.PickNode : Phase.PickBlock;
    }

    function _requireMover(address mover) internal view {
        require(msg.sender == mover, NotYourMove(msg.sender, mover));
    }

    // Reveals and picks

    /// @dev Key of the reveal that the dispute waits for; its phase is the defender's.
    function _awaitedPath(Dispute storage dispute) internal view returns (bytes32) {
        Phase phase = dispute.phase;
        if (phase == Phase.States) return _pathOf(dispute, phase, 0, 0, 0, 0);
        if (phase == Phase.Step) return _pathOf(dispute, phase, dispute.step, 0, 0, 0);
        return _pathOf(dispute, phase, dispute.step, dispute.node, dispute.level, dispute.index);
    }

    function _pathOf(Dispute storage dispute, Phase kind, uint8 step, uint32 node, uint8 level, uint32 index)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(keccak256(abi.encode(_defenderRef(dispute))), kind, step, node, level, index));
    }

    function _revealedRoot(bytes32 path) internal view returns (bytes32) {
        return _roots[path];
    }

    /// @dev Records a reveal whose content a hash on chain fixes, and hands the turn to the challenger.
    function _reveal(uint256 id, Dispute storage dispute, bytes memory data) internal {
        _record(id, dispute, _awaitedPath(dispute), data);
        _passTurn(dispute, block.timestamp, 0);
    }

    /// @dev Records a reveal that is a new commitment, under its root.
    function _commitReveal(uint256 id, Dispute storage dispute, bytes32 root, bytes memory data) internal {
        bytes32 path = _awaitedPath(dispute);
        _roots[path] = root;
        _record(id, dispute, path, data);
        _passTurn(dispute, block.timestamp, root);
    }

    function _record(uint256 id, Dispute storage dispute, bytes32 path, bytes memory data) private {
        _revealedAt[path] = uint64(block.timestamp);
        emit Revealed(id, path, dispute.phase, msg.sender, data);
    }

    /// @dev Ends the challenger's turn; where the next reveal was made already, `_load` gives the turn back to it.
    function _picked(uint256 id, Dispute storage dispute, Phase next, bytes32 hash) internal {
        emit Picked(id, dispute.phase, dispute.step, dispute.node, dispute.level, dispute.index, hash);
        dispute.phase = next;
        dispute.challengerClock = DisputeClock.charge(dispute.challengerClock, dispute.turnStart, block.timestamp);
        dispute.turnStart = uint40(block.timestamp);
    }

    // Ends

    /// @dev Reverts where a verdict would decide nothing any more. Returns the segment's beacon value.
    function _requireLive(uint256 id, Dispute storage dispute) internal view returns (bytes32 beaconValue) {
        bool live;
        (live, beaconValue) = _isLive(dispute);
        require(live, Moot(id));
    }

    /// @dev A dispute is live while its task is audited, its segment undecided and the claim not convicted of the same thing.
    function _isLive(Dispute storage dispute) internal view returns (bool live, bytes32 beaconValue) {
        if (market.stateOf(dispute.task) != TaskState.Auditing) return (false, 0);
        Slot memory slot = court.slotOf(dispute.task, dispute.segment);
        if (slot.state != SlotState.Drawn || slot.round != dispute.round) return (false, 0);
        ClaimRecord memory record = court.claimOf(_defenderRef(dispute));
        return (!(dispute.digest ? record.digestConvicted : record.convicted), slot.beaconValue);
    }

    function _convict(uint256 id, Dispute storage dispute, bytes32 reason) internal {
        ClaimRef memory ref = _beginConviction(id, dispute, reason);
        court.convict(ref, dispute.digest, dispute.challenger);
        court.disputeClosed(ref);
    }

    /// @dev The entry under attack was proven to be another than `entry`.
    function _convictDigest(uint256 id, Dispute storage dispute, bytes8 entry) internal {
        ClaimRef memory ref = _beginConviction(id, dispute, "digest");
        court.convictDigest(ref, dispute.digestStep, entry, dispute.challenger);
        court.disputeClosed(ref);
    }

    function _beginConviction(uint256 id, Dispute storage dispute, bytes32 reason) private returns (ClaimRef memory) {
        _resolve(id, dispute, Outcome.DefenderConvicted, reason);
        vault.release(_engagementOf(id), _openingBond);
        return _defenderRef(dispute);
    }

    function _fail(uint256 id, Dispute storage dispute, bytes32 reason) internal {
        _resolve(id, dispute, Outcome.ChallengeFailed, reason);
        uint96 half = _openingBond / 2;
        vault.slash(_engagementOf(id), dispute.defender, half);
        vault.slash(_engagementOf(id), treasury, _openingBond - half);
        court.disputeClosed(_defenderRef(dispute));
    }

    function _withdraw(uint256 id, Dispute storage dispute, bytes32 reason) internal {
        _resolve(id, dispute, Outcome.Withdrawn, reason);
        vault.release(_engagementOf(id), _openingBond);
        court.disputeClosed(_defenderRef(dispute));
    }

    function _resolve(uint256 id, Dispute storage dispute, Outcome outcome, bytes32 reason) private {
        dispute.phase = Phase.Resolved;
        dispute.outcome = outcome;
        emit Resolved(id, outcome, reason);
    }

    /// @dev Engagement of a dispute's opening bond in the vault.
    function _engagementOf(uint256 id) internal view returns (bytes32) {
        return keccak256(abi.encode(address(this), id));
    }

    // The task's shape

    function _defenderRef(Dispute storage dispute) internal view returns (ClaimRef memory) {
        return ClaimRef(dispute.task, dispute.segment, dispute.round, dispute.defenderIndex);
    }

    /// @dev The struct is static, so its calldata is its ABI encoding; encoding it anew costs 1.2 KB of code.
    function _requireTerms(TaskTerms calldata terms) internal view {
        bytes32 hash;
        uint256 size = _TERMS_BYTES;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, terms, size)
            hash := keccak256(buffer, size)
        }
        require(hash == market.termsHashOf(terms.id), ITaskMarket.WrongTerms(terms.id));
    }

    function _requireBody(ClaimRecord memory record, ClaimBody calldata body) internal pure {
        require(keccak256(abi.encode(body)) == record.bodyHash, WrongBody());
    }

    /// @dev Steps of a segment and nodes of its program; segment 0 is one step of the init program.
    function _shapeOf(TaskTerms calldata terms, uint256 segment)
        internal
        pure
        returns (uint256 steps, uint256 nodeCount)
    {
        if (segment == 0) return (1, terms.initNodeCount);
        uint256 rest = terms.steps - (segment - 1) * terms.segmentSteps;
        return (rest < terms.segmentSteps ? rest : terms.segmentSteps, terms.nodeCount);
    }

    /// @dev Value of STEP in a segment's first step.
    function _firstStep(TaskTerms calldata terms, uint256 segment) internal pure returns (uint32) {
        return segment == 0 ? 0 : uint32(terms.options.firstStep() + (segment - 1) * terms.segmentSteps);
    }

    /// @dev Hash of the segment's program; reverts unless the terms are the task's.
    function _programOf(TaskTerms calldata terms, uint256 task, uint256 segment) internal view returns (bytes32) {
        require(terms.id == task, ITaskMarket.WrongTerms(task));
        _requireTerms(terms);
        return segment == 0 ? terms.initProgram : terms.stepProgram;
    }

    function _topLevel(uint256 size) internal pure returns (uint8) {
        return uint8(Merkle.height(size) - 1);
    }

    // Parts of moves

    /// @dev Reverts unless this is the picked node.
    function _requireNode(Dispute storage dispute, bytes calldata node) internal view {
        require(keccak256(node) == dispute.nodeHash, WrongProgram());
    }

    function _tensorHeader(Dispute storage dispute, bytes calldata node) internal view returns (bytes memory) {
        _requireNode(dispute, node);
        return ProgramLib.tensorHeaderOf(node);
    }

    /// @dev What a hash of a chunk tree is compared with: the whole tree's root goes into the tensor root, and that into the step's leaf.
    function _chunkTarget(bytes memory header, bool whole, bytes32 root) internal view returns (bytes32) {
        return whole ? Merkle.leafOf(TensorLib.root(header, root)) : root;
    }

    /// @dev Reverts unless this is the picked chunk, in its exact length.
    function _requireChunk(Dispute storage dispute, bytes calldata node, bytes calldata chunk) internal view {
        bytes memory header = _tensorHeader(dispute, node);
        _requireCount(chunk.length, TensorLib.chunkLength(header, dispute.index));
        bytes32 hash = Merkle.hashLeaf(chunk);
        require(_chunkTarget(header, TensorLib.chunkCount(header) == 1, hash) == dispute.target, DoesNotFold());
    }

    /// @dev Reverts unless `state` is the root after `step` among the states revealed; with one step, the end root.
    function _requireState(Dispute storage dispute, uint256 step, bytes32 state, bytes32[] calldata proof)
        internal
        view
    {
        if (dispute.steps == 1) {
            require(proof.length == 0 && state == dispute.state, DoesNotFold());
        } else {
            require(Merkle.rootFromInclusion(dispute.steps, step, state, proof) == dispute.target, DoesNotFold());
        }
    }

    function _requireCount(uint256 actual, uint256 needed) internal pure {
        require(actual == needed, WrongCount(actual, needed));
    }
}
