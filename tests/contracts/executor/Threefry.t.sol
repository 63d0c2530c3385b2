// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Threefry} from "../../../contracts/executor/Threefry.sol";
import {Test} from "forge-std/Test.sol";

contract ThreefryTest is Test {
    uint256 private constant MAX_FUZZED_N = 24;

    /// @dev Known answers of the Random123 library (kat_vectors, threefry2x32 20).
    function test_words_random123Vectors_giveItsWords() public pure {
        _check(0, 0, 0, 0, 0x6b200159, 0x99ba4efe);
        _check(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7);
        _check(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0);
    }

    function testFuzz_words_anyInput_areWordsOf32Bits(uint32 key0, uint32 key1, uint32 counter0, uint32 counter1)
        public
        pure
    {
        (uint256 x0, uint256 x1) = Threefry.words(key0, key1, counter0, counter1);
        assertLt(x0, 2 ** 32);
        assertLt(x1, 2 ** 32);
    }

    function testFuzz_shuffle_allOfASmallRange_isAPermutation(uint64 seed, uint32 counter, uint32 site, uint256 n)
        public
        pure
    {
        n = bound(n, 1, MAX_FUZZED_N);
        uint256 seen = 0;
        for (uint256 x = 0; x < n; ++x) {
            uint256 image = Threefry.shuffle(seed, counter, site, n, x);
            assertLt(image, n);
            seen |= 1 << image;
        }
        assertEq(seen, (1 << n) - 1);
    }

    function testFuzz_shuffle_outside_givesZero(uint64 seed, uint32 counter, uint32 site, uint32 n, uint32 x)
        public
        pure
    {
        vm.assume(x >= n);
        assertEq(Threefry.shuffle(seed, counter, site, n, x), 0);
    }

    function testFuzz_shuffle_largeRange_staysInside(uint64 seed, uint32 counter, uint32 site, uint32 n, uint32 x)
        public
        pure
    {
        vm.assume(x < n);
        assertLt(Threefry.shuffle(seed, counter, site, n, x), n);
    }

    function _check(uint256 key0, uint256 key1, uint256 counter0, uint256 counter1, uint256 word0, uint256 word1)
        private
        pure
    {
        (uint256 x0, uint256 x1) = Threefry.words(key0, key1, counter0, counter1);
        assertEq(x0, word0);
        assertEq(x1, word1);
    }
}
