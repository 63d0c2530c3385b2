// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, IAuditCourt} from "../../../contracts/interfaces/IAuditCourt.sol";
import {Declaration} from "../../../contracts/interfaces/ISolverSelection.sol";
import {ITaskMarket, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Endings} from "../actors/Endings.sol";

/// @title Every call in every state: what is not in the table of `docs/PROTOCOL.md` reverts.
contract TaskMarketStatesTest is Endings {
    function _refuses(TaskState actual, TaskState needed) private {
        if (actual == needed) return;
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.WrongState.selector, terms.id, actual, needed));
    }

    function _courtRefuses(TaskState actual) private {
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.WrongTaskState.selector, terms.id, actual));
    }

    function _checkMarket(TaskState state) private {
        toState(state);
        bytes32[] memory none = new bytes32[](0);
        vm.startPrank(solver);
        if (state != TaskState.Open) {
            _refuses(state, TaskState.Open);
            market.cancel(terms);
            _refuses(state, TaskState.Open);
            market.accept(terms);
            _refuses(state, TaskState.Open);
            market.applyToSolve(terms, 1, Declaration(0, 0, 0));
            _refuses(state, TaskState.Open);
            market.closeApplications(terms);
            _refuses(state, TaskState.Open);
            market.drawSolver(terms);
        }
        if (state != TaskState.Accepted) {
            _refuses(state, TaskState.Accepted);
            market.acknowledge(terms);
            _refuses(state, TaskState.Accepted);
            market.giveBack(terms);
        }
        if (state != TaskState.Solving) {
            _refuses(state, TaskState.Solving);
            market.commit(terms, 0, 0, none, "");
            _refuses(state, TaskState.Solving);
            market.expire(terms);
        }
        if (state != TaskState.Committed) {
            _refuses(state, TaskState.Committed);
            market.expireUndrawn(terms);
        }
        if (state != TaskState.Auditing) {
            _refuses(state, TaskState.Auditing);
            market.settle(terms);
        }
        if (state != TaskState.Solving && state != TaskState.Committed && state != TaskState.Auditing) {
            _refuses(state, TaskState.Auditing);
            market.voidInvalidProgram(terms, fault());
        }
        vm.stopPrank();
        _checkCourt(state);
    }

    function _checkCourt(TaskState state) private {
        bytes32[] memory none = new bytes32[](0);
        ClaimBody memory body;
        if (state != TaskState.Committed) {
            _courtRefuses(state);
            court.drawAudits(terms);
        }
        if (state != TaskState.Auditing) {
            _courtRefuses(state);
            court.redraw(terms, 1);
            _courtRefuses(state);
            court.postClaim(terms, 1, body, none);
            _courtRefuses(state);
            court.unblind(terms, 1, body, none, 0);
            _courtRefuses(state);
            court.finalize(terms, 1, 1);
        }
        bool ended = state >= TaskState.Settled && state <= TaskState.Void;
        if (!ended) {
            _courtRefuses(state);
            court.closeClaim(terms, 1, 0, 0);
        }
    }

    function test_open_allElse_reverts() public {
        _checkMarket(TaskState.Open);
    }

    function test_accepted_allElse_reverts() public {
        _checkMarket(TaskState.Accepted);
    }

    function test_solving_allElse_reverts() public {
        _checkMarket(TaskState.Solving);
    }

    function test_committed_allElse_reverts() public {
        _checkMarket(TaskState.Committed);
    }

    function test_auditing_allElse_reverts() public {
        _checkMarket(TaskState.Auditing);
    }

    function test_settled_everything_reverts() public {
        _checkMarket(TaskState.Settled);
    }

    function test_rejected_everything_reverts() public {
        _checkMarket(TaskState.Rejected);
    }

    function test_unavailable_everything_reverts() public {
        _checkMarket(TaskState.Unavailable);
    }

    function test_void_everything_reverts() public {
        _checkMarket(TaskState.Void);
    }

    function test_cancelled_everything_reverts() public {
        _checkMarket(TaskState.Cancelled);
    }

    function test_expired_everything_reverts() public {
        _checkMarket(TaskState.Expired);
    }

    function test_everyCall_otherTerms_reverts() public {
        toAuditing(0);
        terms.price += 1;
        bytes32[] memory none = new bytes32[](0);
        ClaimBody memory body;
        bytes memory wrong = abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, terms.id);
        vm.expectRevert(wrong);
        market.cancel(terms);
        vm.expectRevert(wrong);
        market.accept(terms);
        vm.expectRevert(wrong);
        market.acknowledge(terms);
        vm.expectRevert(wrong);
        market.giveBack(terms);
        vm.expectRevert(wrong);
        market.commit(terms, 0, 0, none, "");
        vm.expectRevert(wrong);
        market.expire(terms);
        vm.expectRevert(wrong);
        market.expireUndrawn(terms);
        vm.expectRevert(wrong);
        market.settle(terms);
        vm.expectRevert(wrong);
        market.voidInvalidProgram(terms, fault());
        wrong = abi.encodeWithSelector(IAuditCourt.WrongTerms.selector, terms.id);
        vm.expectRevert(wrong);
        court.drawAudits(terms);
        vm.expectRevert(wrong);
        court.redraw(terms, 1);
        vm.expectRevert(wrong);
        court.postClaim(terms, 1, body, none);
        vm.expectRevert(wrong);
        court.unblind(terms, 1, body, none, 0);
        vm.expectRevert(wrong);
        court.reclaimBlind(terms, 1, 0, 0, 0);
        vm.expectRevert(wrong);
        court.finalize(terms, 1, 1);
        vm.expectRevert(wrong);
        court.closeClaim(terms, 1, 0, 0);
    }

    function test_moduleCalls_byAnybody_revert() public {
        toCommitted(0);
        vm.startPrank(outsider);
        vm.expectRevert(abi.encodeWithSelector(ITaskMarket.NotCourt.selector, outsider));
        market.beginAudit(terms.id, 0);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NotModule.selector, outsider));
        court.conclude(terms, false, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IAuditCourt.NotModule.selector, outsider));
        court.failStart(terms.id, 1, outsider);
    }
}
