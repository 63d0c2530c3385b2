// Contraction by AMX tiles of int8.
#pragma once

#include "slices.h"

#if defined(LOCKSTEP_SLICES) && defined(__AMX_INT8__)

#include <sys/syscall.h>
#include <unistd.h>

namespace lockstep {

// AMX: tiles of 16 x 64 int8, three int32 accumulators (hh, hl + lh, ll), which hold K <= 65,536.
class AmxFormat : public Format {
  public:
    // Terms that are multiplied before the accumulators are put away: as few parts as fit the first-level cache, all
    // of a length.
    static constexpr std::int64_t kMostTerms = 576;
    static std::int64_t chunk_of(std::int64_t length) {
        const std::int64_t parts = (length + kMostTerms - 1) / kMostTerms;
        return padded((length + parts - 1) / parts);
    }

    // Whether this process may use the tiles: the kernel grants their state on request.
    static bool granted() {
        static const bool yes = !std::getenv("LOCKSTEP_NO_AMX") && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
        return yes;
    }
    const char* name() const override { return "int8 AMX"; }
    bool has_state() const override { return true; }
    void begin() const override {
        alignas(64) std::uint8_t config[64] = {};
        config[0] = 1;
        for (int t = 0; t < 8; ++t) {
            config[16 + 2 * t] = 64;
            config[48 + t] = 16;
        }
        // gcc 12 believes that only the first eight bytes are read.
        asm volatile("" ::"r"(config) : "memory");
        _tile_loadconfig(config);
    }
    void end() const override { _tile_release(); }
    std::int64_t chunks(std::int64_t length) const override { return (length + chunk_of(length) - 1) / chunk_of(length); }
    std::size_t left_bytes(std::int64_t length) const override { return static_cast<std::size_t>(chunks(length) * left_chunk(length)); }
    std::size_t right_bytes(std::int64_t length) const override { return static_cast<std::size_t>(chunks(length) * right_chunk(length)); }
    // Three int32 tiles, and what long rows carried away from them.
    std::size_t state_bytes() const override {
        return (sizeof(std::int32_t) * 3 + sizeof(double)) * static_cast<std::size_t>(kSide * kSide);
    }

