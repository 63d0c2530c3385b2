// view, concat and gather written out, and the generators: iota, random_bits, shuffle.
#pragma once

#include "access.h"

namespace lockstep {

constexpr std::int64_t kMoveBlock = 8192;

// A view written out: element n of the access to element n of the slot.
class Move : public Instruction {
  public:
    explicit Move(Words& w) {
        access_.read(w);
        count_ = w.next();
        slot_ = static_cast<int>(w.next());
        columns_ = access_.bounds == 0 && access_.rank >= 2 && access_.stride[access_.rank - 2] == 1 &&
                   access_.stride[access_.rank - 1] > 1 && access_.size == 4;
    }
    std::int64_t blocks(int) const override {
        if (!columns_) return (count_ + kMoveBlock - 1) / kMoveBlock;
        return count_ / access_.extent[access_.rank - 1] / access_.extent[access_.rank - 2] * strips();
    }
    void block(Thread&, char* const* slots, int, std::int64_t b) override {
        if (columns_) return transpose(slots, b);
        const std::int64_t start = b * kMoveBlock, n = std::min(kMoveBlock, count_ - start);
        load_bytes(access_, slots[access_.slot], start, n, slots[slot_] + start * access_.size);
    }

  private:
    static constexpr std::int64_t kSquare = 32;
    std::int64_t strips() const { return (access_.extent[access_.rank - 2] + kSquare - 1) / kSquare; }

    // The two innermost axes as a matrix read down its columns: a strip of it, in squares.
    void transpose(char* const* slots, std::int64_t b) {
        const int last = access_.rank - 1;
        const std::int64_t rows = access_.extent[last - 1], columns = access_.extent[last];
        const std::int64_t step = access_.stride[last];
        std::int64_t at = access_.offset, n = b / strips();
        const std::int64_t place = n * rows * columns;
        for (int d = last - 2; d >= 0; --d) {
            at += n % access_.extent[d] * access_.stride[d];
            n /= access_.extent[d];
        }
        const std::int64_t first = b % strips() * kSquare, stop = std::min(rows, first + kSquare);
        const std::uint32_t* in = reinterpret_cast<const std::uint32_t*>(slots[access_.slot]) + at;
        std::uint32_t* out = reinterpret_cast<std::uint32_t*>(slots[slot_]) + place;
        for (std::int64_t c = 0; c < columns; c += kSquare) {
            const std::int64_t end = std::min(columns, c + kSquare);
            for (std::int64_t r = first; r < stop; ++r) {
                for (std::int64_t k = c; k < end; ++k) out[r * columns + k] = in[r + k * step];
            }
        }
    }
    Access access_;
    std::int64_t count_;
    int slot_;
    bool columns_;
};

// One input of a concat: `outer` runs of `length` elements, `pitch` apart in the output.
class Join : public Instruction {
  public:
    explicit Join(Words& w) {
        access_.read(w);
        outer_ = w.next();
        length_ = w.next();
        pitch_ = w.next();
        offset_ = w.next();
        slot_ = static_cast<int>(w.next());
    }
    std::int64_t blocks(int) const override { return outer_; }
    void block(Thread&, char* const* slots, int, std::int64_t o) override {
        load_bytes(access_, slots[access_.slot], o * length_, length_,
                   slots[slot_] + (o * pitch_ + offset_) * access_.size);
    }

  private:
    Access access_;
    std::int64_t outer_, length_, pitch_, offset_;
    int slot_;
};

// Rows of a table by index; zeros outside.
class Gather : public Instruction {
  public:
    explicit Gather(Words& w) {
        table_.read(w);
        index_.read(w);
        rows_ = w.next();
        rest_ = w.next();
        count_ = w.next();
        slot_ = static_cast<int>(w.next());
    }
    std::int64_t blocks(int) const override { return (count_ + step() - 1) / step(); }
    void block(Thread&, char* const* slots, int, std::int64_t b) override {
        const std::int64_t last = std::min(count_, (b + 1) * step());
        for (std::int64_t i = b * step(); i < last; ++i) {
            std::int32_t row;
            load(index_, reinterpret_cast<const std::int32_t*>(slots[index_.slot]), i, 1, &row);
            char* out = slots[slot_] + i * rest_ * table_.size;
            if (row < 0 || row >= rows_)
                std::memset(out, 0, static_cast<std::size_t>(rest_ * table_.size));
            else
                load_bytes(table_, slots[table_.slot], row * rest_, rest_, out);
        }
    }

  private:
    std::int64_t step() const { return std::max<std::int64_t>(1, 4096 / rest_); }
    Access table_, index_;
    std::int64_t rows_, rest_, count_;
    int slot_;
};

class Iota : public Instruction {
  public:
    explicit Iota(Words& w) {
        count_ = w.next();
        slot_ = static_cast<int>(w.next());
    }
    std::int64_t blocks(int) const override { return (count_ + kMoveBlock - 1) / kMoveBlock; }
    void block(Thread&, char* const* slots, int, std::int64_t b) override {
        std::int32_t* out = reinterpret_cast<std::int32_t*>(slots[slot_]);
        const std::int64_t stop = std::min(count_, (b + 1) * kMoveBlock);
        for (std::int64_t i = b * kMoveBlock; i < stop; ++i) out[i] = static_cast<std::int32_t>(i);
    }

