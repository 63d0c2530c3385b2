// One operand of a contraction: rows of mantissas read through a view, with the rows' exponents.
#pragma once

#include "quantize.h"

namespace lockstep {

constexpr std::int64_t kSide = 16;  // rows and columns of a tile of the product
constexpr std::int64_t kFewBeside = 7;

struct Operand {
    // Axes of `all`: batch, rows, terms.
    Access all, rows_only, terms_only, exponents;
    int batch_rank, row_rank, term_rank;
    std::int64_t batch, rows, length;
    bool by_columns = false;  // neighbouring rows lie side by side, neighbouring terms do not
    bool even = false;        // rows are runs of memory, one as far from the next as another
    bool beside = false;      // a term of all rows is a run of memory, one term's as far from the next's as another's

    explicit Operand(Words& w) {
        all.read(w);
        batch_rank = static_cast<int>(w.next());
        row_rank = static_cast<int>(w.next());
        term_rank = all.rank - batch_rank - row_rank;
        exponents.read(w);
        batch = extents(0, batch_rank);
        rows = extents(batch_rank, row_rank);
        length = extents(batch_rank + row_rank, term_rank);
        rows_only = part(batch_rank, row_rank);
        terms_only = part(batch_rank + row_rank, term_rank);
        // A few rows side by side are not worth a walk through all terms for each 16.
        by_columns = run_of(rows_only) > std::max(run_of(terms_only), kFewBeside);
        even = !all.bounds && !by_columns && row_rank <= 1 && terms_only.contiguous();
        beside = !all.bounds && by_columns && row_rank == 1 && term_rank == 1;
        if (!all.bounds && !by_columns && !terms_only.contiguous()) find_runs();
    }

    // Where the loops over batch and rows (or terms) stand: a shift of the offset and of the bounds' bases.
    struct Place {
        std::int64_t shift = 0;
        std::int64_t moved[kMaxBounds] = {};
    };
    Place place(std::int64_t l, std::int64_t r) const {
        Place p;
        advance(p, l, 0, batch_rank);
        advance(p, r, batch_rank, row_rank);
        return p;
    }
    Place place_of_term(std::int64_t l, std::int64_t k) const {
        Place p;
        advance(p, l, 0, batch_rank);
        advance(p, k, batch_rank + row_rank, term_rank);
        return p;
    }

    // A row's terms as runs (offset, count), where there are no bounds: found once.
    struct Run {
        std::int64_t offset, count;
    };
    std::vector<Run> runs;
    void find_runs() {
        const int inner = terms_only.rank - 1;
        const bool unit = inner >= 0 && terms_only.stride[inner] == 1;
        const std::int64_t each = unit ? terms_only.extent[inner] : 1;
        for (std::int64_t k = 0; k < length; k += each) {
            std::int64_t at = terms_only.offset, rest = k;
            for (int d = inner; d >= 0; --d) {
                at += rest % terms_only.extent[d] * terms_only.stride[d];
                rest /= terms_only.extent[d];
            }
            runs.push_back({at, each});
        }
    }
    // Rows [first, first + count), each `length` apart in `own`; only where `runs` were found.
    void copy_rows(char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count, std::int16_t* own) const {
        const std::int16_t* data = reinterpret_cast<const std::int16_t*>(slots[all.slot]);
        std::int64_t index[kMaxDims], at = place(l, 0).shift, rest = first;
        for (int d = row_rank - 1; d >= 0; --d) {
            index[d] = rest % rows_only.extent[d];
            rest /= rows_only.extent[d];
            at += index[d] * rows_only.stride[d];
        }
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int16_t* from = data + at;
            for (const Run& run : runs) {
                const std::int16_t* in = from + run.offset;
                std::int64_t n = run.count;
                // In steps of 16 bytes, past the run's end: what follows overwrites it, and both have margins.
                for (std::int16_t* out = own; n > 0; n -= 8, in += 8, out += 8) std::memcpy(out, in, 16);
                own += run.count;
            }
            for (int d = row_rank - 1; d >= 0; --d) {
                at += rows_only.stride[d];
                if (++index[d] < rows_only.extent[d]) break;
                at -= rows_only.extent[d] * rows_only.stride[d];
                index[d] = 0;
            }
        }
    }

    // Mantissas of one row; `own` (length elements) is used where they do not lie in a row already.
    const std::int16_t* row(char* const* slots, std::int64_t l, std::int64_t r, std::int16_t* own) const {
        const std::int16_t* data = reinterpret_cast<const std::int16_t*>(slots[all.slot]);
        const Place p = place(l, r);
        if (terms_only.contiguous()) return data + terms_only.offset + p.shift;
        load(terms_only, data, 0, length, own, p.shift, p.moved);
        return own;
    }
    // The first row's first mantissa; only where rows are even.
    const std::int16_t* first_term(char* const* slots, std::int64_t l) const {
        return reinterpret_cast<const std::int16_t*>(slots[all.slot]) + terms_only.offset + place(l, 0).shift;
    }
    // Term k of the first row; only where rows are one run of memory (`rows_only.contiguous()`).
    const std::int16_t* first_row(char* const* slots, std::int64_t l, std::int64_t k) const {
        return reinterpret_cast<const std::int16_t*>(slots[all.slot]) + rows_only.offset + place_of_term(l, k).shift;
    }
    // Mantissas of term k in rows [first, first + count).
    void column(char* const* slots, std::int64_t l, std::int64_t k, std::int64_t first, std::int64_t count,
                std::int16_t* out) const {
        const Place p = place_of_term(l, k);
        load(rows_only, reinterpret_cast<const std::int16_t*>(slots[all.slot]), first, count, out, p.shift, p.moved);
    }
    // 2**(exponent + plus) of `count` rows, NaN where the exponent is not usable.
    void scales(char* const* slots, std::int64_t l, std::int64_t first, std::int64_t count, int plus, double* out) const {
        std::int16_t own[kSide];
        const std::int16_t* e = reinterpret_cast<const std::int16_t*>(slots[exponents.slot]);
        if (exponents.contiguous()) {
            e += exponents.offset + l * rows + first;
        } else {
            load(exponents, e, l * rows + first, count, own);
            e = own;
        }
        for (std::int64_t i = 0; i < count; ++i) {
            const bool usable = e[i] >= kLowestQuantize && e[i] <= kHighest;
            out[i] = usable ? power_of_two(e[i] + plus) : double_of(0x7FF8000000000000u);
        }
    }

  private:
    std::int64_t extents(int first, int count) const {
        std::int64_t n = 1;
        for (int d = first; d < first + count; ++d) n *= all.extent[d];
        return n;
    }
    Access part(int first, int count) const {
        Access a = all;
        a.rank = count;
        for (int d = 0; d < count; ++d) {
            a.extent[d] = all.extent[first + d];
            a.stride[d] = all.stride[first + d];
            for (int b = 0; b < all.bounds; ++b) a.coefficient[b][d] = all.coefficient[b][first + d];
        }
        return a;
    }
    static std::int64_t run_of(const Access& a) {
        return a.rank && a.stride[a.rank - 1] == 1 ? a.extent[a.rank - 1] : 1;
    }
    void advance(Place& p, std::int64_t n, int first, int count) const {
        for (int d = first + count - 1; d >= first; --d) {
            const std::int64_t i = n % all.extent[d];
            n /= all.extent[d];
            p.shift += i * all.stride[d];
            for (int b = 0; b < all.bounds; ++b) p.moved[b] += i * all.coefficient[b][d];
        }
    }
};

}  // namespace lockstep
