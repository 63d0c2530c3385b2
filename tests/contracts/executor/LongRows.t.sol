// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IOpExecutor, IRowExecutor, Read} from "../../../contracts/interfaces/IOpExecutor.sol";
import {ExecutorFixture} from "./ExecutorFixture.sol";

/// @notice Rows that one leaf does not carry: the reference's known answers (scripts/make_vectors_rows.py), and what is refused.
contract LongRowsTest is ExecutorFixture {
    struct ShownRead {
        uint16 slot;
        uint64 start;
        bytes header;
        bytes data;
    }

    /// @dev An element, what its row's parts say, and the last block, which is short.
    struct RowCase {
        bytes node;
        uint256 element;
        bytes stated;
        ShownRead[] opening;
        bytes parts;
        bool combines;
        uint256 index;
        ShownRead[] blockReads;
        bytes part;
    }

    string private constant TYPE =
        "RowCase(bytes node,uint256 element,bytes stated,ShownRead[] opening,bytes parts,bool combines,uint256 index,ShownRead[] blockReads,bytes part)ShownRead(uint16 slot,uint64 start,bytes header,bytes data)";

    /// @dev reduce_max f32 [2] of node 0; the operand's header says how long the rows are.
    bytes private constant REDUCE_MAX = hex"7101010000000200010000000000";
    bytes private constant SHORT = hex"01020000000200001000";
    bytes private constant LONG = hex"01020000000200001003";

    function test_longRows_committedVectors_giveTheReferencesAnswers() public {
        vm.pauseGasMetering();
        string memory json = vm.readFile("tests/vectors/long_rows.json");
        RowCase[] memory cases = abi.decode(vm.parseJsonTypeArray(json, ".cases", TYPE), (RowCase[]));
        assertGt(cases.length, 0);
        for (uint256 i = 0; i < cases.length; ++i) {
            RowCase memory c = cases[i];
            string memory name = string.concat("case ", vm.toString(i));
            bytes32 claim = executor.openRow(c.node, c.element, c.stated, _reads(c.opening));
            assertEq(executor.combines(c.node, claim, c.parts), c.combines, name);
            int64 part = executor.executeBlock(c.node, c.element, c.index, _reads(c.blockReads));
            assertEq(abi.encodePacked(part), c.part, name);
        }
    }

    function test_combines_withAnotherNumberOfParts_isFalse() public view {
        bytes32 claim = executor.openRow(REDUCE_MAX, 1, hex"0000803f", _one(LONG, 0, ""));
        bytes memory parts = abi.encodePacked(int64(-5), int64(0x3f800000));
        assertTrue(executor.combines(REDUCE_MAX, claim, parts));
        assertFalse(executor.combines(REDUCE_MAX, claim, abi.encodePacked(parts, int64(0))));
        assertFalse(executor.combines(REDUCE_MAX, claim, abi.encodePacked(int64(0x3f800000))));
        assertFalse(executor.combines(REDUCE_MAX, claim, ""));
    }

    function testFuzz_combines_ofAnyNumbers_hasAnAnswer(bytes32 claim, bytes calldata parts) public view {
        uint8[6] memory ops = [0x60, 0x62, 0x70, 0x71, 0x72, 0x83];
        uint256 blocks = parts.length / 8;
        claim = bytes32(uint256(claim) & ~(uint256(0xffffffff) << 32) | blocks << 32);
        for (uint256 i = 0; i < ops.length; ++i) {
            executor.combines(abi.encodePacked(ops[i]), claim, parts[:8 * blocks]);
        }
    }

    function test_execute_ofALongRow_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.LongRow.selector, 4099));
        executor.execute(REDUCE_MAX, 0, 0, 0, _one(LONG, 0, new bytes(4 * 4099)));
    }

    function test_openRow_ofAShortRow_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IRowExecutor.ShortRow.selector, 4096));
        executor.openRow(REDUCE_MAX, 0, hex"00000000", _one(SHORT, 0, ""));
        vm.expectRevert(abi.encodeWithSelector(IRowExecutor.ShortRow.selector, 4096));
        executor.executeBlock(REDUCE_MAX, 0, 0, _one(SHORT, 0, new bytes(4 * 4096)));
    }

    function test_openRow_withData_orBehindTheStart_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 0));
        executor.openRow(REDUCE_MAX, 0, hex"00000000", _one(LONG, 0, new bytes(4)));
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 0));
        executor.openRow(REDUCE_MAX, 0, hex"00000000", _one(LONG, 4, ""));
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 0));
        executor.openRow(REDUCE_MAX, 0, hex"00000000", new Read[](0));
    }

    function test_openRow_ofAnElementBehindTheLast_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.ElementOutOfRange.selector, 2, 2));
        executor.openRow(REDUCE_MAX, 2, hex"00000000", _one(LONG, 0, ""));
    }

    function test_openRow_ofASort_reverts() public {
        bytes memory sort = hex"730102000000020000100300010000000000";
        vm.expectRevert(IOpExecutor.MalformedNode.selector);
        executor.openRow(sort, 0, hex"00000000", _one(LONG, 0, ""));
    }

    function test_executeBlock_behindTheLast_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IRowExecutor.BlockOutOfRange.selector, 2, 2));
        executor.executeBlock(REDUCE_MAX, 0, 2, _one(LONG, 0, ""));
    }

    function test_executeBlock_ofAnotherRun_reverts() public {
        bytes memory three = new bytes(12);
        assertEq(executor.executeBlock(REDUCE_MAX, 1, 1, _one(LONG, 2 * 4099 - 3, three)), 0);
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 2 * 4099 - 3));
        executor.executeBlock(REDUCE_MAX, 1, 1, _one(LONG, 4096, three));
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 4096));
        executor.executeBlock(REDUCE_MAX, 0, 1, _one(LONG, 4096, new bytes(16)));
        Read[] memory reads = new Read[](2);
        reads[0] = Read(0, 4096, LONG, three);
        reads[1] = reads[0];
        vm.expectRevert(abi.encodeWithSelector(IOpExecutor.WrongRead.selector, 0, 4096));
        executor.executeBlock(REDUCE_MAX, 0, 1, reads);
    }

    function _one(bytes memory header, uint64 start, bytes memory data) private pure returns (Read[] memory reads) {
        reads = new Read[](1);
        reads[0] = Read(0, start, header, data);
    }

    function _reads(ShownRead[] memory given) private pure returns (Read[] memory reads) {
        reads = new Read[](given.length);
        for (uint256 i = 0; i < reads.length; ++i) {
            reads[i] = Read(given[i].slot, given[i].start, given[i].header, given[i].data);
        }
    }
}
