// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, IAuditCourt, Opening, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {Declaration} from "../../../contracts/interfaces/ISolverSelection.sol";
import {MalformedStart} from "../../../contracts/interfaces/IStartChecker.sol";
import {ITaskMarket, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";
import {Options} from "../actors/Options.sol";
import {TestTree} from "../actors/TestTree.sol";
import {TransitionTable} from "./TransitionTable.sol";

/// @title Every call about a task, in each of its states, by submitter, solver and anybody, before and after its deadline.
/// @dev One segment is drawn, so that its fate is the task's. Calls about a segment name one that was not drawn: those that were have a
/// machine of their own.
contract TaskTransitionsTest is Endings, TransitionTable {
    using TaskMath for TaskTerms;

    /// @dev The segment that is drawn once the value is known, and who is to verify it.
    uint32 private _coming;
    address private _comingVerifier;

    string[12] private _names = [
        "None",
        "Open",
        "Accepted",
        "Solving",
        "Committed",
        "Auditing",
        "Settled",
        "Rejected",
        "Unavailable",
        "Void",
        "Cancelled",
        "Expired"
    ];

    function setUp() public override {
        super.setUp();
        // Nobody is refused for want of tokens or stake.
        stake(submitter, 10_000 * TOKEN);
        stake(outsider, 10_000 * TOKEN);
        fund(solver, 1000 * TOKEN);
        fund(outsider, 1000 * TOKEN);
    }

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        p.minAudits = 1;
        p.openingWindow = 1 days;
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.audits = 1;
    }

    function test_task_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("task");
    }

    // Rows

    function _bringTo(string memory, string memory row) internal override {
        if (_same(row, "Solving, stacked")) return _toStackedSolving();
        if (_same(row, "Committed, no value")) return toCommitted(0);
        if (_same(row, "Auditing, condemned")) return _toClaimed(type(uint256).max);
        if (_same(row, "Auditing")) return _toClaimed(0);
        if (_same(row, "Auditing, silent")) {
            toAuditing(0);
            return missOut(drawnSegments()[0]);
        }
        uint8 state = 0;
        while (!_same(row, _names[state])) ++state;
        toState(TaskState(state));
        if (TaskState(state) != TaskState.Committed) return;
        rollToValue();
        uint256 before = vm.snapshotState();
        court.drawAudits(terms);
        uint32 segment = drawnSegments()[0];
        address drawn = verifierOf(segment);
        vm.revertToStateAndDelete(before);
        (_coming, _comingVerifier) = (segment, drawn);
    }

    function _toClaimed(uint256 bad) private {
        toAuditing(bad);
        claimHonestly(drawnSegments()[0]);
    }

    function _toStackedSolving() private {
        toEnd(0, true);
        (address target, bytes memory data) = _submitStacked();
        vm.recordLogs();
        vm.prank(submitter);
        (bool done,) = target.call(data);
        assertTrue(done);
        terms = postedTerms();
        vm.startPrank(solver);
        market.accept(terms);
        market.acknowledge(terms);
        vm.stopPrank();
    }

    function _passDeadline(string memory) internal override {
        TaskState state = market.stateOf(terms.id);
        uint256 last = market.deadlineOf(terms.id);
        if (state == TaskState.Open) last = terms.acceptDeadline;
        if (state == TaskState.Auditing) (, last,) = court.windowsOf(terms.id, drawnSegments()[0]);
        if (last == 0) last = vm.getBlockTimestamp() + 30 days;
        vm.warp(last + 1);
    }

    function _stateName(string memory) internal view override returns (string memory) {
        return _names[uint8(market.stateOf(terms.id))];
    }

    // Moves

    function _actor(string memory, string memory move, uint256 column) internal view override returns (address) {
        if (_same(move, "drawAndClaim_drawn")) return _comingVerifier == address(0) ? verifier : _comingVerifier;
        bool byCourt = _same(move, "beginAudit_court") || _same(move, "countCall_court");
        return byCourt ? address(court) : [submitter, solver, outsider][column];
    }

    function _move(string memory, string memory move, address)
        internal
        view
        override
        returns (address target, bytes memory data)
    {
        target = address(market);
        if (_same(move, "submitStacked")) return _submitStacked();
        if (_same(move, "cancel")) data = abi.encodeCall(market.cancel, (terms));
        else if (_same(move, "accept")) data = abi.encodeCall(market.accept, (terms));
        else if (_same(move, "acknowledge")) data = abi.encodeCall(market.acknowledge, (terms));
        else if (_same(move, "giveBack")) data = abi.encodeCall(market.giveBack, (terms));
        else if (_same(move, "commit")) data = _commit(false);
        else if (_same(move, "commitStacked")) data = _commit(true);
        else if (_same(move, "expire")) data = abi.encodeCall(market.expire, (terms));
        else if (_same(move, "expireUndrawn")) data = abi.encodeCall(market.expireUndrawn, (terms));
        else if (_same(vm.split(move, "_")[0], "beginAudit")) data = abi.encodeCall(market.beginAudit, (terms.id, 1));
        else if (_same(vm.split(move, "_")[0], "countCall")) data = abi.encodeCall(market.countCall, (terms.id));
        else if (_same(move, "settle")) data = abi.encodeCall(market.settle, (terms));
        else if (_same(move, "voidInvalidProgram")) data = abi.encodeCall(market.voidInvalidProgram, (terms, fault()));
        if (data.length == 0) data = _selectionMove(move);
        if (data.length != 0) return (target, data);
        (target, data) = (address(court), _courtMove(move));
        if (data.length != 0) return (target, data);
        if (_same(move, "creditSolver")) return (address(ledger), abi.encodeCall(ledger.creditSolver, (terms)));
        if (_same(move, "creditClaim")) {
            return (address(ledger), abi.encodeCall(ledger.creditClaim, (terms, _undrawn())));
        }
        MalformedStart memory nothing;
        if (_same(move, "convictMalformedStart")) {
            data = abi.encodeCall(starts.convictMalformedStart, (terms, 0, 0, new bytes32[](0), nothing));
        } else {
            require(_same(move, "convictMalformedEnd"), move);
            data = abi.encodeCall(starts.convictMalformedEnd, (terms, 9, 0, new bytes32[](0), nothing));
        }
        return (address(starts), data);
    }

    /// @dev How a task comes to its solver, but for `accept` and `acknowledge`.
    function _selectionMove(string memory move) private view returns (bytes memory data) {
        if (_same(move, "applyToSolve")) {
            return abi.encodeCall(market.applyToSolve, (terms, 1000 * TOKEN, Declaration(0, 0, 0)));
        }
        if (_same(move, "acceptAndAcknowledge")) return abi.encodeCall(market.acceptAndAcknowledge, (terms));
        if (_same(move, "closeApplications")) return abi.encodeCall(market.closeApplications, (terms));
        if (_same(move, "drawSolver")) return abi.encodeCall(market.drawSolver, (terms));
        if (_same(move, "releaseApplication")) return abi.encodeCall(market.releaseApplication, (terms, solver));
    }

    function _courtMove(string memory move) private view returns (bytes memory data) {
        uint32 segment = _undrawn();
        ClaimBody memory body;
        Opening memory opening;
        opening.segment = segment;
        bytes32[] memory none = new bytes32[](0);
        if (_same(move, "drawAudits")) return abi.encodeCall(court.drawAudits, (terms));
        if (_same(vm.split(move, "_")[0], "drawAndClaim")) return _drawAndClaim();
        if (_same(move, "redraw")) return abi.encodeCall(court.redraw, (terms, segment));
        if (_same(move, "postClaim")) return abi.encodeCall(court.postClaim, (terms, segment, body, none));
        if (_same(move, "callUp")) return _callUp(segment);
        if (_same(move, "unblind")) return abi.encodeCall(court.unblind, (terms, segment, body, none, 0));
        if (_same(move, "reclaimBlind")) return abi.encodeCall(court.reclaimBlind, (terms, segment, 0, 0, 0));
        if (_same(move, "finalize")) return abi.encodeCall(court.finalize, (terms, segment, 1));
        if (_same(move, "closeClaim")) return abi.encodeCall(court.closeClaim, (terms, segment, 0, 0));
        if (_same(move, "openSecret")) return abi.encodeCall(court.openSecret, (terms, opening));
        if (_same(move, "conclude")) return abi.encodeCall(court.conclude, (terms, false, 0, 0));
    }

    /// @dev A claim about the segment that will be drawn, a right one as soon as there is work.
    function _drawAndClaim() private view returns (bytes memory) {
        if (checkpoints.length != 0) {
            ClaimBody memory body = bodyFor(_coming, checkpoints[_coming]);
            return abi.encodeCall(court.drawAndClaim, (terms, _coming, body, checkpointProof(_coming)));
        }
        ClaimBody memory none;
        return abi.encodeCall(court.drawAndClaim, (terms, _coming, none, new bytes32[](0)));
    }

    /// @dev A claim that condemns a segment, a right one as soon as there is work.
    function _callUp(uint32 segment) private view returns (bytes memory) {
        if (checkpoints.length != 0) {
            ClaimBody memory body = bodyFor(segment, "other");
            return abi.encodeCall(court.callUp, (terms, segment, body, checkpointProof(segment)));
        }
        ClaimBody memory none;
        return abi.encodeCall(court.callUp, (terms, segment, none, new bytes32[](0)));
    }

    /// @dev A child of this task, of the root it was committed to end in.
    function _submitStacked() private view returns (address, bytes memory) {
        TaskOffer memory offer = defaultOffer();
        offer.acceptDeadline = uint64(vm.getBlockTimestamp() + 1 days);
        offer.initHeader = offer.stepHeader;
        offer.options = Options.pack(uint64(terms.id), 16, 0, 0);
        bytes32[] memory roots = checkpoints.length == 0 ? new bytes32[](5) : checkpoints;
        bytes32[] memory proof = TestTree.prove(TestTree.hashRoots(roots), 4);
        return (address(market), abi.encodeCall(market.submitStacked, (offer, terms, roots[4], proof)));
    }

    function _commit(bool stacked) private view returns (bytes memory) {
        bytes32[] memory roots = new bytes32[](5);
        if (stacked) roots[0] = terms.initProgram;
        bytes32[] memory leaves = TestTree.hashRoots(roots);
        bytes32 root = TestTree.root(leaves);
        bytes32[] memory last = TestTree.prove(leaves, 4);
        if (!stacked) return abi.encodeCall(market.commit, (terms, root, roots[4], last, ""));
        bytes32[] memory first = TestTree.prove(leaves, 0);
        return abi.encodeCall(market.commitStacked, (terms, root, roots[4], last, first, ""));
    }

    /// @dev The first segment that was not drawn.
    function _undrawn() private view returns (uint32 segment) {
        while (stateOf(segment) != SlotState.None) ++segment;
    }

    /// @dev An error that tells the task's state tells the true one.
    function _checkRefusal(string memory, bytes memory result) internal view override {
        bytes4 selector = bytes4(result);
        if (selector != ITaskMarket.WrongState.selector && selector != IAuditCourt.WrongTaskState.selector) return;
        (uint256 id, uint256 told) = _twoWords(result);
        assertEq(id, terms.id);
        assertEq(told, uint256(market.stateOf(terms.id)));
    }

    function _twoWords(bytes memory result) private pure returns (uint256 first, uint256 second) {
        assembly ("memory-safe") {
            first := mload(add(result, 36))
            second := mload(add(result, 68))
        }
    }
}
