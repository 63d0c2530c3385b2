// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Read} from "../../../contracts/interfaces/IOpExecutor.sol";
import {ExecutorFixture} from "./ExecutorFixture.sol";
import {VmSafe} from "forge-std/Vm.sol";

/// @notice The known answers of every op, which the reference wrote (scripts/make_vectors_ops.py).
contract OpVectorsTest is ExecutorFixture {
    struct VectorRead {
        uint16 slot;
        uint64 start;
        bytes header;
        bytes data;
    }

    struct VectorCase {
        bytes node;
        uint256 element;
        uint32 step;
        string seed;
        VectorRead[] reads;
        bytes value;
    }

    string private constant TYPE =
        "VectorCase(bytes node,uint256 element,uint32 step,string seed,VectorRead[] reads,bytes value)VectorRead(uint16 slot,uint64 start,bytes header,bytes data)";
    uint256 private constant OPS = 57;

    function test_execute_committedVectors_giveTheReferencesBytes() public {
        vm.pauseGasMetering(); // megabytes of JSON
        VmSafe.DirEntry[] memory files = vm.readDir("tests/vectors/ops");
        for (uint256 i = 0; i < files.length; ++i) {
            this.checkFile(files[i].path);
        }
        assertEq(files.length, OPS);
    }

    /// @dev In a call of its own, so that its memory is gone afterwards.
    function checkFile(string calldata path) external view {
        string memory json = vm.readFile(path);
        VectorCase[] memory cases = abi.decode(vm.parseJsonTypeArray(json, ".cases", TYPE), (VectorCase[]));
        assertGt(cases.length, 0, path);
        for (uint256 k = 0; k < cases.length; ++k) {
            _check(path, k, cases[k]);
        }
    }

    function _check(string memory path, uint256 number, VectorCase memory c) private view {
        Read[] memory reads = new Read[](c.reads.length);
        for (uint256 i = 0; i < reads.length; ++i) {
            reads[i] = Read(c.reads[i].slot, c.reads[i].start, c.reads[i].header, c.reads[i].data);
        }
        uint64 seed = uint64(vm.parseUint(c.seed));
        bytes memory value = executor.execute(c.node, c.element, c.step, seed, reads);
        assertEq(value, c.value, string.concat(path, " case ", vm.toString(number)));
    }
}
