// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CourtKeys} from "../audit/CourtState.sol";
import {Merkle} from "../commitments/Merkle.sol";
import {IAuditCourt, Slot, SlotState} from "../interfaces/IAuditCourt.sol";
import {IJackpotTreasury} from "../interfaces/IJackpotTreasury.sol";
import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {ITaskMarket, Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {IUsefulWorkDraw} from "../interfaces/IUsefulWorkDraw.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {Parameters, ParametersLib} from "../types/Parameters.sol";

/// @title Lots of audited segments.
contract UsefulWorkDraw is IUsefulWorkDraw {
    using TaskMath for TaskTerms;

    /// @inheritdoc IUsefulWorkDraw
    /// @dev Few, so that a win is not worth the bond of who might bias the beacon: 4 times half an audit's part of the levy.
    uint256 public constant ODDS = 4;

    ITaskMarket public immutable market;
    IAuditCourt public immutable court;
    IRandomBeacon public immutable beacon;
    IJackpotTreasury public immutable treasury;

    /// @dev What forced errors cost in the mean for each audit at most, in c / (4 x 10,000): J x 5/4 x p.
    uint256 private immutable _forcedCost;

    constructor(ITaskMarket market_, IAuditCourt court_, IRandomBeacon beacon_, IJackpotTreasury treasury_) {
        (market, court, beacon, treasury) = (market_, court_, beacon_, treasury_);
        Parameters memory p = market_.parameters();
        _forcedCost = uint256(p.forcedBps) * p.jackpotMultiple * 5;
    }

    /// @inheritdoc IUsefulWorkDraw
    function collect(TaskTerms memory terms, uint32 segment, bytes32 start, bytes32 end, bytes32[] calldata proof)
        external
    {
        Task memory task = market.taskOf(terms.id);
        require(terms.hash() == task.termsHash, ITaskMarket.WrongTerms(terms.id));
        require(task.state == TaskState.Settled, ITaskMarket.WrongState(terms.id, task.state, TaskState.Settled));
        Slot memory slot = court.slotOf(terms.id, segment);
        // INVARIANT: only what was drawn and replayed is a ticket, or a solver's friend could call more up; and only where it did something: a
        // state that stays costs nothing to make.
        require(
            segment != 0 && slot.state == SlotState.Passed && slot.round != CourtKeys.CALLED && start != end,
            NoTicket(terms.id, segment)
        );
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = Merkle.leafOf(start);
        leaves[1] = Merkle.leafOf(end);
        require(
            Merkle.rootFromRange(terms.segmentCount(), segment - 1, leaves, proof) == terms.workRoot,
            NotCommitted(start, end)
        );
        require(wins(terms.id, segment), NotWon(terms.id, segment));
        uint96 bonus = bonusOf(terms);
        emit BonusWon(terms.id, segment, task.solver, bonus);
        treasury.payBonus(keccak256(abi.encode("useful work", terms.id, segment)), task.solver, bonus);
    }

    /// @inheritdoc IUsefulWorkDraw
    function wins(uint256 task, uint32 segment) public view returns (bool) {
        bytes32 value = beacon.valueOf(address(market), bytes32(task));
        return value != 0 && uint256(keccak256(abi.encode("useful work", value, task, segment))) % ODDS == 0;
    }

    /// @inheritdoc IUsefulWorkDraw
    function bonusOf(TaskTerms memory terms) public view returns (uint96) {
        uint256 whole = 4 * ParametersLib.WHOLE;
        uint256 forced = (terms.replayCost() * terms.audits * _forcedCost + whole - 1) / whole;
        if (terms.levy <= forced) return 0;
        uint256 bonus = ODDS * (terms.levy - forced) / (2 * uint256(terms.audits));
        return bonus < type(uint96).max ? uint96(bonus) : type(uint96).max;
    }
}
