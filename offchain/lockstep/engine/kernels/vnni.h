// Contraction by int8 and int16 dot products of AVX-512 VNNI.
#pragma once

#include "slices.h"

#if defined(LOCKSTEP_SLICES)

namespace lockstep {

// VNNI. The sum is known modulo 2**32 from int16 products (which may wrap) and to within 2**31 from the high
// slices: |sum - 2**16 hh| <= (2**22 + 2**14) K < 2**31 for K <= 504, so together they give it exactly. That is
// three dot products where slices alone take four. Longer rows go chunk by chunk into float64.
class VnniFormat : public Format {
  public:
    static constexpr std::int64_t kChunk = 384;  // two chunks fit the first-level cache
    // High slices, four terms of 16 rows a line; whole mantissas, two terms a line; sums of the high slices.
    static constexpr std::int64_t kBytes = kSide * kChunk * 3 + kSide * 4;

    const char* name() const override { return "int8 and int16 VNNI"; }
    std::int64_t chunks(std::int64_t length) const override { return (length + kChunk - 1) / kChunk; }
    std::size_t left_bytes(std::int64_t length) const override {
        return static_cast<std::size_t>((chunks(length) - 1) * kBytes + short_bytes(length));
    }
    std::size_t right_bytes(std::int64_t length) const override { return left_bytes(length); }
    std::size_t state_bytes() const override { return sizeof(State); }

