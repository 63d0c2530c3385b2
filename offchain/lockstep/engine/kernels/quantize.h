// Mantissas of rows, written in the order in which a contraction reads them.
#pragma once

#include "rows.h"
#include "transpose.h"

namespace lockstep {

// m = clamp(rne(x * scale), +-2**14), 0 where x is not finite. The product is exact unless it overflows
// (clamped) or is subnormal (rounds to 0 either way). A scale of 0 stands for an unusable exponent.
//
// `own` says that the exponent is the row's own: then nothing is to be clamped, and where something is not finite the
// scale is 0, whose products with infinities and NaNs convert to -2**31, of which the lower half is 0.
#if defined(__AVX512F__)
inline __m512i quantize16(__m512 x, __m512 scale, bool own) {
    if (own) return _mm512_cvtps_epi32(_mm512_mul_ps(x, scale));  // to nearest even: the rounding mode is set (StrictFloat)
    const __m512i infinity = _mm512_set1_epi32(0x7F800000);
    const __mmask16 finite = _mm512_cmpneq_epi32_mask(_mm512_and_si512(_mm512_castps_si512(x), infinity), infinity);
    __m512 y = _mm512_maskz_mul_ps(finite, x, scale);
    y = _mm512_max_ps(_mm512_min_ps(y, _mm512_set1_ps(16384.0f)), _mm512_set1_ps(-16384.0f));
    return _mm512_cvtps_epi32(y);
}
inline void quantize_row(const float* x, std::int64_t n, float scale, bool own, std::int16_t* out) {
    const __m512 s = _mm512_set1_ps(scale);
    std::int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m512i m = quantize16(_mm512_loadu_ps(x + i), s, own);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm512_cvtepi32_epi16(m));
    }
    if (i == n) return;
    const __mmask16 rest = static_cast<__mmask16>((1u << (n - i)) - 1);
    _mm512_mask_cvtepi32_storeu_epi16(out + i, rest, quantize16(_mm512_maskz_loadu_ps(rest, x + i), s, own));
}

#else
inline void quantize_row(const float* x, std::int64_t n, float scale, bool, std::int16_t* out) {
    _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
        const float v = float_of((bits_of(x[i]) & 0x7F800000u) == 0x7F800000u ? 0u : bits_of(x[i]));
        float y = v * scale;
        y = y < 16384.0f ? y : 16384.0f;
        y = y > -16384.0f ? y : -16384.0f;
        out[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(__builtin_rintf(y)));
    }
}
#endif

inline float quantize_scale(int e) {
    if (e < kLowestQuantize || e > kHighest) return 0.0f;
    return float_of(static_cast<std::uint32_t>(13 - e + 127) << 23);
}

#if defined(__AVX512BW__)
// 32 terms, `step` apart, of up to 16 neighbouring rows: their mantissas as rows, `apart` from each other.
template <class Mantissas>
inline void turned(const float* x, std::int64_t step, std::int64_t rows, std::int16_t* out, std::int64_t apart, Mantissas of) {
    const __mmask16 mask = first_lanes(rows);
    __m512i v[16];
    _Pragma("GCC unroll 16") for (int p = 0; p < 16; ++p) {
        const __m512i even = of(_mm512_maskz_loadu_ps(mask, x + 2 * p * step));
        const __m512i odd = of(_mm512_maskz_loadu_ps(mask, x + (2 * p + 1) * step));
        v[p] = _mm512_mask_blend_epi16(0xAAAAAAAA, even, _mm512_slli_epi32(odd, 16));
    }
    transpose16(v);
    if (rows >= 16) {
        _Pragma("GCC unroll 16") for (int i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * apart, v[i]);
        return;
    }
    for (std::int64_t i = 0; i < rows; ++i) _mm512_storeu_si512(out + i * apart, v[i]);
}
#endif
#if defined(__AVX512F__)
inline __m512 quantize_scales(__m512i e) {
    const __mmask16 usable = _mm512_cmpge_epi32_mask(e, _mm512_set1_epi32(kLowestQuantize)) &
                             _mm512_cmple_epi32_mask(e, _mm512_set1_epi32(kHighest));
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(usable, _mm512_sub_epi32(_mm512_set1_epi32(13 + 127), e), 23));
}
#endif

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
        columns_ = !layout_.given && beside_.columns(in_);
        tiles_ = !columns_ && beside_.short_runs(in_);
#if defined(__AVX512F__)
        whole_ = !columns_ && !tiles_ && !given_ && !layout_.given && in_.whole;
#endif
    }
    std::int64_t blocks(int) const override { return columns_ || tiles_ ? beside_.blocks() : in_.blocks(); }
    void block(Thread& t, char* const* slots, int, std::int64_t b) override {
        t.last = this;
        if (columns_) return columns(slots, beside_.block(b));
        if (tiles_) return tile(t, slots, beside_.block(b));
        const std::int64_t first = b * in_.block, last = std::min(in_.rows, first + in_.block);
#if defined(__AVX512F__)
        if (whole_) {
            for (std::int64_t r = first; r < last; r += kLanes) together(slots, r, std::min(kLanes, last - r));
            return;
        }
#endif
        for (std::int64_t r = first; r < last; ++r) row(t, slots, r);
    }

  private:
