// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IProgramChecker} from "../../../contracts/interfaces/IOpExecutor.sol";
import {FaultKind, IProgramFaults, ProgramFault} from "../../../contracts/interfaces/IProgramFaults.sol";
import {ProgramFaults} from "../../../contracts/market/ProgramFaults.sol";
import {DType} from "../../../contracts/types/DType.sol";
import {InputKind} from "../../../contracts/types/InputKind.sol";
import {Op} from "../../../contracts/types/Op.sol";
import {ScriptedChecker} from "../actors/Deployment.sol";
import {TestTree} from "../actors/TestTree.sol";
import {Test} from "forge-std/Test.sol";

/// @title Every kind of fault of a program, and accusations that do not hold.
contract ProgramFaultsTest is Test {
    ScriptedChecker internal checker;
    ProgramFaults internal faults;

    bytes[] internal nodes;
    bytes[] internal states;
    bytes[] internal constants;
    uint64 internal stateChunks = 2;

    function setUp() public {
        checker = new ScriptedChecker();
        faults = ProgramFaults(deployCode("ProgramFaults.sol:ProgramFaults", abi.encode(checker)));
        states.push(abi.encodePacked(DType.F32, uint8(0), uint8(1), uint32(4), uint64(0)));
        states.push(abi.encodePacked(DType.I32, uint8(1), uint8(2), uint32(2), uint32(3), uint64(1)));
        states.push(abi.encodePacked(DType.F32, uint8(0), uint8(0), uint64(1)));
        constants.push(abi.encodePacked(DType.U8, uint8(1), uint32(5), bytes32("data")));
        nodes.push(_node(Op.ADD, DType.F32, 4, [_input(InputKind.STATE, 0), _input(InputKind.STATE, 0)]));
        nodes.push(_node(Op.MUL, DType.F32, 4, [_input(InputKind.NODE, 0), _input(InputKind.F32, 0x3f800000)]));
        nodes.push(
            abi.encodePacked(
                Op.STATE,
                DType.ROOT,
                uint8(1),
                uint32(3),
                uint16(3),
                _input(InputKind.NODE, 1),
                _input(InputKind.STATE, 1),
                _input(InputKind.STATE, 2)
            )
        );
    }

    // A program and its proofs

    function _input(uint8 kind, uint32 value) private pure returns (bytes5) {
        return bytes5(abi.encodePacked(kind, value));
    }

    function _node(uint8 op, uint8 dtype, uint32 extent, bytes5[2] memory inputs) private pure returns (bytes memory) {
        return abi.encodePacked(op, dtype, uint8(1), extent, uint16(2), inputs[0], inputs[1]);
    }

    function _leaves(bytes[] memory entries) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](entries.length);
        for (uint256 i = 0; i < entries.length; ++i) {
            leaves[i] = TestTree.hashLeaf(entries[i]);
        }
    }

    function _header() private view returns (bytes memory) {
        return abi.encodePacked(
            uint16(1),
            uint32(nodes.length),
            TestTree.root(_leaves(nodes)),
            uint32(states.length),
            TestTree.root(_leaves(states)),
            stateChunks,
            uint32(constants.length),
            TestTree.root(_leaves(constants)),
            uint32(0),
            bytes32(0),
            uint64(1)
        );
    }

    function _fault(FaultKind kind, uint32 index, uint256 entries) private view returns (ProgramFault memory fault) {
        fault.kind = kind;
        fault.index = index;
        fault.header = _header();
        fault.entries = new bytes[](entries);
        fault.proofs = new bytes32[][](entries);
    }

    function _put(ProgramFault memory fault, uint256 position, bytes[] memory list, uint256 index) private pure {
        fault.entries[position] = list[index];
        fault.proofs[position] = TestTree.prove(_leaves(list), index);
    }

    function _isFault(ProgramFault memory fault) private view returns (bool) {
        return faults.isFault(sha256(abi.encodePacked(uint8(4), fault.header)), fault);
    }

    // Proofs that do not hold

    function test_isFault_otherProgram_reverts() public {
        ProgramFault memory fault = _fault(FaultKind.Constant, 0, 1);
        _put(fault, 0, constants, 0);
        vm.expectRevert(IProgramFaults.NotInProgram.selector);
        faults.isFault("other", fault);
    }

    function test_isFault_entryElsewhere_reverts() public {
        ProgramFault memory fault = _fault(FaultKind.StateEntry, 0, 1);
        _put(fault, 0, states, 1);
        bytes32 program = sha256(abi.encodePacked(uint8(4), fault.header));
        vm.expectRevert(IProgramFaults.NotInProgram.selector);
        faults.isFault(program, fault);
    }

    // Nodes

    function test_node_goesToTheCheckerWithItsInputsHeaders() public {
        ProgramFault memory fault = _fault(FaultKind.Node, 1, 3);
        _put(fault, 0, nodes, 1);
        _put(fault, 1, nodes, 0);
        bytes[] memory headers = new bytes[](2);
        headers[0] = abi.encodePacked(DType.F32, uint8(1), uint32(4));
        vm.expectCall(
            address(checker), abi.encodeCall(IProgramChecker.checkNode, (nodes[1], 1, 3, 3, 1, false, headers))
        );
        assertFalse(_isFault(fault));
        checker.setVerdict(false);
        assertTrue(_isFault(fault));
    }

    function test_node_stateAndConstantInputs_haveTheirEntriesHeaders() public {
        nodes[1] = _node(Op.MUL, DType.F32, 4, [_input(InputKind.CONST, 0), _input(InputKind.STATE, 1)]);
        ProgramFault memory fault = _fault(FaultKind.Node, 1, 3);
        _put(fault, 0, nodes, 1);
        _put(fault, 1, constants, 0);
        _put(fault, 2, states, 1);
        bytes[] memory headers = new bytes[](2);
        headers[0] = abi.encodePacked(DType.U8, uint8(1), uint32(5));
        headers[1] = abi.encodePacked(DType.I32, uint8(2), uint32(2), uint32(3));
        vm.expectCall(
            address(checker), abi.encodeCall(IProgramChecker.checkNode, (nodes[1], 1, 3, 3, 1, false, headers))
        );
        _isFault(fault);
    }

    /// @dev Inputs out of range denote nothing: no proof is asked for, and the checker refuses them by their numbers.
    function test_node_inputsOutOfRange_needNoProof() public {
        nodes[1] = _node(Op.MUL, DType.F32, 4, [_input(InputKind.NODE, 99), _input(InputKind.STATE, 99)]);
        ProgramFault memory fault = _fault(FaultKind.Node, 1, 1);
        _put(fault, 0, nodes, 1);
        checker.setVerdict(false);
        assertTrue(_isFault(fault));
    }

    function test_node_notEncoded_isAFault() public {
        nodes[0] = hex"ff010203";
        ProgramFault memory fault = _fault(FaultKind.Node, 0, 1);
        _put(fault, 0, nodes, 0);
        assertTrue(_isFault(fault));
    }

    function test_node_withAMalformedInput_accusesThatOne() public {
        nodes[0] = hex"ff010203";
        ProgramFault memory fault = _fault(FaultKind.Node, 1, 3);
        _put(fault, 0, nodes, 1);
        _put(fault, 1, nodes, 0);
        bytes32 program = sha256(abi.encodePacked(uint8(4), fault.header));
        vm.expectRevert(abi.encodeWithSelector(IProgramFaults.AccuseThatOne.selector, 1));
        faults.isFault(program, fault);
    }

    // The last node

    function _lastNode() private view returns (bool) {
        ProgramFault memory fault = _fault(FaultKind.LastNode, uint32(nodes.length - 1), 1);
        _put(fault, 0, nodes, nodes.length - 1);
        return _isFault(fault);
    }

    function test_lastNode_good_isNone() public view {
        assertFalse(_lastNode());
    }

    function test_lastNode_otherOp_countOrType_isAFault() public {
        bytes memory good = nodes[2];
        nodes[2] = nodes[1];
        assertTrue(_lastNode());
        nodes[2] = abi.encodePacked(Op.STATE, DType.ROOT, uint8(1), uint32(3), uint16(1), _input(InputKind.NODE, 1));
        assertTrue(_lastNode());
        nodes[2] = good;
        nodes[2][6] = 0x04;
        assertTrue(_lastNode());
        nodes[2] = good;
        nodes[2][1] = bytes1(DType.F32);
        assertTrue(_lastNode());
    }

    function test_lastNode_notTheLast_reverts() public {
        ProgramFault memory fault = _fault(FaultKind.LastNode, 1, 1);
        _put(fault, 0, nodes, 1);
        bytes32 program = sha256(abi.encodePacked(uint8(4), fault.header));
        vm.expectRevert(IProgramFaults.NotInProgram.selector);
        faults.isFault(program, fault);
    }

    function _stateInput(uint32 index, bool init) private view returns (bool) {
        ProgramFault memory fault = _fault(FaultKind.StateInput, index, 3);
        fault.init = init;
        _put(fault, 0, nodes, 2);
        if (index == 0) _put(fault, 1, nodes, 1);
        else _put(fault, 1, states, index);
        _put(fault, 2, states, index);
        return _isFault(fault);
    }

    function test_stateInput_good_isNone() public view {
        for (uint32 i = 0; i < 3; ++i) {
            assertFalse(_stateInput(i, false));
        }
    }

    function test_stateInput_otherType_isAFault() public {
        nodes[1] = _node(Op.MUL, DType.F32, 5, [_input(InputKind.NODE, 0), _input(InputKind.F32, 0)]);
        assertTrue(_stateInput(0, false));
    }

    function test_stateInput_frozenEntryReplaced_isAFault_butNotInAnInitProgram() public {
        states[0] = abi.encodePacked(DType.F32, uint8(1), uint8(1), uint32(4), uint64(0));
        states[1] = abi.encodePacked(DType.I32, uint8(1), uint8(2), uint32(2), uint32(3), uint64(0));
        assertTrue(_stateInput(0, false));
        assertFalse(_stateInput(0, true));
        assertFalse(_stateInput(1, false));
    }

    // Entries

    function _state(FaultKind kind, uint32 index) private view returns (bool) {
        ProgramFault memory fault = _fault(kind, index, 2);
        _put(fault, 0, states, index);
        if (index != 0) _put(fault, 1, states, index - 1);
        return _isFault(fault);
    }

    function test_stateEntry_goodAndBad() public {
        for (uint32 i = 0; i < 3; ++i) {
            assertFalse(_state(FaultKind.StateEntry, i));
        }
        states[0] = abi.encodePacked(DType.U8, uint8(0), uint8(1), uint32(4), uint64(0));
        assertTrue(_state(FaultKind.StateEntry, 0));
        states[0] = abi.encodePacked(DType.F32, uint8(2), uint8(1), uint32(4), uint64(0));
        assertTrue(_state(FaultKind.StateEntry, 0));
        states[0] = abi.encodePacked(DType.F32, uint8(0), uint8(1), uint32(0), uint64(0));
        assertTrue(_state(FaultKind.StateEntry, 0));
        states[0] = abi.encodePacked(DType.F32, uint8(0), uint8(2), uint32(4), uint64(0));
        assertTrue(_state(FaultKind.StateEntry, 0));
        states[0] = hex"0100";
        assertTrue(_state(FaultKind.StateEntry, 0));
    }

    function test_stateTotals_goodAndBad() public {
        for (uint32 i = 0; i < 3; ++i) {
            assertFalse(_state(FaultKind.StateTotals, i));
        }
        states[2] = abi.encodePacked(DType.F32, uint8(0), uint8(0), uint64(2));
        assertTrue(_state(FaultKind.StateTotals, 2));
        states[0] = abi.encodePacked(DType.F32, uint8(0), uint8(1), uint32(4), uint64(1));
        assertTrue(_state(FaultKind.StateTotals, 0));
        states[0] = abi.encodePacked(DType.F32, uint8(0), uint8(1), uint32(257), uint64(0));
        assertTrue(_state(FaultKind.StateTotals, 1));
    }

    function test_stateTotals_malformedEntry_accusesThatOne() public {
        states[1] = hex"0100";
        ProgramFault memory fault = _fault(FaultKind.StateTotals, 2, 2);
        _put(fault, 0, states, 2);
        _put(fault, 1, states, 1);
        bytes32 program = sha256(abi.encodePacked(uint8(4), fault.header));
        vm.expectRevert(abi.encodeWithSelector(IProgramFaults.AccuseThatOne.selector, 1));
        faults.isFault(program, fault);
    }

    function test_stateEnd_goodAndBad() public {
        assertFalse(_state(FaultKind.StateEnd, 2));
        stateChunks = 3;
        assertTrue(_state(FaultKind.StateEnd, 2));
    }

    function test_constant_goodAndBad() public {
        ProgramFault memory fault = _fault(FaultKind.Constant, 0, 1);
        _put(fault, 0, constants, 0);
        assertFalse(_isFault(fault));
        constants[0] = abi.encodePacked(DType.M16, uint8(1), uint32(5), bytes32("data"));
        fault = _fault(FaultKind.Constant, 0, 1);
        _put(fault, 0, constants, 0);
        assertTrue(_isFault(fault));
        constants[0] = abi.encodePacked(DType.U8, uint8(2), uint32(5), bytes32("data"));
        fault = _fault(FaultKind.Constant, 0, 1);
        _put(fault, 0, constants, 0);
        assertTrue(_isFault(fault));
    }
}
