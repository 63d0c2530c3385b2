// Freivalds' check of a contraction whose integer sums S are stated by somebody else, and their rounding.
//
// A (B^T r) = S r modulo the prime 2^61 - 1, for a random r: quadratic work where the product is cubic. The twin of
// lockstep/numerics/freivalds.py, which explains the bounds.
#pragma once

#include "contract.h"
#include "prime.h"

namespace lockstep {

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
        return phase == 1 ? left().batch : left().batch * ((left().rows + each() - 1) / each());
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
        // Some rows, 16 at a time.
        const std::int64_t blocks = (left().rows + each() - 1) / each(), l = b / blocks;
        const std::int64_t first = b % blocks * each(), last = std::min(first + each(), left().rows);
        std::uint64_t wanted[kStrip];
        if (left().by_columns) products_by_columns(t, slots, l, first, last - first, wanted);
        for (std::int64_t i = first; i < last; i += kSide)
            if (!rows(t, slots, l, i, std::min(kSide, last - i), wanted + (i - first)))
                __atomic_store_n(reinterpret_cast<std::int32_t*>(slots[verdict_]), 1, __ATOMIC_RELAXED);
    }

  private:
    static constexpr std::int64_t kPart = 4096;       // rows of B: 2^12 terms of 15 and 21 bits
    static constexpr std::int64_t kRows = 4 * kSide;  // rows of A a block
    static constexpr std::int64_t kStrip = 512;       // the same where neighbouring rows lie side by side
    static constexpr std::int64_t kPiece = prime::kTerms;  // columns of S at a time: their limbs stay in the first cache
    static constexpr std::int64_t kStreamed = 8 << 20;  // bytes of a result that no cache holds until it is read
    struct Rows : Format {
        using Format::rows_of;
    };

    // Columns, and as many zeros as a whole round may read beyond them.
    std::int64_t room() const { return right().rows + prime::kLanes; }
    std::int64_t each() const { return left().by_columns ? kStrip : kRows; }
    const Operand& left() const { return input_[0]; }
    const Operand& right() const { return input_[1]; }

    // Terms k to k + 3 of rows [first, first + n) of an operand whose neighbouring rows lie side by side; the first again
    // where there are no more.
    static void columns(const Operand& o, char* const* slots, std::int64_t l, std::int64_t k, std::int64_t first,
                        std::int64_t n, Scratch& scratch, const std::int16_t* out[4]) {
        const bool there = o.rows_only.contiguous();
        std::int16_t* own = there ? nullptr : static_cast<std::int16_t*>(scratch.get(static_cast<std::size_t>(8 * n + 64)));
        for (std::int64_t j = 0; j < 4; ++j) {
            out[j] = out[0];
            if (k + j >= o.length) continue;
            out[j] = there ? o.first_row(slots, l, k + j) + first : own + j * n;
            if (!there) o.column(slots, l, k + j, first, n, own + j * n);
        }
    }

    // Part b of B^T r, as residues.
    void gather(Thread& t, char* const* slots, std::int64_t b) {
        const std::int64_t l = b / parts_, k = right().length;
        const std::int64_t first = b % parts_ * kPart, last = std::min(first + kPart, right().rows);
        const std::uint64_t* random = reinterpret_cast<const std::uint64_t*>(slots[random_]);
        if (right().by_columns) return gather_by_columns(t, slots, l, first, last - first, random + first, partial_ + b * k);
        double* acc = static_cast<double*>(t.scratch[2].get(static_cast<std::size_t>(8 * prime::kLimbs * k)));
        std::fill(acc, acc + prime::kLimbs * k, 0.0);
        for (std::int64_t at = first; at < last; at += kSide) {
            const std::int64_t count = std::min(kSide, last - at);
            std::int64_t width;
            const std::int16_t* m = Rows::rows_of(right(), slots, l, at, count, &width, t.scratch[1]);
            double r[kSide][prime::kLimbs] = {};
            for (std::int64_t i = 0; i < count; ++i)
                for (int n = 0; n < prime::kLimbs; ++n) r[i][n] = prime::limb(random[at + i], n);
            for (std::int64_t from = 0; from < k; from += prime::kStretch) {
                const std::int64_t some = std::min(prime::kStretch, k - from);
                for (std::int64_t i = 0; i < count; i += 4) {
                    const std::int16_t* row[4];
                    for (int j = 0; j < 4; ++j) row[j] = m + (i + j < count ? i + j : i) * width + from;
                    prime::add_rows(row, r + i, some, acc + from, k);
                }
            }
        }
        std::uint64_t* out = partial_ + b * k;
        for (std::int64_t i = 0; i < k; ++i) out[i] = prime::joined(acc[i], acc[k + i], acc[2 * k + i]);
    }

    void gather_by_columns(Thread& t, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t n,
                           const std::uint64_t* random, std::uint64_t* out) {
        double* r = static_cast<double*>(t.scratch[2].get(static_cast<std::size_t>(8 * prime::kLimbs * n)));
        for (int limb = 0; limb < prime::kLimbs; ++limb)
            for (std::int64_t i = 0; i < n; ++i) r[limb * n + i] = prime::limb(random[i], limb);
        for (std::int64_t k = 0; k < right().length; k += 4) {
            const std::int16_t* column[4];
            std::uint64_t found[4];
            columns(right(), slots, l, k, first, n, t.scratch[1], column);
            prime::dot_rows(column, r, n, n, found);
            std::copy(found, found + std::min<std::int64_t>(4, right().length - k), out + k);
        }
    }

    // A (B^T r) of n rows of A.
    void products_by_columns(Thread& t, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t n,
                             std::uint64_t* out) {
        const std::int64_t length = left().length;
        const double* weights = weights_ + l * prime::kLimbs * length;
        double* acc = static_cast<double*>(t.scratch[2].get(static_cast<std::size_t>(8 * prime::kLimbs * n)));
        std::fill(acc, acc + prime::kLimbs * n, 0.0);
        for (std::int64_t k = 0; k < length; k += 4) {
            const std::int16_t* column[4];
            double w[4][prime::kLimbs];
            columns(left(), slots, l, k, first, n, t.scratch[1], column);
            for (std::int64_t j = 0; j < 4; ++j)
                for (int limb = 0; limb < prime::kLimbs; ++limb) w[j][limb] = k + j < length ? weights[limb * length + k + j] : 0.0;
            prime::add_rows(column, w, n, acc, n);
        }
        for (std::int64_t i = 0; i < n; ++i) out[i] = prime::joined(acc[i], acc[n + i], acc[2 * n + i]);
    }
    void products(Thread& t, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count, std::uint64_t* out) {
        const std::int64_t k = left().length;
        std::int64_t width;
        const std::int16_t* m = Rows::rows_of(left(), slots, l, first, count, &width, t.scratch[1]);
        const double* weights = weights_ + l * prime::kLimbs * k;
        std::fill(out, out + count, 0);
        for (std::int64_t from = 0; from < k; from += prime::kStretch) {
            const std::int64_t some = std::min(prime::kStretch, k - from);
            for (std::int64_t i = 0; i < count; i += 4) {
                const std::int16_t* row[4];
                std::uint64_t found[4];
                for (int j = 0; j < 4; ++j) row[j] = m + (i + j < count ? i + j : i) * width + from;
                prime::dot_rows(row, weights + from, k, some, found);
                for (std::int64_t j = 0; i + j < std::min(count, i + 4); ++j) out[i + j] = prime::add(out[i + j], found[j]);
            }
        }
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

    // Rows [first, first + count): whether the sums are right; rounded into the output either way. `wanted` has what
    // they should come to, or has room for it.
    bool rows(Thread& t, char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count, std::uint64_t* wanted) {
        const std::int64_t n = right().rows;
        if (!left().by_columns) products(t, slots, l, first, count, wanted);
        std::int64_t place[kSide];
        double scale[kSide];
        const bool side = out_[1].offsets(first, count, place);
        left().scales(slots, l, first, count, -26, scale);
        float* out = reinterpret_cast<float*>(slots[slot_]) + out_[0].at(l);
        float* own = run_ ? nullptr : static_cast<float*>(t.scratch[2].get(static_cast<std::size_t>(4 * kSide * n)));
        const std::int64_t* sums = reinterpret_cast<const std::int64_t*>(slots[sums_]) + (l * left().rows + first) * n;
        prime::Row state[kSide];
        for (std::int64_t i = 0; i < count; ++i) state[i].begin();
        const bool streams = run_ && 4 * left().batch * left().rows * n >= kStreamed;
        const auto take = streams ? prime::take_row<true> : prime::take_row<false>;
        for (std::int64_t c = 0; c < n; c += kPiece) {
            const std::int64_t some = std::min(kPiece, n - c);
            for (std::int64_t i = 0; i < count; ++i) {
                float* to = run_ ? out + place[i] + columns_[0] + c : own + i * n + c;
                const std::int64_t* next = sums + (i + 1 < count ? (i + 1) * n + c : c + kPiece);
                take(state[i], sums + i * n + c, limbs_ + c, room(), scale[i], scales_ + l * room() + c, some, to, next);
                state[i].flush();
            }
        }
        if (streams) prime::streams_end();
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