#if defined(__AVX512F__)
    // Up to 16 rows: their exponents and scales come out of one vector.
    void together(char* const* slots, std::int64_t first, std::int64_t count) {
        const std::int64_t length = in_.length;
        const float* x[kLanes];
        in_.pointers(slots, first, count, x);
        const __m512i e = exponents_of(row_magnitudes(x, count, length), floor_);
        if (e_slot_ >= 0)
            _mm512_mask_cvtepi32_storeu_epi16(reinterpret_cast<std::int16_t*>(slots[e_slot_]) + first, first_lanes(count), e);
        if (m_slot_ < 0) return;
        alignas(64) float scale[kLanes];
        _mm512_store_ps(scale, quantize_scales(e));
        std::int16_t* out = reinterpret_cast<std::int16_t*>(slots[m_slot_]) + first * length;
        for (std::int64_t i = 0; i < count; ++i) quantize_row(x[i], length, scale[i], true, out + i * length);
    }
#endif
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
                quantize_row(x, n, scale, !given_, at);
                at += n;
            });
        } else {
            // Read again only where that costs nothing: a copied row is still in its scratch.
            const bool again = given_ || in_.access.contiguous();
            const float* x = again ? in_.row(t, slots, r) : static_cast<const float*>(t.scratch[0].get(0));
            quantize_row(x, in_.length, scale, !given_, own);
        }
        if (layout_.given) layout_.write(own, r, in_.rows, out);
    }
    void tile(Thread& t, char* const* slots, const Beside::Block& block) {
        const std::int64_t length = in_.length;
        float* x = static_cast<float*>(t.scratch[0].get(static_cast<std::size_t>(4 * kTile * length)));
        beside_.copy(reinterpret_cast<const float*>(slots[in_.access.slot]) + block.offset, block, length, x);
        std::int16_t* out = m_slot_ < 0 ? nullptr : reinterpret_cast<std::int16_t*>(slots[m_slot_]);
        for (std::int64_t i = 0; i < block.count; ++i, x += length) {
            const std::int64_t r = block.first + i;
            const int e = given_ ? exponent_at(slots, r) : exponent_of(largest_magnitude(x, length), floor_);
            keep(slots, r, e);
            if (!out) continue;
            if (!layout_.given) {
                quantize_row(x, length, quantize_scale(e), !given_, out + r * length);
                continue;
            }
            std::int16_t* own = static_cast<std::int16_t*>(t.scratch[1].get(static_cast<std::size_t>(2 * length + 64)));
            quantize_row(x, length, quantize_scale(e), !given_, own);
            layout_.write(own, r, in_.rows, out);
        }
    }
    void columns(char* const* slots, const Beside::Block& block) {
        const float* x = reinterpret_cast<const float*>(slots[in_.access.slot]) + block.offset;
        const std::int64_t n = block.count, length = in_.length;
        alignas(64) std::uint32_t largest[kColumns];
        alignas(64) float scale[kColumns];
        if (!given_) column_magnitudes(beside_, x, n, largest);
        for (std::int64_t i = 0; i < n; ++i) {
            const int e = given_ ? exponent_at(slots, block.first + i) : exponent_of(largest[i], floor_);
            keep(slots, block.first + i, e);
            scale[i] = quantize_scale(e);
        }
        if (m_slot_ < 0) return;
        std::int16_t* out = reinterpret_cast<std::int16_t*>(slots[m_slot_]) + block.first * length;
        beside_.terms(x, [&](const float* run, std::int64_t from, std::int64_t count, std::int64_t step) {
            std::int64_t k = 0;
#if defined(__AVX512BW__)
            // 32 terms of 16 rows at a time: pairs of terms in 32 bits, turned over.
            for (; k + 32 <= count; k += 32) {
                for (std::int64_t c = 0; c < n; c += 16) {
                    const float* at = run + k * step + c;
                    std::int16_t* to = out + c * length + from + k;
                    const __m512 s = _mm512_load_ps(scale + c);
                    if (given_)
                        turned(at, step, n - c, to, length, [&](__m512 v) { return quantize16(v, s, false); });
                    else
                        turned(at, step, n - c, to, length, [&](__m512 v) { return quantize16(v, s, true); });
                }
            }
#endif
            for (; k < count; ++k) {
                for (std::int64_t i = 0; i < n; ++i)
                    quantize_row(run + k * step + i, 1, scale[i], !given_, out + i * length + from + k);
            }
        });
    }

    RowReader in_;
    Access exponents_;
    int floor_, e_slot_, m_slot_;
    bool given_, columns_, tiles_, whole_ = false;
    Beside beside_;
    Layout layout_;
};

}  // namespace lockstep