    void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                   std::int8_t* out, Scratch& scratch) const override {
        pack(o, slots, l, first, count, out, scratch, 0);
    }
    void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                    std::int8_t* out, Scratch& scratch) const override {
        // Unsigned by signed: h + 64 here, taken back by the sums of the left rows' slices.
        pack(o, slots, l, first, count, out, scratch, 64);
    }

    void accumulate(const std::int8_t* left, const std::int8_t* right, std::int64_t length, std::int64_t c,
                    void* memory) const override {
        State& s = *static_cast<State*>(memory);
        if (c > 0) {
            const std::int32_t* sums = sums_of(left, c - 1, kChunk);
            for (int i = 0; i < kSide; ++i) {
                for (int half = 0; half < 16; half += 8) {
                    __m512d t = fold(s, sums[i], i, half);
                    if (c > 1) t = _mm512_add_pd(t, _mm512_load_pd(&s.total[i][half]));
                    _mm512_store_pd(&s.total[i][half], t);
                }
            }
        }
        const std::int64_t n = std::min(kChunk, length - c * kChunk), lines = (n + 3) / 4;
        left += c * kBytes;
        right += c * kBytes;
        // Accumulators by name: gcc keeps arrays of them in memory.
#define LOCKSTEP_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOCKSTEP_ZERO(I) __m512i a##I = _mm512_setzero_si512();
        // The broadcast folded into the dot product, which gcc 12 does not do by itself.
#define LOCKSTEP_DOT(NAME, A, B, P) \
    asm(NAME " %2%{1to16%}, %1, %0" : "+v"(A) : "v"(B), "m"(*reinterpret_cast<const std::int32_t*>(P)));
        {
            LOCKSTEP_ROWS(LOCKSTEP_ZERO)
            for (std::int64_t q = 0; q < lines; ++q) {
                const __m512i b = _mm512_load_si512(right + 64 * q);
                const std::int8_t* p = left + 64 * q;
#define LOCKSTEP_STEP(I) LOCKSTEP_DOT("vpdpbusd", a##I, b, p + 4 * I)
                LOCKSTEP_ROWS(LOCKSTEP_STEP)
#undef LOCKSTEP_STEP
            }
#define LOCKSTEP_STORE(I) _mm512_store_si512(s.high[I], a##I);
            LOCKSTEP_ROWS(LOCKSTEP_STORE)
#undef LOCKSTEP_STORE
        }
        {
            LOCKSTEP_ROWS(LOCKSTEP_ZERO)
            left += whole_at(n);
            right += whole_at(n);
            for (std::int64_t q = 0; q < 2 * lines; ++q) {
                const __m512i b = _mm512_load_si512(right + 64 * q);
                const std::int8_t* p = left + 64 * q;
#define LOCKSTEP_STEP(I) LOCKSTEP_DOT("vpdpwssd", a##I, b, p + 4 * I)
                LOCKSTEP_ROWS(LOCKSTEP_STEP)
#undef LOCKSTEP_STEP
            }
#define LOCKSTEP_STORE(I) _mm512_store_si512(s.wrapped[I], a##I);
            LOCKSTEP_ROWS(LOCKSTEP_STORE)
#undef LOCKSTEP_STORE
        }
#undef LOCKSTEP_ROWS
#undef LOCKSTEP_ZERO
#undef LOCKSTEP_DOT
    }

    void finish(const std::int8_t* left, std::int64_t length, const void* memory, const Scales& scales,
                float* const* out) const override {
        if (scales.normal && length <= kChunk) {
            const State& s = *static_cast<const State*>(memory);
            const std::int32_t* sums = sums_of(left, 0, length);
            const RowScales rows(scales);
            for (int i = 0; i < kSide; ++i) {
                const __m512i h = _mm512_sub_epi32(_mm512_load_si512(s.high[i]), _mm512_set1_epi32(64 * sums[i]));
                const __m512i rest = _mm512_sub_epi32(_mm512_load_si512(s.wrapped[i]), _mm512_slli_epi32(h, 16));
                rows.write(i, rounded(h, rest), out[i]);
            }
            return;
        }
        each_sum(left, length, memory, [&](int i, int half, __m512d t) {
            const __m512d scale = _mm512_set1_pd(scales.left[i]);
            const __m512d y = _mm512_mul_pd(_mm512_mul_pd(t, scale), _mm512_loadu_pd(scales.right + half));
            _mm256_storeu_ps(out[i] + half, _mm512_cvtpd_ps(y));
        });
    }
    void sums(const std::int8_t* left, std::int64_t length, const void* memory, double* out) const override {
        each_sum(left, length, memory,
                 [&](int i, int half, __m512d t) { _mm512_store_pd(out + i * kSide + half, t); });
    }

  private:
    // put(i, half, t): exact sums of half a row, an integer below 2**53 each.
    template <class Put>
    void each_sum(const std::int8_t* left, std::int64_t length, const void* memory, Put put) const {
        const State& s = *static_cast<const State*>(memory);
        const std::int64_t c = chunks(length);
        const std::int32_t* sums = sums_of(left, c - 1, length - (c - 1) * kChunk);
        for (int i = 0; i < kSide; ++i) {
            for (int half = 0; half < 16; half += 8) {
                __m512d t = fold(s, sums[i], i, half);
                if (c > 1) t = _mm512_add_pd(t, _mm512_load_pd(&s.total[i][half]));
                put(i, half, t);
            }
        }
    }
    // Layout of a chunk of n terms: packed in steps of 64.
    static std::int64_t whole_at(std::int64_t n) { return kSide * ((n + 63) / 64 * 64); }
    static std::int64_t short_bytes(std::int64_t length) { return 3 * whole_at((length - 1) % kChunk + 1) + kSide * 4; }
    static const std::int32_t* sums_of(const std::int8_t* left, std::int64_t c, std::int64_t n) {
        return reinterpret_cast<const std::int32_t*>(left + c * kBytes + 3 * whole_at(n));
    }

    static void pack(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                     std::int8_t* out, Scratch& scratch, int plus_) {
        const __m512i plus = _mm512_set1_epi8(static_cast<char>(plus_)), ones = _mm512_set1_epi8(1);
        std::int64_t width = 0;
        const std::int16_t* rows = o.by_columns ? nullptr : rows_of(o, slots, l, first, count, &width, scratch);
        for (std::int64_t start = 0; start < o.length; start += kChunk) {
            const std::int64_t n = std::min(kChunk, o.length - start);
            std::int8_t* high = out + start / kChunk * kBytes;
            std::int8_t* whole = high + whole_at(n);
            __m512i sums = _mm512_setzero_si512();
            for (std::int64_t k = 0; k < n; k += 64) {
                __m512i v[16], w[16], h[16];
                if (o.by_columns) {
                    for (int q = 0; q < 16; ++q) {
                        __m512i term[4], top[4];
                        four_terms(o, slots, l, start + k + 4 * q, first, count, term);
                        for (int j = 0; j < 4; ++j) top[j] = high_of(term[j]);
                        h[q] = bytes_of(top);
                        const __m512i low = _mm512_set1_epi32(0xFFFF);
                        __m512i* pairs = q < 8 ? v + 2 * q : w + 2 * (q - 8);
                        for (int j = 0; j < 4; j += 2)
                            pairs[j / 2] = _mm512_or_si512(_mm512_and_si512(term[j], low), _mm512_slli_epi32(term[j + 1], 16));
                    }
                } else {
                    const std::int16_t* m = rows + start;
                    for (int i = 0; i < 16; ++i) {
                        v[i] = i < count ? mantissas(m + i * width, k, n) : _mm512_setzero_si512();
                        w[i] = i < count ? mantissas(m + i * width, k + 32, n) : _mm512_setzero_si512();
                        h[i] = _mm512_inserti64x4(_mm512_castsi256_si512(high_slice(v[i])), high_slice(w[i]), 1);
                    }
                    transpose16(v);
                    transpose16(w);
                    transpose16(h);
                }
                for (int i = 0; i < 16; ++i) {
                    _mm512_store_si512(whole + 32 * k + 64 * i, v[i]);
                    _mm512_store_si512(whole + 32 * k + 1024 + 64 * i, w[i]);
                    _mm512_store_si512(high + 16 * k + 64 * i, _mm512_add_epi8(h[i], plus));
                    sums = _mm512_dpbusd_epi32(sums, ones, h[i]);
                }
            }
            _mm512_store_si512(high + 3 * whole_at(n), sums);
        }
    }

    struct State {
        alignas(64) std::int32_t high[kSide][kSide];     // sum of (h + 64) h
        alignas(64) std::int32_t wrapped[kSide][kSide];  // the sum modulo 2**32
        alignas(64) double total[kSide][kSide];          // chunks before
    };
    // Exact sums of the last chunk of half a row.
    static __m512d fold(const State& s, std::int32_t sum, int i, int half) {
        const __m256i h = _mm256_sub_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(&s.high[i][half])),
                                           _mm256_set1_epi32(64 * sum));
        const __m256i w = _mm256_load_si256(reinterpret_cast<const __m256i*>(&s.wrapped[i][half]));
        const __m256i rest = _mm256_sub_epi32(w, _mm256_slli_epi32(h, 16));
        return _mm512_fmadd_pd(_mm512_cvtepi32_pd(h), _mm512_set1_pd(65536.0), _mm512_cvtepi32_pd(rest));
    }
};

}  // namespace lockstep
#endif
