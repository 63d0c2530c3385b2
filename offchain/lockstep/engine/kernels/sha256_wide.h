// SHA-256 of sixteen messages at once, one in each lane of 512-bit registers: on processors that have those, two to three
// times as fast as the SHA instructions.
#pragma once

#include "sha256.h"
#include "transpose.h"

namespace lockstep {
namespace sha {

#if defined(__AVX512F__) && defined(__AVX512BW__)
constexpr std::int64_t kLanes = 16;

// One block of each message, `apart` bytes from the one before.
inline void wide_block(__m512i state[8], const std::uint8_t* data, std::size_t apart) {
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    __m512i w[16], v[8];
    for (std::size_t i = 0; i < 16; ++i) w[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(data + i * apart), swap);
    transpose16(w);
    for (int i = 0; i < 8; ++i) v[i] = state[i];
    const auto three = [](__m512i a, __m512i b, __m512i c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); };  // a ^ b ^ c
#pragma GCC unroll 64
    for (int i = 0; i < 64; ++i) {
        // v[(n - i) & 7] is the round's n-th variable: they move by their names.
        __m512i &a = v[-i & 7], &d = v[(3 - i) & 7], &h = v[(7 - i) & 7];
        const __m512i b = v[(1 - i) & 7], c = v[(2 - i) & 7], e = v[(4 - i) & 7], f = v[(5 - i) & 7], g = v[(6 - i) & 7];
        const __m512i s1 = three(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
        const __m512i s0 = three(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
        const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, 0xCA), most = _mm512_ternarylogic_epi32(a, b, c, 0xE8);
        const __m512i key = _mm512_add_epi32(w[i & 15], _mm512_set1_epi32(static_cast<int>(kRound[i])));
        const __m512i t = _mm512_add_epi32(_mm512_add_epi32(h, key), _mm512_add_epi32(s1, choice));
        d = _mm512_add_epi32(d, t);
        h = _mm512_add_epi32(t, _mm512_add_epi32(s0, most));
        if (i >= 48) continue;
        const __m512i x = w[(i + 1) & 15], y = w[(i + 14) & 15];
        const __m512i u = three(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3));
        const __m512i z = three(_mm512_ror_epi32(y, 17), _mm512_ror_epi32(y, 19), _mm512_srli_epi32(y, 10));
        w[i & 15] = _mm512_add_epi32(_mm512_add_epi32(w[i & 15], u), _mm512_add_epi32(w[(i + 9) & 15], z));
    }
    for (int i = 0; i < 8; ++i) state[i] = _mm512_add_epi32(state[i], v[i]);
}

// H(prefix || data) of sixteen pieces of n bytes, a multiple of 64, that follow each other. Read before it is written.
inline void prefixed_wide(std::uint8_t prefix, const std::uint8_t* data, std::size_t n, std::uint8_t* out) {
    alignas(64) std::uint8_t first[kLanes][64], last[kLanes][64];
    for (std::size_t m = 0; m < kLanes; ++m) {
        first[m][0] = prefix;
        std::memcpy(first[m] + 1, data + m * n, 63);
        last[m][0] = data[m * n + n - 1];
        pad(last[m], 1, n + 1);
    }
    __m512i state[16];
    for (int i = 0; i < 8; ++i) state[i] = _mm512_set1_epi32(static_cast<int>(kStart[i]));
    wide_block(state, first[0], 64);
    for (std::size_t at = 63; at + 64 < n; at += 64) wide_block(state, data + at, n);
    wide_block(state, last[0], 64);
    for (int i = 8; i < 16; ++i) state[i] = _mm512_setzero_si512();
    transpose16(state);
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    for (std::size_t m = 0; m < kLanes; ++m)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * m), _mm512_castsi512_si256(_mm512_shuffle_epi8(state[m], swap)));
}
#endif

// Hashes of `count` pieces of n bytes that follow each other; out may be where they are, as an n of 64 is never caught up.
inline void prefixed_all(std::uint8_t prefix, const std::uint8_t* data, std::size_t n, std::int64_t count, std::uint8_t* out) {
    std::int64_t i = 0;
#if defined(__AVX512F__) && defined(__AVX512BW__)
    if (n && n % 64 == 0)
        for (; i + kLanes <= count; i += kLanes, data += kLanes * n, out += kLanes * 32) prefixed_wide(prefix, data, n, out);
#endif
    for (; i + 2 <= count; i += 2, data += 2 * n, out += 64) {
        const std::uint8_t* const pieces[2] = {data, data + n};
        std::uint8_t* const to[2] = {out, out + 32};
        prefixed<2>(prefix, pieces, n, to);
    }
    if (i < count) prefixed<1>(prefix, &data, n, &out);
}

}  // namespace sha
}  // namespace lockstep
