// matmul: blocks of both operands packed, tiles of 16 x 16 multiplied exactly, rounded once on the way out.
#pragma once

#include "doubles.h"
#include "slices.h"

namespace lockstep {

#if defined(LOCKSTEP_SLICES)
using Format = Slices;
#else
using Format = Doubles;
#endif

// One operand is resident (packed once, by all threads), the other streams through in groups that fit the
// second-level cache. The left operand may be either input; the tile is turned over where it is the second.
class Contract : public Instruction {
  public:
    explicit Contract(Words& w) {
        for (Operand& o : input_) o.read(w);
        slot_ = static_cast<int>(w.next());
        for (Axes& axes : out_) axes.read(w);
        // Neighbouring rows side by side pack well as right panels.
        left_ = input_[0].by_columns && !input_[1].by_columns ? 1 : 0;
        if (input_[0].by_columns == input_[1].by_columns) left_ = input_[0].rows >= input_[1].rows ? 0 : 1;
        const Operand &a = input_[left_], &b = input_[1 - left_];
        stream_left_ = a.rows >= b.rows;
        const std::int64_t streamed = (std::max(a.rows, b.rows) + kSide - 1) / kSide;
        const std::int64_t fits = static_cast<std::int64_t>((384 << 10) / Format::left_bytes(a.length));
        group_ = std::max<std::int64_t>(1, std::min({fits, (streamed + 7) / 8, std::int64_t{16}}));
        left_blocks_ = (a.rows + kSide - 1) / kSide;
        right_blocks_ = (b.rows + kSide - 1) / kSide;
        left_bytes_ = Format::left_bytes(a.length);
        right_bytes_ = Format::right_bytes(a.length);
    }

    void run(Thread& t, char* const* slots) override {
        Format::begin();
        if (input_[0].batch == 1)
            single(t, slots);
        else
            batched(t, slots);
        Format::end();
    }

  private:
    // Packed blocks of one operand with their rows' scales and sums.
    struct Packed {
        std::int8_t* data;
        double* scale;  // 16 a block
        double* sums;
        static std::size_t bytes(std::int64_t blocks, std::size_t each) {
            return static_cast<std::size_t>(blocks) * (each + 2 * kSide * sizeof(double));
        }
        Packed(void* memory, std::int64_t blocks, std::size_t each) {
            data = static_cast<std::int8_t*>(memory);
            scale = reinterpret_cast<double*>(data + static_cast<std::size_t>(blocks) * each);
            sums = scale + kSide * blocks;
        }
    };

    // Block n of the left (or right) operand, written as block `at` of `p`.
    void pack(Thread& t, char* const* slots, bool left, std::int64_t l, std::int64_t n, const Packed& p, std::int64_t at) {
        const Operand& o = input_[left ? left_ : 1 - left_];
        const std::int64_t first = n * kSide, count = std::min(kSide, o.rows - first);
        double* scale = p.scale + at * kSide;
        o.scales(slots, l, first, count, left ? -26 : 0, scale);
        for (std::int64_t i = count; i < kSide; ++i) scale[i] = 0.0;
        if (left)
            Format::pack_left(o, slots, l, first, count, p.data + at * static_cast<std::int64_t>(left_bytes_),
                              p.sums + at * kSide, t.scratch[1]);
        else
            Format::pack_right(o, slots, l, first, count, p.data + at * static_cast<std::int64_t>(right_bytes_), t.scratch[1]);
    }

    // Left block i (at position pi of p) times right block j (at position qj of q), written to the output.
    void multiply(char* const* slots, std::int64_t l, const Packed& p, std::int64_t pi, std::int64_t i, const Packed& q,
                  std::int64_t qj, std::int64_t j) {
        alignas(64) float tile[kSide * kSide];
        const Operand &a = input_[left_], &b = input_[1 - left_];
        Format::tile(p.data + pi * static_cast<std::int64_t>(left_bytes_), p.sums + pi * kSide,
                     q.data + qj * static_cast<std::int64_t>(right_bytes_), a.length, p.scale + pi * kSide,
                     q.scale + qj * kSide, tile);
        const std::int64_t rows = std::min(kSide, a.rows - i * kSide), columns = std::min(kSide, b.rows - j * kSide);
        float* out = reinterpret_cast<float*>(slots[slot_]) + out_[0].at(l);
        std::int64_t down[kSide], across[kSide];
        const bool row_run = out_[1 + left_].offsets(i * kSide, rows, down);
        const bool column_run = out_[2 - left_].offsets(j * kSide, columns, across);
        if (column_run) {
            for (std::int64_t r = 0; r < rows; ++r) put(out + down[r] + across[0], tile + r * kSide, columns);
            return;
        }
        if (row_run) {
            turn(tile);
            for (std::int64_t c = 0; c < columns; ++c) put(out + down[0] + across[c], tile + c * kSide, rows);
            return;
        }
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t c = 0; c < columns; ++c) out[down[r] + across[c]] = tile[r * kSide + c];
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

    void single(Thread& t, char* const* slots) {
        const bool resident_left = !stream_left_;
        const std::int64_t resident = resident_left ? left_blocks_ : right_blocks_;
        const std::int64_t streamed = resident_left ? right_blocks_ : left_blocks_;
        const std::size_t resident_bytes = resident_left ? left_bytes_ : right_bytes_;
        const std::size_t streamed_bytes = resident_left ? right_bytes_ : left_bytes_;
        if (t.id == 0 || serial) memory_ = resident_.get(Packed::bytes(resident, resident_bytes));
        if (!serial) t.barrier->wait();
        const Packed fixed(memory_, resident, resident_bytes);
        for (std::int64_t n; (n = claim(0)) < resident;) pack(t, slots, resident_left, 0, n, fixed, n);
        if (!serial) t.barrier->wait();
        const Packed moving(t.scratch[2].get(Packed::bytes(group_, streamed_bytes)), group_, streamed_bytes);
        for (std::int64_t g; (g = claim(1)) * group_ < streamed;) {
            const std::int64_t first = g * group_, count = std::min(group_, streamed - first);
            for (std::int64_t n = 0; n < count; ++n) pack(t, slots, !resident_left, 0, first + n, moving, n);
            for (std::int64_t r = 0; r < resident; ++r) {
                for (std::int64_t n = 0; n < count; ++n) {
                    if (resident_left)
                        multiply(slots, 0, fixed, r, r, moving, n, first + n);
                    else
                        multiply(slots, 0, moving, n, first + n, fixed, r, r);
                }
            }
        }
    }

    void batched(Thread& t, char* const* slots) {
        for (std::int64_t l; (l = claim(0)) < input_[0].batch;) {
            const Packed p(t.scratch[2].get(Packed::bytes(left_blocks_, left_bytes_)), left_blocks_, left_bytes_);
            const Packed q(t.scratch[3].get(Packed::bytes(right_blocks_, right_bytes_)), right_blocks_, right_bytes_);
            for (std::int64_t n = 0; n < left_blocks_; ++n) pack(t, slots, true, l, n, p, n);
            for (std::int64_t n = 0; n < right_blocks_; ++n) pack(t, slots, false, l, n, q, n);
            for (std::int64_t j = 0; j < right_blocks_; ++j)
                for (std::int64_t i = 0; i < left_blocks_; ++i) multiply(slots, l, p, i, i, q, j, j);
        }
    }

    Operand input_[2];
    Axes out_[3];
    int slot_;
    int left_;
    bool stream_left_;
    std::int64_t group_, left_blocks_, right_blocks_;
    std::size_t left_bytes_, right_bytes_;
    Scratch resident_;
    void* memory_ = nullptr;
};

}  // namespace lockstep
