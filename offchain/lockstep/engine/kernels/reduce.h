// Exact sums, maxima and orders of rows.
#pragma once

#include "rows.h"

namespace lockstep {

#if defined(__AVX512DQ__)
// From this exponent on 2**(33 - e) is a normal f32. A row's own terms times that are exact but where they are subnormal, and those round to 0.
constexpr int kLowestScaled = -93;
inline __m512i scaled16(__m512 x, __m512 scale, __m512i total) {
    const __m512 y = _mm512_mul_ps(x, scale);  // conversion rounds to nearest even: the rounding mode is set (StrictFloat)
    total = _mm512_add_epi64(total, _mm512_cvtps_epi64(_mm512_castps512_ps256(y)));
    return _mm512_add_epi64(total, _mm512_cvtps_epi64(_mm512_extractf32x8_ps(y, 1)));
}
inline std::int64_t scaled_terms(const float* x, std::int64_t n, float scale) {
    const __m512 s = _mm512_set1_ps(scale);
    __m512i a = _mm512_setzero_si512(), b = a;
    std::int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
        a = scaled16(_mm512_loadu_ps(x + i), s, a);
        b = scaled16(_mm512_loadu_ps(x + i + kLanes), s, b);
    }
    for (; i < n; i += kLanes) a = scaled16(_mm512_maskz_loadu_ps(first_lanes(n - i), x + i), s, a);
    return _mm512_reduce_add_epi64(_mm512_add_epi64(a, b));
}
#endif

// Exact sum of clamp(rne(x * 2**(33 - e)), +-2**34) over finite x: every partial sum is an integer below 2**53.
// `own` says that the exponent is the row's own: then all is finite and nothing is to be clamped.
inline double sum_terms(const float* x, std::int64_t n, int e, bool own) {
    const double scale = power_of_two(33 - e);
    double total = 0.0;
#if defined(__AVX512DQ__)
    if (own && e >= kLowestScaled) return static_cast<double>(scaled_terms(x, n, float_of(static_cast<std::uint32_t>(33 - e + 127) << 23)));
#endif
#if defined(__AVX512F__)
    const __m512d s = _mm512_set1_pd(scale), low = _mm512_set1_pd(-0x1p34), high = _mm512_set1_pd(0x1p34);
    __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
    const __m256i infinity = _mm256_set1_epi32(0x7F800000);
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    auto term = [&](const float* p) {
        __m256 v = _mm256_loadu_ps(p);
        if (own) return _mm512_roundscale_pd(_mm512_mul_pd(_mm512_cvtps_pd(v), s), kNearest);
        const __m256i exponent = _mm256_and_si256(_mm256_castps_si256(v), infinity);
        v = _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(exponent, infinity)), v);
        __m512d y = _mm512_mul_pd(_mm512_cvtps_pd(v), s);
        y = _mm512_roundscale_pd(y, kNearest);
        return _mm512_max_pd(_mm512_min_pd(y, high), low);
    };
    std::int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        a = _mm512_add_pd(a, term(x + i));
        b = _mm512_add_pd(b, term(x + i + 8));
    }
    total = _mm512_reduce_add_pd(_mm512_add_pd(a, b));
    x += i;
    n -= i;
#endif
    for (std::int64_t j = 0; j < n; ++j) {
        if ((bits_of(x[j]) & 0x7F800000u) == 0x7F800000u) continue;
        double y = std::rint(static_cast<double>(x[j]) * scale);
        y = y < 0x1p34 ? y : 0x1p34;
        total += y > -0x1p34 ? y : -0x1p34;
    }
    return total;
}

// round_f32(total * 2**(e - 33)); the factor is exact in float64, the cast rounds once.
inline float sum_result(double total, int e) {
    return static_cast<float>((total + 0.0) * power_of_two(e - 33));
}

// A sum of up to 2**62 as a float64 that rounds to the same f32: beyond 2**53 what is cut off leaves an odd number.
inline double sticky(std::int64_t total) {
    if (total <= (std::int64_t{1} << 53) && total >= -(std::int64_t{1} << 53)) return static_cast<double>(total);
    return static_cast<double>((total >> 9) | ((total & 511) != 0)) * 512.0;
}

inline bool sum_usable(int e) { return e >= kLowestSum && e <= kHighest; }

