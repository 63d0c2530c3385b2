// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../../../contracts/commitments/Merkle.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Gives the library's calldata functions something to be called through.
contract MerkleCaller {
    function hashLeaf(bytes calldata data) external view returns (bytes32) {
        return Merkle.hashLeaf(data);
    }

    function fold(bytes32[] calldata hashes) external view returns (bytes32) {
        return Merkle.fold(hashes);
    }

    function rootFromInclusion(uint256 size, uint256 index, bytes32 leafHash, bytes32[] calldata proof)
        external
        view
        returns (bytes32)
    {
        return Merkle.rootFromInclusion(size, index, leafHash, proof);
    }

    function rootFromRange(uint256 size, uint256 start, bytes32[] calldata leafHashes, bytes32[] calldata proof)
        external
        view
        returns (bytes32)
    {
        return Merkle.rootFromRange(size, start, leafHashes, proof);
    }
}

contract MerkleTest is Test {
    struct Standard {
        uint256 size;
        bytes32 root;
        bytes[] leaves;
    }

    struct Fold {
        bytes32[] hashes;
        bytes32 root;
    }

    struct Inclusion {
        uint256 size;
        uint256 index;
        bytes32 leafHash;
        bytes32[] proof;
        bytes32 root;
    }

    struct Range {
        uint256 size;
        uint256 start;
        bytes32[] leafHashes;
        bytes32[] proof;
        bytes32 root;
    }

    struct Reveal {
        uint256 size;
        uint256 height;
        uint256 level;
        uint256 index;
        bytes32[] children;
        bytes32 hash;
        bytes32 root;
        bytes32[] proof;
    }

    uint256 private constant MAX_FUZZED_LEAVES = 80;

    MerkleCaller private caller;

    function setUp() public {
        caller = new MerkleCaller();
    }

    function test_fold_standardLeaves_givesPublishedRoots() public view {
        Standard[] memory cases = abi.decode(
            vm.parseJsonTypeArray(_json(), ".standard", "Standard(uint256 size,bytes32 root,bytes[] leaves)"),
            (Standard[])
        );
        assertEq(cases.length, 8);
        for (uint256 i = 0; i < cases.length; ++i) {
            bytes32[] memory hashes = new bytes32[](cases[i].leaves.length);
            for (uint256 j = 0; j < hashes.length; ++j) {
                hashes[j] = caller.hashLeaf(cases[i].leaves[j]);
            }
            assertEq(caller.fold(hashes), cases[i].root);
        }
    }

    function test_fold_vectors_giveRoots() public view {
        Fold[] memory cases =
            abi.decode(vm.parseJsonTypeArray(_json(), ".folds", "Fold(bytes32[] hashes,bytes32 root)"), (Fold[]));
        assertGt(cases.length, 8);
        for (uint256 i = 0; i < cases.length; ++i) {
            assertEq(caller.fold(cases[i].hashes), cases[i].root);
        }
    }

    function test_rootFromInclusion_vectors_giveRoots() public view {
        Inclusion[] memory cases = abi.decode(
            vm.parseJsonTypeArray(
                _json(),
                ".inclusions",
                "Inclusion(uint256 size,uint256 index,bytes32 leafHash,bytes32[] proof,bytes32 root)"
            ),
            (Inclusion[])
        );
        assertGt(cases.length, 20);
        for (uint256 i = 0; i < cases.length; ++i) {
            Inclusion memory c = cases[i];
            assertEq(caller.rootFromInclusion(c.size, c.index, c.leafHash, c.proof), c.root);
        }
    }

    function test_rootFromRange_vectors_giveRoots() public view {
        Range[] memory cases = abi.decode(
            vm.parseJsonTypeArray(
                _json(),
                ".ranges",
                "Range(uint256 size,uint256 start,bytes32[] leafHashes,bytes32[] proof,bytes32 root)"
            ),
            (Range[])
        );
        assertGt(cases.length, 20);
        for (uint256 i = 0; i < cases.length; ++i) {
            Range memory c = cases[i];
            assertEq(caller.rootFromRange(c.size, c.start, c.leafHashes, c.proof), c.root);
        }
    }

    function test_reveals_vectors_foldToSubtreesThatAreInTheTree() public view {
        Reveal[] memory cases = abi.decode(
            vm.parseJsonTypeArray(
                _json(),
                ".reveals",
                "Reveal(uint256 size,uint256 height,uint256 level,uint256 index,bytes32[] children,bytes32 hash,bytes32 root,bytes32[] proof)"
            ),
            (Reveal[])
        );
        assertGt(cases.length, 8);
        for (uint256 i = 0; i < cases.length; ++i) {
            Reveal memory c = cases[i];
            assertEq(Merkle.height(c.size), c.height);
            assertEq(Merkle.childCount(c.size, c.level, c.index), c.children.length);
            assertEq(caller.fold(c.children), c.hash);
            if (c.level < c.height) {
                uint256 size = Merkle.levelCount(c.size, c.level);
                assertEq(caller.rootFromInclusion(size, c.index, c.hash, c.proof), c.root);
            } else {
                assertEq(c.hash, c.root);
            }
        }
    }

    function testFuzz_hashLeaf_anyData_isTheStandardsHash(bytes calldata data) public view {
        assertEq(caller.hashLeaf(data), sha256(bytes.concat(hex"00", data)));
    }

    function testFuzz_fold_anyHashes_equalsTheRecursiveDefinition(uint256 count, bytes32 seed) public view {
        bytes32[] memory hashes = _hashes(bound(count, 1, MAX_FUZZED_LEAVES), seed);
        assertEq(caller.fold(hashes), _reference(hashes, 0, hashes.length));
    }

    function testFuzz_rootFromRange_honestProof_givesRoot(uint256 count, uint256 start, uint256 length, bytes32 seed)
        public
        view
    {
        bytes32[] memory hashes = _hashes(bound(count, 1, MAX_FUZZED_LEAVES), seed);
        start = bound(start, 0, hashes.length - 1);
        length = bound(length, 1, hashes.length - start);
        bytes32[] memory proof = _prove(hashes, start, start + length);
        bytes32 root = caller.rootFromRange(hashes.length, start, _slice(hashes, start, length), proof);
        assertEq(root, caller.fold(hashes));
    }

    function testFuzz_rootFromRange_oneBitWrong_givesAnotherRoot(
        uint256 count,
        uint256 start,
        uint256 bit,
        bytes32 seed
    ) public view {
        bytes32[] memory hashes = _hashes(bound(count, 2, MAX_FUZZED_LEAVES), seed);
        start = bound(start, 0, hashes.length - 1);
        bytes32[] memory proof = _prove(hashes, start, start + 1);
        bytes32[] memory range = _slice(hashes, start, 1);
        uint256 position = bit % proof.length;
        proof[position] ^= bytes32(uint256(1) << (bit >> 248));
        assertNotEq(caller.rootFromRange(hashes.length, start, range, proof), caller.fold(hashes));
    }

    function testFuzz_proofs_wrongLength_revert(uint256 count, uint256 index, bool longer, bytes32 seed) public {
        bytes32[] memory hashes = _hashes(bound(count, 2, MAX_FUZZED_LEAVES), seed);
        index = bound(index, 0, hashes.length - 1);
        bytes32[] memory right = _prove(hashes, index, index + 1);
        bytes32[] memory wrong = new bytes32[](longer ? right.length + 1 : right.length - 1);
        vm.expectRevert(abi.encodeWithSelector(Merkle.ProofLength.selector, wrong.length));
        caller.rootFromInclusion(hashes.length, index, hashes[index], wrong);
        vm.expectRevert(abi.encodeWithSelector(Merkle.ProofLength.selector, wrong.length));
        caller.rootFromRange(hashes.length, index, _slice(hashes, index, 1), wrong);
    }

    function test_rootFromInclusion_indexOutOfTree_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(Merkle.RangeOutOfTree.selector, 3, 3, 1));
        caller.rootFromInclusion(3, 3, 0, new bytes32[](2));
        vm.expectRevert(abi.encodeWithSelector(Merkle.RangeOutOfTree.selector, 0, 0, 1));
        caller.rootFromInclusion(0, 0, 0, new bytes32[](0));
    }

    function test_rootFromRange_outOfTree_reverts() public {
        vm.expectRevert(abi.encodeWithSelector(Merkle.RangeOutOfTree.selector, 3, 2, 2));
        caller.rootFromRange(3, 2, new bytes32[](2), new bytes32[](2));
        vm.expectRevert(abi.encodeWithSelector(Merkle.RangeOutOfTree.selector, 3, type(uint256).max, 1));
        caller.rootFromRange(3, type(uint256).max, new bytes32[](1), new bytes32[](2));
        vm.expectRevert(abi.encodeWithSelector(Merkle.RangeOutOfTree.selector, 3, 1, 0));
        caller.rootFromRange(3, 1, new bytes32[](0), new bytes32[](2));
    }

    function test_fold_nothing_reverts() public {
        vm.expectRevert(Merkle.EmptyTree.selector);
        caller.fold(new bytes32[](0));
    }

    function test_fold_tooLittleGas_neverReturns() public view {
        bytes32[] memory hashes = _hashes(64, "gas");
        bytes32 root = caller.fold(hashes);
        for (uint256 allowance = 500; allowance < 40_000; allowance += 97) {
            try caller.fold{gas: allowance}(hashes) returns (bytes32 given) {
                assertEq(given, root);
            } catch {}
        }
    }

    function _json() private view returns (string memory) {
        return vm.readFile("tests/vectors/merkle.json");
    }

    function _hashes(uint256 count, bytes32 seed) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            hashes[i] = keccak256(abi.encode(seed, i));
        }
    }

    function _slice(bytes32[] memory hashes, uint256 start, uint256 length)
        private
        pure
        returns (bytes32[] memory out)
    {
        out = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            out[i] = hashes[start + i];
        }
    }

    /// @dev The definition of RFC 6962, 2.1, as it is written.
    function _reference(bytes32[] memory hashes, uint256 low, uint256 count) private view returns (bytes32) {
        if (count == 1) return hashes[low];
        uint256 left = 1;
        while (2 * left < count) {
            left *= 2;
        }
        return
            sha256(bytes.concat(hex"01", _reference(hashes, low, left), _reference(hashes, low + left, count - left)));
    }

    function _prove(bytes32[] memory hashes, uint256 start, uint256 stop)
        private
        view
        returns (bytes32[] memory proof)
    {
        proof = new bytes32[](64);
        uint256 used = _collect(hashes, 0, hashes.length, start, stop, proof, 0);
        assembly {
            mstore(proof, used)
        }
    }

    function _collect(
        bytes32[] memory hashes,
        uint256 low,
        uint256 count,
        uint256 start,
        uint256 stop,
        bytes32[] memory proof,
        uint256 used
    ) private view returns (uint256) {
        if (low >= stop || low + count <= start) {
            proof[used] = _reference(hashes, low, count);
            return used + 1;
        }
        if (count == 1) return used;
        uint256 left = 1;
        while (2 * left < count) {
            left *= 2;
        }
        used = _collect(hashes, low, left, start, stop, proof, used);
        return _collect(hashes, low + left, count - left, start, stop, proof, used);
    }
}
