// How blocks of mantissas are packed and multiplied: one implementation a kind of processor, all exact.
#pragma once

#include "operand.h"

namespace lockstep {

// Powers of two that a tile's 16 rows and 16 columns are scaled by; NaN where an exponent is not usable.
struct Scales {
    const double *left, *right;
    // Whether each of them and every product of two is a normal f32. Then a sum may be rounded before it is scaled: a sum
    // that is not 0 is at least 1, so no result is subnormal, and rounding to 24 bits commutes with powers of two.
    bool normal;
};

// A product is made of tiles of 16 x 16. The left operand's rows come in blocks of 16, the right's in panels of
// 16; long rows are cut into chunks that the first-level cache can hold, and a tile's state is carried from one
// chunk to the next.
class Format {
  public:
    virtual ~Format() = default;
    virtual const char* name() const = 0;
    // Whether a thread must be set up: `begin` before its first contraction of a step, `end` after its last.
    virtual bool has_state() const { return false; }
    virtual void begin() const {}
    virtual void end() const {}
    virtual std::int64_t chunks(std::int64_t length) const = 0;
    virtual std::size_t left_bytes(std::int64_t length) const = 0;
    virtual std::size_t right_bytes(std::int64_t length) const = 0;
    virtual std::size_t state_bytes() const = 0;
    // Rows [first, first + count) of an operand, count <= 16; the rest of the block counts as zeros.
    virtual void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first,
                           std::int64_t count, std::int8_t* out, Scratch& scratch) const = 0;
    virtual void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first,
                            std::int64_t count, std::int8_t* out, Scratch& scratch) const = 0;
    // Adds chunk c's products to the state of a tile (c = 0 begins it).
    virtual void accumulate(const std::int8_t* left, const std::int8_t* right, std::int64_t length, std::int64_t c,
                            void* state) const = 0;
    // out[i][j] = round_f32(sum * left scale[i] * right scale[j]), 16 rows of 16
    virtual void finish(const std::int8_t* left, std::int64_t length, const void* state, const Scales& scales,
                        float* const* out) const = 0;
    // out[i][j] = sum, exact
    virtual void sums(const std::int8_t* left, std::int64_t length, const void* state, double* out) const = 0;

  protected:
    // Rows of mantissas of an operand, `width` apart, whatever way they lie in memory. Returns where they are.
    static const std::int16_t* rows_of(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first,
                                       std::int64_t count, std::int64_t* width, Scratch& scratch) {
        const std::int64_t n = o.length;
        if (o.by_columns) {
            std::int16_t* own = static_cast<std::int16_t*>(scratch.get(static_cast<std::size_t>(2 * kSide * (n + 1))));
            std::int16_t* turned = own + kSide;
            for (std::int64_t k = 0; k < n; ++k) {
                o.column(slots, l, k, first, count, own);
                for (std::int64_t i = 0; i < count; ++i) turned[i * n + k] = own[i];
            }
            *width = n;
            return turned;
        }
        if (o.even) {
            *width = o.row_rank ? o.rows_only.stride[0] : 0;
            return o.first_term(slots, l) + first * *width;
        }
        std::int16_t* own = static_cast<std::int16_t*>(scratch.get(static_cast<std::size_t>(2 * kSide * n + 64)));
        if (!o.runs.empty()) {
            o.copy_rows(slots, l, first, count, own);
            *width = n;
            return own;
        }
        const std::int16_t* at = nullptr;
        std::int64_t apart = 0;
        bool even = true;
        const std::int16_t* row[kSide];
        for (std::int64_t i = 0; i < count; ++i) {
            row[i] = o.row(slots, l, first + i, own + i * n);
            if (i == 0) at = row[0];
            if (i == 1) apart = row[1] - row[0];
            even = even && row[i] == at + i * apart;
        }
        if (!even) {
            for (std::int64_t i = 0; i < count; ++i)
                if (row[i] != own + i * n) std::memcpy(own + i * n, row[i], static_cast<std::size_t>(2 * n));
            at = own;
            apart = n;
        }
        *width = apart;
        return at;
    }
};

// float64 products: exact, since every partial sum is an integer below 2**53 (K <= 2**24).
class DoubleFormat : public Format {
  public:
    const char* name() const override { return "float64"; }
    std::int64_t chunks(std::int64_t) const override { return 1; }
    std::size_t left_bytes(std::int64_t length) const override { return static_cast<std::size_t>(kSide * length * 8); }
    std::size_t right_bytes(std::int64_t length) const override { return left_bytes(length); }
    std::size_t state_bytes() const override { return sizeof(double) * kSide * kSide; }
    void pack_left(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                   std::int8_t* out, Scratch& scratch) const override {
        double* to = reinterpret_cast<double*>(out);
        std::int64_t width;
        const std::int16_t* m = rows_of(o, slots, l, first, count, &width, scratch);
        for (std::int64_t k = 0; k < o.length; ++k)
            for (std::int64_t i = 0; i < kSide; ++i) to[k * kSide + i] = i < count ? m[i * width + k] : 0;
    }
    void pack_right(const Operand& o, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count,
                    std::int8_t* out, Scratch& scratch) const override {
        pack_left(o, slots, l, first, count, out, scratch);
    }
    void accumulate(const std::int8_t* left_, const std::int8_t* right_, std::int64_t length, std::int64_t,
                    void* state) const override {
        const double* left = reinterpret_cast<const double*>(left_);
        const double* right = reinterpret_cast<const double*>(right_);
        double* total = static_cast<double*>(state);
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
                    for (int q = 0; q < 8; ++q) total[(i + p) * kSide + j + q] = c[p][q];
            }
        }
    }
    void finish(const std::int8_t*, std::int64_t, const void* state, const Scales& scales, float* const* out) const override {
        const double* total = static_cast<const double*>(state);
        for (int i = 0; i < kSide; ++i)
            for (int j = 0; j < kSide; ++j)
                out[i][j] = static_cast<float>((total[i * kSide + j] + 0.0) * scales.left[i] * scales.right[j]);
    }
    void sums(const std::int8_t*, std::int64_t, const void* state, double* out) const override {
        std::memcpy(out, state, kSide * kSide * sizeof(double));
    }
};

}  // namespace lockstep
