// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimRef, IAuditCourt, Slot, SlotState} from "../interfaces/IAuditCourt.sol";
import {
    Chunks,
    Demand,
    DemandParameters,
    DemandState,
    IDataDemands,
    Piece,
    Place,
    StatePath,
    Subject
} from "../interfaces/IDataDemands.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITaskMarket, Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {ParametersLib} from "../types/Parameters.sol";
import {Pieces} from "./Pieces.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

/// @title Demands for what a replay of a drawn segment needs, their queue, fees and answers.
/// @dev A fee is an engagement of this contract in the vault, under the demand's id.
contract DataDemands is IDataDemands, Multicall {
    using TaskMath for TaskTerms;

    /// @dev A drawn verifier's clock while it waits for data.
    struct Pause {
        uint32 open; // demands that it waits for
        uint40 left; // seconds of its claim window when the first of them came
        uint40 due; // when the last demand of anybody else is
    }

    IStakeVault public immutable vault;
    ITaskMarket public immutable market;
    IAuditCourt public immutable court;
    address public immutable treasury;
    uint96 private immutable _flatFee;
    uint96 private immutable _byteFee;
    uint32 private immutable _rate;
    uint32 private immutable _response;
    uint32 private immutable _doubling;

    mapping(bytes32 id => Demand) private _demands;
    mapping(uint256 task => uint64) private _queueEnds;
    mapping(bytes32 taskSegmentRound => Pause) private _pauses;

    constructor(
        IStakeVault vault_,
        ITaskMarket market_,
        IAuditCourt court_,
        address treasury_,
        DemandParameters memory p
    ) {
        // INVARIANT: nothing is free that somebody must answer, and every answer has its time.
        require(p.flatFee != 0 && p.byteFee != 0, ParametersLib.BadParameters("byteFee"));
        require(p.rate != 0, ParametersLib.BadParameters("rate"));
        require(p.response != 0, ParametersLib.BadParameters("response"));
        require(p.doubling != 0, ParametersLib.BadParameters("doubling"));
        (vault, market, court, treasury) = (vault_, market_, court_, treasury_);
        (_flatFee, _byteFee, _rate, _response, _doubling) = (p.flatFee, p.byteFee, p.rate, p.response, p.doubling);
    }

    /// @inheritdoc IDataDemands
    function demand(TaskTerms memory terms, Piece calldata piece, Place calldata place) external returns (bytes32 id) {
        Task memory task = market.taskOf(piece.task);
        require(
            terms.id == piece.task && task.state == TaskState.Auditing && terms.hash() == task.termsHash,
            NotAudited(piece.task)
        );
        Slot memory slot = court.slotOf(piece.task, piece.segment);
        require(slot.state == SlotState.Drawn && block.timestamp <= slot.claimDeadline, NotOpen(piece.segment));
        id = idOf(piece);
        // INVARIANT: each piece is demanded once, so that all that can be demanded has an end. An answer stays on the chain for everybody.
        require(_demands[id].state == DemandState.None, AlreadyDemanded(id));
        Subject memory subject = Pieces.subjectOf(terms, piece, place);
        (uint96 fee,, uint64 deadline) = quote(piece.task, subject.length);
        _queueEnds[piece.task] = deadline - _response;
        bool pauses = msg.sender == slot.verifier && !_hasClaimed(piece, slot.round);
        _demands[id] = Demand({
            demander: msg.sender,
            deadline: uint40(deadline),
            state: DemandState.Open,
            round: slot.round,
            pauses: pauses,
            subject: keccak256(abi.encode(subject))
        });
        emit Demanded(id, piece.task, msg.sender, piece, subject, deadline, fee);
        vault.lock(id, msg.sender, fee);
        if (pauses) {
            _pause(piece, slot, deadline);
        } else {
            require(deadline <= slot.claimDeadline, DueTooLate(deadline, slot.claimDeadline));
            _pauseOf(piece, slot.round).due = uint40(deadline);
        }
    }

    /// @inheritdoc IDataDemands
    function join(Piece calldata piece) external {
        bytes32 id = idOf(piece);
        Demand storage held = _demands[id];
        _requireDue(id, held);
        // INVARIANT: a demand that may still be answered is of the segment's current round, for it is due before the round's claim window ends.
        Slot memory slot = court.slotOf(piece.task, piece.segment);
        require(
            slot.state == SlotState.Drawn && msg.sender == slot.verifier && !held.pauses
                && !_hasClaimed(piece, slot.round),
            NotWaiting(piece.segment, msg.sender)
        );
        held.pauses = true;
        emit Joined(id, piece.task);
        _pause(piece, slot, held.deadline);
    }

    /// @inheritdoc IDataDemands
    function answerLink(
        Piece calldata piece,
        Subject calldata subject,
        bytes32 start,
        bytes32 checkpoint,
        bytes32[] calldata proof
    ) external {
        bytes32 id = _requireOpen(piece, subject);
        Pieces.requireLink(piece, subject, start, checkpoint, proof);
        _answered(id, piece, subject, abi.encode(start, checkpoint, proof));
    }

    /// @inheritdoc IDataDemands
    function answerItems(
        Piece calldata piece,
        Subject calldata subject,
        bytes[] calldata items,
        bytes32[] calldata proof
    ) external {
        bytes32 id = _requireOpen(piece, subject);
        Pieces.requireItems(piece, subject, items, proof);
        _answered(id, piece, subject, abi.encode(items));
    }

    /// @inheritdoc IDataDemands
    function answerChunks(
        Piece calldata piece,
        Subject calldata subject,
        Chunks calldata chunks,
        StatePath calldata path
    ) external {
        bytes32 id = _requireOpen(piece, subject);
        Pieces.requireChunks(piece, subject, chunks, path);
        _answered(id, piece, subject, chunks.data);
    }

    /// @inheritdoc IDataDemands
    function close(Piece calldata piece) external {
        bytes32 id = idOf(piece);
        Demand memory held = _demands[id];
        require(held.state == DemandState.Open, WrongDemand(id, held.state));
        SlotState slot = court.slotOf(piece.task, piece.segment).state;
        bool open = market.stateOf(piece.task) == TaskState.Auditing
            && (slot == SlotState.Drawn || slot == SlotState.Redrawing);
        // INVARIANT: a move after its deadline is refused, and until then nobody is at fault.
        require(!open || block.timestamp > held.deadline, DemandPending(held.deadline));
        DemandState state = open ? DemandState.Lapsed : DemandState.Dropped;
        _demands[id].state = state;
        emit Closed(id, piece.task, state);
        (, uint96 fee) = vault.engagementOf(address(this), id);
        vault.release(id, fee);
        if (open) court.failStart(piece.task, piece.segment, held.demander);
    }

    // Views

    /// @inheritdoc IDataDemands
    function idOf(Piece calldata piece) public pure returns (bytes32) {
        return keccak256(abi.encode(piece));
    }

    /// @inheritdoc IDataDemands
    function demandOf(bytes32 id) external view returns (Demand memory) {
        return _demands[id];
    }

    /// @inheritdoc IDataDemands
    function quote(uint256 task, uint32 length) public view returns (uint96 fee, uint96 plain, uint64 deadline) {
        uint64 start = _queueEnds[task];
        if (start < block.timestamp) start = uint64(block.timestamp);
        plain = _plainFee(length);
        // INVARIANT: a queue's price rises with it, and what it rises by is nobody's to get back.
        fee = uint96(plain + uint256(plain) * (start - block.timestamp) / _doubling);
        deadline = start + uint64((uint256(length) + _rate - 1) / _rate) + _response;
    }

    /// @inheritdoc IDataDemands
    function queueEndOf(uint256 task) external view returns (uint64) {
        return _queueEnds[task];
    }

    /// @inheritdoc IDataDemands
    function parameters() external view returns (DemandParameters memory) {
        return DemandParameters(_flatFee, _byteFee, _rate, _response, _doubling);
    }

    // Helpers

    function _plainFee(uint256 length) private view returns (uint96) {
        return uint96(_flatFee + length * _byteFee);
    }

    function _hasClaimed(Piece calldata piece, uint8 round) private view returns (bool) {
        return court.claimOf(ClaimRef(piece.task, piece.segment, round, 0)).bodyHash != 0;
    }

    function _requireOpen(Piece calldata piece, Subject calldata subject) private view returns (bytes32 id) {
        id = idOf(piece);
        Demand storage held = _demands[id];
        _requireDue(id, held);
        require(keccak256(abi.encode(subject)) == held.subject, WrongAnswer());
    }

    /// @dev A demand that may still be answered.
    function _requireDue(bytes32 id, Demand storage held) private view {
        require(held.state == DemandState.Open, WrongDemand(id, held.state));
        require(block.timestamp <= held.deadline, DemandOverdue(held.deadline));
    }

    /// @dev The plain fee to the solver, whoever answered, so that nobody gains by copying its transaction; the rest to the treasury.
    function _answered(bytes32 id, Piece calldata piece, Subject calldata subject, bytes memory data) private {
        Demand memory held = _demands[id];
        _demands[id].state = DemandState.Answered;
        emit Answered(id, piece.task, msg.sender, data);
        address[] memory to = new address[](1);
        uint96[] memory amounts = new uint96[](1);
        (to[0], amounts[0]) = (market.solverOf(piece.task), _plainFee(subject.length));
        vault.distribute(id, to, amounts, treasury);
        if (held.pauses) _resume(piece, held.round);
    }

    /// @dev Stops the drawn verifier's clock: it keeps what was left of it, counted from when the last answer is due.
    function _pause(Piece calldata piece, Slot memory slot, uint64 deadline) private {
        Pause storage pause = _pauseOf(piece, slot.round);
        if (pause.open == 0) pause.left = uint40(slot.claimDeadline - block.timestamp);
        ++pause.open;
        uint64 ends = deadline + pause.left;
        if (ends > slot.claimDeadline) court.extendClaims(piece.task, piece.segment, ends);
    }

    /// @dev With the last answer it waited for the drawn verifier's clock runs on.
    function _resume(Piece calldata piece, uint8 round) private {
        Pause storage pause = _pauseOf(piece, round);
        if (--pause.open != 0) return;
        Slot memory slot = court.slotOf(piece.task, piece.segment);
        if (slot.state != SlotState.Drawn || slot.round != round) return;
        uint64 ends = uint64(block.timestamp) + pause.left;
        court.extendClaims(piece.task, piece.segment, ends < pause.due ? pause.due : ends);
    }

    function _pauseOf(Piece calldata piece, uint8 round) private view returns (Pause storage) {
        return _pauses[keccak256(abi.encode(piece.task, piece.segment, round))];
    }
}
