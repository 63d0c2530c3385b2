// Exponents, mantissas, exact sums and orders of rows.
#pragma once

#include <algorithm>
#include <cmath>

#include "access.h"
#include "pool.h"

namespace lockstep {

constexpr int kLowestQuantize = -113;
constexpr int kLowestSum = -126;
constexpr int kHighest = 127;

// Block exponent from the largest magnitude's bits.
inline int exponent_of(std::uint32_t largest, int floor) {
    if (largest >= 0x7F800000u) return kAbsorbing;
    return std::max(static_cast<int>(largest >> 23) - 127, floor);
}

inline std::uint32_t largest_magnitude(const float* x, std::int64_t n) {
    const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(x);
    std::uint32_t largest = 0;
    for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, b[i] & 0x7FFFFFFFu);
    return largest;
}

// m = clamp(rne(x * scale), +-2**14), 0 where x is not finite. The product is exact unless it overflows
// (clamped) or is subnormal (rounds to 0 either way). A scale of 0 stands for an unusable exponent.
inline void quantize_row(const float* x, std::int64_t n, float scale, std::int16_t* out) {
    _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
        const float v = float_of((bits_of(x[i]) & 0x7F800000u) == 0x7F800000u ? 0u : bits_of(x[i]));
        float y = v * scale;
        y = y < 16384.0f ? y : 16384.0f;
        y = y > -16384.0f ? y : -16384.0f;
        out[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(__builtin_rintf(y)));
    }
}

#if defined(__AVX512F__)
inline __m512i quantize16(__m512 x, __m512 scale) {
    const __m512i infinity = _mm512_set1_epi32(0x7F800000);
    const __mmask16 finite = _mm512_cmpneq_epi32_mask(_mm512_and_si512(_mm512_castps_si512(x), infinity), infinity);
    __m512 y = _mm512_maskz_mul_ps(finite, x, scale);
    y = _mm512_max_ps(_mm512_min_ps(y, _mm512_set1_ps(16384.0f)), _mm512_set1_ps(-16384.0f));
    return _mm512_cvtps_epi32(y);  // to nearest even: the rounding mode is set (StrictFloat)
}

// A 16 x 16 matrix of 32-bit elements in registers, transposed.
inline void transpose16(__m512i v[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xDD);
    }
    for (int i = 0; i < 4; ++i) {
        v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
        v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
    }
}
#endif

inline float quantize_scale(int e) {
    if (e < kLowestQuantize || e > kHighest) return 0.0f;
    return float_of(static_cast<std::uint32_t>(13 - e + 127) << 23);
}

// Exact sum of clamp(rne(x * 2**(33 - e)), +-2**34) over finite x: every partial sum is an integer below 2**53.
inline double sum_terms(const float* x, std::int64_t n, int e) {
    const double scale = power_of_two(33 - e);
    double total = 0.0;
#if defined(__AVX512F__)
    const __m512d s = _mm512_set1_pd(scale), low = _mm512_set1_pd(-0x1p34), high = _mm512_set1_pd(0x1p34);
    __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
    const __m256i infinity = _mm256_set1_epi32(0x7F800000);
    auto term = [&](const float* p) {
        __m256 v = _mm256_loadu_ps(p);
        const __m256i exponent = _mm256_and_si256(_mm256_castps_si256(v), infinity);
        v = _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(exponent, infinity)), v);
        __m512d y = _mm512_mul_pd(_mm512_cvtps_pd(v), s);
        y = _mm512_roundscale_pd(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
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

inline bool sum_usable(int e) { return e >= kLowestSum && e <= kHighest; }

// Rows of an operand read through a view: `rows` of `length`, handed to `each(row, pointer)`.
class RowReader {
  public:
    void read(Words& w) {
        access.read(w);
        rows = w.next();
        length = w.next();
        block = std::max<std::int64_t>(1, 4096 / length);
        // A row of a few long runs need not be copied together.
        const int inner = access.rank - 1;
        if (!access.contiguous() && !access.bounds && inner >= 0 && access.stride[inner] == 1 &&
            access.extent[inner] >= 32 && length % access.extent[inner] == 0)
            run = access.extent[inner];
    }
    // Calls each(pointer, count) for the row's runs, in order.
    template <class Each>
    void in_runs(char* const* slots, std::int64_t r, Each each) const {
        const float* data = reinterpret_cast<const float*>(slots[access.slot]);
        std::int64_t index[kMaxDims], at = access.offset, rest = r * (length / run);
        const int last = access.rank - 2;
        for (int d = last; d >= 0; --d) {
            index[d] = rest % access.extent[d];
            rest /= access.extent[d];
            at += index[d] * access.stride[d];
        }
        for (std::int64_t n = 0; n < length; n += run) {
            each(data + at, run);
            for (int d = last; d >= 0; --d) {
                at += access.stride[d];
                if (++index[d] < access.extent[d]) break;
                at -= access.extent[d] * access.stride[d];
                index[d] = 0;
            }
        }
    }
    std::uint32_t magnitude(Thread& t, char* const* slots, std::int64_t r) const {
        if (!run) return largest_magnitude(row(t, slots, r), length);
        std::uint32_t largest = 0;
        in_runs(slots, r, [&](const float* x, std::int64_t n) { largest = std::max(largest, largest_magnitude(x, n)); });
        return largest;
    }
    const float* row(Thread& t, char* const* slots, std::int64_t r) const {
        const float* data = reinterpret_cast<const float*>(slots[access.slot]);
        if (access.contiguous()) return data + access.offset + r * length;
        float* own = static_cast<float*>(t.scratch[0].get(static_cast<std::size_t>(length) * 4));
        load(access, data, r * length, length, own);
        return own;
    }
    std::int64_t blocks() const { return (rows + block - 1) / block; }
    Access access;
    std::int64_t rows, length, block;
    std::int64_t run = 0;  // length of a row's runs, 0 where a row is read whole
};

// Rows that lie side by side: element (r, k) at offset + r + k * stride. Whole cache lines of rows are taken
// at once, so that a reduction down the columns of a matrix reads it in its own order.
constexpr std::int64_t kColumns = 64;
inline bool by_columns(const RowReader& in) {
    const Access& a = in.access;
    return a.bounds == 0 && a.rank == 2 && a.stride[0] == 1 && a.extent[0] == in.rows && in.rows >= 8;
}

inline void column_magnitudes(const float* x, std::int64_t stride, std::int64_t length, std::int64_t n,
                              std::uint32_t* largest) {
    std::memset(largest, 0, sizeof(std::uint32_t) * kColumns);
    for (std::int64_t k = 0; k < length; ++k) {
        const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(x + k * stride);
        _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
            const std::uint32_t m = b[i] & 0x7FFFFFFFu;
            largest[i] = largest[i] > m ? largest[i] : m;
        }
    }
}

