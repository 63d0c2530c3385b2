// Freivalds' check of a contraction whose integer sums S are stated by somebody else, and their rounding.
//
// A (B^T r) = S r modulo the prime 2^61 - 1, for a random r: quadratic work where the product is cubic. The twin of
// lockstep/numerics/freivalds.py, which explains the bounds.
#pragma once

#include "contract.h"

namespace lockstep {

namespace prime {

constexpr std::uint64_t kPrime = (1ull << 61) - 1;
constexpr int kLimb = 21;  // a residue is three limbs of 21, 21 and 19 bits
constexpr int kLimbs = 3;

// Any 128-bit number modulo the prime.
inline std::uint64_t residue(__int128 x) {
    const bool negative = x < 0;
    unsigned __int128 u = negative ? -static_cast<unsigned __int128>(x) : static_cast<unsigned __int128>(x);
    u = (u & kPrime) + (u >> 61);  // below 2^68
    u = (u & kPrime) + (u >> 61);  // below 2^61 + 2^7
    std::uint64_t r = static_cast<std::uint64_t>(u);
    if (r >= kPrime) r -= kPrime;
    return negative && r ? kPrime - r : r;
}
inline std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t sum = a + b;
    return sum >= kPrime ? sum - kPrime : sum;
}
inline double limb(std::uint64_t x, int n) {
    return static_cast<double>(x >> (kLimb * n) & ((1u << kLimb) - 1));
}
// The residue whose limbs' exact sums (integers below 2^53 in magnitude) are given.
inline std::uint64_t joined(double low, double middle, double high) {
    const __int128 m = static_cast<std::int64_t>(middle), h = static_cast<std::int64_t>(high);
    return residue(static_cast<std::int64_t>(low) + m * (1 << kLimb) + h * (static_cast<std::int64_t>(1) << 2 * kLimb));
}

// Eight numbers at once, on whatever vectors the processor has. Everything below is an exact integer in float64, so
// it makes no difference whether products and sums are fused.
using Doubles = double __attribute__((vector_size(64)));
using Longs = std::int64_t __attribute__((vector_size(64)));
using Unsigned = std::uint64_t __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));
constexpr std::int64_t kLanes = 8;

#if defined(__AVX512F__)
inline Doubles wide(const std::int16_t* m) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(m));
    return reinterpret_cast<Doubles>(_mm512_cvtepi32_pd(_mm256_cvtepi16_epi32(v)));
}
inline Doubles fused(Doubles a, Doubles b, Doubles c) {
    return reinterpret_cast<Doubles>(_mm512_fmadd_pd(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b),
                                                     reinterpret_cast<__m512d>(c)));
}
inline Floats rounded(Doubles x) { return reinterpret_cast<Floats>(_mm512_cvtpd_ps(reinterpret_cast<__m512d>(x))); }
inline double total(Doubles x) { return _mm512_reduce_add_pd(reinterpret_cast<__m512d>(x)); }
#else
inline Doubles wide(const std::int16_t* m) {
    using Mantissas = std::int16_t __attribute__((vector_size(16)));
    using Words = std::int32_t __attribute__((vector_size(32)));
    Mantissas v;
    std::memcpy(&v, m, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, Words), Doubles);
}
inline Doubles fused(Doubles a, Doubles b, Doubles c) { return a * b + c; }
inline Floats rounded(Doubles x) { return __builtin_convertvector(x, Floats); }
inline double total(Doubles x) { return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])); }
#endif

// Integers of at most 51 bits as numbers: without an instruction for it as the last bits of 3 * 2^51, then taken off.
inline Doubles numbers(Longs x) {
#if defined(__AVX512DQ__)
    return reinterpret_cast<Doubles>(_mm512_cvtepi64_pd(reinterpret_cast<__m512i>(x)));
#endif
    constexpr std::int64_t kShift = 0x4338000000000000;
    return reinterpret_cast<Doubles>(x + kShift) - 0x1.8p52;
}
template <class V, class T>
inline V taken(const T* x) {
    V v;
    std::memcpy(&v, x, sizeof v);
    return v;
}
inline Doubles all(double x) { return Doubles{} + x; }

