// Contraction by int8 slices: m = 256 h + l, three int32 accumulators (hh, hl + lh, ll), by AVX-512 VNNI or AMX.
//
// Left blocks: 16 rows, slice planes with the terms in order. Right panels: 16 rows, four neighbouring terms of
// a row side by side. VNNI multiplies unsigned by signed: there the right slices carry an offset (h + 64,
// l + 128, so m + 16512), which the row sums of the left operand take back. int32 holds K <= 65,536:
// |hh| <= 2**13 K, |hl + lh| < 2**15 K, |ll| < 2**15 K.
#pragma once

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define LOCKSTEP_SLICES 1

#include "operand.h"

#if defined(__AMX_INT8__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lockstep {

class Slices {
  public:
    static constexpr const char* name() { return "int8"; }
    static constexpr std::int64_t kOffset = 16512;

    static std::int64_t padded(std::int64_t length) { return (length + 63) / 64 * 64; }
    // Distance of two rows of a left block: not a multiple of the cache's stride.
    static std::int64_t pitch(std::int64_t length) { return padded(length) + 64; }
    static std::size_t left_bytes(std::int64_t length) { return static_cast<std::size_t>(2 * kSide * pitch(length)); }
    static std::size_t right_bytes(std::int64_t length) { return static_cast<std::size_t>(2 * kSide * padded(length)); }

    // Whether AMX may be used by this process: the kernel grants its state on request.
    static bool amx() {
#if defined(__AMX_INT8__)
        static const bool granted = [] {
            if (std::getenv("LOCKSTEP_NO_AMX")) return false;
            return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
        }();
        return granted;
#else
        return false;
#endif
    }

    static void begin() {
#if defined(__AMX_INT8__)
        if (!amx()) return;
        alignas(64) std::uint8_t config[64] = {};
        config[0] = 1;
        for (int t = 0; t < 8; ++t) {
            config[16 + 2 * t] = 64;
            config[48 + t] = 16;
        }
        _tile_loadconfig(config);
#endif
    }
    static void end() {
#if defined(__AMX_INT8__)
        if (amx()) _tile_release();
#endif
    }

