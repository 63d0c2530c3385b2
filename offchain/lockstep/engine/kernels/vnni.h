// Contraction by int16 dot products of AVX-512 VNNI.
#pragma once

#include "norms.h"

#if defined(LOCKSTEP_SLICES)

namespace lockstep {

// VNNI. Pairs of terms are multiplied and summed in int32 for as many lines as the rows' norms allow (norms.h); then what
// exceeds 16 bits is taken out of the sums into others, and the rest stays in the registers. Nothing is ever rounded.
class VnniFormat : public Format {
  public:
    static constexpr std::int64_t kChunk = 1024;
    static constexpr std::int64_t kLine = 64;  // bytes; a pair of terms of 16 rows

    const char* name() const override { return "int16 VNNI"; }
    std::int64_t chunks(std::int64_t length) const override { return (length + kChunk - 1) / kChunk; }
    std::size_t left_bytes(std::int64_t length) const override {
        return static_cast<std::size_t>((chunks(length) - 1) * kBytes + bytes_of((length - 1) % kChunk + 1));
    }
    std::size_t right_bytes(std::int64_t length) const override { return left_bytes(length); }
    std::size_t state_bytes() const override { return sizeof(State); }

    void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                   std::int8_t* out, Scratch& scratch) const override {
        std::int64_t width = 0;
        const std::int16_t* rows = o.by_columns ? nullptr : rows_of(o, slots, l, first, count, &width, scratch);
        for (std::int64_t start = 0; start < o.length; start += kChunk, out += kBytes) {
            const std::int64_t n = std::min(kChunk, o.length - start);
            NormsOf norms;
            for (std::int64_t k = 0; k < n; k += 32) {
                __m512i v[16];
                if (o.by_columns) {
                    pairs_of_columns(o, slots, l, start + k, first, count, v);
                } else {
                    for (int i = 0; i < 16; ++i)
                        v[i] = i < count ? mantissas(rows + i * width + start, k, n) : _mm512_setzero_si512();
                    transpose16(v);
                }
                for (int i = 0; i < 16; ++i) _mm512_store_si512(out + kLine * (k / 2 + i), v[i]);
                norms.add(v);
            }
            const Norms found = norms.value();
            std::memcpy(out + norms_at(n), &found, sizeof found);
        }
    }
    void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                    std::int8_t* out, Scratch& scratch) const override {
        pack_left(o, slots, l, first, count, out, scratch);
    }

    void accumulate(const std::int8_t* left, const std::int8_t* right, std::int64_t length, std::int64_t c,
                    void* memory) const override {
        State& s = *static_cast<State*>(memory);
        const std::int64_t n = std::min(kChunk, length - c * kChunk), lines = (n + 1) / 2;
        left += c * kBytes;
        right += c * kBytes;
        const std::int64_t between = lines_between(norms_of(left, n), norms_of(right, n));
        const __m512i low = _mm512_set1_epi32(0xFFFF);
        // Accumulators by name: gcc keeps arrays of them in memory.
#define LOCKSTEP_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOCKSTEP_ZERO(I) __m512i above##I = _mm512_setzero_si512(), rest##I = above##I;
        LOCKSTEP_ROWS(LOCKSTEP_ZERO)
        if (c > 0) {
            if (c % kDrain == 0) drain(s, c == kDrain);
#define LOCKSTEP_LOAD(I) above##I = _mm512_load_si512(s.above[I]), rest##I = _mm512_load_si512(s.rest[I]);
            LOCKSTEP_ROWS(LOCKSTEP_LOAD)
#undef LOCKSTEP_LOAD
        }
        for (std::int64_t q = 0; q < lines;) {
            const std::int64_t stop = std::min(lines, q + between);
            for (; q < stop; ++q) {
                const __m512i b = _mm512_load_si512(right + kLine * q);
                const std::int8_t* p = left + kLine * q;
                // The broadcast folded into the dot product, which gcc 12 does not do by itself.
#define LOCKSTEP_DOT(I) \
    asm("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(rest##I) : "v"(b), "m"(*reinterpret_cast<const std::int32_t*>(p + 4 * I)));
                LOCKSTEP_ROWS(LOCKSTEP_DOT)
#undef LOCKSTEP_DOT
            }
#define LOCKSTEP_TAKE(I)                                                     \
    above##I = _mm512_add_epi32(above##I, _mm512_srai_epi32(rest##I, 16)); \
    rest##I = _mm512_and_si512(rest##I, low);
            LOCKSTEP_ROWS(LOCKSTEP_TAKE)
#undef LOCKSTEP_TAKE
        }
#define LOCKSTEP_STORE(I) _mm512_store_si512(s.above[I], above##I), _mm512_store_si512(s.rest[I], rest##I);
        LOCKSTEP_ROWS(LOCKSTEP_STORE)
#undef LOCKSTEP_STORE
#undef LOCKSTEP_ROWS
#undef LOCKSTEP_ZERO
    }

    void finish(const std::int8_t*, std::int64_t length, const void* memory, const Scales& scales,
                float* const* out) const override {
        if (scales.normal && length <= kSingle) {
            const State& s = *static_cast<const State*>(memory);
            const RowScales rows(scales);
            for (int i = 0; i < kSide; ++i) {
                const __m512 above = _mm512_cvtepi32_ps(_mm512_load_si512(s.above[i]));
                const __m512 rest = _mm512_cvtepi32_ps(_mm512_load_si512(s.rest[i]));
                rows.write(i, _mm512_fmadd_ps(above, _mm512_set1_ps(65536.0f), rest), out[i]);
            }
            return;
        }
        each_sum(length, memory, [&](int i, int half, __m512d t) {
            const __m512d scale = _mm512_set1_pd(scales.left[i]);
            const __m512d y = _mm512_mul_pd(_mm512_mul_pd(t, scale), _mm512_loadu_pd(scales.right + half));
            _mm256_storeu_ps(out[i] + half, _mm512_cvtpd_ps(y));
        });
    }
    void sums(const std::int8_t*, std::int64_t length, const void* memory, double* out) const override {
        each_sum(length, memory, [&](int i, int half, __m512d t) { _mm512_store_pd(out + i * kSide + half, t); });
    }

  private:
    // A sum of as many terms is 2**16 above + rest with above at most 2**24: both are f32s, and an FMA rounds once.
    static constexpr std::int64_t kSingle = 4096;
    // Chunks after which `above` is emptied: until then it takes 2**15 at most every 6 terms, less than 2**30.
    static constexpr std::int64_t kDrain = 128;

    // Layout of a chunk of n terms: lines, as many as 32 terms at a time make, and their norms.
    static constexpr std::int64_t kBytes = kSide * kChunk * 2 + kLine;
    static std::int64_t norms_at(std::int64_t n) { return kSide * 2 * ((n + 31) / 32 * 32); }
    static std::int64_t bytes_of(std::int64_t n) { return norms_at(n) + kLine; }
    static Norms norms_of(const std::int8_t* chunk, std::int64_t n) {
        Norms out;
        std::memcpy(&out, chunk + norms_at(n), sizeof out);
        return out;
    }

    // The sums are total + 2**16 above + rest, with 0 <= rest < 2**16; `total` counts only after kDrain chunks.
    struct State {
        alignas(64) std::int32_t above[kSide][kSide];
        alignas(64) std::int32_t rest[kSide][kSide];
        alignas(64) double total[kSide][kSide];
    };
    static __m512d above_of(const State& s, int i, int half) {
        const __m256i v = _mm256_load_si256(reinterpret_cast<const __m256i*>(&s.above[i][half]));
        return _mm512_mul_pd(_mm512_cvtepi32_pd(v), _mm512_set1_pd(65536.0));
    }
    static void drain(State& s, bool first) {
        for (int i = 0; i < kSide; ++i) {
            for (int half = 0; half < 16; half += 8) {
                const __m512d t = above_of(s, i, half);
                double* total = &s.total[i][half];
                _mm512_store_pd(total, first ? t : _mm512_add_pd(t, _mm512_load_pd(total)));
            }
            _mm512_store_si512(s.above[i], _mm512_setzero_si512());
        }
    }
    // put(i, half, t): exact sums of half a row, an integer below 2**53 each.
    template <class Put>
    void each_sum(std::int64_t length, const void* memory, Put put) const {
        const State& s = *static_cast<const State*>(memory);
        const bool drained = chunks(length) > kDrain;
        for (int i = 0; i < kSide; ++i) {
            for (int half = 0; half < 16; half += 8) {
                const __m256i rest = _mm256_load_si256(reinterpret_cast<const __m256i*>(&s.rest[i][half]));
                __m512d t = _mm512_add_pd(above_of(s, i, half), _mm512_cvtepi32_pd(rest));
                if (drained) t = _mm512_add_pd(t, _mm512_load_pd(&s.total[i][half]));
                put(i, half, t);
            }
        }
    }
};

}  // namespace lockstep
#endif
