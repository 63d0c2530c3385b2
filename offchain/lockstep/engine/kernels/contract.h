// matmul: blocks of both operands packed, tiles of 16 x 16 multiplied exactly, rounded once on the way out.
#pragma once

#include "amx.h"
#include "short_rows.h"
#include "vnni.h"

namespace lockstep {

// The best format of this processor.
inline const Format& best_format() {
#if defined(LOCKSTEP_SLICES)
#if defined(__AMX_INT8__)
    static const AmxFormat tiles;
    if (AmxFormat::granted()) return tiles;
#endif
    static const VnniFormat dots;
    return dots;
#else
    static const DoubleFormat doubles;
    return doubles;
#endif
}

// The format for rows of a length: slices, and above all a tile of AMX, cost as much for a few terms as for 64.
inline const Format& format_for(std::int64_t length) {
#if defined(LOCKSTEP_SLICES)
    static const PairFormat pairs;
    if (length <= kFewTerms) return pairs;
#endif
    (void)length;
    return best_format();
}

// One operand is resident (packed once, by all threads), the other streams through in groups that fit the
// second-level cache. The left operand may be either input; the tile is turned over where it is the second.
class Contract : public Instruction {
  public:
    explicit Contract(Words& w) : input_{Operand(w), Operand(w)}, format_(format_for(input_[0].length)) {
        slot_ = static_cast<int>(w.next());
        for (Axes& axes : out_) axes.read(w);
        raw_ = w.next() != 0;
        // Neighbouring rows side by side pack well as right panels.
        left_ = input_[0].by_columns && !input_[1].by_columns ? 1 : 0;
        if (input_[0].by_columns == input_[1].by_columns) left_ = input_[0].rows >= input_[1].rows ? 0 : 1;
        const Operand &a = input_[left_], &b = input_[1 - left_];
        stream_left_ = a.rows >= b.rows;
        const std::int64_t streamed = (std::max(a.rows, b.rows) + kSide - 1) / kSide;
        left_bytes_ = format_.left_bytes(a.length);
        right_bytes_ = format_.right_bytes(a.length);
        chunks_ = format_.chunks(a.length);
        const std::int64_t fits = static_cast<std::int64_t>((896 << 10) / left_bytes_);
        group_ = std::max<std::int64_t>(1, std::min({fits, (streamed + 3) / 4, std::int64_t{16}}));
        left_blocks_ = (a.rows + kSide - 1) / kSide;
        right_blocks_ = (b.rows + kSide - 1) / kSide;
        // Rows so long that few of them fit go part by part, all tiles of a group side by side: then a group may be
        // larger, and the resident operand is read as much less often.
        const std::int64_t tiles = static_cast<std::int64_t>((2 << 20) / format_.state_bytes()) / resident();
        const std::int64_t abreast = std::min({tiles, (streamed + 3) / 4, std::int64_t{16}});
        abreast_ = chunks_ > 1 && abreast > group_;
        if (abreast_) group_ = abreast;
    }

    bool is_batched() const { return input_[0].batch > 1; }
    int phases() const override { return is_batched() ? 1 : 2; }
    std::int64_t blocks(int phase) const override {
        if (is_batched()) return input_[0].batch;
        return phase == 0 ? resident() : (streamed() + group_ - 1) / group_;
    }
    void prepare(Scratch& shared) override {
        if (!is_batched()) memory_ = shared.get(Packed::bytes(resident(), resident_bytes()));
    }
    void block(Thread& t, char* const* slots, int phase, std::int64_t b) override {
        t.last = this;
        if (format_.has_state() && t.format != &format_) {
            format_.begin();
            t.format = &format_;
        }
        if (is_batched()) return batch(t, slots, b);
        const Packed fixed(memory_, resident(), resident_bytes());
        if (phase == 0)
            pack(t, slots, !stream_left_, 0, b, fixed, b);
        else
            stream(t, slots, fixed, b);
    }

