// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Conclusion, IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {Task, TaskState, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {Parameters} from "../types/Parameters.sol";
import {AuditDraws} from "./AuditDraws.sol";
import {Claims} from "./Claims.sol";
import {CourtBase, CourtParts} from "./CourtBase.sol";
import {Bench} from "./Finality.sol";
import {Judgement} from "./Judgement.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

/// @title Draws of segments and verifiers, claims, windows, finality, judgement.
/// @dev In parts: `AuditDraws` (registration, draws), `Claims` (posting, convictions), `Finality` and `Judgement` (who stands, who pays).
/// `multicall` makes many calls in one: a verifier's claims, a keeper's closings, an agent's views. Nothing here is payable.
contract AuditCourt is AuditDraws, Claims, Multicall {
    using TaskMath for TaskTerms;

    constructor(CourtParts memory parts, Parameters memory parameters) CourtBase(parts, parameters) {}

    /// @inheritdoc IAuditCourt
    function finalize(TaskTerms memory terms, uint32 segment, uint256 maxSteps) external {
        _requireTask(terms, TaskState.Auditing);
        Judgement.finalize(_state, _bench(terms), terms.id, segment, maxSteps);
    }

    /// @inheritdoc IAuditCourt
    function conclude(TaskTerms memory terms, bool voided, uint96 finderPot) external returns (Conclusion memory) {
        // INVARIANT: only the market ends a task, and it has checked the terms.
        require(msg.sender == address(market), NotModule(msg.sender));
        return Judgement.conclude(_state, _bench(terms), terms, voided, finderPot);
    }

    /// @inheritdoc IAuditCourt
    function closeClaim(TaskTerms memory terms, uint32 segment, uint8 round, uint16 index) external {
        Task memory task = market.taskOf(terms.id);
        require(terms.hash() == task.termsHash, WrongTerms(terms.id));
        Judgement.closeClaim(_state, _bench(terms), task, terms.id, segment, round, index);
    }

    function _bench(TaskTerms memory terms) private view returns (Bench memory) {
        uint256 cost = terms.replayCost();
        return Bench({
            vault: vault,
            beacon: beacon,
            treasury: treasury,
            market: address(market),
            deposit: uint96(cost * _claimDepositMultiple),
            bond: _claimBond,
            miss: uint96(cost * _missMultiple),
            finderBps: _finderBps,
            clearedSolverBps: _clearedSolverBps,
            redraws: _redraws,
            drawWindow: _drawWindow,
            unblindWindow: _unblindWindow,
            disputeWindow: _disputeWindow
        });
    }
}
