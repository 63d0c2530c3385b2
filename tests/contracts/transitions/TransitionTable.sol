// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";

/// @title The table of `tests/vectors/transitions.json`, and how a machine is driven through all of it.
/// @dev A machine has rows (states, and behind a comma what else matters), actors, and moves. A move has rules `rows -> outcomes; late outcomes`, of
/// which the first that names the row, its state or `else` counts; outcomes are one for all actors or one each, the state after the move or an
/// error. A name behind `_` tells a move's variants apart. Twin: `tests/transitions.py`.
abstract contract TransitionTable is Test {
    string private constant TABLE = "tests/vectors/transitions.json";

    // The table, read once: thousands of calls would spend their time on parsing it.
    mapping(bytes4 selector => string) private _errors;
    mapping(string machine => string[]) private _moves;
    mapping(string machine => mapping(string move => string[])) private _rules;
    mapping(string machine => mapping(string state => bool)) private _states;

    // What a driver says of its machine

    /// @dev Brings the machine to a row of the table.
    function _bringTo(string memory machine, string memory row) internal virtual;

    /// @dev Lets the deadline of the state pass; never asked for where the table's windows are rows.
    function _passDeadline(string memory) internal virtual {
        revert("its windows are rows");
    }

    /// @dev The state that the contracts' books give.
    function _stateName(string memory machine) internal view virtual returns (string memory);

    /// @dev Who makes a move in a column.
    function _actor(string memory machine, string memory move, uint256 column) internal view virtual returns (address);

    /// @dev A move as a call, as well made as the state allows.
    function _move(string memory machine, string memory move, address actor)
        internal
        virtual
        returns (address target, bytes memory data);

    /// @dev Looks at what a refused call reverted with, beyond its error's name.
    function _checkRefusal(string memory machine, bytes memory result) internal view virtual {}

    // The drive

    /// @dev Tries every move in every row, by every actor, early and late, each from the same place.
    function _play(string memory machine) internal {
        vm.pauseGasMetering(); // thousands of calls in one test
        string memory json = vm.readFile(TABLE);
        string[] memory signatures = vm.parseJsonStringArray(json, ".errors");
        for (uint256 i = 0; i < signatures.length; ++i) {
            _errors[bytes4(keccak256(bytes(signatures[i])))] = vm.split(signatures[i], "(")[0];
        }
        string memory path = string.concat(".", machine);
        string[] memory rows = vm.parseJsonStringArray(json, string.concat(path, ".rows"));
        for (uint256 i = 0; i < rows.length; ++i) {
            _states[machine][vm.split(rows[i], ", ")[0]] = true;
        }
        path = string.concat(path, ".moves");
        _moves[machine] = vm.parseJsonKeys(json, path);
        for (uint256 i = 0; i < _moves[machine].length; ++i) {
            string memory move = _moves[machine][i];
            _rules[machine][move] = vm.parseJsonStringArray(json, string.concat(path, ".", move));
        }
        uint256 actors = vm.parseJsonStringArray(json, string.concat(".", machine, ".actors")).length;
        bool late = vm.parseJsonBool(json, string.concat(".", machine, ".late"));
        uint256 wrong = 0;
        for (uint256 i = 0; i < rows.length; ++i) {
            wrong += this.playRow(machine, rows[i], actors, late);
        }
        assertEq(wrong, 0, "moves that did not do what the table says");
    }

    /// @dev One row, in a call of its own, whose memory is given back; so is that of each move.
    function playRow(string calldata machine, string calldata row, uint256 actors, bool late)
        external
        returns (uint256 wrong)
    {
        uint256 before = vm.snapshotState();
        _bringTo(machine, row);
        assertEq(_stateName(machine), vm.split(row, ", ")[0], row);
        for (uint256 half = 0; half < (late ? 2 : 1); ++half) {
            if (half == 1) _passDeadline(machine);
            for (uint256 i = 0; i < _moves[machine].length; ++i) {
                wrong += this.tryMove(machine, row, _moves[machine][i], half, actors);
            }
        }
        vm.revertToStateAndDelete(before);
    }

    function tryMove(string calldata machine, string calldata row, string calldata move, uint256 half, uint256 actors)
        external
        returns (uint256 wrong)
    {
        string[] memory expected = _outcomesOf(machine, row, move, half);
        require(expected.length == 1 || expected.length == actors, string.concat(row, " | ", move));
        for (uint256 i = 0; i < actors; ++i) {
            uint256 before = vm.snapshotState();
            string memory outcome = _outcome(machine, move, _actor(machine, move, i));
            vm.revertToStateAndDelete(before);
            string memory wanted = expected[expected.length == 1 ? 0 : i];
            if (_same(outcome, wanted)) continue;
            ++wrong;
            console.log(
                string.concat(
                    machine, " | ", row, half == 0 ? " | " : " | late | ", move, " | ", vm.toString(i), " | ", outcome
                )
            );
        }
    }

    /// @dev The state after a move, or the error it is refused with.
    function _outcome(string memory machine, string memory move, address actor) private returns (string memory) {
        (bool done, bytes memory result) = _try(machine, move, actor);
        if (done) return _stateName(machine);
        _checkRefusal(machine, result);
        string memory name = _errors[bytes4(result)];
        if (bytes(name).length == 0) return vm.toString(result);
        // An error named as a state is never meant where the table names the state.
        return _states[machine][name] ? string.concat("error ", name) : name;
    }

    /// @dev Makes a move; where it is no single call, a driver says how.
    function _try(string memory machine, string memory move, address actor)
        internal
        virtual
        returns (bool done, bytes memory result)
    {
        (address target, bytes memory data) = _move(machine, move, actor);
        vm.prank(actor);
        return target.call(data);
    }

    /// @dev Of the first rule for the row: one outcome for all actors, or one each. A row's state, and `else`, stand for all of theirs.
    function _outcomesOf(string calldata machine, string calldata row, string calldata move, uint256 half)
        private
        view
        returns (string[] memory)
    {
        string[] memory rules = _rules[machine][move];
        string memory state = vm.split(row, ", ")[0];
        for (uint256 i = 0; i < rules.length; ++i) {
            string[] memory rule = vm.split(rules[i], " -> ");
            string[] memory names = vm.split(rule[0], " & ");
            for (uint256 j = 0; j < names.length; ++j) {
                if (!_same(names[j], row) && !_same(names[j], state) && !_same(names[j], "else")) continue;
                string[] memory halves = vm.split(rule[1], "; late ");
                return vm.split(halves[halves.length == 1 ? 0 : half], " | ");
            }
        }
        revert(string.concat("no cell: ", machine, " | ", row, " | ", move));
    }

    /// @dev A row's state, and what else it says behind the comma.
    function _partsOf(string memory row) internal pure returns (string memory state, string memory how) {
        string[] memory parts = vm.split(row, ", ");
        return (parts[0], parts.length == 2 ? parts[1] : "");
    }

    /// @dev What tells a move from others of its name.
    function _variantOf(string memory move) internal pure returns (string memory) {
        string[] memory parts = vm.split(move, "_");
        return parts.length == 1 ? "" : parts[1];
    }

    function _same(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