// acc[limb][k] += sum over 4 rows of m[row][k] * r[row][limb]
inline void add_rows(const std::int16_t* const m[4], const double r[4][kLimbs], std::int64_t length, double* acc) {
    std::int64_t k = 0;
    for (; k + kLanes <= length; k += kLanes) {
        const Doubles x[4] = {wide(m[0] + k), wide(m[1] + k), wide(m[2] + k), wide(m[3] + k)};
        for (int n = 0; n < kLimbs; ++n) {
            Doubles sum = taken<Doubles>(acc + n * length + k);
            for (int i = 0; i < 4; ++i) sum = fused(x[i], all(r[i][n]), sum);
            std::memcpy(acc + n * length + k, &sum, sizeof sum);
        }
    }
    for (; k < length; ++k)
        for (int n = 0; n < kLimbs; ++n)
            for (int i = 0; i < 4; ++i) acc[n * length + k] += m[i][k] * r[i][n];
}

// out[row] = sum over k of m[row][k] * w[limb][k], for 4 rows, as residues
inline void dot_rows(const std::int16_t* const m[4], const double* w, std::int64_t length, std::uint64_t out[4]) {
    Doubles sum[4][kLimbs] = {};
    std::int64_t k = 0;
    for (; k + kLanes <= length; k += kLanes) {
        Doubles v[kLimbs];
        for (int n = 0; n < kLimbs; ++n) v[n] = taken<Doubles>(w + n * length + k);
        for (int i = 0; i < 4; ++i) {
            const Doubles x = wide(m[i] + k);
            for (int n = 0; n < kLimbs; ++n) sum[i][n] = fused(x, v[n], sum[i][n]);
        }
    }
    for (int i = 0; i < 4; ++i) {
        double all[kLimbs];
        for (int n = 0; n < kLimbs; ++n) {
            all[n] = total(sum[i][n]);
            for (std::int64_t j = k; j < length; ++j) all[n] += m[i][j] * w[n * length + j];
        }
        out[i] = joined(all[0], all[1], all[2]);
    }
}

// A row of sums S as it is gone through: S r, by digits of S and limbs of r, and whether any is too large.
constexpr int kDigit = 23;            // S = low digit (23 bits) + 2^23 * high digit (23 bits, signed)
constexpr std::uint64_t kLargest = 1ull << 46;
constexpr std::int64_t kTerms = 512;  // in all lanes together, of 23 and 21 bits: within 2^53
struct Row {
    Doubles low[kLimbs], high[kLimbs];
    Unsigned beyond;
    std::uint64_t sum;

    void begin() { *this = Row{}; }
    void flush() {
        const __int128 upper = joined(high);
        sum = add(sum, residue(joined(low) + upper * (1 << kDigit)));
    }
    static std::uint64_t joined(Doubles part[kLimbs]) {
        const std::uint64_t found = prime::joined(total(part[0]), total(part[1]), total(part[2]));
        for (int n = 0; n < kLimbs; ++n) part[n] = Doubles{};
        return found;
    }
    // kPrime, which is no residue, where some sum is outside [-2^46, 2^46).
    std::uint64_t value() const {
        std::uint64_t any = 0;
        for (std::int64_t lane = 0; lane < kLanes; ++lane) any |= beyond[lane];
        return any >> 47 ? kPrime : sum;
    }
};

// `count` columns of a row: r's limbs lie `apart`; rounded into `out`.
inline void take_row(Row& row, const std::int64_t* s, const double* r, std::int64_t apart, double scale,
                     const double* scales, std::int64_t count, float* out) {
    Row state = row;
    const auto take = [&](const std::int64_t* at, std::int64_t i) {
        const Longs v = taken<Longs>(at);
        state.beyond |= reinterpret_cast<Unsigned>(v) + kLargest;
        const Doubles low = numbers(v & ((1ll << kDigit) - 1)), high = numbers(v >> kDigit);
        for (int n = 0; n < kLimbs; ++n) {
            const Doubles limb = taken<Doubles>(r + n * apart + i);
            state.low[n] = fused(low, limb, state.low[n]);
            state.high[n] = fused(high, limb, state.high[n]);
        }
        return rounded(fused(high, all(1 << kDigit), low) * (taken<Doubles>(scales + i) * scale));
    };
    std::int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const Floats f = take(s + i, i);
        std::memcpy(out + i, &f, sizeof f);
    }
    if (i < count) {  // limbs and scales have room for a whole round; S has not
        std::int64_t rest[kLanes] = {};
        std::copy(s + i, s + count, rest);
        const Floats f = take(rest, i);
        for (std::int64_t j = 0; i + j < count; ++j) out[i + j] = f[j];
    }
    row = state;
}

}  // namespace prime

