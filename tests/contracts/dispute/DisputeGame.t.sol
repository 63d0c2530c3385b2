// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DisputeEnds} from "./DisputeEnds.sol";
import {DisputeFuzz} from "./DisputeFuzz.sol";
import {DisputeMoves} from "./DisputeMoves.sol";

/// @title All tests of the game in one contract: each contract that plays takes the compiler half a minute.
contract DisputeGameTest is DisputeMoves, DisputeEnds, DisputeFuzz {}