    // Rows [first, first + count) of an operand as a left block; sums of the rows' mantissas beside it.
    static void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                          std::int8_t* out, double* sums, Scratch& scratch) {
        const std::int64_t step = pitch(o.length);
        std::int8_t* high = out;
        std::int8_t* low = out + kSide * step;
        if (o.by_columns) {
            // Rare (both operands side by side): columns first, then turned over.
            std::int16_t* own = static_cast<std::int16_t*>(scratch.get(static_cast<std::size_t>(2 * kSide * (o.length + 32))));
            std::int16_t* turned = own + kSide;
            for (std::int64_t k = 0; k < o.length; ++k) {
                o.column(slots, l, k, first, count, own);
                for (std::int64_t i = 0; i < count; ++i) turned[i * o.length + k] = own[i];
            }
            for (std::int64_t i = 0; i < count; ++i)
                sums[i] = split(turned + i * o.length, o.length, high + i * step, low + i * step);
        } else {
            std::int16_t* own = static_cast<std::int16_t*>(scratch.get(static_cast<std::size_t>(2 * o.length)));
            for (std::int64_t i = 0; i < count; ++i)
                sums[i] = split(o.row(slots, l, first + i, own), o.length, high + i * step, low + i * step);
        }
        for (std::int64_t i = count; i < kSide; ++i) {
            std::memset(high + i * step, 0, static_cast<std::size_t>(padded(o.length)));
            std::memset(low + i * step, 0, static_cast<std::size_t>(padded(o.length)));
            sums[i] = 0;
        }
    }

    // Rows [first, first + count) of an operand as a right panel.
    static void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first,
                           std::int64_t count, std::int8_t* out, Scratch& scratch) {
        const std::int64_t width = padded(o.length);
        const bool plain = amx();
        std::int8_t* high = out;
        std::int8_t* low = out + kSide * width;
        const __m512i plus_high = _mm512_set1_epi8(plain ? 0 : 64), plus_low = _mm512_set1_epi8(plain ? 0 : -128);
        if (o.by_columns) {
            alignas(64) std::int16_t term[4][kSide];
            std::memset(term, 0, sizeof term);
            const __m512i byte = _mm512_set1_epi32(255);
            for (std::int64_t k = 0; k < width; k += 4) {
                for (int j = 0; j < 4; ++j) {
                    if (k + j < o.length)
                        o.column(slots, l, k + j, first, count, term[j]);
                    else
                        std::memset(term[j], 0, sizeof term[j]);
                }
                __m512i h = _mm512_setzero_si512(), lo = h;
                for (int j = 0; j < 4; ++j) {
                    const __m512i m = _mm512_cvtepi16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(term[j])));
                    const __m512i top = _mm512_srai_epi32(_mm512_add_epi32(m, _mm512_set1_epi32(128)), 8);
                    h = _mm512_or_si512(h, _mm512_slli_epi32(_mm512_and_si512(top, byte), 8 * j));
                    lo = _mm512_or_si512(lo, _mm512_slli_epi32(_mm512_and_si512(m, byte), 8 * j));
                }
                _mm512_store_si512(high + k * kSide, _mm512_add_epi8(h, plus_high));
                _mm512_store_si512(low + k * kSide, _mm512_add_epi8(lo, plus_low));
            }
            return;
        }
        std::int8_t* planes = static_cast<std::int8_t*>(scratch.get(static_cast<std::size_t>(2 * kSide * width + 2 * o.length)));
        std::int16_t* own = reinterpret_cast<std::int16_t*>(planes + 2 * kSide * width);
        for (std::int64_t i = 0; i < kSide; ++i) {
            if (i < count) {
                split(o.row(slots, l, first + i, own), o.length, planes + i * width, planes + (kSide + i) * width);
            } else {
                std::memset(planes + i * width, 0, static_cast<std::size_t>(width));
                std::memset(planes + (kSide + i) * width, 0, static_cast<std::size_t>(width));
            }
        }
        for (int slice = 0; slice < 2; ++slice) {
            const std::int8_t* in = planes + slice * kSide * width;
            std::int8_t* to = slice ? low : high;
            const __m512i plus = slice ? plus_low : plus_high;
            for (std::int64_t k = 0; k < width; k += 64) {
                __m512i v[16];
                for (int i = 0; i < 16; ++i) v[i] = _mm512_loadu_si512(in + i * width + k);
                transpose16(v);
                for (int i = 0; i < 16; ++i) _mm512_store_si512(to + k * kSide + 64 * i, _mm512_add_epi8(v[i], plus));
            }
        }
    }

    // One tile of the product: out[i][j] = round_f32(sum * left_scale[i] * right_scale[j]).
    static void tile(const std::int8_t* left, const double* sums, const std::int8_t* right, std::int64_t length,
                     const double* left_scale, const double* right_scale, float* out) {
        alignas(64) std::int32_t c[3][kSide][kSide];
        const std::int64_t step = pitch(length), width = padded(length);
        const bool plain = amx();
        if (plain)
            accumulate_amx(left, right, step, width, c);
        else
            for (int i = 0; i < kSide; i += 8)
                accumulate_vnni(left + i * step, right, step, width, (length + 3) / 4, c, i);
        const __m512d s0 = _mm512_loadu_pd(right_scale), s1 = _mm512_loadu_pd(right_scale + 8);
        const __m512d two16 = _mm512_set1_pd(65536.0), two8 = _mm512_set1_pd(256.0);
        for (int i = 0; i < kSide; ++i) {
            const __m512d back = _mm512_set1_pd(plain ? 0.0 : sums[i] * kOffset);
            const __m512d scale = _mm512_set1_pd(left_scale[i]);
            __m256 y[2];
            for (int half = 0; half < 2; ++half) {
                const auto part = [&](int which) {
                    return _mm512_cvtepi32_pd(_mm256_load_si256(reinterpret_cast<const __m256i*>(&c[which][i][8 * half])));
                };
                // Every intermediate is an integer below 2**53: exact.
                __m512d t = _mm512_fmadd_pd(part(1), two8, part(2));
                t = _mm512_sub_pd(_mm512_fmadd_pd(part(0), two16, t), back);
                y[half] = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_mul_pd(t, scale), half ? s1 : s0));
            }
            _mm512_store_ps(out + i * kSide, _mm512_insertf32x8(_mm512_castps256_ps512(y[0]), y[1], 1));
        }
    }

  private:
    // Slices of n mantissas, zeros up to the padded length; returns the mantissas' sum.
    static double split(const std::int16_t* m, std::int64_t n, std::int8_t* high, std::int8_t* low) {
        const __m512i half = _mm512_set1_epi16(128), ones = _mm512_set1_epi16(1);
        const std::int64_t width = padded(n);
        __m512i sum = _mm512_setzero_si512();
        for (std::int64_t k = 0; k < width; k += 32) {
            const __mmask32 mask = k + 32 <= n ? ~0u : k >= n ? 0u : (1u << (n - k)) - 1;
            const __m512i v = _mm512_maskz_loadu_epi16(mask, m + k);
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(v, ones));
            const __m512i h = _mm512_srai_epi16(_mm512_add_epi16(v, half), 8);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(high + k), _mm512_cvtepi16_epi8(h));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(low + k), _mm512_cvtepi16_epi8(v));
        }
        return _mm512_reduce_add_epi32(sum);
    }

    static void accumulate_vnni(const std::int8_t* left, const std::int8_t* right, std::int64_t step,
                                std::int64_t width, std::int64_t quads, std::int32_t c[3][kSide][kSide], int row) {
        // Accumulators by name: gcc keeps arrays of them in memory.
#define LOCKSTEP_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define LOCKSTEP_ZERO(I) __m512i h##I = _mm512_setzero_si512(), m##I = h##I, l##I = h##I;
        LOCKSTEP_ROWS(LOCKSTEP_ZERO)
        const std::int8_t* low_left = left + kSide * step;
        const std::int8_t* low_right = right + kSide * width;
        for (std::int64_t q = 0; q < quads; ++q) {
            const __m512i bh = _mm512_load_si512(right + 64 * q), bl = _mm512_load_si512(low_right + 64 * q);
#define LOCKSTEP_STEP(I)                                                        \
    {                                                                           \
        std::int32_t x, y;                                                      \
        std::memcpy(&x, left + I * step + 4 * q, 4);                            \
        std::memcpy(&y, low_left + I * step + 4 * q, 4);                        \
        const __m512i ah = _mm512_set1_epi32(x), al = _mm512_set1_epi32(y);     \
        h##I = _mm512_dpbusd_epi32(h##I, bh, ah);                               \
        m##I = _mm512_dpbusd_epi32(m##I, bh, al);                               \
        l##I = _mm512_dpbusd_epi32(l##I, bl, al);                               \
        m##I = _mm512_dpbusd_epi32(m##I, bl, ah);                               \
    }
            LOCKSTEP_ROWS(LOCKSTEP_STEP)
        }
#define LOCKSTEP_STORE(I)                                   \
    _mm512_store_si512(c[0][row + I], h##I);                \
    _mm512_store_si512(c[1][row + I], m##I);                \
    _mm512_store_si512(c[2][row + I], l##I);
        LOCKSTEP_ROWS(LOCKSTEP_STORE)
#undef LOCKSTEP_ROWS
#undef LOCKSTEP_ZERO
#undef LOCKSTEP_STEP
#undef LOCKSTEP_STORE
    }

    static void accumulate_amx(const std::int8_t* left, const std::int8_t* right, std::int64_t step,
                               std::int64_t width, std::int32_t c[3][kSide][kSide]) {
#if defined(__AMX_INT8__)
        const std::int8_t* low_left = left + kSide * step;
        const std::int8_t* low_right = right + kSide * width;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        for (std::int64_t k = 0; k < width; k += 64) {
            _tile_loadd(3, left + k, step);
            _tile_loadd(5, right + k * kSide, 64);
            _tile_dpbssd(0, 3, 5);
            _tile_loadd(6, low_right + k * kSide, 64);
            _tile_dpbssd(1, 3, 6);
            _tile_loadd(4, low_left + k, step);
            _tile_dpbssd(2, 4, 6);
            _tile_dpbssd(1, 4, 5);
        }
        _tile_stored(0, c[0], 64);
        _tile_stored(1, c[1], 64);
        _tile_stored(2, c[2], 64);
#else
        (void)left, (void)right, (void)step, (void)width, (void)c;
#endif
    }
};

}  // namespace lockstep
#endif