  private:
    friend class Freivalds;  // writes where this does

    // What a tile needs to know about a block's 16 rows: their scales, and where they lie in the output.
    struct Side {
        double scale[kSide];
        double least, most;  // of the scales; 0 where one is NaN
        std::int64_t place[kSide];
        std::int64_t count;
        bool run;  // the places follow each other
    };
    // Whether all scales and their products are normal f32s.
    static bool is_normal(const Side& a, const Side& b) {
        const double least = std::min({a.least * b.least, a.least, b.least});
        const double most = std::max({a.most * b.most, a.most, b.most});
        return least >= 0x1p-126 && most <= 0x1p127;
    }
    // Packed blocks of one operand.
    struct Packed {
        std::int8_t* data;
        Side* sides;
        std::size_t each;
        static std::size_t bytes(std::int64_t blocks, std::size_t each) {
            return static_cast<std::size_t>(blocks) * (each + sizeof(Side));
        }
        Packed(void* memory, std::int64_t blocks, std::size_t each) : each(each) {
            data = static_cast<std::int8_t*>(memory);
            sides = reinterpret_cast<Side*>(data + static_cast<std::size_t>(blocks) * each);
        }
        std::int8_t* block(std::int64_t n) const { return data + static_cast<std::size_t>(n) * each; }
    };

    // Block n of the left (or right) operand, written as block `at` of `p`.
    void pack(Thread& t, char* const* slots, bool left, std::int64_t l, std::int64_t n, const Packed& p, std::int64_t at) {
        const int which = left ? left_ : 1 - left_;
        const Operand& o = input_[which];
        Side& side = p.sides[at];
        const std::int64_t first = n * kSide;
        side.count = std::min(kSide, o.rows - first);
        side.run = out_[1 + which].offsets(first, side.count, side.place);
        o.scales(slots, l, first, side.count, left ? -26 : 0, side.scale);
        side.least = side.most = side.scale[0];
        bool usable = true;
        for (std::int64_t i = 0; i < side.count; ++i) {
            usable = usable && side.scale[i] == side.scale[i];
            side.least = std::min(side.least, side.scale[i]);
            side.most = std::max(side.most, side.scale[i]);
        }
        if (!usable) side.least = side.most = 0.0;
        for (std::int64_t i = side.count; i < kSide; ++i) side.scale[i] = 0.0;
        if (left)
            format_.pack_left(o, slots, l, first, side.count, p.block(at), t.scratch[1]);
        else
            format_.pack_right(o, slots, l, first, side.count, p.block(at), t.scratch[1]);
    }

    // The tile of left block i of p and right block j of q, from its state, written to the output's batch at `start`.
    void deliver(char* const* slots, std::int64_t start, const Packed& p, std::int64_t i, const Packed& q, std::int64_t j,
                 const void* state) {
        const Side &a = p.sides[i], &b = q.sides[j];
        if (raw_) {
            alignas(64) double sums[kSide * kSide];
            format_.sums(p.block(i), input_[0].length, state, sums);
            std::int64_t* exact = reinterpret_cast<std::int64_t*>(slots[slot_]) + start;
            for (std::int64_t r = 0; r < a.count; ++r)
                for (std::int64_t c = 0; c < b.count; ++c)
                    exact[a.place[r] + b.place[c]] = static_cast<std::int64_t>(sums[r * kSide + c]);
            return;
        }
        alignas(64) float tile[kSide * kSide];
        float *out = reinterpret_cast<float*>(slots[slot_]) + start, *row[kSide];
        // Rows that lie in the output as in the tile are written there at once.
        const bool at_once = b.run && b.count == kSide;
        for (std::int64_t r = 0; r < kSide; ++r)
            row[r] = at_once && r < a.count ? out + a.place[r] + b.place[0] : tile + r * kSide;
        format_.finish(p.block(i), input_[0].length, state, Scales{a.scale, b.scale, is_normal(a, b)}, row);
        if (at_once) return;
        if (b.run) {
            for (std::int64_t r = 0; r < a.count; ++r) put(out + a.place[r] + b.place[0], tile + r * kSide, b.count);
            return;
        }
        if (a.run) {
            turn(tile);
            for (std::int64_t c = 0; c < b.count; ++c) put(out + a.place[0] + b.place[c], tile + c * kSide, a.count);
            return;
        }
        for (std::int64_t r = 0; r < a.count; ++r)
            for (std::int64_t c = 0; c < b.count; ++c) out[a.place[r] + b.place[c]] = tile[r * kSide + c];
    }

