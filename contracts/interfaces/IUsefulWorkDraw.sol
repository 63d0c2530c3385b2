// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskTerms} from "./ITaskMarket.sol";

/// @title A bonus for work that was audited and stood, drawn by lot, out of the levy that the task itself paid.
/// @notice Each audited segment of a settled task that changed the state is a ticket of its solver; one in `ODDS` wins. The value that drew the audits decides, so a
/// ticket is fixed after the work, needs no draw of its own, and cannot be tried again. Winnings are paid by the treasury, or owed.
/// @dev INVARIANT: what a task's tickets win in the mean is at most half of what its levy leaves after the most that forced errors cost in the mean: the treasury
/// gains by every task, and who pays itself a fee to play pays more than it wins.
interface IUsefulWorkDraw {
    event BonusWon(uint256 indexed task, uint32 indexed segment, address indexed solver, uint96 bonus);

    /// @notice Thrown when a segment is no ticket: not audited, the first one, or it left the state as it was.
    error NoTicket(uint256 task, uint32 segment);
    /// @notice Thrown when a ticket did not win.
    error NotWon(uint256 task, uint32 segment);
    /// @notice Thrown when the roots are not the committed checkpoints'.
    error NotCommitted(bytes32 start, bytes32 end);

    /// @notice Anybody: credits a winning ticket to the task's solver, once.
    /// @param start Root of the checkpoint that the segment starts from, `segment - 1`.
    /// @param end Root of the checkpoint that it ends in, `segment`.
    /// @param proof Range proof of the two under the work root.
    function collect(TaskTerms calldata terms, uint32 segment, bytes32 start, bytes32 end, bytes32[] calldata proof)
        external;

    /// @notice One ticket in so many wins.
    function ODDS() external view returns (uint256);
    /// @notice Whether the lot of a segment wins; false before the task's audits are drawn.
    function wins(uint256 task, uint32 segment) external view returns (bool);
    /// @notice What a winning ticket of a task with these terms is paid; token base units.
    function bonusOf(TaskTerms calldata terms) external view returns (uint96);
}