// exponent and sum in one, as Quantize: f32 [rows] to a slot.
class Sum : public Instruction {
  public:
    explicit Sum(Words& w) {
        in_.read(w);
        given_ = w.next() != 0;
        if (given_) exponents_.read(w);
        slot_ = static_cast<int>(w.next());
        raw_ = w.next() != 0;
        columns_ = beside_.columns(in_);
    }
    std::int64_t blocks(int) const override { return columns_ ? beside_.blocks() : in_.blocks(); }
    void block(Thread& t, char* const* slots, int, std::int64_t b) override {
        t.last = this;
        if (columns_) return columns(slots, beside_.block(b));
        const std::int64_t first = b * in_.block, last = std::min(in_.rows, first + in_.block);
#if defined(__AVX512DQ__)
        if (!given_ && in_.whole) {
            for (std::int64_t r = first; r < last; r += kLanes) together(slots, r, std::min(kLanes, last - r));
            return;
        }
#endif
        for (std::int64_t r = first; r < last; ++r) row(t, slots, r);
    }

  private:
#if defined(__AVX512DQ__)
    // Up to 16 rows: their exponents come out of one vector.
    void together(char* const* slots, std::int64_t first, std::int64_t count) {
        const float* x[kLanes];
        in_.pointers(slots, first, count, x);
        alignas(64) std::int32_t e[kLanes];
        _mm512_store_si512(e, exponents_of(row_magnitudes(x, count, in_.length), kLowestSum));
        for (std::int64_t i = 0; i < count; ++i)
            put(slots, first + i, sum_usable(e[i]) ? sum_terms(x[i], in_.length, e[i], true) : 0.0, e[i]);
    }
    // Totals of columns whose scales are normal f32s, or 0.
    void scaled_columns(const float* x, const float* scale, std::int64_t n, double* total) {
        const __mmask16 mask[4] = {first_lanes(n), first_lanes(n - 16), first_lanes(n - 32), first_lanes(n - 48)};
        __m512i low[4], high[4];
        _Pragma("GCC unroll 4") for (int j = 0; j < 4; ++j) low[j] = high[j] = _mm512_setzero_si512();
        beside_.terms(x, [&](const float* run, std::int64_t, std::int64_t count, std::int64_t stride) {
            for (std::int64_t k = 0; k < count; ++k, run += stride) {
                _Pragma("GCC unroll 4") for (int j = 0; j < 4; ++j) {
                    const __m512 y = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask[j], run + 16 * j), _mm512_load_ps(scale + 16 * j));
                    low[j] = _mm512_add_epi64(low[j], _mm512_cvtps_epi64(_mm512_castps512_ps256(y)));
                    high[j] = _mm512_add_epi64(high[j], _mm512_cvtps_epi64(_mm512_extractf32x8_ps(y, 1)));
                }
            }
        });
        _Pragma("GCC unroll 4") for (int j = 0; j < 4; ++j) {
            _mm512_store_pd(total + 16 * j, _mm512_cvtepi64_pd(low[j]));
            _mm512_store_pd(total + 16 * j + 8, _mm512_cvtepi64_pd(high[j]));
        }
    }
