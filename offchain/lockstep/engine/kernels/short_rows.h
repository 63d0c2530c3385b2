// Contraction of rows of a few terms, by int16 dot products.
#pragma once

#include "slices.h"

#if defined(LOCKSTEP_SLICES)

namespace lockstep {

// Rows of at most kFewTerms terms. Three pairs of terms sum to at most 6 * 2**28 < 2**31, which int32 holds; what more
// pairs give is added in float64. There is nothing to gain by slices, and what is packed is half as much.
class PairFormat : public Format {
  public:
    const char* name() const override { return "int16 VNNI"; }
    std::int64_t chunks(std::int64_t) const override { return 1; }
    // A line has a pair of terms of 16 rows.
    std::size_t left_bytes(std::int64_t length) const override { return static_cast<std::size_t>(kLine * lines(length)); }
    std::size_t right_bytes(std::int64_t length) const override { return left_bytes(length); }
    std::size_t state_bytes() const override { return kLine; }

    void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                   std::int8_t* out, Scratch& scratch) const override {
        if (o.by_columns) {
            alignas(64) std::int16_t term[2][kSide] = {};
            for (std::int64_t k = 0; k < o.length; ++k) {
                o.column(slots, l, k, first, count, term[k % 2]);
                if (k % 2 == 0 && k + 1 < o.length) continue;
                if (k % 2 == 0) std::memset(term[1], 0, sizeof term[1]);
                const __m512i even = _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(term[0])));
                const __m512i odd = _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(term[1])));
                _mm512_store_si512(out + kLine * (k / 2), _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
            }
            return;
        }
        std::int64_t width;
        const std::int16_t* rows = rows_of(o, slots, l, first, count, &width, scratch);
        __m512i v[16];
        for (int i = 0; i < 16; ++i) v[i] = i < count ? mantissas(rows + i * width, 0, o.length) : _mm512_setzero_si512();
        transpose16(v);
        for (std::int64_t q = 0; q < lines(o.length); ++q) _mm512_store_si512(out + kLine * q, v[q]);
    }
    void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                    std::int8_t* out, Scratch& scratch) const override {
        pack_left(o, slots, l, first, count, out, scratch);
    }
    // All is multiplied when the tile is finished: nothing of it lies in memory before.
    void accumulate(const std::int8_t*, const std::int8_t* right, std::int64_t, std::int64_t, void* state) const override {
        std::memcpy(state, &right, sizeof right);
    }
    void finish(const std::int8_t* left, std::int64_t length, const void* state, const Scales& scales,
                float* const* out) const override {
        if (scales.normal) {
            const RowScales rows(scales);
            return multiply<Single>(left, length, state, [&](int i, const Single& s) { rows.write(i, s.value(), out[i]); });
        }
        const __m512d low = _mm512_loadu_pd(scales.right), high = _mm512_loadu_pd(scales.right + 8);
        multiply<Exact>(left, length, state, [&](int i, const Exact& s) {
            const __m512d scale = _mm512_set1_pd(scales.left[i]);
            _mm256_storeu_ps(out[i], _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_mul_pd(s.low, scale), low)));
            _mm256_storeu_ps(out[i] + 8, _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_mul_pd(s.high, scale), high)));
        });
    }
    void sums(const std::int8_t* left, std::int64_t length, const void* state, double* out) const override {
        multiply<Exact>(left, length, state, [&](int i, const Exact& s) {
            _mm512_store_pd(out + i * kSide, s.low);
            _mm512_store_pd(out + i * kSide + 8, s.high);
        });
    }

  private:
    static constexpr std::int64_t kLine = 64, kPairs = 3;
    static std::int64_t lines(std::int64_t length) { return (length + 1) / 2; }

    // A row of exact sums.
    struct Exact {
        __m512d low = _mm512_setzero_pd(), high = low;
        void add(__m512i sum) {
            low = _mm512_add_pd(low, _mm512_cvtepi32_pd(_mm512_castsi512_si256(sum)));
            high = _mm512_add_pd(high, _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sum, 1)));
        }
    };
    // A row of sums to be rounded once: 2**10 above + below, both less than 2**24.
    struct Single {
        __m512i above = _mm512_setzero_si512(), below = above;
        void add(__m512i sum) {
            above = _mm512_add_epi32(above, _mm512_srai_epi32(sum, 10));
            below = _mm512_add_epi32(below, _mm512_and_si512(sum, _mm512_set1_epi32(1023)));
        }
        __m512 value() const {
            return _mm512_fmadd_ps(_mm512_cvtepi32_ps(above), _mm512_set1_ps(1024.0f), _mm512_cvtepi32_ps(below));
        }
    };

    // put(i, total) for each row i.
    template <class Total, class Put>
    static void multiply(const std::int8_t* left, std::int64_t length, const void* state, Put put) {
        const std::int8_t* right;
        std::memcpy(&right, state, sizeof right);
        const std::int64_t n = lines(length);
        constexpr int kRows = 4;
        for (int i = 0; i < kSide; i += kRows) {
            Total total[kRows];
            for (std::int64_t q = 0; q < n; q += kPairs) {
                __m512i sum[kRows];
                for (int r = 0; r < kRows; ++r) sum[r] = _mm512_setzero_si512();
                for (std::int64_t p = q; p < std::min(n, q + kPairs); ++p) {
                    const __m512i b = _mm512_load_si512(right + kLine * p);
                    const std::int32_t* a = reinterpret_cast<const std::int32_t*>(left + kLine * p) + i;
                    for (int r = 0; r < kRows; ++r) sum[r] = _mm512_dpwssd_epi32(sum[r], b, _mm512_set1_epi32(a[r]));
                }
                for (int r = 0; r < kRows; ++r) total[r].add(sum[r]);
            }
            for (int r = 0; r < kRows; ++r) put(i + r, total[r]);
        }
    }
};

}  // namespace lockstep
#endif