// Where a quantised row's mantissas go when the contraction that reads them wants another order, or a margin of
// zeros around images: row r owns [r * pitch, (r + 1) * pitch), its elements lie at lead + the axes' strides.
struct Layout {
    static constexpr int kAxes = 8;
    bool given = false, zeros = false;
    std::int64_t pitch, lead, tail;
    int rank;
    std::int64_t extent[kAxes], stride[kAxes];

    void read(Words& w) {
        given = w.next() != 0;
        if (!given) return;
        zeros = w.next() != 0;
        pitch = w.next();
        lead = w.next();
        tail = w.next();
        rank = static_cast<int>(w.next());
        if (rank < 1 || rank > kAxes) std::abort();
        for (int d = 0; d < rank; ++d) {
            extent[d] = w.next();
            stride[d] = w.next();
        }
    }
    void write(const std::int16_t* in, std::int64_t r, std::int64_t rows, std::int16_t* out) const {
        // The last row's owner clears the tail; a row's elements may reach `lead` into its neighbour's part,
        // so rows are cleared from `lead` on, and the first row's owner clears the lead.
        std::int16_t* own = out + r * pitch + lead;
        if (zeros) {
            std::memset(own, 0, static_cast<std::size_t>(2 * (pitch + (r + 1 == rows ? tail : 0))));
            if (r == 0) std::memset(out, 0, static_cast<std::size_t>(2 * lead));
        }
        std::int64_t index[kAxes] = {};
        const int inner = rank - 1;
#if defined(__AVX512F__)
        if (rank > 1 && stride[0] == 1 && extent[0] >= 8) return spread(in, own);
#endif
        for (;;) {
            const std::int64_t n = extent[inner], step = stride[inner];
            if (step == 1)
                copy_run16(own, in, n);
            else
                for (std::int64_t i = 0; i < n; ++i) own[i * step] = in[i];
            in += n;
            int d = inner - 1;
            for (; d >= 0; --d) {
                own += stride[d];
                if (++index[d] < extent[d]) break;
                own -= extent[d] * stride[d];
                index[d] = 0;
            }
            if (d < 0) return;
        }
    }