#endif
    void put(char* const* slots, std::int64_t r, double total, int e) const {
        if (raw_)
            reinterpret_cast<std::int64_t*>(slots[slot_])[r] = static_cast<std::int64_t>(total);
        else
            reinterpret_cast<float*>(slots[slot_])[r] = sum_usable(e) ? sum_result(total, e) : float_of(kCanonicalNaN);
    }
    void row(Thread& t, char* const* slots, std::int64_t r) {
        double total = 0.0;
        int e;
        if (in_.run) {
            e = given_ ? exponent_at(slots, r) : exponent_of(in_.magnitude(t, slots, r), kLowestSum);
            if (sum_usable(e))
                in_.in_runs(slots, r, [&](const float* x, std::int64_t n) { total += sum_terms(x, n, e, !given_); });
        } else {
            const float* x = in_.row(t, slots, r);
            e = given_ ? exponent_at(slots, r) : exponent_of(largest_magnitude(x, in_.length), kLowestSum);
            if (sum_usable(e)) total = sum_terms(x, in_.length, e, !given_);
        }
        put(slots, r, total, e);
    }
    int exponent_at(char* const* slots, std::int64_t r) const {
        std::int16_t e;
        load(exponents_, reinterpret_cast<const std::int16_t*>(slots[exponents_.slot]), r, 1, &e);
        return e;
    }
    void columns(char* const* slots, const Beside::Block& block) {
        const float* x = reinterpret_cast<const float*>(slots[in_.access.slot]) + block.offset;
        const std::int64_t n = block.count, first = block.first;
        alignas(64) std::uint32_t largest[kColumns];
        alignas(64) double scale[kColumns], total[kColumns];
        int e[kColumns];
        if (!given_) column_magnitudes(beside_, x, n, largest);
        for (std::int64_t i = 0; i < n; ++i) {
            e[i] = given_ ? exponent_at(slots, first + i) : exponent_of(largest[i], kLowestSum);
            scale[i] = sum_usable(e[i]) ? power_of_two(33 - e[i]) : 0.0;
            total[i] = 0.0;
        }
#if defined(__AVX512DQ__)
        if (!given_ && std::all_of(e, e + n, [](int each) { return each >= kLowestScaled; })) {
            alignas(64) float single[kColumns] = {};
            for (std::int64_t i = 0; i < n; ++i) single[i] = static_cast<float>(scale[i]);
            scaled_columns(x, single, n, total);
            for (std::int64_t i = 0; i < n; ++i) put(slots, first + i, total[i], e[i]);
            return;
        }
#endif
        beside_.terms(x, [&](const float* run, std::int64_t, std::int64_t count, std::int64_t stride) {
            for (std::int64_t k = 0; k < count; ++k) {
                const float* p = run + k * stride;
                if (!given_) {
                    // Where a row is not finite its scale is 0, and its total is not used.
                    _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i)
                        total[i] += __builtin_rint(static_cast<double>(p[i]) * scale[i]);
                    continue;
                }
                _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
                    const float v = float_of((bits_of(p[i]) & 0x7F800000u) == 0x7F800000u ? 0u : bits_of(p[i]));
                    double y = __builtin_rint(static_cast<double>(v) * scale[i]);
                    y = y < 0x1p34 ? y : 0x1p34;
                    total[i] += y > -0x1p34 ? y : -0x1p34;
                }
            }
        });
        for (std::int64_t i = 0; i < n; ++i) put(slots, first + i, total[i], e[i]);
    }

    RowReader in_;
    Access exponents_;
    int slot_;
    bool given_, columns_;
    bool raw_;  // exact sums as int64, not rounded
    Beside beside_;
};

// Key of the total order: -inf < .. < -0 < +0 < .. < +inf < NaN. Its own inverse.
inline std::int32_t order_key(std::uint32_t b) {
    if ((b & 0x7FFFFFFFu) > 0x7F800000u) b = kCanonicalNaN;
    const std::int32_t s = static_cast<std::int32_t>(b);
    return s ^ ((s >> 31) & 0x7FFFFFFF);
}

inline float from_key(std::int32_t k) { return float_of(static_cast<std::uint32_t>(k ^ ((k >> 31) & 0x7FFFFFFF))); }

// reduce_max and argmax (together where both are wanted), sort, argsort.
class Order : public Instruction {
  public:
    explicit Order(Words& w) {
        in_.read(w);
        columns_.read(w);
        for (int& slot : slots_) slot = static_cast<int>(w.next());
        short_rows_ = in_.length <= kShortRow && slots_[2] < 0 && slots_[3] < 0;
        if (short_rows_) in_.block = kColumns;
    }
    std::int64_t blocks(int) const override { return in_.blocks(); }
    void block(Thread& t, char* const* slots, int, std::int64_t b) override {
        t.last = this;
        const std::int64_t first = b * in_.block, last = std::min(in_.rows, first + in_.block);
        if (short_rows_) return many(slots, first, last - first);
        for (std::int64_t r = first; r < last; ++r) row(t, in_.row(t, slots, r), r, slots);
    }

  private:
    static constexpr std::int64_t kShortRow = 16;

