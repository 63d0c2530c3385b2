// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IOpExecutor, Read} from "../../../contracts/interfaces/IOpExecutor.sol";
import {Family} from "../../../contracts/types/Op.sol";
import {ExecutorFixture} from "./ExecutorFixture.sol";

/// @notice What is common to all ops: dispatch, and the refusal of anything but a node, its elements and its reads.
contract OpExecutorTest is ExecutorFixture {
    /// @dev add of f32 [3], node 0 and a literal 1.0.
    bytes private constant ADD = hex"1001010000000300020000000000063f800000";
    /// @dev state of node 0 and state entry 2.
    bytes private constant STATE = hex"a0070100000002000200000000000100000002";
    bytes private constant VECTOR = hex"010100000003";

    function test_execute_addOfALiteral_addsIt() public view {
        assertEq(executor.execute(ADD, 1, 0, 0, _reads(0, 1, VECTOR, hex"00000040")), hex"00004040"); // 2 + 1
    }

    function test_execute_nonCanonicalNaN_isReadAsTheCanonicalOne() public view {
        assertEq(executor.execute(ADD, 0, 0, 0, _reads(0, 0, VECTOR, hex"010080ff")), hex"0000c07f");
    }

    function test_execute_state_isTheRootOfTheInput() public view {
        bytes memory root = abi.encode(keccak256("root"));
        assertEq(executor.execute(STATE, 1, 0, 0, _reads(1, 0, "", root)), root);
    }

    function test_execute_stateOfAnotherInput_reverts() public {
        bytes memory root = abi.encode(keccak256("root"));
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 1, 0));
        executor.execute(STATE, 1, 0, 0, _reads(0, 0, "", root));
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 1, 0));
        executor.execute(STATE, 1, 0, 0, new Read[](0));
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 1, 0));
        executor.execute(STATE, 1, 0, 0, _reads(1, 0, VECTOR, root));
    }

    function test_execute_missingRead_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 2));
        executor.execute(ADD, 2, 0, 0, new Read[](0));
    }

    function test_execute_readOfAnotherElement_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 2));
        executor.execute(ADD, 2, 0, 0, _reads(0, 1, VECTOR, hex"00000040"));
    }

    function test_execute_readOfAnotherDtype_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 1));
        executor.execute(ADD, 1, 0, 0, _reads(0, 1, hex"020100000003", hex"00000040"));
    }

    function test_execute_superfluousRead_reverts() public {
        Read[] memory reads = new Read[](2);
        reads[0] = Read(0, 1, VECTOR, hex"00000040");
        reads[1] = Read(1, 7, VECTOR, hex"00000040");
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 1, 7));
        executor.execute(ADD, 1, 0, 0, reads);
    }

    function test_execute_elementBehindTheLast_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.ElementOutOfRange.selector, 3, 3));
        executor.execute(ADD, 3, 0, 0, _reads(0, 3, VECTOR, hex"00000040"));
    }

    function test_execute_noNode_reverts() public {
        bytes[5] memory malformed = [
            bytes(""), hex"10", bytes.concat(ADD, hex"00"), hex"0001000000", hex"b001010000000300020000000000063f800000"
        ];
        for (uint256 i = 0; i < malformed.length; ++i) {
            vm.expectRevert(IOpExecutor.MalformedNode.selector);
            executor.execute(malformed[i], 0, 0, 0, new Read[](0));
        }
    }

    function testFuzz_execute_anyOpWithoutReads_neverPanics(bytes calldata node, uint256 element) public view {
        try executor.execute(node, element, 0, 0, new Read[](0)) {}
        catch (bytes memory reason) {
            assertNotEq(bytes4(reason), bytes4(0x4e487b71), "panic");
        }
    }

    function test_execute_opOfAnotherFamily_isMalformedToAFamily() public {
        IOpExecutor row = executor.familyExecutor(Family.ROW);
        vm.expectRevert(IOpExecutor.MalformedNode.selector);
        row.execute(ADD, 0, 0, 0, _reads(0, 0, VECTOR, hex"00000040"));
    }

    function test_familyExecutor_families_haveOneEach() public view {
        assertEq(address(executor.familyExecutor(Family.STATE)), address(0));
        assertEq(address(executor.familyExecutor(0)), address(0));
        assertEq(address(executor.familyExecutor(15)), address(0));
        for (uint256 family = Family.FLOAT; family <= Family.GENERATOR; ++family) {
            assertNotEq(address(executor.familyExecutor(family)), address(0));
        }
        assertEq(address(executor.familyExecutor(Family.CAST)), address(executor.familyExecutor(Family.INTEGER)));
    }

    function _reads(uint16 slot, uint64 start, bytes memory header, bytes memory data)
        private
        pure
        returns (Read[] memory reads)
    {
        reads = new Read[](1);
        reads[0] = Read(slot, start, header, data);
    }
}
