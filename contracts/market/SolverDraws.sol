// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRandomBeacon} from "../interfaces/IRandomBeacon.sol";
import {IReputationLedger, Role} from "../interfaces/IReputationLedger.sol";
import {Application, Declaration, ISolverSelection, Selection} from "../interfaces/ISolverSelection.sol";
import {IStakeVault, Payout} from "../interfaces/IStakeVault.sol";
import {Task, TaskTerms} from "../interfaces/ITaskMarket.sol";
import {SolverWeight} from "./SolverWeight.sol";

/// @notice The market's books about draws of solvers.
/// @dev Applications are kept with the sum of all weights up to them, so the drawn one is found by bisection, however many there are.
struct DrawBooks {
    mapping(uint256 id => Selection) selections;
    mapping(uint256 id => mapping(uint256 index => Application)) applications;
}

/// @title Applications and the draw among them. The market's code in a library of its own, for its size.
/// @dev Callers have checked terms, state and times.
library SolverDraws {
    /// @dev Applicants that are compensated in full; more share what these would have.
    uint256 private constant MOST_COMPENSATED = 64;

    /// @notice Body of `ISolverSelection.applyToSolve`, whose encoded arguments it takes.
    function applyToSolve(
        DrawBooks storage books,
        IStakeVault vault,
        IReputationLedger ledger,
        uint96 deposit,
        bytes calldata arguments
    ) external {
        (TaskTerms memory terms, uint96 stake, Declaration memory declared) =
            abi.decode(arguments, (TaskTerms, uint96, Declaration));
        require(stake >= deposit, ISolverSelection.StakeBelowDeposit(stake, deposit));
        Selection storage selection = books.selections[terms.id];
        uint64 weight = _weigh(terms, ledger, deposit, msg.sender, stake, declared);
        uint32 index = selection.count;
        // INVARIANT: sums only grow, so each application owns the numbers between its predecessor's sum and its own.
        uint64 total = selection.total + weight;
        (selection.total, selection.count) = (total, index + 1);
        books.applications[terms.id][index] = Application(msg.sender, total, declared.rate);
        emit ISolverSelection.SolverApplied(terms.id, msg.sender, index, stake, weight, declared);
        // A second application of an account reverts here.
        vault.lock(applicationOf(terms.id, msg.sender), msg.sender, stake);
    }

    /// @notice Body of `ISolverSelection.closeApplications`.
    /// @param deadline Last second to draw (timestamp).
    function closeApplications(
        DrawBooks storage books,
        Task storage task,
        IRandomBeacon beacon,
        uint256 id,
        uint40 deadline
    ) external {
        Selection storage selection = books.selections[id];
        require(selection.count != 0 && !selection.closed, ISolverSelection.NothingToClose(id));
        selection.closed = true;
        task.deadline = deadline;
        emit ISolverSelection.ApplicationsClosed(id, selection.count, selection.total, deadline);
        // INVARIANT: who is drawn is decided by a block that comes after the last application.
        beacon.request(_drawOf(id));
    }

    /// @notice Body of `ISolverSelection.drawSolver`, whose encoded arguments it takes; the drawn account, its application released.
    function drawSolver(DrawBooks storage books, IStakeVault vault, IRandomBeacon beacon, bytes calldata arguments)
        external
        returns (address solver)
    {
        TaskTerms memory terms = abi.decode(arguments, (TaskTerms));
        Selection storage selection = books.selections[terms.id];
        bytes32 value = beacon.record(address(this), _drawOf(terms.id));
        uint256 pick = uint256(keccak256(abi.encode("solver", value))) % selection.total;
        uint32 index = _find(books, terms.id, selection.count, pick);
        Application memory drawn = books.applications[terms.id][index];
        solver = drawn.account;
        selection.solveWindow = SolverWeight.solveWindow(terms, drawn.rate);
        emit ISolverSelection.SolverDrawn(terms.id, solver, index, selection.solveWindow);
        bytes32 engagement = applicationOf(terms.id, solver);
        (, uint96 stake) = vault.engagementOf(address(this), engagement);
        // INVARIANT: an application holds the deposit at least, so no draw can fail for want of it.
        vault.release(engagement, stake);
    }

    /// @notice What a submitter that cancels owes its applicants together, out of the escrow: a 256th of the fee each, a quarter of it at most.
    /// @dev Applying costs gas, and stake that lies idle until it comes back. A 256th of the fee is that of a deposit of three fees for days.
    function compensate(DrawBooks storage books, uint256 id, uint256 fee) external returns (uint96 owed) {
        Selection storage selection = books.selections[id];
        uint256 count = selection.count;
        // INVARIANT: until the beacon is asked no application has come to an end, so each can still be paid for, once.
        if (count == 0 || selection.closed) return 0;
        uint96 each = uint96(fee / (count < MOST_COMPENSATED ? 4 * MOST_COMPENSATED : 4 * count));
        selection.compensation = each;
        emit ISolverSelection.ApplicantsCompensated(id, uint32(count), each);
        return uint96(each * count);
    }

    /// @notice Body of `ISolverSelection.releaseApplication`.
    function releaseApplication(DrawBooks storage books, IStakeVault vault, uint256 id, address account) external {
        bytes32 engagement = applicationOf(id, account);
        (, uint96 stake) = vault.engagementOf(address(this), engagement);
        require(stake != 0, ISolverSelection.NoApplication(id, account));
        emit ISolverSelection.ApplicationReleased(id, account, stake);
        vault.release(engagement, stake);
        uint96 compensation = books.selections[id].compensation;
        if (compensation == 0) return;
        Payout[] memory payouts = new Payout[](1);
        payouts[0] = Payout(account, compensation, 0);
        vault.payOut(payouts, bytes32(id));
    }

    /// @notice Body of `ISolverSelection.weighApplication`, whose encoded arguments it takes.
    function weighApplication(IReputationLedger ledger, uint96 deposit, bytes calldata arguments)
        external
        view
        returns (uint64 weight, uint32 solveWindow)
    {
        (TaskTerms memory terms, address account, uint96 stake, Declaration memory declared) =
            abi.decode(arguments, (TaskTerms, address, uint96, Declaration));
        weight = _weigh(terms, ledger, deposit, account, stake, declared);
        solveWindow = SolverWeight.solveWindow(terms, declared.rate);
    }

    /// @notice Engagement of an applicant's stake in the vault.
    function applicationOf(uint256 id, address account) internal pure returns (bytes32) {
        return keccak256(abi.encode("application", id, account));
    }

    function _weigh(
        TaskTerms memory terms,
        IReputationLedger ledger,
        uint96 deposit,
        address account,
        uint96 stake,
        Declaration memory declared
    ) private view returns (uint64) {
        return SolverWeight.weightOf(terms, deposit, stake, ledger.earnedOf(account, Role.Solver), declared);
    }

    /// @dev The first application whose sum is above `pick`.
    function _find(DrawBooks storage books, uint256 id, uint32 count, uint256 pick) private view returns (uint32) {
        uint32 low = 0;
        uint32 high = count - 1;
        while (low < high) {
            uint32 middle = low + (high - low) / 2;
            if (books.applications[id][middle].total > pick) high = middle;
            else low = middle + 1;
        }
        return low;
    }

    /// @dev Beacon key of the draw; that of the task's audits is its id.
    function _drawOf(uint256 id) private pure returns (bytes32) {
        return keccak256(abi.encode("solver", id));
    }
}
