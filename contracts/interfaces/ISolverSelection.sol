// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "./ITaskMarket.sol";

/// @notice What an applicant says it can do. Nobody checks it; the rate binds it.
struct Declaration {
    uint8 families; // of models, one bit a family: bit 0 is family 1
    uint32 memoryMib;
    uint32 rate; // 10^6 units of work a second; a drawn solver has the less time the more of it counted
}

/// @notice Where the draw of a task's solver stands.
struct Selection {
    uint64 total; // of all weights
    uint32 count; // applications
    uint32 solveWindow; // seconds, of the solver that was drawn; 0: none is
    bool closed; // the beacon was asked
    uint96 compensation; // of each applicant, paid with its stake: the submitter cancelled
}

/// @notice An application, one word.
struct Application {
    address account;
    uint64 total; // of its weight and those before
    uint32 rate;
}

/// @title The draw of a solver among those who applied.
/// @notice For tasks whose options have an apply deadline. Applicants lock stake, at least the solver's deposit, until the draw is over; then
/// anybody frees what was not drawn, one application a call. Nobody can take an application back, so the drawn one always has its deposit.
interface ISolverSelection {
    event SolverApplied(
        uint256 indexed id, address indexed account, uint32 index, uint96 stake, uint64 weight, Declaration declared
    );
    event ApplicationsClosed(uint256 indexed id, uint32 count, uint64 total, uint64 drawDeadline);
    event SolverDrawn(uint256 indexed id, address indexed solver, uint32 index, uint32 solveWindow);
    /// @notice The submitter cancelled while applications stood: each of `count` gets `compensation` out of the escrow, token base units.
    event ApplicantsCompensated(uint256 indexed id, uint32 count, uint96 compensation);
    event ApplicationReleased(uint256 indexed id, address indexed account, uint96 stake);
    /// @notice A drawn solver that did not acknowledge paid for it.
    event DrawWasted(uint256 indexed id, address indexed solver, uint96 slashed);

    /// @notice Thrown when an application's stake is below the solver's deposit.
    error StakeBelowDeposit(uint256 stake, uint256 deposit);
    /// @notice Thrown when a call must wait until the draw is over, or until it was asked for.
    error DrawPending(uint256 id);
    /// @notice Thrown when applications are closed twice, or where there are none.
    error NothingToClose(uint256 id);
    /// @notice Thrown when an account has no application that holds stake.
    error NoApplication(uint256 id, address account);

    /// @notice Anybody but the submitter, until the apply deadline: locks `stake` and is weighed by it, by reputation and by what it declares.
    function applyToSolve(TaskTerms calldata terms, uint96 stake, Declaration calldata declared) external;
    /// @notice Anybody, after the apply deadline and until the acceptance deadline: asks the beacon.
    function closeApplications(TaskTerms calldata terms) external;
    /// @notice Anybody, once the beacon has a value, within the draw window: one applicant has accepted.
    function drawSolver(TaskTerms calldata terms) external;
    /// @notice Anybody, once the draw is over: an applicant that was not drawn has its stake back, and its compensation where the submitter cancelled.
    function releaseApplication(TaskTerms calldata terms, address account) external;

    function selectionOf(uint256 id) external view returns (Selection memory);
    function applicationOf(uint256 id, uint32 index) external view returns (Application memory);
    /// @notice What an application would weigh now, and how long its solver would have.
    function weighApplication(TaskTerms calldata terms, address account, uint96 stake, Declaration calldata declared)
        external
        view
        returns (uint64 weight, uint32 solveWindow);
}
