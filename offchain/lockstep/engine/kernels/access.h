// Reading a tensor through a view: an affine map with bounds and a fill, written out run by run.
#pragma once

#include <algorithm>

#include "common.h"

namespace lockstep {

constexpr int kMaxDims = 10;
constexpr int kMaxBounds = 8;

// Element n of the iteration space (row-major over `extent`) lies at offset + sum(index * stride), unless
// some bound's coordinate base + sum(index * coefficient) is outside [0, limit): then it is the fill.
struct Access {
    int slot = 0;
    int size = 4;  // bytes an element
    std::int64_t offset = 0;
    int rank = 0;
    std::int64_t extent[kMaxDims];
    std::int64_t stride[kMaxDims];
    int bounds = 0;
    std::int64_t base[kMaxBounds];
    std::int64_t limit[kMaxBounds];
    std::int64_t coefficient[kMaxBounds][kMaxDims];
    std::uint32_t fill = 0;
    // Offsets of one round of the innermost axes, kOutside for the fill, where their runs are too short to copy one by one.
    static constexpr std::int32_t kOutside = -0x7FFFFFFF - 1;
    int outer = -1;  // axes outside the round, -1 where there is no table
    std::vector<std::int32_t> table;

    void read(Words& w) {
        slot = static_cast<int>(w.next());
        size = static_cast<int>(w.next());
        offset = w.next();
        fill = static_cast<std::uint32_t>(w.next());
        rank = static_cast<int>(w.next());
        if (rank > kMaxDims) std::abort();
        for (int d = 0; d < rank; ++d) {
            extent[d] = w.next();
            stride[d] = w.next();
        }
        bounds = static_cast<int>(w.next());
        if (bounds > kMaxBounds) std::abort();
        for (int b = 0; b < bounds; ++b) {
            base[b] = w.next();
            limit[b] = w.next();
            for (int d = 0; d < rank; ++d) coefficient[b][d] = w.next();
        }
        tabulate();
    }
    void tabulate() {
        outer = -1;
        table.clear();
#if defined(__AVX512F__)
        if (size != 4 || rank < 2 || (extent[rank - 1] >= 16 && stride[rank - 1] <= 1)) return;
        std::int64_t count = 1;
        int d = rank;
        while (d > 0 && count * extent[d - 1] <= 1024) count *= extent[--d];
        if (count < 16 || d == rank) return;
        for (int b = 0; b < bounds; ++b)
            for (int e = 0; e < d; ++e)
                if (coefficient[b][e]) return;  // another round would have other bounds
        for (std::int64_t n = 0; n < count; ++n) {
            std::int64_t at = 0, rest = n, where[kMaxBounds];
            std::copy(base, base + bounds, where);
            for (int e = rank - 1; e >= d; --e) {
                const std::int64_t i = rest % extent[e];
                rest /= extent[e];
                at += i * stride[e];
                for (int b = 0; b < bounds; ++b) where[b] += i * coefficient[b][e];
            }
            if (at > 0x7FFFFFFF || at < -0x7FFFFFFF) {
                table.clear();
                return;
            }
            bool inside = true;
            for (int b = 0; b < bounds; ++b) inside = inside && where[b] >= 0 && where[b] < limit[b];
            table.push_back(inside ? static_cast<std::int32_t>(at) : kOutside);
        }
        outer = d;
#endif
    }
    // Whether element n lies at offset + n.
    bool contiguous() const { return !bounds && (rank == 0 || (rank == 1 && stride[0] == 1)); }
    bool single() const { return !bounds && (rank == 0 || (rank == 1 && stride[0] == 0)); }
};

template <class T>
inline void copy_run(T* out, const T* in, std::int64_t stride, std::int64_t count) {
#if defined(__AVX512F__)
    // Short runs are many: no call for each, and no loop for what is left over.
    if (sizeof(T) == 4 && (stride == 0 || (stride == 1 && count <= 1024))) {
        const __mmask16 rest = static_cast<__mmask16>((1u << (count % 16)) - 1);
        const std::int64_t whole = count - count % 16;
        if (stride == 0) {
            std::int32_t bits;
            std::memcpy(&bits, in, 4);
            const __m512i v = _mm512_set1_epi32(bits);
            for (std::int64_t i = 0; i < whole; i += 16) _mm512_storeu_si512(out + i, v);
            if (rest) _mm512_mask_storeu_epi32(out + whole, rest, v);
            return;
        }
        for (std::int64_t i = 0; i < whole; i += 16) _mm512_storeu_si512(out + i, _mm512_loadu_si512(in + i));
        if (rest) _mm512_mask_storeu_epi32(out + whole, rest, _mm512_maskz_loadu_epi32(rest, in + whole));
        return;
    }
#endif
    if (stride == 1) {
        std::memcpy(out, in, static_cast<std::size_t>(count) * sizeof(T));
    } else if (stride == 0) {
        const T value = *in;
        for (std::int64_t i = 0; i < count; ++i) out[i] = value;
    } else {
        for (std::int64_t i = 0; i < count; ++i) out[i] = in[i * stride];
    }
}

// Narrows [low, high) to the i for which 0 <= start + step * i < limit.
inline void clip(std::int64_t start, std::int64_t step, std::int64_t limit, std::int64_t& low, std::int64_t& high) {
    if (step == 0) {
        if (start < 0 || start >= limit) high = low;
        return;
    }
    std::int64_t first, last;  // inclusive
    if (step > 0) {
        first = start >= 0 ? 0 : (-start + step - 1) / step;
        last = limit - 1 - start < 0 ? -1 : (limit - 1 - start) / step;
    } else {
        first = start < limit ? 0 : (start - limit + 1 - step - 1) / -step;
        last = start < 0 ? -1 : start / -step;
    }
    if (first > low) low = first;
    if (last + 1 < high) high = last + 1;
    if (high < low) high = low;
}

// `rows` runs of E elements each: how short runs are copied without a loop's cost for each.
template <int E, class T>
inline void copy_short(T* out, const T* in, std::int64_t rows, std::int64_t row_stride, std::int64_t stride) {
    for (std::int64_t r = 0; r < rows; ++r, in += row_stride, out += E) {
        for (int j = 0; j < E; ++j) out[j] = in[j * stride];
    }
}
constexpr std::int64_t kShort = 8;
template <class T>
inline void copy_shorts(std::int64_t e, T* out, const T* in, std::int64_t rows, std::int64_t row_stride,
                        std::int64_t stride) {
    switch (e) {
        case 1: return copy_short<1>(out, in, rows, row_stride, stride);
        case 2: return copy_short<2>(out, in, rows, row_stride, stride);
        case 3: return copy_short<3>(out, in, rows, row_stride, stride);
        case 4: return copy_short<4>(out, in, rows, row_stride, stride);
        case 5: return copy_short<5>(out, in, rows, row_stride, stride);
        case 6: return copy_short<6>(out, in, rows, row_stride, stride);
        case 7: return copy_short<7>(out, in, rows, row_stride, stride);
        default: return copy_short<8>(out, in, rows, row_stride, stride);
    }
}

#if defined(__AVX512F__)
// As `load`, by gathering through the table of one round.
inline void load_rounds(const Access& a, const std::uint32_t* data, std::int64_t start, std::int64_t count,
                        std::uint32_t* out) {
    const std::int64_t round = static_cast<std::int64_t>(a.table.size());
    const __m512i fill = _mm512_set1_epi32(static_cast<int>(a.fill));
    std::int64_t within = start % round, rest = start / round, at = a.offset;
    std::int64_t index[kMaxDims];
    for (int d = a.outer - 1; d >= 0; --d) {
        index[d] = rest % a.extent[d];
        rest /= a.extent[d];
        at += index[d] * a.stride[d];
    }
    for (;;) {
        const std::int64_t n = std::min(round - within, count);
        const std::int32_t* offsets = a.table.data() + within;
        std::int64_t i = 0;
        for (; i + 16 <= n; i += 16) {
            const __m512i places = _mm512_loadu_si512(offsets + i);
            const __mmask16 inside = _mm512_cmpneq_epi32_mask(places, _mm512_set1_epi32(Access::kOutside));
            _mm512_storeu_si512(out + i, _mm512_mask_i32gather_epi32(fill, inside, places, data + at, 4));
        }
        for (; i < n; ++i) out[i] = offsets[i] == Access::kOutside ? a.fill : data[at + offsets[i]];
        out += n;
        count -= n;
        if (count == 0) return;
        within = 0;
        for (int d = a.outer - 1; d >= 0; --d) {
            at += a.stride[d];
            if (++index[d] < a.extent[d]) break;
            at -= a.extent[d] * a.stride[d];
            index[d] = 0;
        }
    }
}
#endif

// Elements [start, start + count) of the iteration space, written to `out`.
// `shift` is added to the offset and `moved` to the bounds' bases: where an enclosing loop stands.
template <class T>
void load(const Access& a, const T* data, std::int64_t start, std::int64_t count, T* out, std::int64_t shift = 0,
          const std::int64_t* moved = nullptr) {
    if (count <= 0) return;
    if (a.rank == 2 && a.bounds == 0 && a.extent[1] > kShort) {
        // A row of numbers for every row, or a number for each: the most frequent of all.
        std::int64_t j = start % a.extent[1];
        const T* row = data + a.offset + shift + start / a.extent[1] * a.stride[0];
        for (; count > 0; j = 0, row += a.stride[0]) {
            const std::int64_t run = std::min(a.extent[1] - j, count);
            copy_run(out, row + j * a.stride[1], a.stride[1], run);
            out += run;
            count -= run;
        }
        return;
    }
    T fill;
    std::memcpy(&fill, &a.fill, sizeof(T));
    std::int64_t index[kMaxDims];
    std::int64_t at = a.offset + shift;
    std::int64_t where[kMaxBounds];
    for (int b = 0; b < a.bounds; ++b) where[b] = a.base[b] + (moved ? moved[b] : 0);
    for (int d = a.rank - 1; d >= 0; --d) {
        index[d] = start % a.extent[d];
        start /= a.extent[d];
        at += index[d] * a.stride[d];
        for (int b = 0; b < a.bounds; ++b) where[b] += index[d] * a.coefficient[b][d];
    }
    if (a.rank == 0) {
        bool inside = true;
        for (int b = 0; b < a.bounds; ++b) inside = inside && where[b] >= 0 && where[b] < a.limit[b];
        const T value = inside ? data[at] : fill;
        for (std::int64_t i = 0; i < count; ++i) out[i] = value;
        return;
    }
    const int inner = a.rank - 1;
    const bool pairs = a.bounds == 0 && a.rank >= 2 && a.extent[inner] <= kShort;
    for (;;) {
        if (pairs && index[inner] == 0 && count >= a.extent[inner]) {
            // The two innermost axes together.
            const int outer = inner - 1;
            const std::int64_t rows = std::min(a.extent[outer] - index[outer], count / a.extent[inner]);
            copy_shorts(a.extent[inner], out, data + at, rows, a.stride[outer], a.stride[inner]);
            out += rows * a.extent[inner];
            count -= rows * a.extent[inner];
            if (count == 0) return;
            at += rows * a.stride[outer];
            index[outer] += rows;
            for (int d = outer; index[d] == a.extent[d] && d > 0; --d) {
                at += a.stride[d - 1] - a.extent[d] * a.stride[d];
                index[d] = 0;
                ++index[d - 1];
            }
            continue;
        }
        std::int64_t run = a.extent[inner] - index[inner];
        if (run > count) run = count;
        if (a.bounds == 0) {
            copy_run(out, data + at, a.stride[inner], run);
        } else {
            std::int64_t low = 0, high = run;
            for (int b = 0; b < a.bounds; ++b) clip(where[b], a.coefficient[b][inner], a.limit[b], low, high);
            if (high <= low) low = high = run;
            for (std::int64_t i = 0; i < low; ++i) out[i] = fill;
            if (high > low) copy_run(out + low, data + at + low * a.stride[inner], a.stride[inner], high - low);
            for (std::int64_t i = high; i < run; ++i) out[i] = fill;
        }
        out += run;
        count -= run;
        if (count == 0) return;
        // The odometer: the run ended at the end of the innermost axis.
        at -= index[inner] * a.stride[inner];
        for (int b = 0; b < a.bounds; ++b) where[b] -= index[inner] * a.coefficient[b][inner];
        index[inner] = 0;
        for (int d = inner - 1; d >= 0; --d) {
            at += a.stride[d];
            for (int b = 0; b < a.bounds; ++b) where[b] += a.coefficient[b][d];
            if (++index[d] < a.extent[d]) break;
            at -= a.extent[d] * a.stride[d];
            for (int b = 0; b < a.bounds; ++b) where[b] -= a.extent[d] * a.coefficient[b][d];
            index[d] = 0;
        }
    }
}

// As `load` for an element size known at run time.
inline void load_bytes(const Access& a, const char* data, std::int64_t start, std::int64_t count, void* out) {
    switch (a.size) {
        case 1:
            return load(a, reinterpret_cast<const std::uint8_t*>(data), start, count, static_cast<std::uint8_t*>(out));
        case 2:
            return load(a, reinterpret_cast<const std::uint16_t*>(data), start, count,
                        static_cast<std::uint16_t*>(out));
        default:
#if defined(__AVX512F__)
            if (a.outer >= 0)
                return load_rounds(a, reinterpret_cast<const std::uint32_t*>(data), start, count,
                                   static_cast<std::uint32_t*>(out));
#endif
            return load(a, reinterpret_cast<const std::uint32_t*>(data), start, count,
                        static_cast<std::uint32_t*>(out));
    }
}

}  // namespace lockstep
