// int8 slices of mantissas: how they are cut and turned over for VNNI and AMX.
//
// Mantissas split exactly into int8 slices, m = 256 h + l with |h| <= 64, -128 <= l <= 127.
#pragma once

#include "format.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define LOCKSTEP_SLICES 1

namespace lockstep {

constexpr std::int64_t kFewTerms = 32;  // rows of as many are multiplied whole, not by slices

// Loads of up to 32 mantissas from a row of n, zeros beyond.
inline __m512i mantissas(const std::int16_t* m, std::int64_t k, std::int64_t n) {
    const __mmask32 mask = k + 32 <= n ? ~0u : k >= n ? 0u : (1u << (n - k)) - 1;
    return _mm512_maskz_loadu_epi16(mask, m + k);
}
inline __m256i high_slice(__m512i m) {
    return _mm512_cvtepi16_epi8(_mm512_srai_epi16(_mm512_add_epi16(m, _mm512_set1_epi16(128)), 8));
}
inline __m256i low_slice(__m512i m) { return _mm512_cvtepi16_epi8(m); }

// Rows side by side (by_columns): four terms of 16 rows as 16 mantissas in 32 bits each.
inline void four_terms(const Operand& o, char* const* slots, std::int64_t l, std::int64_t k, std::int64_t first,
                       std::int64_t count, __m512i out[4]) {
    alignas(64) std::int16_t term[kSide] = {};
    for (int j = 0; j < 4; ++j) {
        if (k + j < o.length)
            o.column(slots, l, k + j, first, count, term);
        else
            std::memset(term, 0, sizeof term);
        out[j] = _mm512_cvtepi16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(term)));
    }
}
// Rows side by side: 32 terms of 16 rows, a pair of terms in 32 bits.
inline void pairs_of_columns(const Operand& o, char* const* slots, std::int64_t l, std::int64_t k, std::int64_t first,
                             std::int64_t count, __m512i out[16]) {
    const auto pair = [](__m256i even, __m256i odd) {
        return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
    };
    if (o.beside) {
        const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
        const std::int16_t* at = o.first_row(slots, l, k) + first;
        const std::int64_t step = o.terms_only.stride[0], left = o.length - k;
        const auto term = [&](std::int64_t j) { return _mm256_maskz_loadu_epi16(j < left ? mask : 0, at + j * step); };
        for (int q = 0; q < 16; ++q) out[q] = pair(term(2 * q), term(2 * q + 1));
        return;
    }
    alignas(32) std::int16_t term[2][kSide] = {};
    for (int q = 0; q < 16; ++q) {
        for (int j = 0; j < 2; ++j) {
            if (k + 2 * q + j < o.length)
                o.column(slots, l, k + 2 * q + j, first, count, term[j]);
            else
                std::memset(term[j], 0, sizeof term[j]);
        }
        out[q] = pair(_mm256_load_si256(reinterpret_cast<const __m256i*>(term[0])),
                      _mm256_load_si256(reinterpret_cast<const __m256i*>(term[1])));
    }
}
inline __m512i bytes_of(const __m512i v[4]) {
    const __m512i byte = _mm512_set1_epi32(255);
    __m512i out = _mm512_and_si512(v[0], byte);
    for (int j = 1; j < 4; ++j) out = _mm512_or_si512(out, _mm512_slli_epi32(_mm512_and_si512(v[j], byte), 8 * j));
    return out;
}
// round_f32(2**16 h + rest) for |h| < 2**20.9: an FMA of two numbers below 2**24 rounds their exact sum.
inline __m512 rounded(__m512i h, __m512i rest) {
    const __m512i above = _mm512_add_epi32(_mm512_slli_epi32(h, 3), _mm512_srai_epi32(rest, 13));
    const __m512i below = _mm512_and_si512(rest, _mm512_set1_epi32(8191));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(above), _mm512_set1_ps(8192.0f), _mm512_cvtepi32_ps(below));
}
// Rows of rounded sums on their way out, where the scales are normal.
class RowScales {
  public:
    explicit RowScales(const Scales& s)
        : left_(s.left),
          right_(_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(_mm512_loadu_pd(s.right))),
                                    _mm512_cvtpd_ps(_mm512_loadu_pd(s.right + 8)), 1)) {}
    // out = sum * left scale[i] * right scales
    void write(int i, __m512 sum, float* out) const {
        const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(static_cast<float>(left_[i])), right_);
        _mm512_storeu_ps(out, _mm512_mul_ps(sum, scale));
    }

  private:
    const double* left_;
    __m512 right_;
};
inline __m512i high_of(__m512i v) { return _mm512_srai_epi32(_mm512_add_epi32(v, _mm512_set1_epi32(128)), 8); }

}  // namespace lockstep
#endif
