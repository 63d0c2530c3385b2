// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Parameters} from "../types/Parameters.sol";
import {CourtBase, CourtParts} from "./CourtBase.sol";
import {Judgement} from "./Judgement.sol";

/// @title Draws of segments and verifiers, claims, windows, finality, judgement.
/// @dev In parts: `AuditDraws` (registration, draws), `Claims` (posting, convictions), `Judgement` (finality, payment).
contract AuditCourt is Judgement {
    constructor(CourtParts memory parts, Parameters memory parameters) CourtBase(parts, parameters) {}
}
