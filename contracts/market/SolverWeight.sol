// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Declaration} from "../interfaces/ISolverSelection.sol";
import {TaskTerms} from "../interfaces/ITaskMarket.sol";
import {TaskMath} from "./TaskMath.sol";

/// @title What an application weighs in the draw of a task's solver.
/// @notice Weight = (stake + reputation, which counts up to half the stake) x (0.3 + 0.7 x compatibility). Linear in stake, so that nobody
/// gains by splitting it. Twin: `lockstep.chain.selection`.
library SolverWeight {
    using TaskMath for TaskTerms;

    uint256 private constant WHOLE = 10_000;
    /// @dev Factor of an application that fits nothing, and what compatibility adds, in 1/10,000.
    uint256 private constant BASE = 3000;
    uint256 private constant FIT = 7000;
    /// @dev Parts of compatibility, in 1/10,000.
    uint256 private constant FAMILY = 2000;
    uint256 private constant SPEED = 4000;
    uint256 private constant MEMORY = 4000;
    /// @dev Speed counts up to so many times what the solve window needs; memory up to so many times the state.
    uint256 private constant HASTE = 4;
    uint256 private constant ROOM = 4;
    /// @dev Units of work a second that a declared rate is in.
    uint256 private constant RATE_UNIT = 1_000_000;
    /// @dev Weight of one deposit that fits wholly; stake beyond `MOST_DEPOSITS` deposits weighs nothing, so that a weight is below 2^31.
    uint256 private constant SCALE = 1 << 20;
    uint256 private constant MOST_DEPOSITS = 1000;

    /// @notice Weight of an application: below 2^31, never 0. `earned`: the applicant's reputation.
    function weightOf(
        TaskTerms memory terms,
        uint256 deposit,
        uint256 stake,
        uint256 earned,
        Declaration memory declared
    ) internal pure returns (uint64) {
        uint256 most = deposit * MOST_DEPOSITS;
        if (stake > most) stake = most;
        uint256 bonus = earned < stake / 2 ? earned : stake / 2;
        uint256 factor = BASE + FIT * compatibility(terms, declared) / WHOLE;
        return uint64((stake + bonus) * factor * SCALE / (deposit * WHOLE));
    }

    /// @notice How well what a solver declares fits the task, in 1/10,000.
    function compatibility(TaskTerms memory terms, Declaration memory declared) internal pure returns (uint256 bps) {
        uint256 family = terms.options.family();
        if (family == 0 || declared.families >> (family - 1) & 1 == 1) bps = FAMILY;
        bps += _share(SPEED, declared.rate, HASTE * neededRate(terms));
        bps += _share(MEMORY, uint256(declared.memoryMib) * 1024, ROOM * terms.stateChunks); // KiB
    }

    /// @notice Rate at which the task's work fills its solve window: 10^6 units a second, rounded up.
    function neededRate(TaskTerms memory terms) internal pure returns (uint256) {
        uint256 unit = RATE_UNIT * terms.solveWindow;
        return (terms.wholeWork() + unit - 1) / unit;
    }

    /// @notice Seconds a drawn solver has that declared a rate: what its speed weighed it must keep.
    function solveWindow(TaskTerms memory terms, uint256 rate) internal pure returns (uint32) {
        uint256 needed = neededRate(terms);
        if (rate <= needed) return terms.solveWindow;
        uint256 counted = rate < HASTE * needed ? rate : HASTE * needed;
        uint256 window = terms.solveWindow * needed / counted;
        return window == 0 ? 1 : uint32(window);
    }

    function _share(uint256 part, uint256 have, uint256 most) private pure returns (uint256) {
        return have < most ? part * have / most : part;
    }
}