    // Where the output's batch, rows or columns lie: a few axes with strides.
    struct Axes {
        static constexpr int kAxes = 6;
        int rank;
        std::int64_t extent[kAxes], stride[kAxes];
        void read(Words& w) {
            rank = static_cast<int>(w.next());
            if (rank > kAxes) std::abort();
            for (int d = 0; d < rank; ++d) {
                extent[d] = w.next();
                stride[d] = w.next();
            }
        }
        std::int64_t at(std::int64_t n) const {
            std::int64_t offset = 0;
            for (int d = rank - 1; d >= 0; --d) {
                offset += n % extent[d] * stride[d];
                n /= extent[d];
            }
            return offset;
        }
        // Offsets of [first, first + count); true where they follow each other.
        bool offsets(std::int64_t first, std::int64_t count, std::int64_t* out) const {
            std::int64_t index[kAxes], offset = 0;
            for (int d = rank - 1; d >= 0; --d) {
                index[d] = first % extent[d];
                first /= extent[d];
                offset += index[d] * stride[d];
            }
            bool run = true;
            for (std::int64_t i = 0; i < count; ++i) {
                out[i] = offset;
                run = run && offset == out[0] + i;
                for (int d = rank - 1; d >= 0; --d) {
                    offset += stride[d];
                    if (++index[d] < extent[d]) break;
                    offset -= extent[d] * stride[d];
                    index[d] = 0;
                }
            }
            return run;
        }
    };

    static void put(float* out, const float* in, std::int64_t n) {
#if defined(__AVX512F__)
        _mm512_mask_storeu_ps(out, static_cast<__mmask16>(n == 16 ? 0xFFFF : (1 << n) - 1), _mm512_load_ps(in));
#else
        for (std::int64_t i = 0; i < n; ++i) out[i] = in[i];
#endif
    }
    static void turn(float* tile) {
#if defined(__AVX512F__)
        __m512i v[16];
        for (int i = 0; i < 16; ++i) v[i] = _mm512_load_si512(tile + 16 * i);
        transpose16(v);
        for (int i = 0; i < 16; ++i) _mm512_store_si512(tile + 16 * i, v[i]);
#else
        for (int i = 0; i < kSide; ++i)
            for (int j = 0; j < i; ++j) std::swap(tile[i * kSide + j], tile[j * kSide + i]);
#endif
    }

    std::int64_t resident() const { return stream_left_ ? right_blocks_ : left_blocks_; }
    std::int64_t streamed() const { return stream_left_ ? left_blocks_ : right_blocks_; }
    std::size_t resident_bytes() const { return stream_left_ ? right_bytes_ : left_bytes_; }

