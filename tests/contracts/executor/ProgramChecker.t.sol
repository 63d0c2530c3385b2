// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramChecker} from "../../../contracts/executor/ProgramChecker.sol";
import {IProgramChecker} from "../../../contracts/interfaces/IOpExecutor.sol";
import {Test} from "forge-std/Test.sol";

/// @notice One rule a test, each with the node that keeps it and one that breaks it. Agreement with the Python checker on random
/// and mutated programs is in tests/differential/test_checker.py.
contract ProgramCheckerTest is Test {
    ProgramChecker private checker;

    uint256 private constant NODES = 9;
    uint256 private constant STATES = 2;
    uint256 private constant CONSTANTS = 2;

    bytes private constant F32_3 = hex"010100000003";
    bytes private constant F32_2_3 = hex"01020000000200000003";
    bytes private constant I32_0 = hex"0200";

    function setUp() public {
        checker = new ProgramChecker();
    }

    function test_checkNode_addOfANodeAndALiteral_isValid() public view {
        assertTrue(_check(_node(hex"10", F32_3, "", hex"0002" hex"0000000003" hex"063f800000"), _list(F32_3, "")));
    }

    function test_checkNode_laterOrOwnNode_isInvalid() public view {
        bytes memory node = _node(hex"1d", F32_3, "", hex"0001" hex"0000000005");
        assertFalse(_checkAt(node, 5, false, _list(F32_3)));
        assertTrue(_checkAt(node, 6, false, _list(F32_3)));
    }

    function test_checkNode_missingEntries_areInvalidWhateverTheirHeaders() public view {
        assertTrue(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0100000001"), _list(F32_3)));
        assertFalse(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0100000002"), _list("")));
        assertTrue(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0200000001"), _list(F32_3)));
        assertFalse(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0200000002"), _list("")));
    }

    function test_checkNode_committed_isAStateEntryOrTheDraw() public view {
        assertTrue(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0300000001"), _list(F32_3)));
        assertFalse(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0300000003"), _list(F32_3)));
        assertFalse(_checkAt(_node(hex"1d", F32_3, "", hex"0001" hex"0300000001"), 5, true, _list(F32_3)), "init");
        bytes memory draw = hex"020100000008"; // i32 [8]
        assertTrue(_check(_node(hex"50", hex"010100000008", "", hex"0001" hex"0300000002"), _list(draw)));
        assertFalse(_check(_node(hex"1d", F32_3, "", hex"0001" hex"0300000002"), _list(draw)));
    }

    function test_checkNode_stateInputOfAnInitProgram_isInvalid() public view {
        bytes memory node = _node(hex"1d", F32_3, "", hex"0001" hex"0100000001");
        assertFalse(_checkAt(node, 5, true, _list(F32_3)));
    }

    function test_checkNode_stepWithAValue_isInvalid() public view {
        assertTrue(_check(_node(hex"50", hex"0100", "", hex"0001" hex"0400000000"), _list("")));
        assertFalse(_check(_node(hex"50", hex"0100", "", hex"0001" hex"0400000001"), _list("")));
    }

    function test_checkNode_otherNaNLiteral_isInvalid() public view {
        assertTrue(_check(_node(hex"1d", F32_3, "", hex"0001" hex"067fc00000"), _list("")));
        assertFalse(_check(_node(hex"1d", F32_3, "", hex"0001" hex"067fc00001"), _list("")));
    }

    function test_checkNode_wrongArity_isInvalid() public view {
        assertFalse(_check(_node(hex"10", F32_3, "", hex"0001" hex"0000000003"), _list(F32_3)));
        assertFalse(_check(_node(hex"90", hex"020100000003", "", hex"0001" hex"0400000000"), _list("")));
        assertTrue(_check(_node(hex"90", hex"020100000003", "", hex"0000"), new bytes[](0)));
    }

    function test_checkNode_otherShapeOrDtype_isInvalid() public view {
        bytes memory node = _node(hex"1d", F32_3, "", hex"0001" hex"0000000003");
        assertFalse(_check(node, _list(hex"010100000004")));
        assertFalse(_check(node, _list(F32_2_3)));
        assertFalse(_check(node, _list(hex"020100000003")));
    }

    function test_checkNode_impossibleShapes_areInvalid() public view {
        assertFalse(_check(_node(hex"90", hex"020100000000", "", hex"0000"), new bytes[](0)));
        assertFalse(_check(_node(hex"90", hex"020180000000", "", hex"0000"), new bytes[](0)));
        assertFalse(_check(_node(hex"90", hex"02020000ffff0000ffff", "", hex"0000"), new bytes[](0)));
        assertTrue(_check(_node(hex"90", hex"020140000000", "", hex"0000"), new bytes[](0)));
    }

    function test_checkNode_malformedHeader_isInvalid() public view {
        bytes memory node = _node(hex"1d", F32_3, "", hex"0001" hex"0100000001");
        assertFalse(_check(node, _list(hex"010100000000")));
        assertFalse(_check(node, _list(hex"01")));
        assertFalse(_check(node, _list(hex"07010000000003")));
    }

    function test_checkNode_mantissasInTheState_areInvalid() public view {
        bytes memory view_ = _node(
            hex"80", hex"030100000003", hex"010000000300000000" hex"0000000001" hex"00000000", hex"0001" hex"0000000001"
        );
        assertTrue(_check(view_, _list(hex"030100000003")));
        view_[view_.length - 5] = 0x01; // a STATE input
        assertFalse(_check(view_, _list(hex"030100000003")));
    }

    function test_checkNode_rowLimits_hold() public view {
        bytes memory sum = _node(hex"70", hex"0100", "", hex"0002" hex"0000000000" hex"0000000001");
        assertTrue(_check(sum, _list(hex"010100004000", hex"0400")));
        assertFalse(_check(sum, _list(hex"010100004001", hex"0400")));
        bytes memory sort = _node(hex"73", hex"010100000400", "", hex"0001" hex"0000000000");
        assertTrue(_check(sort, _list(hex"010100000400")));
        sort[5] = 0x04;
        sort[6] = 0x01;
        assertFalse(_check(sort, _list(hex"010100000401")));
        bytes memory scatter =
            _node(hex"83", hex"01020000000100000005", "", hex"0003" hex"0000000000" hex"0000000001" hex"0000000002");
        assertTrue(_check(scatter, _list(hex"01020000000100800000", hex"020100800000", hex"040100000001")));
        assertFalse(_check(scatter, _list(hex"01020000000100800001", hex"020100800001", hex"040100000001")));
        bytes memory largest = _node(hex"71", hex"0100", "", hex"0001" hex"0000000000");
        assertTrue(_check(largest, _list(hex"010101000000")));
        assertFalse(_check(largest, _list(hex"010101000001")));
    }

    function test_checkNode_matmul_bindsEveryExtent() public view {
        bytes memory node = _node(
            hex"62",
            hex"0103000000020000000300000005",
            "",
            hex"0004" hex"0000000000" hex"0000000001" hex"0000000002" hex"0000000003"
        );
        bytes[] memory types = new bytes[](4);
        types[0] = hex"0303000000020000000300000007";
        types[1] = hex"04020000000200000003";
        types[2] = hex"0303000000020000000500000007";
        types[3] = hex"04020000000200000005";
        assertTrue(_check(node, types));
        for (uint256 slot = 0; slot < 4; ++slot) {
            bytes memory good = types[slot];
            for (uint256 position = 5; position < good.length; position += 4) {
                types[slot] = bytes.concat(good);
                types[slot][position] ^= 0x08;
                assertFalse(_check(node, types));
            }
            types[slot] = good;
        }
    }

    function test_checkNode_attributes_areCanonical() public view {
        assertTrue(_check(_node(hex"38", hex"0200", hex"1f", hex"0001" hex"0400000000"), _list("")));
        assertFalse(_check(_node(hex"38", hex"0200", hex"20", hex"0001" hex"0400000000"), _list("")));
        assertTrue(_check(_node(hex"60", hex"0400", hex"ff8f", hex"0001" hex"0000000000"), _list(F32_3)));
        assertTrue(_check(_node(hex"60", hex"0400", hex"ff82", hex"0001" hex"0000000000"), _list(F32_3)));
        assertFalse(_check(_node(hex"60", hex"0400", hex"ff83", hex"0001" hex"0000000000"), _list(F32_3)));
        bytes memory quantize = _node(hex"61", hex"030100000003", hex"0e", hex"0002" hex"0000000000" hex"0000000001");
        assertTrue(_check(quantize, _list(F32_3, hex"0400")));
        quantize[7] = 0x0d;
        assertFalse(_check(quantize, _list(F32_3, hex"0400")));
    }

    function test_checkNode_randomSites_tellInitPrograms() public view {
        bytes memory step = _node(hex"91", hex"020100000003", hex"7fffffff", hex"0001" hex"0400000000");
        bytes memory init = _node(hex"91", hex"020100000003", hex"80000000", hex"0001" hex"0400000000");
        assertTrue(_checkAt(step, 5, false, _list("")));
        assertFalse(_checkAt(step, 5, true, _list("")));
        assertTrue(_checkAt(init, 5, true, _list("")));
        assertFalse(_checkAt(init, 5, false, _list("")));
        bytes memory shuffle = _node(hex"92", I32_0, hex"0000000000000001", hex"0002" hex"0400000000" hex"0400000000");
        assertFalse(_check(shuffle, _list("", "")), "n is 0");
    }

    function test_checkNode_state_isTheLastNodeOfOneInputAnEntry() public view {
        bytes memory state = _node(hex"a0", hex"070100000002", "", hex"0002" hex"0000000000" hex"0100000001");
        assertTrue(_checkAt(state, NODES - 1, false, _list(F32_3, F32_3)));
        assertFalse(_checkAt(state, NODES - 2, false, _list(F32_3, F32_3)));
        bytes memory literal = _node(hex"a0", hex"070100000002", "", hex"0002" hex"0000000000" hex"0600000000");
        assertFalse(_checkAt(literal, NODES - 1, false, _list(F32_3, "")));
        bytes memory one = _node(hex"a0", hex"070100000001", "", hex"0001" hex"0000000000");
        assertFalse(_checkAt(one, NODES - 1, false, _list(F32_3)));
        bytes memory add = _node(hex"1d", F32_3, "", hex"0001" hex"0000000003");
        assertFalse(_checkAt(add, NODES - 1, false, _list(F32_3)));
    }

    function test_checkNode_view_rules() public view {
        // [3] from a source read as [3]: offset, (axis, stride), fill
        assertTrue(_view(hex"010000000300000000" hex"0000000001" hex"00000000"));
        assertTrue(_view(hex"010000000300000000" hex"00ffffffff" hex"7fc00000"));
        assertTrue(_view(hex"010000000300000000" hex"0000000000" hex"00000000"), "stride 0");
        assertTrue(_view(hex"02000000010000000300000000" hex"00000000" hex"0100000001" hex"00000000"));
        assertFalse(_view(hex"010000000400000000" hex"0000000001" hex"00000000"), "element count");
        assertFalse(_view(hex"010000000300000000" hex"0100000001" hex"00000000"), "no such axis");
        assertFalse(_view(hex"02000000010000000300000000" hex"00000000" hex"0100000000" hex"00000000"), "stride 0 axis");
        assertFalse(_view(hex"010000000300000000" hex"0000000001" hex"7fc00001"), "NaN fill");
        assertTrue(_view(hex"010000000380000000" hex"007fffffff" hex"00000000"), "reach below 2^40");
    }

    function test_checkNode_viewReach_isBounded() public view {
        // [1024]: 2^30 * 1023 + 2^30 = 2^40 reaches the bound, one more is too far
        bytes memory node = _node(
            hex"80", hex"010100000400", hex"010000000340000000" hex"0040000000" hex"00000000", hex"0001" hex"0000000001"
        );
        assertTrue(_check(node, _list(F32_3)));
        node[15] = 0x01; // the offset's last byte
        assertFalse(_check(node, _list(F32_3)));
    }

    function test_checkNode_otherNumberOfHeaders_reverts() public {
        bytes memory node = _node(hex"1d", F32_3, "", hex"0001" hex"0000000003");
        vm.expectRevert(abi.encodeWithSelector(IProgramChecker.HeaderCount.selector, 1, 0));
        _check(node, new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(IProgramChecker.HeaderCount.selector, 1, 2));
        _check(node, _list(F32_3, F32_3));
    }

    function test_checkNode_headerNotShown_reverts() public {
        bytes memory node = _node(hex"1d", F32_3, "", hex"0001" hex"0000000003");
        vm.expectRevert(abi.encodeWithSelector(IProgramChecker.MissingHeader.selector, 0));
        _check(node, _list(""));
    }

    function testFuzz_checkNode_anyBytes_neverPanic(bytes calldata node, uint256 index, bytes[] calldata headers)
        public
        view
    {
        try checker.checkNode(node, index % 2 ** 16, NODES, STATES, CONSTANTS, false, headers) {}
        catch (bytes memory reason) {
            assertNotEq(bytes4(reason), bytes4(0x4e487b71), "panic");
        }
    }

    function _node(bytes memory op, bytes memory header, bytes memory attributes, bytes memory inputs)
        private
        pure
        returns (bytes memory)
    {
        return bytes.concat(op, header, attributes, inputs);
    }

    function _view(bytes memory attributes) private view returns (bool) {
        return _check(_node(hex"80", F32_3, attributes, hex"0001" hex"0000000001"), _list(F32_3));
    }

    function _list(bytes memory a) private pure returns (bytes[] memory list) {
        list = new bytes[](1);
        list[0] = a;
    }

    function _list(bytes memory a, bytes memory b) private pure returns (bytes[] memory list) {
        list = new bytes[](2);
        list[0] = a;
        list[1] = b;
    }

    function _list(bytes memory a, bytes memory b, bytes memory c) private pure returns (bytes[] memory list) {
        list = new bytes[](3);
        list[0] = a;
        list[1] = b;
        list[2] = c;
    }

    function _check(bytes memory node, bytes[] memory types) private view returns (bool) {
        return _checkAt(node, 5, false, types);
    }

    function _checkAt(bytes memory node, uint256 index, bool init, bytes[] memory types) private view returns (bool) {
        return checker.checkNode(node, index, NODES, STATES, CONSTANTS, init, types);
    }
}
