// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ProgramHeader, ProgramLib} from "../../../contracts/commitments/ProgramLib.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Gives the library's calldata functions something to be called through.
contract ProgramCaller {
    function isEncoded(bytes calldata node) external pure returns (bool) {
        return ProgramLib.isEncoded(node);
    }

    function fields(bytes calldata node)
        external
        pure
        returns (uint256 op, bytes memory tensorHeader, uint256 elements, uint256 count)
    {
        op = ProgramLib.opOf(node);
        tensorHeader = ProgramLib.tensorHeaderOf(node);
        elements = ProgramLib.elementCount(node);
        count = ProgramLib.inputCount(node);
    }

    function inputAt(bytes calldata node, uint256 slot) external pure returns (uint256 kind, uint256 value) {
        return ProgramLib.inputAt(node, slot);
    }

    function hashHeader(bytes calldata header) external view returns (bytes32) {
        return ProgramLib.hashHeader(header);
    }

    function decodeHeader(bytes calldata header) external pure returns (ProgramHeader memory) {
        return ProgramLib.decodeHeader(header);
    }

    function decodeStateEntry(bytes calldata entry) external pure returns (bytes memory, bool, uint64) {
        return ProgramLib.decodeStateEntry(entry);
    }

    function decodeConstantEntry(bytes calldata entry) external pure returns (bytes memory, bytes32) {
        return ProgramLib.decodeConstantEntry(entry);
    }
}

