// Arithmetic modulo the prime 2^61 - 1 on vectors of float64, for freivalds.h: matrices of mantissas and of sums times residues.
#pragma once

#include <algorithm>

#include "common.h"

namespace lockstep {

namespace prime {

constexpr std::uint64_t kPrime = (1ull << 61) - 1;
constexpr int kLimb = 21;  // a residue is three limbs of 21, 21 and 19 bits
constexpr int kLimbs = 3;

// Any 128-bit number modulo the prime.
inline std::uint64_t residue(__int128 x) {
    const bool negative = x < 0;
    unsigned __int128 u = negative ? -static_cast<unsigned __int128>(x) : static_cast<unsigned __int128>(x);
    u = (u & kPrime) + (u >> 61);  // below 2^68
    u = (u & kPrime) + (u >> 61);  // below 2^61 + 2^7
    std::uint64_t r = static_cast<std::uint64_t>(u);
    if (r >= kPrime) r -= kPrime;
    return negative && r ? kPrime - r : r;
}
inline std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t sum = a + b;
    return sum >= kPrime ? sum - kPrime : sum;
}
inline double limb(std::uint64_t x, int n) {
    return static_cast<double>(x >> (kLimb * n) & ((1u << kLimb) - 1));
}
// The residue whose limbs' exact sums (integers below 2^53 in magnitude) are given.
inline std::uint64_t joined(double low, double middle, double high) {
    const __int128 m = static_cast<std::int64_t>(middle), h = static_cast<std::int64_t>(high);
    return residue(static_cast<std::int64_t>(low) + m * (1 << kLimb) + h * (static_cast<std::int64_t>(1) << 2 * kLimb));
}

// Eight numbers at once, on whatever vectors the processor has. Everything below is an exact integer in float64, so
// it makes no difference whether products and sums are fused.
using Doubles = double __attribute__((vector_size(64)));
using Longs = std::int64_t __attribute__((vector_size(64)));
using Unsigned = std::uint64_t __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));
constexpr std::int64_t kLanes = 8;

#if defined(__AVX512F__)
inline Doubles wide(const std::int16_t* m) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(m));
    return reinterpret_cast<Doubles>(_mm512_cvtepi32_pd(_mm256_cvtepi16_epi32(v)));
}
inline Doubles fused(Doubles a, Doubles b, Doubles c) {
    return reinterpret_cast<Doubles>(_mm512_fmadd_pd(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b),
                                                     reinterpret_cast<__m512d>(c)));
}
inline Floats rounded(Doubles x) { return reinterpret_cast<Floats>(_mm512_cvtpd_ps(reinterpret_cast<__m512d>(x))); }
inline double total(Doubles x) { return _mm512_reduce_add_pd(reinterpret_cast<__m512d>(x)); }
#else
inline Doubles wide(const std::int16_t* m) {
    using Mantissas = std::int16_t __attribute__((vector_size(16)));
    using Words = std::int32_t __attribute__((vector_size(32)));
    Mantissas v;
    std::memcpy(&v, m, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, Words), Doubles);
}
inline Doubles fused(Doubles a, Doubles b, Doubles c) { return a * b + c; }
inline Floats rounded(Doubles x) { return __builtin_convertvector(x, Floats); }
inline double total(Doubles x) { return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])); }
#endif

// Integers of at most 51 bits as numbers: without an instruction for it as the last bits of 3 * 2^51, then taken off.
inline Doubles numbers(Longs x) {
#if defined(__AVX512DQ__)
    return reinterpret_cast<Doubles>(_mm512_cvtepi64_pd(reinterpret_cast<__m512i>(x)));
#endif
    constexpr std::int64_t kShift = 0x4338000000000000;
    return reinterpret_cast<Doubles>(x + kShift) - 0x1.8p52;
}
template <class V, class T>
inline V taken(const T* x) {
    V v;
    std::memcpy(&v, x, sizeof v);
    return v;
}
inline Doubles all(double x) { return Doubles{} + x; }

constexpr std::int64_t kStretch = 2048;  // terms at a time of long rows: their limbs stay in the first cache

// acc[limb][k] += sum over 4 rows of m[row][k] * r[row][limb]; limbs lie `apart`
inline void add_rows(const std::int16_t* const m[4], const double r[4][kLimbs], std::int64_t length, double* acc,
                     std::int64_t apart) {
    std::int64_t k = 0;
    for (; k + kLanes <= length; k += kLanes) {
        const Doubles x[4] = {wide(m[0] + k), wide(m[1] + k), wide(m[2] + k), wide(m[3] + k)};
        for (int n = 0; n < kLimbs; ++n) {
            Doubles sum = taken<Doubles>(acc + n * apart + k);
            for (int i = 0; i < 4; ++i) sum = fused(x[i], all(r[i][n]), sum);
            std::memcpy(acc + n * apart + k, &sum, sizeof sum);
        }
    }
    for (; k < length; ++k)
        for (int n = 0; n < kLimbs; ++n)
            for (int i = 0; i < 4; ++i) acc[n * apart + k] += m[i][k] * r[i][n];
}

