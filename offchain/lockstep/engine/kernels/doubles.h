// Contraction by float64 products: exact, since every partial sum is an integer below 2**53 (K <= 2**24).
// The route of processors without int8 dot products.
#pragma once

#include "operand.h"

namespace lockstep {

class Doubles {
  public:
    static constexpr const char* name() { return "float64"; }
    static std::size_t left_bytes(std::int64_t length) { return static_cast<std::size_t>(kSide * length * 8); }
    static std::size_t right_bytes(std::int64_t length) { return left_bytes(length); }
    static void begin() {}
    static void end() {}

    // Left blocks and right panels alike: term by term, 16 rows side by side.
    static void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                          std::int8_t* out, double*, Scratch& scratch) {
        pack_right(o, slots, l, first, count, out, scratch);
    }
    static void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first,
                           std::int64_t count, std::int8_t* out, Scratch& scratch) {
        double* to = reinterpret_cast<double*>(out);
        if (o.by_columns) {
            std::int16_t term[kSide] = {};
            for (std::int64_t k = 0; k < o.length; ++k) {
                o.column(slots, l, k, first, count, term);
                for (std::int64_t i = 0; i < kSide; ++i) to[k * kSide + i] = term[i];
            }
            return;
        }
        std::int16_t* own = static_cast<std::int16_t*>(scratch.get(static_cast<std::size_t>(2 * o.length)));
        for (std::int64_t i = 0; i < kSide; ++i) {
            const std::int16_t* m = i < count ? o.row(slots, l, first + i, own) : nullptr;
            for (std::int64_t k = 0; k < o.length; ++k) to[k * kSide + i] = m ? m[k] : 0;
        }
    }

    static void tile(const std::int8_t* left_, const double*, const std::int8_t* right_, std::int64_t length,
                     const double* left_scale, const double* right_scale, float* out) {
        const double* left = reinterpret_cast<const double*>(left_);
        const double* right = reinterpret_cast<const double*>(right_);
        for (int i = 0; i < kSide; i += 4) {
            for (int j = 0; j < kSide; j += 8) {
                double c[4][8] = {};
                for (std::int64_t k = 0; k < length; ++k) {
                    const double* a = left + k * kSide + i;
                    const double* b = right + k * kSide + j;
                    for (int p = 0; p < 4; ++p)
                        for (int q = 0; q < 8; ++q) c[p][q] += a[p] * b[q];
                }
                for (int p = 0; p < 4; ++p)
                    for (int q = 0; q < 8; ++q)
                        out[(i + p) * kSide + j + q] =
                            static_cast<float>((c[p][q] + 0.0) * left_scale[i + p] * right_scale[j + q]);
            }
        }
    }
};

}  // namespace lockstep
