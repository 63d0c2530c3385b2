// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, Conclusion, IAuditCourt, Opening} from "../interfaces/IAuditCourt.sol";
import {TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "../market/TaskMath.sol";
import {Parameters} from "../types/Parameters.sol";
import {AuditDraws} from "./AuditDraws.sol";
import {CallUps} from "./CallUps.sol";
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
    function drawAndClaim(
        TaskTerms memory terms,
        uint32 segment,
        ClaimBody calldata body,
        bytes32[] calldata checkpointProof
    ) external {
        _drawAudits(terms);
        // INVARIANT: a draw that came not far enough has drawn no segment: there is nothing to claim, and all is as before.
        _postClaim(terms, segment, body, checkpointProof);
    }

    // The libraries read the arguments of these as they came: encoding them anew would be code that this contract has no room for.

    /// @inheritdoc IAuditCourt
    function callUp(TaskTerms memory terms, uint32, ClaimBody calldata, bytes32[] calldata) external {
        CallUps.callUp(_state, _bench(terms), _windowFor(terms), msg.data[4:]);
    }

    /// @inheritdoc IAuditCourt
    function finalize(TaskTerms memory terms, uint32, uint256) external {
        Judgement.finalize(_state, _bench(terms), msg.data[4:]);
    }

    /// @inheritdoc IAuditCourt
    function conclude(TaskTerms memory terms, bool, uint96, uint256) external returns (Conclusion memory) {
        // INVARIANT: only the market ends a task, and it has checked the terms.
        require(msg.sender == address(market), NotModule(msg.sender));
        _return(Judgement.conclude(_state, _bench(terms), msg.data[4:]));
    }

    /// @inheritdoc IAuditCourt
    function closeClaim(TaskTerms memory terms, uint32, uint8, uint16) external {
        Judgement.closeClaim(_state, _bench(terms), msg.data[4:]);
    }

    /// @inheritdoc IAuditCourt
    function openSecret(TaskTerms memory terms, Opening calldata) external {
        Judgement.openSecret(_state, _bench(terms), msg.data[4:]);
    }

    function _bench(TaskTerms memory terms) private view returns (Bench memory) {
        uint256 cost = terms.replayCost();
        return Bench({
            vault: vault,
            beacon: beacon,
            treasury: treasury,
            market: market,
            deposit: uint96(cost * _claimDepositMultiple),
            bond: _claimBond,
            miss: uint96(cost * _missMultiple),
            finderBps: _finderBps,
            clearedSolverBps: _clearedSolverBps,
            forcedBps: _forcedBps,
            jackpot: uint96(cost * _jackpotMultiple),
            redraws: _redraws,
            drawWindow: _drawWindow,
            unblindWindow: _unblindWindow,
            disputeWindow: _disputeWindow
        });
    }
}