class Freivalds : public Instruction {
  public:
    explicit Freivalds(Words& w) : input_{Operand(w), Operand(w)} {
        slot_ = static_cast<int>(w.next());
        for (Contract::Axes& axes : out_) axes.read(w);
        sums_ = static_cast<int>(w.next());
        random_ = static_cast<int>(w.next());
        verdict_ = static_cast<int>(w.next());
        parts_ = (right().rows + kPart - 1) / kPart;
        columns_.resize(static_cast<std::size_t>(right().rows));
        run_ = out_[2].offsets(0, right().rows, columns_.data());
    }

    // B^T r by parts of B's rows; the parts joined; A and S row by row.
    int phases() const override { return 3; }
    std::int64_t blocks(int phase) const override {
        if (phase == 0) return left().batch * parts_;
        return phase == 1 ? left().batch : left().batch * ((left().rows + kRows - 1) / kRows);
    }
    void prepare(Scratch& shared) override {
        const std::int64_t l = left().batch, k = left().length;
        const std::int64_t all = l * parts_ * k + l * prime::kLimbs * k + (l + prime::kLimbs) * room();
        partial_ = static_cast<std::uint64_t*>(shared.get(static_cast<std::size_t>(8 * all)));
        weights_ = reinterpret_cast<double*>(partial_ + l * parts_ * k);
        scales_ = weights_ + l * prime::kLimbs * k;
        limbs_ = scales_ + l * room();
    }
    void block(Thread& t, char* const* slots, int phase, std::int64_t b) override {
        t.last = this;
        if (phase == 0) return gather(t, slots, b);
        if (phase == 1) return join(slots, b);
        // 64 rows, 16 at a time.
        const std::int64_t each = (left().rows + kRows - 1) / kRows;
        const std::int64_t first = b % each * kRows, last = std::min(first + kRows, left().rows);
        for (std::int64_t i = first; i < last; i += kSide)
            if (!rows(t, slots, b / each, i, std::min(kSide, last - i)))
                __atomic_store_n(reinterpret_cast<std::int32_t*>(slots[verdict_]), 1, __ATOMIC_RELAXED);
    }

  private:
    static constexpr std::int64_t kPart = 4096;       // rows of B: 2^12 terms of 15 and 21 bits
    static constexpr std::int64_t kRows = 4 * kSide;  // rows of A a block
    static constexpr std::int64_t kPiece = prime::kTerms;  // columns of S at a time: their limbs stay in the first cache
    struct Rows : Format {
        using Format::rows_of;
    };

    // Columns, and as many zeros as a whole round may read beyond them.
    std::int64_t room() const { return right().rows + prime::kLanes; }
    const Operand& left() const { return input_[0]; }
    const Operand& right() const { return input_[1]; }

    // Part b of B^T r, as residues.
    void gather(Thread& t, char* const* slots, std::int64_t b) {
        const std::int64_t l = b / parts_, k = right().length;
        const std::int64_t first = b % parts_ * kPart, last = std::min(first + kPart, right().rows);
        const std::uint64_t* random = reinterpret_cast<const std::uint64_t*>(slots[random_]);
        double* acc = static_cast<double*>(t.scratch[2].get(static_cast<std::size_t>(8 * prime::kLimbs * k)));
        std::fill(acc, acc + prime::kLimbs * k, 0.0);
        for (std::int64_t at = first; at < last; at += kSide) {
            const std::int64_t count = std::min(kSide, last - at);
            std::int64_t width;
            const std::int16_t* m = Rows::rows_of(right(), slots, l, at, count, &width, t.scratch[1]);
            for (std::int64_t i = 0; i < count; i += 4) {
                const std::int16_t* row[4];
                double r[4][prime::kLimbs];
                for (int j = 0; j < 4; ++j) {
                    const bool real = i + j < count;
                    row[j] = m + (real ? i + j : i) * width;
                    for (int n = 0; n < prime::kLimbs; ++n) r[j][n] = real ? prime::limb(random[at + i + j], n) : 0.0;
                }
                prime::add_rows(row, r, k, acc);
            }
        }
        std::uint64_t* out = partial_ + b * k;
        for (std::int64_t i = 0; i < k; ++i) out[i] = prime::joined(acc[i], acc[k + i], acc[2 * k + i]);
    }

