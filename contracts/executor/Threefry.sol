// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, SC 2011), as in the Random123 library.
/// @notice Twin of `offchain/lockstep/numerics/threefry.py`.
library Threefry {
    /// @dev Threefish's key schedule constant, low word.
    uint256 private constant PARITY = 0x1bd11bda;
    uint256 private constant WORD = 0xffffffff;
    uint256 private constant SHUFFLE_ROUNDS = 24;
    /// @dev Second counter word of a shuffle round's K: no element number, since n is at most 2^32 - 1.
    uint256 private constant SHUFFLE_KEY_COUNTER = 0xffffffff;

    /// @notice Both output words for a key and a counter of two 32-bit words each.
    function words(uint256 key0, uint256 key1, uint256 counter0, uint256 counter1)
        internal
        pure
        returns (uint256 x0, uint256 x1)
    {
        unchecked {
            uint256 key2 = PARITY ^ key0 ^ key1;
            x0 = (counter0 + key0) & WORD;
            x1 = (counter1 + key1) & WORD;
            (x0, x1) = _even(x0, x1, key1, key2 + 1);
            (x0, x1) = _odd(x0, x1, key2, key0 + 2);
            (x0, x1) = _even(x0, x1, key0, key1 + 3);
            (x0, x1) = _odd(x0, x1, key1, key2 + 4);
            (x0, x1) = _even(x0, x1, key2, key0 + 5);
        }
    }

    /// @notice Key of one draw at one site: `k' = TF(key = seed words, ctr = (counter, site))`.
    /// @param seed Low word in bits 0..31, high word in bits 32..63.
    function drawKey(uint256 seed, uint256 counter, uint256 site) internal pure returns (uint256, uint256) {
        return words(seed & WORD, (seed >> 32) & WORD, counter, site);
    }

    /// @notice Element n of `random_bits`: word n & 1 of `TF(key = k', ctr = (n >> 1, 0))`.
    function randomBits(uint256 seed, uint256 counter, uint256 site, uint256 n) internal pure returns (uint256) {
        (uint256 key0, uint256 key1) = drawKey(seed, counter, site);
        (uint256 x0, uint256 x1) = words(key0, key1, n >> 1, 0);
        return n & 1 == 0 ? x0 : x1;
    }

    /// @notice Image of `x` under the permutation of 0..n-1 that seed, counter and site choose; 0 where x is not below n.
    /// @dev Swap-or-not (Hoang, Morris, Rogaway, CRYPTO 2012), 24 rounds: x and its partner share the bit that swaps them.
    function shuffle(uint256 seed, uint256 counter, uint256 site, uint256 n, uint256 x)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            if (x >= n) return 0;
            (uint256 key0, uint256 key1) = drawKey(seed, counter, site);
            for (uint256 round = 0; round < SHUFFLE_ROUNDS; ++round) {
                (uint256 pivot,) = words(key0, key1, round, SHUFFLE_KEY_COUNTER);
                uint256 partner = (pivot % n + n - x) % n;
                (uint256 word,) = words(key0, key1, round, x > partner ? x : partner);
                if (word & 1 == 1) x = partner;
            }
            return x;
        }
    }

    /// @dev Four rounds with the first four rotations, then the injection of two key words.
    function _even(uint256 x0, uint256 x1, uint256 inject0, uint256 inject1) private pure returns (uint256, uint256) {
        unchecked {
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 13) | (x1 >> 19)) & WORD) ^ x0;
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 15) | (x1 >> 17)) & WORD) ^ x0;
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 26) | (x1 >> 6)) & WORD) ^ x0;
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 6) | (x1 >> 26)) & WORD) ^ x0;
            return ((x0 + inject0) & WORD, (x1 + inject1) & WORD);
        }
    }

    /// @dev Four rounds with the last four rotations, then the injection of two key words.
    function _odd(uint256 x0, uint256 x1, uint256 inject0, uint256 inject1) private pure returns (uint256, uint256) {
        unchecked {
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 17) | (x1 >> 15)) & WORD) ^ x0;
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 29) | (x1 >> 3)) & WORD) ^ x0;
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 16) | (x1 >> 16)) & WORD) ^ x0;
            x0 = (x0 + x1) & WORD;
            x1 = (((x1 << 24) | (x1 >> 8)) & WORD) ^ x0;
            return ((x0 + inject0) & WORD, (x1 + inject1) & WORD);
        }
    }
}
