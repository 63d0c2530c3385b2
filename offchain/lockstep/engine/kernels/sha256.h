// SHA-256 of tensors' 1 KiB chunks and the RFC 9162 tree over them, with the processor's SHA instructions.
#pragma once

#include "common.h"

namespace lockstep {

namespace sha {

static const std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const std::uint32_t kStart[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

inline std::uint32_t turn(std::uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

inline void blocks_portable(std::uint32_t state[8], const std::uint8_t* data, std::size_t count) {
    for (; count; --count, data += 64) {
        std::uint32_t w[64], v[8];
        for (int i = 0; i < 16; ++i) {
            std::uint32_t x;
            std::memcpy(&x, data + 4 * i, 4);
            w[i] = __builtin_bswap32(x);
        }
        for (int i = 16; i < 64; ++i) {
            const std::uint32_t a = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >> 3);
            const std::uint32_t b = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        std::memcpy(v, state, sizeof v);
        for (int i = 0; i < 64; ++i) {
            const std::uint32_t s1 = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25);
            const std::uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + kRound[i] + w[i];
            const std::uint32_t s0 = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22);
            const std::uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            std::memmove(v + 1, v, 7 * sizeof v[0]);
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; ++i) state[i] += v[i];
    }
}

// N messages of as many blocks. A round waits for the one before it, so two messages together take little longer than
// one alone.
#if defined(__SHA__) && defined(__SSE4_1__)
template <int N>
inline void blocks(std::uint32_t (*state)[8], const std::uint8_t* const* message, std::size_t count) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
#if defined(__AVX__)
    _mm256_zeroupper();  // the SHA instructions crawl where the registers' upper halves are in use
#endif
    __m128i s0[N], s1[N];
    for (int m = 0; m < N; ++m) {
        const __m128i t = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state[m])), 0xB1);
        s1[m] = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state[m] + 4)), 0x1B);
        s0[m] = _mm_alignr_epi8(t, s1[m], 8);
        s1[m] = _mm_blend_epi16(s1[m], t, 0xF0);
    }
    for (std::size_t b = 0; b < count; ++b) {
        __m128i save0[N], save1[N], w[N][4];
        for (int m = 0; m < N; ++m) {
            save0[m] = s0[m];
            save1[m] = s1[m];
            for (int i = 0; i < 4; ++i) {
                const std::uint8_t* at = message[m] + 64 * b + 16 * static_cast<std::size_t>(i);
                w[m][i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), swap);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
            const __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kRound + 4 * i));
            __m128i x[N];
            for (int m = 0; m < N; ++m) {
                x[m] = _mm_add_epi32(w[m][i & 3], k);
                s1[m] = _mm_sha256rnds2_epu32(s1[m], s0[m], x[m]);
            }
            for (int m = 0; m < N; ++m) {
                s0[m] = _mm_sha256rnds2_epu32(s0[m], s1[m], _mm_shuffle_epi32(x[m], 0x0E));
                if (i >= 12) continue;
                const __m128i next = _mm_alignr_epi8(w[m][(i + 3) & 3], w[m][(i + 2) & 3], 4);
                w[m][i & 3] = _mm_add_epi32(_mm_sha256msg1_epu32(w[m][i & 3], w[m][(i + 1) & 3]), next);
                w[m][i & 3] = _mm_sha256msg2_epu32(w[m][i & 3], w[m][(i + 3) & 3]);
            }
        }
        for (int m = 0; m < N; ++m) {
            s0[m] = _mm_add_epi32(s0[m], save0[m]);
            s1[m] = _mm_add_epi32(s1[m], save1[m]);
        }
    }
    for (int m = 0; m < N; ++m) {
        const __m128i t = _mm_shuffle_epi32(s0[m], 0x1B), u = _mm_shuffle_epi32(s1[m], 0xB1);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(state[m]), _mm_blend_epi16(t, u, 0xF0));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(state[m] + 4), _mm_alignr_epi8(u, t, 8));
    }
}
#else
template <int N>
inline void blocks(std::uint32_t (*state)[8], const std::uint8_t* const* message, std::size_t count) {
    for (int m = 0; m < N; ++m) blocks_portable(state[m], message[m], count);
}
#endif

inline void write_out(const std::uint32_t state[8], std::uint8_t* out) {
    for (int i = 0; i < 8; ++i) {
        const std::uint32_t x = __builtin_bswap32(state[i]);
        std::memcpy(out + 4 * i, &x, 4);
    }
}

// Padding and length behind the last n bytes of a message of `length`; the blocks that these make.
inline std::size_t pad(std::uint8_t* tail, std::size_t n, std::uint64_t length) {
    const std::size_t total = (n + 8) / 64 * 64 + 64;
    const std::uint64_t bits = __builtin_bswap64(8 * length);
    tail[n] = 0x80;
    std::memset(tail + n + 1, 0, total - n - 9);
    std::memcpy(tail + total - 8, &bits, 8);
    return total / 64;
}

constexpr std::size_t kPiece = 1024;  // most bytes behind a prefix

// prefix || data as whole blocks in `memory`; how many.
inline std::size_t frame(std::uint8_t prefix, const std::uint8_t* data, std::size_t n, std::uint8_t* memory) {
    memory[0] = prefix;
    std::memcpy(memory + 1, data, n);
    return pad(memory, n + 1, n + 1);
}

// H(prefix || data) of N pieces of n bytes.
template <int N>
inline void prefixed(std::uint8_t prefix, const std::uint8_t* const* data, std::size_t n, std::uint8_t* const* out) {
    alignas(64) std::uint8_t memory[N][kPiece + 128];
    const std::uint8_t* message[N];
    std::uint32_t state[N][8];
    std::size_t count = 0;
    for (int m = 0; m < N; ++m) {
        count = frame(prefix, data[m], n, memory[m]);
        message[m] = memory[m];
        std::memcpy(state[m], kStart, sizeof state[m]);
    }
    blocks<N>(state, message, count);
    for (int m = 0; m < N; ++m) write_out(state[m], out[m]);
}

// SHA-256 of bytes that come piece by piece.
class Stream {
  public:
    Stream() { std::memcpy(state_, kStart, sizeof state_); }
    void append(const std::uint8_t* data, std::size_t n) {
        length_ += n;
        if (held_) {
            const std::size_t some = n < 64 - held_ ? n : 64 - held_;
            std::memcpy(carry_ + held_, data, some);
            held_ += some, data += some, n -= some;
            if (held_ < 64) return;
            absorb(carry_, 1);
        }
        absorb(data, n / 64);
        held_ = n % 64;
        if (held_) std::memcpy(carry_, data + n - held_, held_);
    }
    void finish(std::uint8_t* out) {
        std::uint8_t tail[128];
        std::memcpy(tail, carry_, held_);
        absorb(tail, pad(tail, held_, length_));
        write_out(state_, out);
    }

  private:
    void absorb(const std::uint8_t* data, std::size_t count) {
        if (count) blocks<1>(&state_, &data, count);
    }

    std::uint32_t state_[8];
    std::uint8_t carry_[64] = {};
    std::size_t held_ = 0;
    std::uint64_t length_ = 0;
};

}  // namespace sha
}  // namespace lockstep