    // Rows of a few elements: one element of many rows at a time. `columns_` iterates terms outside, rows inside.
    void many(char* const* slots, std::int64_t first, std::int64_t n) {
        alignas(64) std::uint32_t x[kColumns];
        alignas(64) std::int32_t best[kColumns], at[kColumns];
        const std::uint32_t* data = reinterpret_cast<const std::uint32_t*>(slots[columns_.slot]);
        for (std::int64_t k = 0; k < in_.length; ++k) {
            load(columns_, data, k * in_.rows + first, n, x);
            const std::int32_t term = static_cast<std::int32_t>(k);
            if (k == 0) {
                for (std::int64_t i = 0; i < n; ++i) best[i] = order_key(x[i]), at[i] = 0;
                continue;
            }
            _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
                const std::int32_t key = order_key(x[i]);
                at[i] = key > best[i] ? term : at[i];
                best[i] = key > best[i] ? key : best[i];
            }
        }
        if (slots_[0] >= 0) {
            float* out = reinterpret_cast<float*>(slots[slots_[0]]) + first;
            for (std::int64_t i = 0; i < n; ++i) out[i] = from_key(best[i]);
        }
        if (slots_[1] >= 0) std::memcpy(slots[slots_[1]] + 4 * first, at, static_cast<std::size_t>(4 * n));
    }

    void row(Thread& t, const float* x, std::int64_t r, char* const* slots) {
        const std::int64_t n = in_.length;
        const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(x);
        if (slots_[0] >= 0 || slots_[1] >= 0) {
            std::int32_t best = order_key(b[0]);
            for (std::int64_t i = 1; i < n; ++i) best = std::max(best, order_key(b[i]));
            if (slots_[0] >= 0) reinterpret_cast<float*>(slots[slots_[0]])[r] = from_key(best);
            if (slots_[1] < 0) return;
            std::int64_t at = 0;
            while (order_key(b[at]) != best) ++at;
            reinterpret_cast<std::int32_t*>(slots[slots_[1]])[r] = static_cast<std::int32_t>(at);
            return;
        }
        // Key above, index below: ascending numbers are a stable ascending order.
        std::int64_t* pairs = static_cast<std::int64_t*>(t.scratch[1].get(static_cast<std::size_t>(n) * 8));
        for (std::int64_t i = 0; i < n; ++i) pairs[i] = static_cast<std::int64_t>(order_key(b[i])) * 65536 + i;
        std::sort(pairs, pairs + n);
        for (std::int64_t i = 0; i < n; ++i) {
            if (slots_[2] >= 0)
                reinterpret_cast<float*>(slots[slots_[2]])[r * n + i] = from_key(static_cast<std::int32_t>(pairs[i] >> 16));
            else
                reinterpret_cast<std::int32_t*>(slots[slots_[3]])[r * n + i] = static_cast<std::int32_t>(pairs[i] & 65535);
        }
    }

    RowReader in_;
    Access columns_;
    int slots_[4];  // reduce_max, argmax, sort, argsort; -1 where not wanted
    bool short_rows_;
};

// scatter_add: x [rows, n], index [n], exponents [rows] -> f32 [rows, size].
class ScatterAdd : public Instruction {
  public:
    explicit ScatterAdd(Words& w) {
        in_.read(w);
        in_.block = 1;
        index_.read(w);
        exponents_.read(w);
        size_ = w.next();
        slot_ = static_cast<int>(w.next());
        raw_ = w.next() != 0;
    }
    std::int64_t blocks(int) const override { return in_.rows; }
    void block(Thread& t, char* const* slots, int, std::int64_t r) override {
        t.last = this;
        const std::int64_t n = in_.length;
        std::int32_t* index = static_cast<std::int32_t*>(t.scratch[1].get(static_cast<std::size_t>(n) * 4));
        load(index_, reinterpret_cast<const std::int32_t*>(slots[index_.slot]), 0, n, index);
        std::int64_t* total = static_cast<std::int64_t*>(t.scratch[2].get(static_cast<std::size_t>(size_) * 8));
        std::memset(total, 0, static_cast<std::size_t>(size_) * 8);
        const float* x = in_.row(t, slots, r);
        std::int16_t e;
        load(exponents_, reinterpret_cast<const std::int16_t*>(slots[exponents_.slot]), r, 1, &e);
        float* out = reinterpret_cast<float*>(slots[slot_]) + r * size_;
        std::int64_t* exact = reinterpret_cast<std::int64_t*>(slots[slot_]) + r * size_;
        if (!sum_usable(e)) {
            if (raw_)
                std::fill(exact, exact + size_, 0);
            else
                std::fill(out, out + size_, float_of(kCanonicalNaN));
            return;
        }
        const double scale = power_of_two(33 - e);
        for (std::int64_t i = 0; i < n; ++i) {
            if (index[i] < 0 || index[i] >= size_) continue;
            if ((bits_of(x[i]) & 0x7F800000u) == 0x7F800000u) continue;
            double y = std::rint(static_cast<double>(x[i]) * scale);
            y = y < 0x1p34 ? y : 0x1p34;
            total[index[i]] += static_cast<std::int64_t>(y > -0x1p34 ? y : -0x1p34);
        }
        for (std::int64_t i = 0; i < size_; ++i) {
            if (raw_)
                exact[i] = total[i];
            else
                out[i] = sum_result(sticky(total[i]), e);
        }
    }

  private:
    RowReader in_;
    Access index_, exponents_;
    std::int64_t size_;
    int slot_;
    bool raw_;  // exact sums as int64, not rounded
};

}  // namespace lockstep