  private:
    static void copy_run16(std::int16_t* out, const std::int16_t* in, std::int64_t n) {
        for (; n >= 8; n -= 8, in += 8, out += 8) std::memcpy(out, in, 16);
        for (; n > 0; --n) *out++ = *in++;
    }
#if defined(__AVX512F__)
    // The outermost axis (channels) goes innermost: its elements are gathered for each place of the others.
    // Reads two bytes past the end of `in`.
    void spread(const std::int16_t* in, std::int16_t* own) const {
        std::int64_t places = 1;
        for (int d = 1; d < rank; ++d) places *= extent[d];
        const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        const __m512i steps = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(places)));
        std::int64_t index[kAxes] = {};
        for (std::int64_t p = 0; p < places; ++p, ++in) {
            for (std::int64_t c = 0; c < extent[0]; c += 16) {
                const std::int64_t left = extent[0] - c;
                const __mmask16 mask = static_cast<__mmask16>(left >= 16 ? 0xFFFF : (1 << left) - 1);
                const __m512i v = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, steps, in + c * places, 2);
                _mm512_mask_cvtepi32_storeu_epi16(own + c, mask, v);
            }
            for (int d = rank - 1; d >= 1; --d) {
                own += stride[d];
                if (++index[d] < extent[d]) break;
                own -= extent[d] * stride[d];
                index[d] = 0;
            }
        }
    }
#endif
};

// exponent and quantize in one: exponents e16 [rows] to one slot (if any), mantissas m16 [rows, length] to
// another (if any). With `given` the exponents are read instead of computed.
class Quantize : public Instruction {
  public:
    explicit Quantize(Words& w) {
        in_.read(w);
        floor_ = static_cast<int>(w.next());
        given_ = w.next() != 0;
        if (given_) exponents_.read(w);
        e_slot_ = static_cast<int>(w.next());
        m_slot_ = static_cast<int>(w.next());
        layout_.read(w);
        columns_ = by_columns(in_) && !layout_.given;
        if (columns_) in_.block = kColumns;
    }
    std::int64_t blocks(int) const override { return in_.blocks(); }
    void block(Thread& t, char* const* slots, int, std::int64_t b) override {
        t.last = this;
        const std::int64_t first = b * in_.block, last = std::min(in_.rows, first + in_.block);
        if (columns_)
            columns(slots, first, last - first);
        else
            for (std::int64_t r = first; r < last; ++r) row(t, slots, r);
    }

  private:
    int exponent_at(char* const* slots, std::int64_t r) const {
        std::int16_t e;
        load(exponents_, reinterpret_cast<const std::int16_t*>(slots[exponents_.slot]), r, 1, &e);
        return e;
    }
    void keep(char* const* slots, std::int64_t r, int e) const {
        if (e_slot_ >= 0) reinterpret_cast<std::int16_t*>(slots[e_slot_])[r] = static_cast<std::int16_t>(e);
    }
    void row(Thread& t, char* const* slots, std::int64_t r) {
        const int e = given_ ? exponent_at(slots, r) : exponent_of(in_.magnitude(t, slots, r), floor_);
        keep(slots, r, e);
        if (m_slot_ < 0) return;
        std::int16_t* out = reinterpret_cast<std::int16_t*>(slots[m_slot_]);
        std::int16_t* own = out + r * in_.length;
        if (layout_.given) own = static_cast<std::int16_t*>(t.scratch[1].get(static_cast<std::size_t>(2 * in_.length + 64)));
        const float scale = quantize_scale(e);
        if (in_.run) {
            std::int16_t* at = own;
            in_.in_runs(slots, r, [&](const float* x, std::int64_t n) {
                quantize_row(x, n, scale, at);
                at += n;
            });
        } else {
            // Read again only where that costs nothing: a copied row is still in its scratch.
            const bool again = given_ || in_.access.contiguous();
            const float* x = again ? in_.row(t, slots, r) : static_cast<const float*>(t.scratch[0].get(0));
            quantize_row(x, in_.length, scale, own);
        }
        if (layout_.given) layout_.write(own, r, in_.rows, out);
    }
    void columns(char* const* slots, std::int64_t first, std::int64_t n) {
        const Access& a = in_.access;
        const float* x = reinterpret_cast<const float*>(slots[a.slot]) + a.offset + first;
        alignas(64) std::uint32_t largest[kColumns];
        alignas(64) float scale[kColumns];
        if (!given_) column_magnitudes(x, a.stride[1], in_.length, n, largest);
        for (std::int64_t i = 0; i < n; ++i) {
            const int e = given_ ? exponent_at(slots, first + i) : exponent_of(largest[i], floor_);
            keep(slots, first + i, e);
            scale[i] = quantize_scale(e);
        }
        if (m_slot_ < 0) return;
        std::int16_t* out = reinterpret_cast<std::int16_t*>(slots[m_slot_]) + first * in_.length;
        const std::int64_t step = a.stride[1], length = in_.length;
        std::int64_t k = 0;
#if defined(__AVX512BW__)
        // 32 terms of 16 rows at a time: pairs of terms in 32 bits, turned over.
        for (; k + 32 <= length; k += 32) {
            for (std::int64_t c = 0; c < n; c += 16) {
                const __mmask16 mask = static_cast<__mmask16>(c + 16 <= n ? 0xFFFF : (1 << (n - c)) - 1);
                const __m512 s = _mm512_load_ps(scale + c);
                __m512i v[16];
                for (int p = 0; p < 16; ++p) {
                    const float* at = x + (k + 2 * p) * step + c;
                    const __m512i even = quantize16(_mm512_maskz_loadu_ps(mask, at), s);
                    const __m512i odd = quantize16(_mm512_maskz_loadu_ps(mask, at + step), s);
                    v[p] = _mm512_or_si512(_mm512_and_si512(even, _mm512_set1_epi32(0xFFFF)), _mm512_slli_epi32(odd, 16));
                }
                transpose16(v);
                for (std::int64_t i = 0; i < std::min<std::int64_t>(16, n - c); ++i)
                    _mm512_storeu_si512(out + (c + i) * length + k, v[i]);
            }
        }
#endif
        for (; k < length; ++k) {
            for (std::int64_t i = 0; i < n; ++i) quantize_row(x + k * step + i, 1, scale[i], out + i * length + k);
        }
    }