    // Group g of the streamed operand, packed and multiplied with all of the resident one.
    void stream(Thread& t, char* const* slots, const Packed& fixed, std::int64_t g) {
        const Packed moving(t.scratch[2].get(Packed::bytes(group_, stream_left_ ? left_bytes_ : right_bytes_)), group_,
                            stream_left_ ? left_bytes_ : right_bytes_);
        const std::size_t state_bytes = format_.state_bytes();
        const std::int64_t tiles = abreast_ ? resident() * group_ : group_;
        char* states = static_cast<char*>(t.scratch[3].get(state_bytes * static_cast<std::size_t>(tiles)));
        const std::int64_t part = static_cast<std::int64_t>(resident_bytes()) / chunks_;
        const std::int64_t first = g * group_, count = std::min(group_, streamed() - first), turns = resident() * chunks_;
        for (std::int64_t n = 0; n < count; ++n) pack(t, slots, stream_left_, 0, first + n, moving, n);
        // Turn q takes chunk c of resident block r.
        const auto block_of = [&](std::int64_t q) { return abreast_ ? q % resident() : q / chunks_; };
        const auto chunk_of = [&](std::int64_t q) { return abreast_ ? q / resident() : q % chunks_; };
        for (std::int64_t q = 0; q < turns; ++q) {
            const std::int64_t r = block_of(q), c = chunk_of(q);
            char* own = states + state_bytes * static_cast<std::size_t>(abreast_ ? r * group_ : 0);
            const auto state = [&](std::int64_t n) { return own + state_bytes * static_cast<std::size_t>(n); };
            const auto finish = [&](std::int64_t n) {
                if (stream_left_)
                    deliver(slots, 0, moving, n, fixed, r, state(n));
                else
                    deliver(slots, 0, fixed, r, moving, n, state(n));
            };
            const bool last = c + 1 == chunks_;
            const std::int8_t* next = fixed.block(block_of(q + 1) % resident()) + chunk_of(q + 1) % chunks_ * part;
            for (std::int64_t n = 0; n < count; ++n) {
                const std::int8_t *a = moving.block(n), *b = fixed.block(r);
                if (!stream_left_) std::swap(a, b);
                // What the next turn reads of the resident operand, a piece at a time.
                for (std::int64_t i = n * part / count; i < (n + 1) * part / count; i += 64) __builtin_prefetch(next + i, 0, 2);
                format_.accumulate(a, b, input_[0].length, c, state(n));
                // A tile is finished while the next is multiplied: its sums take a while to reach memory.
                if (last && n > 0) finish(n - 1);
            }
            if (last) finish(count - 1);
        }
    }

    // One product of a batch.
    void batch(Thread& t, char* const* slots, std::int64_t l) {
        const Packed p(t.scratch[2].get(Packed::bytes(left_blocks_, left_bytes_)), left_blocks_, left_bytes_);
        // Right panels share a buffer with the states of two tiles behind them: one finished while the other is multiplied.
        const std::size_t right = (Packed::bytes(right_blocks_, right_bytes_) + 63) / 64 * 64;
        char* memory = static_cast<char*>(t.scratch[3].get(right + 2 * format_.state_bytes()));
        const Packed q(memory, right_blocks_, right_bytes_);
        char* state = memory + right;
        const std::int64_t start = out_[0].at(l);
        for (std::int64_t n = 0; n < left_blocks_; ++n) pack(t, slots, true, l, n, p, n);
        for (std::int64_t n = 0; n < right_blocks_; ++n) pack(t, slots, false, l, n, q, n);
        const std::int64_t tiles = left_blocks_ * right_blocks_;
        const auto at = [&](std::int64_t tile) { return state + (tile % 2) * static_cast<std::int64_t>(format_.state_bytes()); };
        for (std::int64_t tile = 0; tile <= tiles; ++tile) {
            const std::int64_t i = tile % left_blocks_, j = tile / left_blocks_;
            for (std::int64_t c = 0; tile < tiles && c < chunks_; ++c)
                format_.accumulate(p.block(i), q.block(j), input_[0].length, c, at(tile));
            const std::int64_t done = tile - 1;
            if (done >= 0) deliver(slots, start, p, done % left_blocks_, q, done / left_blocks_, at(done));
        }
    }

    Operand input_[2];
    Axes out_[3];
    int slot_;
    int left_;
    bool stream_left_, abreast_;
    bool raw_;  // exact sums as int64, not rounded and scaled
    std::int64_t group_, left_blocks_, right_blocks_, chunks_;
    std::size_t left_bytes_, right_bytes_;
    void* memory_ = nullptr;
    const Format& format_;
};

}  // namespace lockstep
