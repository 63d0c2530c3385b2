// Rows quantised twice: their mantissas, and those of what quantising them lost.
#pragma once

#include "quantize.h"

namespace lockstep {

// As the nodes e1 = exponent(x), m1 = quantize(x, e1), r = x - m1 * 2**(e1 - 13), e2 = exponent(r), m2 = quantize(r, e2)
// in one pass over memory: r is computed again where it is needed, and never written. The floor of both exponents is
// kLowestQuantize, so every factor is a normal f32 and r is exact. A row that is not finite has absorbing exponents and
// no mantissas, first and second.
class TwoParts : public Instruction {
  public:
    explicit TwoParts(Words& w) {
        in_.read(w);
        for (Part& p : part_) {
            p.e_slot = static_cast<int>(w.next());
            p.m_slot = static_cast<int>(w.next());
        }
#if defined(__AVX512BW__)
        columns_ = beside_.columns(in_);
#endif
    }
    std::int64_t blocks(int) const override { return columns_ ? beside_.blocks() : in_.blocks(); }
    void block(Thread& t, char* const* slots, int, std::int64_t b) override {
        t.last = this;
#if defined(__AVX512BW__)
        if (columns_) return columns(slots, beside_.block(b));
#endif
        const std::int64_t first = b * in_.block, last = std::min(in_.rows, first + in_.block);
        std::int64_t r = first;
#if defined(__AVX512F__)
        for (; in_.whole && r < last; r += kLanes) together(slots, r, std::min(kLanes, last - r));
#endif
        for (; r < last; ++r) row(slots, r, in_.row(t, slots, r));
    }

  private:
    struct Part {
        int e_slot, m_slot;
        std::int16_t* exponents(char* const* slots) const { return reinterpret_cast<std::int16_t*>(slots[e_slot]); }
        std::int16_t* mantissas(char* const* slots) const { return reinterpret_cast<std::int16_t*>(slots[m_slot]); }
    };
    // 2**(e - 13), what mantissas are multiples of.
    static float unit(int e) { return float_of(static_cast<std::uint32_t>(e - 13 + 127) << 23); }