    // The limbs of B^T r, and the columns' scales, of batch l.
    void join(char* const* slots, std::int64_t l) {
        const std::int64_t k = right().length, n = right().rows;
        const std::uint64_t* random = reinterpret_cast<const std::uint64_t*>(slots[random_]);
        for (int limb = 0; l == 0 && limb < prime::kLimbs; ++limb)
            for (std::int64_t i = 0; i < room(); ++i)
                limbs_[limb * room() + i] = i < n ? prime::limb(random[i], limb) : 0.0;
        double* out = weights_ + l * prime::kLimbs * k;
        for (std::int64_t i = 0; i < k; ++i) {
            std::uint64_t sum = 0;
            for (std::int64_t part = 0; part < parts_; ++part) sum = prime::add(sum, partial_[(l * parts_ + part) * k + i]);
            for (int limb = 0; limb < prime::kLimbs; ++limb) out[limb * k + i] = prime::limb(sum, limb);
        }
        for (std::int64_t i = 0; i < n; i += kSide)
            right().scales(slots, l, i, std::min(kSide, n - i), 0, scales_ + l * room() + i);
        std::fill(scales_ + l * room() + n, scales_ + (l + 1) * room(), 0.0);
    }

    // Rows [first, first + count): whether the sums are right; rounded into the output either way.
    bool rows(Thread& t, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count) {
        const std::int64_t n = right().rows, k = left().length;
        std::int64_t width;
        const std::int16_t* m = Rows::rows_of(left(), slots, l, first, count, &width, t.scratch[1]);
        std::uint64_t wanted[kSide];
        for (std::int64_t i = 0; i < count; i += 4) {
            const std::int16_t* row[4];
            for (int j = 0; j < 4; ++j) row[j] = m + (i + j < count ? i + j : i) * width;
            prime::dot_rows(row, weights_ + l * prime::kLimbs * k, k, wanted + i);
        }
        std::int64_t place[kSide];
        double scale[kSide];
        const bool side = out_[1].offsets(first, count, place);
        left().scales(slots, l, first, count, -26, scale);
        float* out = reinterpret_cast<float*>(slots[slot_]) + out_[0].at(l);
        float* own = run_ ? nullptr : static_cast<float*>(t.scratch[2].get(static_cast<std::size_t>(4 * kSide * n)));
        const std::int64_t* sums = reinterpret_cast<const std::int64_t*>(slots[sums_]) + (l * left().rows + first) * n;
        prime::Row state[kSide];
        for (std::int64_t i = 0; i < count; ++i) state[i].begin();
        for (std::int64_t c = 0; c < n; c += kPiece) {
            const std::int64_t some = std::min(kPiece, n - c);
            for (std::int64_t i = 0; i < count; ++i) {
                float* to = run_ ? out + place[i] + columns_[0] + c : own + i * n + c;
                prime::take_row(state[i], sums + i * n + c, limbs_ + c, room(), scale[i], scales_ + l * room() + c, some, to);
                state[i].flush();
            }
        }
        bool right_sums = true;
        for (std::int64_t i = 0; i < count; ++i) {
            right_sums = right_sums && state[i].value() == wanted[i];
        }
        if (run_) return right_sums;
        for (std::int64_t c = 0; c < n; ++c) {
            float* to = out + columns_[static_cast<std::size_t>(c)];
            for (std::int64_t i = 0; i < count; ++i) to[side ? place[0] + i : place[i]] = own[i * n + c];
        }
        return right_sums;
    }

    Operand input_[2];
    Contract::Axes out_[3];
    int slot_, sums_, random_, verdict_;
    std::int64_t parts_;
    std::vector<std::int64_t> columns_;
    bool run_;
    std::uint64_t* partial_ = nullptr;
    double *weights_ = nullptr, *scales_ = nullptr, *limbs_ = nullptr;
};

}  // namespace lockstep
