// Rows of an operand: how they are read, and their exponents.
#pragma once

#include <algorithm>
#include <cmath>

#include "access.h"
#include "pool.h"

namespace lockstep {

constexpr int kLowestQuantize = -113;
constexpr int kLowestSum = -126;
constexpr int kHighest = 127;

// Block exponent from the largest magnitude's bits.
inline int exponent_of(std::uint32_t largest, int floor) {
    if (largest >= 0x7F800000u) return kAbsorbing;
    return std::max(static_cast<int>(largest >> 23) - 127, floor);
}

inline std::uint32_t largest_magnitude(const float* x, std::int64_t n) {
    const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(x);
    std::uint32_t largest = 0;
    for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, b[i] & 0x7FFFFFFFu);
    return largest;
}

// Rows of an operand read through a view: `rows` of `length`, handed to `each(row, pointer)`.
class RowReader {
  public:
    void read(Words& w) {
        access.read(w);
        rows = w.next();
        length = w.next();
        block = std::max<std::int64_t>(1, 4096 / length);
        // A row of a few long runs need not be copied together.
        const int inner = access.rank - 1;
        if (!access.contiguous() && !access.bounds && inner >= 0 && access.stride[inner] == 1 &&
            access.extent[inner] >= 32 && length % access.extent[inner] == 0)
            run = access.extent[inner];
    }
    // Calls each(pointer, count) for the row's runs, in order.
    template <class Each>
    void in_runs(char* const* slots, std::int64_t r, Each each) const {
        const float* data = reinterpret_cast<const float*>(slots[access.slot]);
        std::int64_t index[kMaxDims], at = access.offset, rest = r * (length / run);
        const int last = access.rank - 2;
        for (int d = last; d >= 0; --d) {
            index[d] = rest % access.extent[d];
            rest /= access.extent[d];
            at += index[d] * access.stride[d];
        }
        for (std::int64_t n = 0; n < length; n += run) {
            each(data + at, run);
            for (int d = last; d >= 0; --d) {
                at += access.stride[d];
                if (++index[d] < access.extent[d]) break;
                at -= access.extent[d] * access.stride[d];
                index[d] = 0;
            }
        }
    }
    std::uint32_t magnitude(Thread& t, char* const* slots, std::int64_t r) const {
        if (!run) return largest_magnitude(row(t, slots, r), length);
        std::uint32_t largest = 0;
        in_runs(slots, r, [&](const float* x, std::int64_t n) { largest = std::max(largest, largest_magnitude(x, n)); });
        return largest;
    }
    const float* row(Thread& t, char* const* slots, std::int64_t r) const {
        const float* data = reinterpret_cast<const float*>(slots[access.slot]);
        if (access.contiguous()) return data + access.offset + r * length;
        float* own = static_cast<float*>(t.scratch[0].get(static_cast<std::size_t>(length) * 4));
        load(access, data, r * length, length, own);
        return own;
    }
    std::int64_t blocks() const { return (rows + block - 1) / block; }
    Access access;
    std::int64_t rows, length, block;
    std::int64_t run = 0;  // length of a row's runs, 0 where a row is read whole
};

// Rows that lie beside each other: their common axis, of `side` rows, is stepped through in blocks of `width`, so that
// memory is read in its own order and not once a row.
constexpr std::int64_t kColumns = 64;
constexpr std::int64_t kTile = 16;
class Beside {
  public:
    // Rows whose elements are neighbours: a reduction down the columns of matrices.
    bool columns(const RowReader& in) {
        return divide(in, kColumns) && stride_ == 1 && !(terms_.rank && terms_.stride[terms_.rank - 1] == 1);
    }
    // Rows that take turns in short runs: the rows of a matrix turned over, of a few elements an entry.
    bool short_runs(const RowReader& in) {
        if (!divide(in, kTile) || terms_.rank < 2) return false;
        const int inner = terms_.rank - 1;
        return terms_.stride[inner] == 1 && terms_.extent[inner] < 32 && stride_ >= terms_.extent[inner] &&
               stride_ <= 64 && terms_.stride[inner - 1] >= side_ * stride_;
    }
    std::int64_t blocks() const { return blocks_; }
    struct Block {
        std::int64_t offset, first, count;
    };
    Block block(std::int64_t b) const {
        std::int64_t rest = b / each_, part = b % each_ * width_;
        Block out{lead_.offset + part * stride_, rest * side_ + part, std::min(width_, side_ - part)};
        for (int d = lead_.rank - 1; d >= 0; --d) {
            out.offset += rest % lead_.extent[d] * lead_.stride[d];
            rest /= lead_.extent[d];
        }
        return out;
    }
    // Calls each(pointer, term, count, stride) for the runs of the first row's terms, in order.
    template <class Each>
    void terms(const float* x, Each each) const {
        if (terms_.rank == 0) return each(x, 0, 1, 0);
        const int inner = terms_.rank - 1;
        const std::int64_t n = terms_.extent[inner];
        std::int64_t index[kMaxDims] = {}, k = 0;
        for (;;) {
            each(x, k, n, terms_.stride[inner]);
            k += n;
            int d = inner - 1;
            for (; d >= 0; --d) {
                x += terms_.stride[d];
                if (++index[d] < terms_.extent[d]) break;
                x -= terms_.extent[d] * terms_.stride[d];
                index[d] = 0;
            }
            if (d < 0) return;
        }
    }
    // A block's rows copied out, each `length` apart.
    void copy(const float* x, const Block& b, std::int64_t length, float* out) const {
        terms(x, [&](const float* run, std::int64_t k, std::int64_t n, std::int64_t) {
            for (std::int64_t i = 0; i < b.count; ++i) {
                const float* in = run + i * stride_;
                float* to = out + i * length + k;
                for (std::int64_t j = 0; j < n; ++j) to[j] = in[j];
            }
        });
    }

  private:
    bool divide(const RowReader& in, std::int64_t width) {
        const Access& a = in.access;
        if (a.bounds) return false;
        int d = a.rank;
        std::int64_t n = 1;
        while (d > 0 && n < in.length) n *= a.extent[--d];
        if (n != in.length || d == 0 || a.extent[d - 1] < 8) return false;
        terms_ = lead_ = Access();
        lead_.offset = a.offset;
        for (int i = 0; i < a.rank; ++i) {
            if (i == d - 1) continue;
            Access& part = i < d ? lead_ : terms_;
            part.extent[part.rank] = a.extent[i];
            part.stride[part.rank++] = a.stride[i];
        }
        side_ = a.extent[d - 1];
        stride_ = a.stride[d - 1];
        width_ = width;
        each_ = (side_ + width - 1) / width;
        blocks_ = in.rows / side_ * each_;
        return true;
    }
    Access lead_, terms_;
    std::int64_t side_ = 0, stride_ = 0, width_ = 1, each_ = 1, blocks_ = 0;
};

inline void column_magnitudes(const Beside& beside, const float* x, std::int64_t n, std::uint32_t* largest) {
    std::memset(largest, 0, sizeof(std::uint32_t) * kColumns);
    beside.terms(x, [&](const float* run, std::int64_t, std::int64_t count, std::int64_t stride) {
        for (std::int64_t k = 0; k < count; ++k) {
            const std::uint32_t* b = reinterpret_cast<const std::uint32_t*>(run + k * stride);
            _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i) {
                const std::uint32_t m = b[i] & 0x7FFFFFFFu;
                largest[i] = largest[i] > m ? largest[i] : m;
            }
        }
    });
}

}  // namespace lockstep