    void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                   std::int8_t* out, Scratch& scratch) const override {
        std::int64_t width;
        const std::int16_t* rows = rows_of(o, slots, l, first, count, &width, scratch);
        const std::int64_t step = pitch(o.length), chunk = chunk_of(o.length);
        for (std::int64_t c = 0; c < chunks(o.length); ++c) {
            const std::int64_t n = std::min(chunk, o.length - c * chunk);
            std::int8_t* high = out + c * left_chunk(o.length);
            std::int8_t* low = high + kSide * step;
            for (std::int64_t i = 0; i < kSide; ++i) {
                const std::int16_t* m = rows + i * width + c * chunk;
                for (std::int64_t k = 0; k < padded(n); k += 32) {
                    const __m512i v = i < count ? mantissas(m, k, n) : _mm512_setzero_si512();
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high + i * step + k), high_slice(v));
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low + i * step + k), low_slice(v));
                }
            }
        }
    }

    void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                    std::int8_t* out, Scratch& scratch) const override {
        const std::int64_t size = right_chunk(o.length), chunk = chunk_of(o.length);
        if (o.by_columns) {
            for (std::int64_t k = 0; k < padded(o.length); k += 4) {
                __m512i v[4], h[4];
                four_terms(o, slots, l, k, first, count, v);
                for (int j = 0; j < 4; ++j) h[j] = high_of(v[j]);
                std::int8_t* part = out + k / chunk * size;
                _mm512_store_si512(part + k % chunk * kSide, bytes_of(h));
                _mm512_store_si512(part + size / 2 + k % chunk * kSide, bytes_of(v));
            }
            return;
        }
        std::int64_t width;
        const std::int16_t* rows = rows_of(o, slots, l, first, count, &width, scratch);
        for (std::int64_t c = 0; c < chunks(o.length); ++c) {
            const std::int64_t n = std::min(chunk, o.length - c * chunk);
            const std::int16_t* m = rows + c * chunk;
            std::int8_t* high = out + c * size;
            for (std::int64_t k = 0; k < n; k += 64) {
                __m512i h[16], lo[16];
                for (int i = 0; i < 16; ++i) {
                    const __m512i v = i < count ? mantissas(m + i * width, k, n) : _mm512_setzero_si512();
                    const __m512i w = i < count ? mantissas(m + i * width, k + 32, n) : _mm512_setzero_si512();
                    h[i] = _mm512_inserti64x4(_mm512_castsi256_si512(high_slice(v)), high_slice(w), 1);
                    lo[i] = _mm512_inserti64x4(_mm512_castsi256_si512(low_slice(v)), low_slice(w), 1);
                }
                transpose16(h);
                transpose16(lo);
                for (int i = 0; i < 16; ++i) {
                    _mm512_store_si512(high + k * kSide + 64 * i, h[i]);
                    _mm512_store_si512(high + size / 2 + k * kSide + 64 * i, lo[i]);
                }
            }
        }
    }

    void accumulate(const std::int8_t* left, const std::int8_t* right, std::int64_t length, std::int64_t c,
                    void* memory) const override {
        std::int32_t* s = static_cast<std::int32_t*>(memory);
        const std::int64_t width = padded(std::min(chunk_of(length), length - c * chunk_of(length))), step = pitch(length);
        left += c * left_chunk(length);
        right += c * right_chunk(length);
        const std::int8_t* low_left = left + kSide * step;
        const std::int8_t* low_right = right + right_chunk(length) / 2;
        if (c % kFold == 0) {
            if (c > 0) carry(s, c == kFold);
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
        } else {
            _tile_loadd(0, s, 64);
            _tile_loadd(1, s + 256, 64);
            _tile_loadd(2, s + 512, 64);
        }
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
        _tile_stored(0, s, 64);
        _tile_stored(1, s + 256, 64);
        _tile_stored(2, s + 512, 64);
    }

    void finish(const std::int8_t*, std::int64_t length, const void* memory, const Scales& scales,
                float* const* out) const override {
        if (scales.normal && length <= kRounded) {
            const std::int32_t* s = static_cast<const std::int32_t*>(memory);
            const RowScales rows(scales);
            for (int i = 0; i < kSide; ++i) {
                const __m512i cross = _mm512_load_si512(s + 256 + i * 16), low = _mm512_load_si512(s + 512 + i * 16);
                const __m512i rest = _mm512_add_epi32(_mm512_slli_epi32(cross, 8), low);
                rows.write(i, rounded(_mm512_load_si512(s + i * 16), rest), out[i]);
            }
            return;
        }
        each_sum(length, memory, [&](int i, int half, __m512d t) {
            const __m512d scale = _mm512_set1_pd(scales.left[i]);
            const __m512d y = _mm512_mul_pd(_mm512_mul_pd(t, scale), _mm512_loadu_pd(scales.right + half));
            _mm256_storeu_ps(out[i] + half, _mm512_cvtpd_ps(y));
        });
    }
    void sums(const std::int8_t*, std::int64_t length, const void* memory, double* out) const override {
        each_sum(length, memory, [&](int i, int half, __m512d t) { _mm512_store_pd(out + i * kSide + half, t); });
    }

  private:
    // Rows of as many terms: |256 (hl + lh) + ll| <= (2**22 + 2**14) K < 2**31, |hh| <= 2**12 K < 2**20.9.
    static constexpr std::int64_t kRounded = 448;
    // put(i, half, t): exact sums of half a row.
    template <class Put>
    void each_sum(std::int64_t length, const void* memory, Put put) const {
        const std::int32_t* s = static_cast<const std::int32_t*>(memory);
        const __m512d two16 = _mm512_set1_pd(65536.0), two8 = _mm512_set1_pd(256.0);
        const bool fits = length < 512;  // |256 (hl + lh) + ll| <= (2**22 + 2**14) K < 2**31
        const double* more = chunks(length) > kFold ? carried(s) : nullptr;
        for (int i = 0; i < kSide; ++i) {
            for (int half = 0; half < 16; half += 8) {
                const auto part = [&](int which) {
                    return _mm256_load_si256(reinterpret_cast<const __m256i*>(s + which * 256 + i * 16 + half));
                };
                // Every intermediate is an integer below 2**53: exact.
                __m512d t;
                if (fits)
                    t = _mm512_cvtepi32_pd(_mm256_add_epi32(_mm256_slli_epi32(part(1), 8), part(2)));
                else
                    t = _mm512_fmadd_pd(_mm512_cvtepi32_pd(part(1)), two8, _mm512_cvtepi32_pd(part(2)));
                t = _mm512_fmadd_pd(_mm512_cvtepi32_pd(part(0)), two16, t);
                if (more) t = _mm512_add_pd(t, _mm512_loadu_pd(more + i * 16 + half));
                put(i, half, t);
            }
        }
    }
    // Chunks after which the tiles' sums are carried into float64: |cross sum|, |low sum| <= 2**14 K < 2**31.
    static constexpr std::int64_t kFold = 65536 / kMostTerms;

    static const double* carried(const std::int32_t* s) { return reinterpret_cast<const double*>(s + 3 * kSide * kSide); }
    static void carry(std::int32_t* s, bool first) {
        double* to = reinterpret_cast<double*>(s + 3 * kSide * kSide);
        for (int i = 0; i < kSide * kSide; ++i) {
            const double sum = s[i] * 65536.0 + s[i + kSide * kSide] * 256.0 + s[i + 2 * kSide * kSide];
            to[i] = first ? sum : to[i] + sum;
        }
    }
    static std::int64_t padded(std::int64_t length) { return (length + 63) / 64 * 64; }
    // Distance of two rows of a left block: not a multiple of the cache's stride.
    static std::int64_t pitch(std::int64_t length) { return chunk_of(length) + 64; }
    static std::int64_t left_chunk(std::int64_t length) { return 2 * kSide * pitch(length); }
    static std::int64_t right_chunk(std::int64_t length) { return 2 * kSide * chunk_of(length); }
};

}  // namespace lockstep
#endif