contract ProgramLibTest is Test {
    struct NodeCase {
        bytes node;
        uint256 op;
        bytes tensorHeader;
        uint256 elements;
        uint256[] kinds;
        uint256[] values;
    }

    struct StateCase {
        bytes entry;
        bytes tensorHeader;
        bool frozen;
        uint64 chunksBefore;
    }

    struct ConstantCase {
        bytes entry;
        bytes tensorHeader;
        bytes32 tensorRoot;
    }

    ProgramCaller private caller;
    string private json;
    NodeCase[] private nodes;

    function setUp() public {
        caller = new ProgramCaller();
        json = vm.readFile("tests/vectors/program.json");
        NodeCase[] memory read = abi.decode(
            vm.parseJsonTypeArray(
                json,
                ".nodes",
                "NodeCase(bytes node,uint256 op,bytes tensorHeader,uint256 elements,uint256[] kinds,uint256[] values)"
            ),
            (NodeCase[])
        );
        for (uint256 i = 0; i < read.length; ++i) {
            nodes.push(read[i]);
        }
        assertGt(nodes.length, 10);
    }

    function test_nodeFields_vectors_agree() public view {
        for (uint256 i = 0; i < nodes.length; ++i) {
            NodeCase memory c = nodes[i];
            assertTrue(caller.isEncoded(c.node));
            (uint256 op, bytes memory tensorHeader, uint256 elements, uint256 count) = caller.fields(c.node);
            assertEq(op, c.op);
            assertEq(tensorHeader, c.tensorHeader);
            assertEq(elements, c.elements);
            assertEq(count, c.kinds.length);
            for (uint256 slot = 0; slot < count; ++slot) {
                (uint256 kind, uint256 value) = caller.inputAt(c.node, slot);
                assertEq(kind, c.kinds[slot]);
                assertEq(value, c.values[slot]);
            }
        }
    }

    function test_inputAt_noSuchSlot_reverts() public {
        for (uint256 i = 0; i < nodes.length; ++i) {
            uint256 count = nodes[i].kinds.length;
            vm.expectRevert(abi.encodeWithSelector(ProgramLib.NoSuchInput.selector, count, count));
            caller.inputAt(nodes[i].node, count);
        }
    }

    function test_isEncoded_everyProperPrefix_isFalse() public view {
        for (uint256 i = 0; i < nodes.length; ++i) {
            bytes memory node = nodes[i].node;
            for (uint256 length = 0; length < node.length; ++length) {
                assertFalse(caller.isEncoded(_prefix(node, length)));
            }
            assertFalse(caller.isEncoded(bytes.concat(node, hex"00")));
        }
    }

    function testFuzz_isEncoded_anyBytes_neverReverts(bytes calldata node) public view {
        caller.isEncoded(node);
    }

    function testFuzz_isEncoded_changedBytes_neverRevertsAndFieldsCanBeRead(
        uint256 which,
        uint256 position,
        bytes1 with
    ) public view {
        bytes memory node = nodes[which % nodes.length].node;
        node[position % node.length] = with;
        if (!caller.isEncoded(node)) return;
        (,,, uint256 count) = caller.fields(node);
        for (uint256 slot = 0; slot < count; ++slot) {
            caller.inputAt(node, slot);
        }
    }

    function test_header_vectors_decode() public view {
        bytes memory header = vm.parseJsonBytes(json, ".header.header");
        uint256[] memory counts = vm.parseJsonUintArray(json, ".header.counts");
        ProgramHeader memory decoded = caller.decodeHeader(header);
        assertEq(caller.hashHeader(header), vm.parseJsonBytes32(json, ".header.hash"));
        assertEq(decoded.version, 1);
        assertEq(decoded.nodeCount, counts[0]);
        assertEq(decoded.nodesRoot, vm.parseJsonBytes32(json, ".header.nodesRoot"));
        assertEq(decoded.stateCount, counts[1]);
        assertEq(decoded.stateRoot, vm.parseJsonBytes32(json, ".header.stateRoot"));
        assertEq(decoded.stateChunks, vm.parseJsonUint(json, ".header.stateChunks"));
        assertEq(decoded.constantCount, counts[2]);
        assertEq(decoded.constantsRoot, vm.parseJsonBytes32(json, ".header.constantsRoot"));
        assertEq(decoded.metricCount, counts[3]);
        assertEq(decoded.metricsRoot, vm.parseJsonBytes32(json, ".header.metricsRoot"));
        assertEq(decoded.work, vm.parseJsonUint(json, ".header.work"));
    }

    function test_decodeHeader_otherVersionOrLength_reverts() public {
        bytes memory header = vm.parseJsonBytes(json, ".header.header");
        vm.expectRevert(ProgramLib.MalformedProgramHeader.selector);
        caller.decodeHeader(bytes.concat(header, hex"00"));
        header[1] = 0x02;
        vm.expectRevert(ProgramLib.MalformedProgramHeader.selector);
        caller.decodeHeader(header);
    }

    function test_entries_vectors_decode() public view {
        StateCase[] memory states = abi.decode(
            vm.parseJsonTypeArray(
                json, ".state", "StateCase(bytes entry,bytes tensorHeader,bool frozen,uint64 chunksBefore)"
            ),
            (StateCase[])
        );
        assertGt(states.length, 2);
        for (uint256 i = 0; i < states.length; ++i) {
            (bytes memory tensorHeader, bool frozen, uint64 chunksBefore) = caller.decodeStateEntry(states[i].entry);
            assertEq(tensorHeader, states[i].tensorHeader);
            assertEq(frozen, states[i].frozen);
            assertEq(chunksBefore, states[i].chunksBefore);
        }
        ConstantCase[] memory constants = abi.decode(
            vm.parseJsonTypeArray(
                json, ".constants", "ConstantCase(bytes entry,bytes tensorHeader,bytes32 tensorRoot)"
            ),
            (ConstantCase[])
        );
        assertGt(constants.length, 0);
        for (uint256 i = 0; i < constants.length; ++i) {
            (bytes memory tensorHeader, bytes32 tensorRoot) = caller.decodeConstantEntry(constants[i].entry);
            assertEq(tensorHeader, constants[i].tensorHeader);
            assertEq(tensorRoot, constants[i].tensorRoot);
        }
    }

    function testFuzz_entries_wrongLength_revert(uint8 length) public {
        bytes memory entry = new bytes(length); // rank 0 everywhere
        if (length != 11) {
            vm.expectRevert(ProgramLib.MalformedEntry.selector);
            caller.decodeStateEntry(entry);
        }
        if (length != 34) {
            vm.expectRevert(ProgramLib.MalformedEntry.selector);
            caller.decodeConstantEntry(entry);
        }
    }

    function _prefix(bytes memory data, uint256 length) private pure returns (bytes memory out) {
        out = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            out[i] = data[i];
        }
    }
}
