// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../../../contracts/commitments/Merkle.sol";
import {TensorLib} from "../../../contracts/commitments/TensorLib.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Gives the library's calldata functions something to be called through.
contract TensorCaller {
    function readRange(
        bytes32 tensorRoot,
        bytes calldata header,
        uint256 start,
        uint256 count,
        bytes calldata chunks,
        bytes32[] calldata proof
    ) external view returns (bytes memory) {
        return TensorLib.readRange(tensorRoot, header, start, count, chunks, proof);
    }

    function elementCount(bytes calldata header) external pure returns (uint256) {
        return TensorLib.elementCount(header);
    }
}

contract TensorLibTest is Test {
    struct Case {
        bytes header;
        bytes32 root;
        bytes32 treeRoot;
        uint256 chunkCount;
        uint256 start;
        uint256 count;
        bytes chunks;
        bytes32[] proof;
        bytes data;
    }

    TensorCaller private caller;
    Case[] private cases;

    function setUp() public {
        caller = new TensorCaller();
        Case[] memory read = abi.decode(
            vm.parseJsonTypeArray(
                vm.readFile("tests/vectors/tensor.json"),
                ".cases",
                "Case(bytes header,bytes32 root,bytes32 treeRoot,uint256 chunkCount,uint256 start,uint256 count,bytes chunks,bytes32[] proof,bytes data)"
            ),
            (Case[])
        );
        for (uint256 i = 0; i < read.length; ++i) {
            cases.push(read[i]);
        }
        assertGt(cases.length, 20);
    }

    function test_root_vectors_giveRoots() public view {
        for (uint256 i = 0; i < cases.length; ++i) {
            Case memory c = cases[i];
            assertEq(TensorLib.root(c.header, c.treeRoot), c.root);
            assertEq(TensorLib.chunkCount(c.header), c.chunkCount);
        }
    }

    function test_readRange_vectors_giveElements() public view {
        for (uint256 i = 0; i < cases.length; ++i) {
            Case memory c = cases[i];
            assertEq(caller.readRange(c.root, c.header, c.start, c.count, c.chunks, c.proof), c.data);
        }
    }

    function testFuzz_readRange_oneBitWrong_reverts(uint256 which, uint256 bit) public {
        Case memory c = cases[which % cases.length];
        bit %= 8 * c.chunks.length;
        c.chunks[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        vm.expectPartialRevert(TensorLib.WrongRoot.selector);
        caller.readRange(c.root, c.header, c.start, c.count, c.chunks, c.proof);
    }

    function testFuzz_readRange_otherHeader_reverts(uint256 which, uint256 axis) public {
        Case memory c = cases[which % cases.length];
        uint256 rank = uint8(c.header[1]);
        vm.assume(rank != 0);
        c.header[5 + 4 * (axis % rank)] ^= 0x01;
        vm.expectRevert();
        caller.readRange(c.root, c.header, c.start, c.count, c.chunks, c.proof);
    }

    function testFuzz_readRange_otherPlace_neverGivesOtherElements(uint256 which, uint256 start, uint256 count)
        public
        view
    {
        Case memory c = cases[which % cases.length];
        try caller.readRange(c.root, c.header, start, count, c.chunks, c.proof) returns (bytes memory data) {
            // Whatever is accepted is a slice of the tensor at the place that was asked for.
            uint256 item = c.data.length / c.count;
            uint256 first = c.start * item / 1024 * 1024;
            assertGe(start * item, first);
            assertEq(data.length, count * item);
            for (uint256 i = 0; i < data.length; ++i) {
                assertEq(data[i], c.chunks[start * item - first + i]);
            }
        } catch {}
    }

    function test_readRange_noElements_reverts() public {
        Case memory c = cases[0];
        vm.expectRevert(abi.encodeWithSelector(TensorLib.RangeOutOfTensor.selector, 1, 0, 0));
        caller.readRange(c.root, c.header, 0, 0, c.chunks, c.proof);
        vm.expectRevert(abi.encodeWithSelector(TensorLib.RangeOutOfTensor.selector, 1, 1, 1));
        caller.readRange(c.root, c.header, 1, 1, c.chunks, c.proof);
        vm.expectRevert(
            abi.encodeWithSelector(TensorLib.RangeOutOfTensor.selector, 1, type(uint256).max, type(uint256).max)
        );
        caller.readRange(c.root, c.header, type(uint256).max, type(uint256).max, c.chunks, c.proof);
    }

    function test_readRange_lessThanWholeChunks_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(TensorLib.ChunkBytes.selector, 4, 3));
        caller.readRange(cases[0].root, cases[0].header, 0, 1, hex"000000", new bytes32[](0));
    }

    function test_elementCount_malformedHeaders_revert() public {
        bytes[9] memory malformed = [
            bytes(hex""),
            hex"01",
            hex"0000", // no such dtype
            hex"0800",
            hex"010100000000", // extent 0
            hex"010180000000", // extent 2^31
            hex"0102000080000000c000", // 2^15 * 49152 elements
            hex"0101000000", // too short
            hex"010000" // too long
        ];
        for (uint256 i = 0; i < malformed.length; ++i) {
            vm.expectRevert(TensorLib.MalformedHeader.selector);
            caller.elementCount(malformed[i]);
        }
        bytes memory rank9 = abi.encodePacked(hex"0109", new bytes(36));
        vm.expectRevert(TensorLib.MalformedHeader.selector);
        caller.elementCount(rank9);
    }

    function test_elementCount_limits_areAllowed() public view {
        assertEq(caller.elementCount(hex"0700"), 1);
        assertEq(caller.elementCount(hex"010240000000" hex"00000001"), 2 ** 30);
    }

    function test_chunkHashes_nothing_reverts() public {
        vm.expectRevert(Merkle.EmptyTree.selector);
        this.chunkHashes("");
    }

    function chunkHashes(bytes calldata data) external view returns (bytes32[] memory) {
        return TensorLib.chunkHashes(data);
    }
}
