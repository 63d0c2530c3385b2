// Bounds on the sums of products of packed rows, and how many lines a 32-bit sum can take without losing its value.
#pragma once

#include "slices.h"

#if defined(LOCKSTEP_SLICES)

namespace lockstep {

// A line has a pair of terms of 16 rows. By Cauchy and Schwarz |sum a b| <= |a| |b|: where the product of two blocks'
// largest norms over any run of as many lines is less than 2**31, int32 holds the sum of a run, though it may have
// wrapped on the way there.
constexpr int kRuns = 4;
constexpr std::int64_t kRunLines[kRuns] = {64, 32, 16, 8};
// Three pairs of terms sum to at most 6 * 2**28, whatever they are.
constexpr std::int64_t kAnyLines = 3;

// For each length of run, the largest sum of squares of a row of a block over a run: an upper bound, at most 2**-20 too large.
struct Norms {
    float most[kRuns];
};

// Lines after which the sums of two blocks have to be taken out. What is left of a sum, less than 2**16, stays.
inline std::int64_t lines_between(const Norms& a, const Norms& b) {
    constexpr double kLargest = 2147483647.0 - 65535.0;
    for (int n = 0; n < kRuns; ++n)
        if (static_cast<double>(a.most[n]) * static_cast<double>(b.most[n]) <= kLargest * kLargest) return kRunLines[n];
    return kAnyLines;
}

// Norms of a block, from its lines in order, 16 at a time. All roundings are upwards.
class NormsOf {
  public:
    void add(const __m512i v[16]) {
        __m512 part[4];
        for (int q = 0; q < 4; ++q) {
            __m512i s = _mm512_setzero_si512();
            // Eight squares are at most 2**31, which 32 bits without a sign hold.
            for (int j = 4 * q; j < 4 * q + 4; ++j) s = _mm512_dpwssd_epi32(s, v[j], v[j]);
            part[q] = _mm512_cvt_roundepu32_ps(s, kUp);
        }
        const __m512 first = _mm512_add_round_ps(part[0], part[1], kUp), second = _mm512_add_round_ps(part[2], part[3], kUp);
        const __m512 both = _mm512_add_round_ps(first, second, kUp);
        most_[3] = _mm512_max_ps(most_[3], _mm512_max_ps(first, second));
        most_[2] = _mm512_max_ps(most_[2], both);
        // A run begins where its lines do: every second time, every fourth.
        two_ = seen_ % 2 ? _mm512_add_round_ps(two_, both, kUp) : both;
        four_ = seen_ % 4 ? _mm512_add_round_ps(four_, both, kUp) : both;
        most_[1] = _mm512_max_ps(most_[1], two_);
        most_[0] = _mm512_max_ps(most_[0], four_);
        ++seen_;
    }
    Norms value() const {
        Norms out;
        for (int n = 0; n < kRuns; ++n) out.most[n] = _mm512_reduce_max_ps(most_[n]);
        return out;
    }

  private:
    static constexpr int kUp = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
    __m512 most_[kRuns] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    __m512 two_ = _mm512_setzero_ps(), four_ = _mm512_setzero_ps();
    unsigned seen_ = 0;
};

// Norms of 16 rows of n mantissas, one behind the other.
inline Norms norms(const std::int16_t* rows, std::int64_t n) {
    NormsOf found;
    for (std::int64_t k = 0; k < n; k += 32) {
        __m512i v[16];
        for (int i = 0; i < 16; ++i) v[i] = mantissas(rows + i * n, k, n);
        transpose16(v);
        found.add(v);
    }
    return found.value();
}

}  // namespace lockstep
#endif
