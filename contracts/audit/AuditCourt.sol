// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, Conclusion, IAuditCourt, Opening} from "../interfaces/IAuditCourt.sol";
import {TaskTerms} from "../interfaces/ITaskMarket.sol";
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

    // The libraries read the arguments of these as they came: what this contract does not look at it need not decode, nor encode anew.

    /// @inheritdoc IAuditCourt
    function callUp(TaskTerms memory terms, uint32, ClaimBody calldata, bytes32[] calldata) external {
        CallUps.callUp(_state, _bench(), _windowFor(terms), msg.data[4:]);
    }

    /// @inheritdoc IAuditCourt
    function finalize(TaskTerms calldata, uint32, uint256) external {
        Judgement.finalize(_state, _bench(), msg.data[4:]);
    }

    /// @inheritdoc IAuditCourt
    function conclude(TaskTerms calldata, bool, uint96, uint256) external returns (Conclusion memory) {
        // INVARIANT: only the market ends a task, and it has checked the terms.
        require(msg.sender == address(market), NotModule(msg.sender));
        _return(Judgement.conclude(_state, _bench(), msg.data[4:]));
    }

    /// @inheritdoc IAuditCourt
    function closeClaim(TaskTerms calldata, uint32, uint8, uint16) external {
        Judgement.closeClaim(_state, _bench(), msg.data[4:]);
    }

    /// @inheritdoc IAuditCourt
    function openSecret(TaskTerms calldata, Opening calldata) external {
        Judgement.openSecret(_state, _bench(), msg.data[4:]);
    }

    /// @dev Without the task's amounts: the library that has its terms prices them.
    function _bench() private view returns (Bench memory) {
        return Bench({
            vault: vault,
            beacon: beacon,
            treasury: treasury,
            market: market,
            deposit: _claimDepositMultiple,
            bond: _claimBond,
            miss: _missMultiple,
            finderBps: _finderBps,
            clearedSolverBps: _clearedSolverBps,
            forcedBps: _forcedBps,
            jackpot: _jackpotMultiple,
            redraws: _redraws,
            drawWindow: _drawWindow,
            unblindWindow: _unblindWindow,
            disputeWindow: _disputeWindow
        });
    }
}
