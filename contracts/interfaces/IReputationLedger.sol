// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "./ITaskMarket.sol";

/// @notice What an account is known for. Order is part of the ABI.
enum Role {
    Solver,
    Verifier,
    Whistleblower
}

/// @title What accounts earned by settled tasks, in token base units of levy.
/// @notice Half of a settled task's levy counts for its solver, half for the claims that stood, evenly over the audits: all roles together earn
/// no more than the levy that was paid. A conviction takes everything, and what was earned in tasks posted before it.
/// @dev Earnings are fetched, by anybody: a settlement writes nothing here. Convictions are written as they happen.
interface IReputationLedger {
    event Earned(address indexed account, Role indexed role, uint256 indexed task, uint96 amount, uint96 total);
    event Convicted(address indexed account, Role indexed role, uint64 since);

    /// @notice Thrown when anybody but market and court convicts.
    error NotModule(address caller);
    /// @notice Thrown when a task or a claim has nothing to earn, or the account was convicted since.
    error NothingEarned(uint256 task);
    /// @notice Thrown when something is credited twice.
    error AlreadyCredited(uint256 task);

    /// @notice Market, court: takes all of an account's reputation in a role.
    function convict(address account, Role role) external;
    /// @notice Anybody: credits the solver of a settled task.
    function creditSolver(TaskTerms calldata terms) external;
    /// @notice Anybody: credits the claim that stood for a segment of a settled task, once it is closed: the drawn verifier's, or a whistleblower's that
    /// stood in its place.
    function creditClaim(TaskTerms calldata terms, uint32 segment) external;

    function earnedOf(address account, Role role) external view returns (uint96);
    /// @notice Newest task at the account's last conviction in a role: only later ones count.
    function sinceOf(address account, Role role) external view returns (uint64);
}