    void row(char* const* slots, std::int64_t r, const float* x) {
        const std::int64_t n = in_.length;
        int e[2] = {exponent_of(largest_magnitude(x, n), kLowestQuantize), kAbsorbing};
        std::int16_t* m[2];
        for (int p = 0; p < 2; ++p) m[p] = part_[p].mantissas(slots) + r * n;
        quantize_row(x, n, quantize_scale(e[0]), true, m[0]);
        if (e[0] == kAbsorbing) {
            std::memset(m[1], 0, static_cast<std::size_t>(2 * n));
        } else {
            const float u = unit(e[0]);
            const auto lost = [&](std::int64_t i) { return x[i] - static_cast<float>(m[0][i]) * u; };
            std::uint32_t largest = 0;
            for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, bits_of(lost(i)) & 0x7FFFFFFFu);
            e[1] = exponent_of(largest, kLowestQuantize);
            const float scale = quantize_scale(e[1]);
            for (std::int64_t i = 0; i < n; ++i)
                m[1][i] = static_cast<std::int16_t>(static_cast<std::int32_t>(__builtin_rintf(lost(i) * scale)));
        }
        for (int p = 0; p < 2; ++p) part_[p].exponents(slots)[r] = static_cast<std::int16_t>(e[p]);
    }

#if defined(__AVX512F__)
    // Up to 16 rows' scales: 2**(13 - e), and 2**(e - 13); 0 where the exponent is not usable.
    struct Factors {
        alignas(64) float scale[kLanes], unit[kLanes];
        void set(__m512i e) {
            _mm512_store_ps(scale, quantize_scales(e));
            const __mmask16 usable = _mm512_cmple_epi32_mask(e, _mm512_set1_epi32(kHighest));
            _mm512_store_si512(unit, _mm512_maskz_slli_epi32(usable, _mm512_add_epi32(e, _mm512_set1_epi32(127 - 13)), 23));
        }
    };
    static __m512 lost(__m512 x, __m512 scale, __m512 unit) {
        return _mm512_sub_ps(x, _mm512_mul_ps(_mm512_cvtepi32_ps(quantize16(x, scale, true)), unit));
    }
    // Exponents of the second part; absorbing where the first one's are.
    static __m512i second(__m512i largest, __m512i first) {
        const __mmask16 absorbing = _mm512_cmpeq_epi32_mask(first, _mm512_set1_epi32(kAbsorbing));
        return _mm512_mask_mov_epi32(exponents_of(largest, kLowestQuantize), absorbing, _mm512_set1_epi32(kAbsorbing));
    }
    void keep(int part, char* const* slots, std::int64_t first, std::int64_t count, __m512i e) const {
        _mm512_mask_cvtepi32_storeu_epi16(part_[part].exponents(slots) + first, first_lanes(count), e);
    }
    void together(char* const* slots, std::int64_t first, std::int64_t count) {
        const std::int64_t n = in_.length;
        const float* x[kLanes];
        in_.pointers(slots, first, count, x);
        const __m512i e = exponents_of(row_magnitudes(x, count, n), kLowestQuantize);
        keep(0, slots, first, count, e);
        Factors one, two;
        one.set(e);
        std::int16_t* out = part_[0].mantissas(slots) + first * n;
        const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
        __m512i v[kLanes] = {};
        for (std::int64_t i = 0; i < count; ++i) {
            const __m512 s = _mm512_set1_ps(one.scale[i]), u = _mm512_set1_ps(one.unit[i]);
            for (std::int64_t k = 0; k < n; k += kLanes) {
                const __mmask16 mask = first_lanes(n - k);
                const __m512 at = _mm512_maskz_loadu_ps(mask, x[i] + k);
                const __m512i m = quantize16(at, s, true);
                _mm512_mask_cvtepi32_storeu_epi16(out + i * n + k, mask, m);
                const __m512 r = _mm512_sub_ps(at, _mm512_mul_ps(_mm512_cvtepi32_ps(m), u));
                v[i] = _mm512_max_epu32(v[i], _mm512_and_si512(_mm512_castps_si512(r), magnitude));
            }
        }
        const __m512i rest = second(largest_lanes(v), e);
        keep(1, slots, first, count, rest);
        two.set(rest);
        out = part_[1].mantissas(slots) + first * n;
        for (std::int64_t i = 0; i < count; ++i) {
            const __m512 s = _mm512_set1_ps(one.scale[i]), u = _mm512_set1_ps(one.unit[i]), t = _mm512_set1_ps(two.scale[i]);
            for (std::int64_t k = 0; k < n; k += kLanes) {
                const __mmask16 mask = first_lanes(n - k);
                const __m512i m = quantize16(lost(_mm512_maskz_loadu_ps(mask, x[i] + k), s, u), t, true);
                _mm512_mask_cvtepi32_storeu_epi16(out + i * n + k, mask, m);
            }
        }
    }
#endif
#if defined(__AVX512BW__)
    void columns(char* const* slots, const Beside::Block& block) {
        const float* x = reinterpret_cast<const float*>(slots[in_.access.slot]) + block.offset;
        const std::int64_t n = block.count, length = in_.length;
        constexpr int kGroups = kColumns / kLanes;
        alignas(64) std::uint32_t largest[kColumns];
        column_magnitudes(beside_, x, n, largest);
        Factors one[kGroups], two[kGroups];
        __m512i e[kGroups], v[kGroups];
        for (int g = 0; g < kGroups; ++g) {
            e[g] = exponents_of(_mm512_load_si512(largest + g * kLanes), kLowestQuantize);
            one[g].set(e[g]);
            v[g] = _mm512_setzero_si512();
        }
        const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
        beside_.terms(x, [&](const float* run, std::int64_t, std::int64_t count, std::int64_t step) {
            for (std::int64_t k = 0; k < count; ++k, run += step) {
                _Pragma("GCC unroll 4") for (int g = 0; g < kGroups; ++g) {
                    const __mmask16 mask = first_lanes(n - g * kLanes);
                    const __m512 at = _mm512_maskz_loadu_ps(mask, run + g * kLanes);
                    const __m512 r = lost(at, _mm512_load_ps(one[g].scale), _mm512_load_ps(one[g].unit));
                    v[g] = _mm512_max_epu32(v[g], _mm512_and_si512(_mm512_castps_si512(r), magnitude));
                }
            }
        });
        for (std::int64_t c = 0; c < n; c += kLanes) {
            const std::int64_t g = c / kLanes;
            const __m512i rest = second(v[g], e[g]);
            two[g].set(rest);
            keep(0, slots, block.first + c, n - c, e[g]);
            keep(1, slots, block.first + c, n - c, rest);
        }
        std::int16_t* out[2];
        for (int p = 0; p < 2; ++p) out[p] = part_[p].mantissas(slots) + block.first * length;
        beside_.terms(x, [&](const float* run, std::int64_t from, std::int64_t count, std::int64_t step) {
            for (std::int64_t c = 0; c < n; c += kLanes) {
                const std::int64_t g = c / kLanes;
                const __m512 s = _mm512_load_ps(one[g].scale), u = _mm512_load_ps(one[g].unit), t = _mm512_load_ps(two[g].scale);
                const auto major = [&](__m512 at) { return quantize16(at, s, true); };
                const auto minor = [&](__m512 at) { return quantize16(lost(at, s, u), t, true); };
                std::int64_t k = 0;
                for (; k + 32 <= count; k += 32) {
                    const std::int64_t place = c * length + from + k;
                    turned(run + k * step + c, step, n - c, out[0] + place, length, major);
                    turned(run + k * step + c, step, n - c, out[1] + place, length, minor);
                }
                const __mmask16 mask = first_lanes(n - c);
                for (; k < count; ++k) {
                    const __m512 at = _mm512_maskz_loadu_ps(mask, run + k * step + c);
                    alignas(64) std::int32_t m[2][kLanes];
                    _mm512_store_si512(m[0], major(at));
                    _mm512_store_si512(m[1], minor(at));
                    for (std::int64_t i = 0; i < std::min(kLanes, n - c); ++i)
                        for (int p = 0; p < 2; ++p) out[p][(c + i) * length + from + k] = static_cast<std::int16_t>(m[p][i]);
                }
            }
        });
    }
#endif

    RowReader in_;
    Part part_[2];
    bool columns_ = false;
    Beside beside_;
};

}  // namespace lockstep
