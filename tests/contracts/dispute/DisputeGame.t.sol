// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Dispute} from "../../../contracts/interfaces/IDisputeGame.sol";
import {DisputeEnds} from "./DisputeEnds.sol";
import {DisputeFixture, Match} from "./DisputeFixture.sol";
import {DisputeFuzz} from "./DisputeFuzz.sol";
import {DisputeRows} from "./DisputeRows.sol";
import {DisputeTransitions} from "./DisputeTransitions.sol";

/// @title All tests of the game in one contract: each contract that plays takes the compiler half a minute.
contract DisputeGameTest is DisputeEnds, DisputeFuzz, DisputeTransitions {
    function act(Match memory m, Dispute memory dispute) internal override(DisputeFixture, DisputeRows) {
        DisputeRows.act(m, dispute);
    }
}
