// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Declaration} from "../../../contracts/interfaces/ISolverSelection.sol";
import {TaskOffer, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";
import {Options} from "../actors/Options.sol";
import {TransitionTable} from "./TransitionTable.sol";

/// @title An application to solve a task, and a verifier's registration: every call about them, by their owner and others.
contract AccountTransitionsTest is Endings, TransitionTable {
    /// @dev Whose application, whose registration.
    address private _subject;
    bool private _forced;

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        p.openingWindow = 1 days;
        if (_forced) (p.forcedBps, p.jackpotMultiple) = (1, 13);
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.acceptDeadline = uint64(vm.getBlockTimestamp() + 3 days);
        offer.options = Options.pack(0, 0, vm.getBlockTimestamp() + 6 hours, 0);
    }

    function test_application_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("application");
    }

    function test_registration_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("registration");
    }

    // Rows

    function _bringTo(string memory machine, string memory row) internal override {
        (string memory state, string memory how) = _partsOf(row);
        if (_same(machine, "application")) _arrangeApplication(state, how);
        else _arrangeRegistration(state, how);
    }

    function _arrangeApplication(string memory state, string memory how) private {
        _subject = solver;
        stake(outsider, 10_000 * TOKEN); // nobody is refused for want of stake
        toOpen();
        bool given = _same(how, "given back") || _same(how, "released");
        if (!_same(state, "None") || given) _apply(solver);
        if (_same(how, "another drawn")) _apply(whistleblower);
        if (bytes(how).length == 0 && !_same(state, "Solver")) return;
        vm.warp(uint256(terms.options.applyDeadline()) + 1);
        if (_same(how, "over")) return;
        if (_same(how, "never closed")) {
            vm.warp(uint256(terms.acceptDeadline) + 1);
            return;
        }
        market.closeApplications(terms);
        if (_same(how, "closed")) return;
        rollToValue();
        if (_same(how, "value")) return;
        if (_same(how, "draw over") || _same(how, "released")) {
            vm.warp(uint256(market.deadlineOf(terms.id)) + 1);
            if (_same(how, "released")) market.releaseApplication(terms, solver);
            return;
        }
        market.drawSolver(terms);
        if (_same(how, "another drawn") && market.solverOf(terms.id) == solver) _subject = whistleblower;
        if (!_same(how, "given back")) return;
        vm.prank(solver);
        market.giveBack(terms);
    }

    function _apply(address account) private {
        vm.prank(account);
        market.applyToSolve(terms, 1000 * TOKEN, Declaration(0, 0, 0));
    }

    function _arrangeRegistration(string memory state, string memory how) private {
        _subject = solver;
        if (_same(how, "without secrets") || _same(how, "with secrets")) {
            _forced = true;
            setUp();
        }
        if (_same(how, "with secrets")) commitTree(solver, 1);
        if (_same(state, "In")) {
            vm.prank(solver);
            court.registerVerifier(type(uint96).max);
        }
        if (_same(how, "without stake")) withdraw(solver, vault.freeStakeOf(solver));
        bool given = _same(how, "with notice") || _same(how, "notice over");
        if (!given) return;
        vm.prank(solver);
        court.retireVerifier();
        if (_same(how, "notice over")) vm.warp(vm.getBlockTimestamp() + numbers.withdrawalDelay);
    }

    function _stateName(string memory machine) internal view override returns (string memory) {
        if (_same(machine, "registration")) return court.weightOf(_subject) == 0 ? "Out" : "In";
        if (market.solverOf(terms.id) == _subject) return "Solver";
        bytes32 engagement = keccak256(abi.encode("application", terms.id, _subject));
        (, uint96 held) = vault.engagementOf(address(market), engagement);
        return held == 0 ? "None" : "Applied";
    }

    // Moves

    function _actor(string memory machine, string memory, uint256 column) internal view override returns (address) {
        if (column == 0) return _subject;
        return _same(machine, "application") && column == 1 ? submitter : outsider;
    }

    function _move(string memory machine, string memory move, address)
        internal
        view
        override
        returns (address, bytes memory)
    {
        if (_same(machine, "registration")) return (address(court), _registrationMove(move));
        return (address(market), _applicationMove(move));
    }

    function _registrationMove(string memory move) private view returns (bytes memory) {
        if (_same(move, "registerVerifier")) return abi.encodeCall(court.registerVerifier, (type(uint96).max));
        if (_same(move, "retireVerifier")) return abi.encodeCall(court.retireVerifier, ());
        if (_same(move, "refreshVerifier")) return abi.encodeCall(court.refreshVerifier, (_subject));
        if (_same(move, "commitSecrets")) return abi.encodeCall(court.commitSecrets, (keccak256("root")));
        require(_same(move, "commitSecrets_none"), move);
        return abi.encodeCall(court.commitSecrets, (0));
    }

    function _applicationMove(string memory move) private view returns (bytes memory) {
        if (_same(move, "applyToSolve")) {
            return abi.encodeCall(market.applyToSolve, (terms, 1000 * TOKEN, Declaration(0, 0, 0)));
        }
        if (_same(move, "applyToSolve_little")) {
            return abi.encodeCall(market.applyToSolve, (terms, 1, Declaration(0, 0, 0)));
        }
        if (_same(move, "closeApplications")) return abi.encodeCall(market.closeApplications, (terms));
        if (_same(move, "drawSolver")) return abi.encodeCall(market.drawSolver, (terms));
        if (_same(move, "releaseApplication")) return abi.encodeCall(market.releaseApplication, (terms, _subject));
        if (_same(move, "accept")) return abi.encodeCall(market.accept, (terms));
        if (_same(move, "cancel")) return abi.encodeCall(market.cancel, (terms));
        if (_same(move, "acknowledge")) return abi.encodeCall(market.acknowledge, (terms));
        require(_same(move, "giveBack"), move);
        return abi.encodeCall(market.giveBack, (terms));
    }
}