    RowReader in_;
    Access exponents_;
    int floor_, e_slot_, m_slot_;
    bool given_, columns_;
    Layout layout_;
};

// exponent and sum in one, as Quantize: f32 [rows] to a slot.
class Sum : public Instruction {
  public:
    explicit Sum(Words& w) {
        in_.read(w);
        given_ = w.next() != 0;
        if (given_) exponents_.read(w);
        slot_ = static_cast<int>(w.next());
        if (by_columns(in_)) in_.block = kColumns;
    }
    std::int64_t blocks(int) const override { return in_.blocks(); }
    void block(Thread& t, char* const* slots, int, std::int64_t b) override {
        t.last = this;
        float* out = reinterpret_cast<float*>(slots[slot_]);
        const std::int64_t first = b * in_.block, last = std::min(in_.rows, first + in_.block);
        if (by_columns(in_)) return columns(slots, first, last - first, out);
        for (std::int64_t r = first; r < last; ++r) out[r] = row(t, slots, r);
    }

  private:
    float row(Thread& t, char* const* slots, std::int64_t r) {
        double total = 0.0;
        int e;
        if (in_.run) {
            e = given_ ? exponent_at(slots, r) : exponent_of(in_.magnitude(t, slots, r), kLowestSum);
            if (sum_usable(e))
                in_.in_runs(slots, r, [&](const float* x, std::int64_t n) { total += sum_terms(x, n, e); });
        } else {
            const float* x = in_.row(t, slots, r);
            e = given_ ? exponent_at(slots, r) : exponent_of(largest_magnitude(x, in_.length), kLowestSum);
            if (sum_usable(e)) total = sum_terms(x, in_.length, e);
        }
        return sum_usable(e) ? sum_result(total, e) : float_of(kCanonicalNaN);
    }
    int exponent_at(char* const* slots, std::int64_t r) const {
        std::int16_t e;
        load(exponents_, reinterpret_cast<const std::int16_t*>(slots[exponents_.slot]), r, 1, &e);
        return e;
    }
    void columns(char* const* slots, std::int64_t first, std::int64_t n, float* out) {
        const Access& a = in_.access;
        const float* x = reinterpret_cast<const float*>(slots[a.slot]) + a.offset + first;
        alignas(64) std::uint32_t largest[kColumns];
        alignas(64) double scale[kColumns], total[kColumns];
        int e[kColumns];
        if (!given_) column_magnitudes(x, a.stride[1], in_.length, n, largest);
        for (std::int64_t i = 0; i < n; ++i) {
            e[i] = given_ ? exponent_at(slots, first + i) : exponent_of(largest[i], kLowestSum);
            scale[i] = sum_usable(e[i]) ? power_of_two(33 - e[i]) : 0.0;
            total[i] = 0.0;
        }
        for (std::int64_t k = 0; k < in_.length; ++k) {
            const float* p = x + k * a.stride[1];
            _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
                const float v = float_of((bits_of(p[i]) & 0x7F800000u) == 0x7F800000u ? 0u : bits_of(p[i]));
                double y = __builtin_rint(static_cast<double>(v) * scale[i]);
                y = y < 0x1p34 ? y : 0x1p34;
                total[i] += y > -0x1p34 ? y : -0x1p34;
            }
        }
        for (std::int64_t i = 0; i < n; ++i) {
            out[first + i] = sum_usable(e[i]) ? sum_result(total[i], e[i]) : float_of(kCanonicalNaN);
        }
    }

    RowReader in_;
    Access exponents_;
    int slot_;
    bool given_;
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
        if (!sum_usable(e)) {
            for (std::int64_t i = 0; i < size_; ++i) out[i] = float_of(kCanonicalNaN);
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
        for (std::int64_t i = 0; i < size_; ++i) out[i] = sum_result(static_cast<double>(total[i]), e);
    }

  private:
    RowReader in_;
    Access index_, exponents_;
    std::int64_t size_;
    int slot_;
};

}  // namespace lockstep
