// Rows of an operand: how they are read, and their exponents.
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

#if defined(__AVX512F__)
constexpr std::int64_t kLanes = 16;

inline __mmask16 first_lanes(std::int64_t n) {
    return static_cast<__mmask16>(n >= kLanes ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1);
}

// The largest magnitudes' bits of a row's elements 0, 16, 32, .., of 1, 17, .., and so on.
inline __m512i lane_magnitudes(const float* x, std::int64_t n) {
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i a = _mm512_setzero_si512(), b = a;
    std::int64_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
        a = _mm512_max_epu32(a, _mm512_and_si512(_mm512_loadu_si512(x + i), magnitude));
        b = _mm512_max_epu32(b, _mm512_and_si512(_mm512_loadu_si512(x + i + kLanes), magnitude));
    }
    for (; i < n; i += kLanes) {
        const __m512i v = _mm512_maskz_loadu_epi32(first_lanes(n - i), x + i);
        a = _mm512_max_epu32(a, _mm512_and_si512(v, magnitude));
    }
    return _mm512_max_epu32(a, b);
}
// Lane r: the largest lane of v[r].
inline __m512i largest_lanes(const __m512i v[16]) {
    __m512i a[8], b[4], c[2];
    for (int i = 0; i < 8; ++i)
        a[i] = _mm512_max_epu32(_mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]), _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
    for (int i = 0; i < 4; ++i)
        b[i] = _mm512_max_epu32(_mm512_unpacklo_epi64(a[2 * i], a[2 * i + 1]), _mm512_unpackhi_epi64(a[2 * i], a[2 * i + 1]));
    for (int i = 0; i < 2; ++i)
        c[i] = _mm512_max_epu32(_mm512_shuffle_i32x4(b[2 * i], b[2 * i + 1], 0x44),
                                _mm512_shuffle_i32x4(b[2 * i], b[2 * i + 1], 0xEE));
    return _mm512_max_epu32(_mm512_shuffle_i32x4(c[0], c[1], 0x88), _mm512_shuffle_i32x4(c[0], c[1], 0xDD));
}
// Lane r: the largest magnitude's bits of row r of `count`, n elements each; 0 where there is no row.
inline __m512i row_magnitudes(const float* const* x, std::int64_t count, std::int64_t n) {
    __m512i v[kLanes];
    for (std::int64_t r = 0; r < kLanes; ++r) v[r] = r < count ? lane_magnitudes(x[r], n) : _mm512_setzero_si512();
    return largest_lanes(v);
}
// exponent_of, 16 rows at a time.
inline __m512i exponents_of(__m512i largest, int floor) {
    const __m512i e = _mm512_sub_epi32(_mm512_srli_epi32(largest, 23), _mm512_set1_epi32(127));
    const __mmask16 absorbing = _mm512_cmpge_epu32_mask(largest, _mm512_set1_epi32(0x7F800000));
    return _mm512_mask_mov_epi32(_mm512_max_epi32(e, _mm512_set1_epi32(floor)), absorbing, _mm512_set1_epi32(kAbsorbing));
}
inline std::uint32_t largest_magnitude(const float* x, std::int64_t n) {
    return _mm512_reduce_max_epu32(lane_magnitudes(x, n));
}
#else
inline std::uint32_t largest_magnitude(const float* x, std::int64_t n) {
    const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(x);
    std::uint32_t largest = 0;
    for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, b[i] & 0x7FFFFFFFu);
    return largest;
}
#endif

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
        whole = access.contiguous() || (!access.bounds && inner >= 0 && access.stride[inner] == 1 && access.extent[inner] == length);
    }
    // Where rows [first, first + count) are; only where each is a run of memory (`whole`).
    void pointers(char* const* slots, std::int64_t first, std::int64_t count, const float** out) const {
        const float* data = reinterpret_cast<const float*>(slots[access.slot]) + access.offset;
        if (access.contiguous()) {
            for (std::int64_t i = 0; i < count; ++i) out[i] = data + (first + i) * length;
            return;
        }
        std::int64_t index[kMaxDims];
        const int last = access.rank - 2;
        for (int d = last; d >= 0; --d) {
            index[d] = first % access.extent[d];
            first /= access.extent[d];
            data += index[d] * access.stride[d];
        }
        for (std::int64_t i = 0; i < count; ++i) {
            out[i] = data;
            for (int d = last; d >= 0; --d) {
                data += access.stride[d];
                if (++index[d] < access.extent[d]) break;
                data -= access.extent[d] * access.stride[d];
                index[d] = 0;
            }
        }
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
    bool whole = false;    // each row is one run
};