  private:
    std::int64_t count_;
    int slot_;
};

// Threefry-2x32, 20 rounds (Random123), on words x0, x1 in place.
inline void threefry(std::uint32_t k0, std::uint32_t k1, std::uint32_t& x0, std::uint32_t& x1) {
    const std::uint32_t k2 = 0x1BD11BDAu ^ k0 ^ k1;
    x0 += k0;
    x1 += k1;
#define LOCKSTEP_ROUND(R)             \
    x0 += x1;                         \
    x1 = (x1 << R) | (x1 >> (32 - R)); \
    x1 ^= x0;
#define LOCKSTEP_FOUR(A, B, C, D, K, L, N)                                  \
    LOCKSTEP_ROUND(A) LOCKSTEP_ROUND(B) LOCKSTEP_ROUND(C) LOCKSTEP_ROUND(D) \
    x0 += K;                                                                \
    x1 += L + N;
    LOCKSTEP_FOUR(13, 15, 26, 6, k1, k2, 1u)
    LOCKSTEP_FOUR(17, 29, 16, 24, k2, k0, 2u)
    LOCKSTEP_FOUR(13, 15, 26, 6, k0, k1, 3u)
    LOCKSTEP_FOUR(17, 29, 16, 24, k1, k2, 4u)
    LOCKSTEP_FOUR(13, 15, 26, 6, k2, k0, 5u)
#undef LOCKSTEP_ROUND
#undef LOCKSTEP_FOUR
}

// The key of one draw: TF(key = seed, ctr = (counter, site)).
struct DrawKey {
    std::uint32_t word[2];
    void read(Words& w) {
        seed[0] = static_cast<std::uint32_t>(w.next());
        seed[1] = static_cast<std::uint32_t>(w.next());
        site = static_cast<std::uint32_t>(w.next());
        counter.read(w);
    }
    void derive(char* const* slots) {
        load(counter, reinterpret_cast<const std::uint32_t*>(slots[counter.slot]), 0, 1, &word[0]);
        word[1] = site;
        threefry(seed[0], seed[1], word[0], word[1]);
    }
    std::uint32_t seed[2], site;
    Access counter;
};

class RandomBits : public Instruction {
  public:
    explicit RandomBits(Words& w) {
        key_.read(w);
        origin_ = w.next() / 2;
        count_ = w.next();
        slot_ = static_cast<int>(w.next());
    }
    std::int64_t blocks(int) const override { return (count_ + kMoveBlock - 1) / kMoveBlock; }
    void block(Thread&, char* const* slots, int, std::int64_t b) override {
        DrawKey key = key_;
        key.derive(slots);
        std::uint32_t* out = reinterpret_cast<std::uint32_t*>(slots[slot_]);
        const std::int64_t first = b * kMoveBlock / 2, pairs = std::min(kMoveBlock, count_ - b * kMoveBlock) / 2;
        std::uint32_t* at = out + first * 2;
        _Pragma("GCC ivdep") for (std::int64_t i = 0; i < pairs; ++i) {
            std::uint32_t x0 = static_cast<std::uint32_t>(origin_ + first + i), x1 = 0;
            threefry(key.word[0], key.word[1], x0, x1);
            at[2 * i] = x0;
            at[2 * i + 1] = x1;
        }
        if (count_ % 2 && (b + 1) * kMoveBlock >= count_) {
            std::uint32_t x0 = static_cast<std::uint32_t>(origin_ + count_ / 2), x1 = 0;
            threefry(key.word[0], key.word[1], x0, x1);
            out[count_ - 1] = x0;
        }
    }

  private:
    DrawKey key_;
    std::int64_t origin_;  // the first element's pair
    std::int64_t count_;
    int slot_;
};

// Swap-or-not on 0..n-1, 24 rounds; 0 for an index outside.
class Shuffle : public Instruction {
  public:
    explicit Shuffle(Words& w) {
        key_.read(w);
        n_ = static_cast<std::uint32_t>(w.next());
        index_.read(w);
        count_ = w.next();
        slot_ = static_cast<int>(w.next());
    }
    std::int64_t blocks(int) const override { return (count_ + kBlock - 1) / kBlock; }
    void block(Thread&, char* const* slots, int, std::int64_t b) override {
        DrawKey key = key_;
        key.derive(slots);
        const std::uint32_t n = n_;
        const std::int64_t start = b * kBlock, length = std::min(kBlock, count_ - start);
        std::uint32_t given[kBlock], x[kBlock];
        load(index_, reinterpret_cast<const std::uint32_t*>(slots[index_.slot]), start, length, given);
        for (std::int64_t i = 0; i < length; ++i) x[i] = given[i] < n ? given[i] : 0;
        for (std::uint32_t r = 0; n && r < 24; ++r) {
            std::uint32_t pivot = r, unused = 0xFFFFFFFFu;
            threefry(key.word[0], key.word[1], pivot, unused);
            pivot %= n;
            _Pragma("GCC ivdep") for (std::int64_t i = 0; i < length; ++i) {
                const std::uint32_t partner = pivot >= x[i] ? pivot - x[i] : pivot + (n - x[i]);
                std::uint32_t word = r, big = x[i] > partner ? x[i] : partner;
                threefry(key.word[0], key.word[1], word, big);
                x[i] = word & 1 ? partner : x[i];
            }
        }
        std::uint32_t* out = reinterpret_cast<std::uint32_t*>(slots[slot_]) + start;
        for (std::int64_t i = 0; i < length; ++i) out[i] = given[i] < n ? x[i] : 0;
    }

  private:
    static constexpr std::int64_t kBlock = 256;
    DrawKey key_;
    std::uint32_t n_;
    Access index_;
    std::int64_t count_;
    int slot_;
};

}  // namespace lockstep