// out[row] = sum over k of m[row][k] * w[limb][k], for 4 rows, as residues; limbs lie `apart`
inline void dot_rows(const std::int16_t* const m[4], const double* w, std::int64_t apart, std::int64_t length,
                     std::uint64_t out[4]) {
    Doubles sum[4][kLimbs] = {};
    std::int64_t k = 0;
    for (; k + kLanes <= length; k += kLanes) {
        Doubles v[kLimbs];
        for (int n = 0; n < kLimbs; ++n) v[n] = taken<Doubles>(w + n * apart + k);
        for (int i = 0; i < 4; ++i) {
            const Doubles x = wide(m[i] + k);
            for (int n = 0; n < kLimbs; ++n) sum[i][n] = fused(x, v[n], sum[i][n]);
        }
    }
    for (int i = 0; i < 4; ++i) {
        double all[kLimbs];
        for (int n = 0; n < kLimbs; ++n) {
            all[n] = total(sum[i][n]);
            for (std::int64_t j = k; j < length; ++j) all[n] += m[i][j] * w[n * apart + j];
        }
        out[i] = joined(all[0], all[1], all[2]);
    }
}

// A row of sums S as it is gone through: S r, by digits of S and limbs of r, and whether any is too large.
constexpr int kDigit = 23;            // S = low digit (23 bits) + 2^23 * high digit (23 bits, signed)
constexpr std::uint64_t kLargest = 1ull << 46;
constexpr std::int64_t kTerms = 512;  // in all lanes together, of 23 and 21 bits: within 2^53
struct Row {
    Doubles low[kLimbs], high[kLimbs];
    Unsigned beyond;
    std::uint64_t sum;

    void begin() { *this = Row{}; }
    void flush() {
        const __int128 upper = joined(high);
        sum = add(sum, residue(joined(low) + upper * (1 << kDigit)));
    }
    static std::uint64_t joined(Doubles part[kLimbs]) {
        const std::uint64_t found = prime::joined(total(part[0]), total(part[1]), total(part[2]));
        for (int n = 0; n < kLimbs; ++n) part[n] = Doubles{};
        return found;
    }
    // kPrime, which is no residue, where some sum is outside [-2^46, 2^46).
    std::uint64_t value() const {
        std::uint64_t any = 0;
        for (std::int64_t lane = 0; lane < kLanes; ++lane) any |= beyond[lane];
        return any >> 47 ? kPrime : sum;
    }
};

// Floats that nobody reads soon: past the cache where they lie well for it, so that memory is written without being read.
inline void stream(float* out, Floats f) {
#if defined(__AVX512F__)
    if ((reinterpret_cast<std::uintptr_t>(out) & 31) == 0) return _mm256_stream_ps(out, reinterpret_cast<__m256>(f));
#endif
    std::memcpy(out, &f, sizeof f);
}
inline void streams_end() {
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}

// `count` columns of a row: r's limbs lie `apart`; rounded into `out`. What comes `next` is asked for already: rows are
// gone through piece by piece, too short for the processor to see where they go on.
template <bool kStream>
inline void take_row(Row& row, const std::int64_t* s, const double* r, std::int64_t apart, double scale,
                     const double* scales, std::int64_t count, float* out, const std::int64_t* next) {
    Doubles low0 = row.low[0], low1 = row.low[1], low2 = row.low[2];
    Doubles high0 = row.high[0], high1 = row.high[1], high2 = row.high[2];
    Unsigned beyond = row.beyond;
    const Doubles by = all(scale);
    const auto take = [&](const std::int64_t* at, std::int64_t i) __attribute__((always_inline)) {
        __builtin_prefetch(next + i);
        const Longs v = taken<Longs>(at);
        beyond |= reinterpret_cast<Unsigned>(v) + kLargest;
        const Doubles low = numbers(v & ((1ll << kDigit) - 1)), high = numbers(v >> kDigit);
        const Doubles r0 = taken<Doubles>(r + i), r1 = taken<Doubles>(r + apart + i), r2 = taken<Doubles>(r + 2 * apart + i);
        low0 = fused(low, r0, low0), low1 = fused(low, r1, low1), low2 = fused(low, r2, low2);
        high0 = fused(high, r0, high0), high1 = fused(high, r1, high1), high2 = fused(high, r2, high2);
        return rounded(numbers(v) * (taken<Doubles>(scales + i) * by));
    };
    std::int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const Floats f = take(s + i, i);
        if (kStream)
            stream(out + i, f);
        else
            std::memcpy(out + i, &f, sizeof f);
    }
    if (i < count) {  // limbs and scales have room for a whole round; S has not
        std::int64_t rest[kLanes] = {};
        std::copy(s + i, s + count, rest);
        const Floats f = take(rest, i);
        for (std::int64_t j = 0; i + j < count; ++j) out[i + j] = f[j];
    }
    row.low[0] = low0, row.low[1] = low1, row.low[2] = low2;
    row.high[0] = high0, row.high[1] = high1, row.high[2] = high2;
    row.beyond = beyond;
}

}  // namespace prime

}  // namespace lockstep