// Rows that lie beside each other: their common axis, of `side` rows, is stepped through in blocks of `width`, so that
// memory is read in its own order and not once a row.
constexpr std::int64_t kColumns = 64;
constexpr std::int64_t kTile = 16;
class Beside {
  public:
    // Rows whose elements are neighbours: a reduction down the columns of matrices.
    bool columns(const RowReader& in) {
        return divide(in, kColumns) && stride_ == 1 && !(terms_.rank && terms_.stride[terms_.rank - 1] == 1);
    }
    // Rows that take turns in short runs: the rows of a matrix turned over, of a few elements an entry.
    bool short_runs(const RowReader& in) {
        if (!divide(in, kTile) || terms_.rank < 2) return false;
        const int inner = terms_.rank - 1;
        return terms_.stride[inner] == 1 && terms_.extent[inner] < 32 && stride_ >= terms_.extent[inner] &&
               stride_ <= 64 && terms_.stride[inner - 1] >= side_ * stride_;
    }
    std::int64_t blocks() const { return blocks_; }
    struct Block {
        std::int64_t offset, first, count;
    };
    Block block(std::int64_t b) const {
        std::int64_t rest = b / each_, part = b % each_ * width_;
        Block out{lead_.offset + part * stride_, rest * side_ + part, std::min(width_, side_ - part)};
        for (int d = lead_.rank - 1; d >= 0; --d) {
            out.offset += rest % lead_.extent[d] * lead_.stride[d];
            rest /= lead_.extent[d];
        }
        return out;
    }
    // Calls each(pointer, term, count, stride) for the runs of the first row's terms, in order.
    template <class Each>
    void terms(const float* x, Each each) const {
        if (terms_.rank == 0) return each(x, 0, 1, 0);
        const int inner = terms_.rank - 1;
        const std::int64_t n = terms_.extent[inner];
        std::int64_t index[kMaxDims] = {}, k = 0;
        for (;;) {
            each(x, k, n, terms_.stride[inner]);
            k += n;
            int d = inner - 1;
            for (; d >= 0; --d) {
                x += terms_.stride[d];
                if (++index[d] < terms_.extent[d]) break;
                x -= terms_.extent[d] * terms_.stride[d];
                index[d] = 0;
            }
            if (d < 0) return;
        }
    }
    // A block's rows copied out, each `length` apart.
    void copy(const float* x, const Block& b, std::int64_t length, float* out) const {
        terms(x, [&](const float* run, std::int64_t k, std::int64_t n, std::int64_t) {
            for (std::int64_t i = 0; i < b.count; ++i) {
                const float* in = run + i * stride_;
                float* to = out + i * length + k;
                for (std::int64_t j = 0; j < n; ++j) to[j] = in[j];
            }
        });
    }

  private:
    bool divide(const RowReader& in, std::int64_t width) {
        const Access& a = in.access;
        if (a.bounds) return false;
        int d = a.rank;
        std::int64_t n = 1;
        while (d > 0 && n < in.length) n *= a.extent[--d];
        if (n != in.length || d == 0 || a.extent[d - 1] < 8) return false;
        terms_ = lead_ = Access();
        lead_.offset = a.offset;
        for (int i = 0; i < a.rank; ++i) {
            if (i == d - 1) continue;
            Access& part = i < d ? lead_ : terms_;
            part.extent[part.rank] = a.extent[i];
            part.stride[part.rank++] = a.stride[i];
        }
        side_ = a.extent[d - 1];
        stride_ = a.stride[d - 1];
        width_ = width;
        each_ = (side_ + width - 1) / width;
        blocks_ = in.rows / side_ * each_;
        return true;
    }
    Access lead_, terms_;
    std::int64_t side_ = 0, stride_ = 0, width_ = 1, each_ = 1, blocks_ = 0;
};

inline void column_magnitudes(const Beside& beside, const float* x, std::int64_t n, std::uint32_t* largest) {
#if defined(__AVX512F__)
    static_assert(kColumns == 4 * kLanes, "four vectors");
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    const __mmask16 m0 = first_lanes(n), m1 = first_lanes(n - kLanes), m2 = first_lanes(n - 2 * kLanes), m3 = first_lanes(n - 3 * kLanes);
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    beside.terms(x, [&](const float* run, std::int64_t, std::int64_t count, std::int64_t stride) {
        for (std::int64_t k = 0; k < count; ++k, run += stride) {
            a = _mm512_max_epu32(a, _mm512_and_si512(_mm512_maskz_loadu_epi32(m0, run), magnitude));
            b = _mm512_max_epu32(b, _mm512_and_si512(_mm512_maskz_loadu_epi32(m1, run + kLanes), magnitude));
            c = _mm512_max_epu32(c, _mm512_and_si512(_mm512_maskz_loadu_epi32(m2, run + 2 * kLanes), magnitude));
            d = _mm512_max_epu32(d, _mm512_and_si512(_mm512_maskz_loadu_epi32(m3, run + 3 * kLanes), magnitude));
        }
    });
    _mm512_store_si512(largest, a);
    _mm512_store_si512(largest + kLanes, b);
    _mm512_store_si512(largest + 2 * kLanes, c);
    _mm512_store_si512(largest + 3 * kLanes, d);
#else
    std::memset(largest, 0, sizeof(std::uint32_t) * kColumns);
    beside.terms(x, [&](const float* run, std::int64_t, std::int64_t count, std::int64_t stride) {
        for (std::int64_t k = 0; k < count; ++k) {
            const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(run + k * stride);
            _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
                const std::uint32_t m = b[i] & 0x7FFFFFFFu;
                largest[i] = largest[i] > m ? largest[i] : m;
            }
        }
    });
#endif
}

}  // namespace lockstep
