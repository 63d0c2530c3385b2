// Groups of elementwise ops as one instruction: a bytecode run tile by tile, so that everything between the
// group's operands and results stays in the first-level cache.
#pragma once

#include <cmath>

#include "access.h"
#include "transcendental.h"

namespace lockstep {

using Kernel = void (*)(void*, const void*, const void*, const void*, std::int64_t, std::int64_t);

#define LOCKSTEP_LOOP _Pragma("GCC ivdep") for (std::int64_t i = 0; i < n; ++i)
#define UNARY(NAME, OUT, IN, EXPRESSION)                                                                   \
    static void NAME(void* d_, const void* a_, const void*, const void*, std::int64_t n, std::int64_t k) { \
        OUT* d = static_cast<OUT*>(d_);                                                                    \
        const IN* a = static_cast<const IN*>(a_);                                                          \
        (void)k;                                                                                           \
        LOCKSTEP_LOOP {                                                                                    \
            const IN x = a[i];                                                                             \
            d[i] = EXPRESSION;                                                                             \
        }                                                                                                  \
    }
#define BINARY(NAME, OUT, IN, EXPRESSION)                                                                   \
    static void NAME(void* d_, const void* a_, const void* b_, const void*, std::int64_t n, std::int64_t) { \
        OUT* d = static_cast<OUT*>(d_);                                                                     \
        const IN* a = static_cast<const IN*>(a_);                                                           \
        const IN* b = static_cast<const IN*>(b_);                                                           \
        LOCKSTEP_LOOP {                                                                                     \
            const IN x = a[i], y = b[i];                                                                    \
            d[i] = EXPRESSION;                                                                              \
        }                                                                                                   \
    }

namespace ops {

using i32 = std::int32_t;
using u32 = std::uint32_t;

// Truncation that saturates; NaN gives 0. The conversion itself only sees numbers in range.
inline i32 saturate(float x) {
    float c = x == x ? x : 0.0f;
    c = c < 2147483520.0f ? c : 2147483520.0f;
    c = c > -2147483648.0f ? c : -2147483648.0f;
    const i32 r = static_cast<i32>(c);
    return x >= 2147483648.0f ? 2147483647 : r;
}

// Quotient of 32-bit numbers through float64, which holds it exactly after truncation.
inline u32 quotient(u32 a, u32 b) {
    return b ? static_cast<u32>(static_cast<std::int64_t>(static_cast<double>(a) / static_cast<double>(b))) : 0u;
}

inline u32 canonical_bits(u32 b) { return (b & 0x7FFFFFFFu) > 0x7F800000u ? kCanonicalNaN : b; }

BINARY(add, float, float, x + y)
BINARY(sub, float, float, x - y)
BINARY(mul, float, float, x* y)
BINARY(div, float, float, x / y)
BINARY(maximum, float, float, x > y ? x : y)
BINARY(minimum, float, float, x < y ? x : y)
UNARY(sqrt, float, float, __builtin_sqrtf(x))
UNARY(floor, float, float, __builtin_floorf(x))
UNARY(ceil, float, float, __builtin_ceilf(x))
UNARY(rne, float, float, __builtin_rintf(x))
UNARY(trunc, float, float, __builtin_truncf(x))
UNARY(neg, u32, u32, x ^ 0x80000000u)
UNARY(abs, u32, u32, x & 0x7FFFFFFFu)
UNARY(exp, float, float, transcendental::exp(x))
UNARY(log, float, float, transcendental::log(x))
UNARY(tanh, float, float, transcendental::tanh(x))
UNARY(erf, float, float, transcendental::erf(x))
BINARY(iadd, u32, u32, x + y)
BINARY(isub, u32, u32, x - y)
BINARY(imul, u32, u32, x* y)
BINARY(udiv, u32, u32, quotient(x, y))
BINARY(umod, u32, u32, y ? x - quotient(x, y) * y : 0u)
BINARY(bit_and, u32, u32, x& y)
BINARY(bit_or, u32, u32, x | y)
BINARY(bit_xor, u32, u32, x ^ y)
UNARY(shl, u32, u32, x << k)
UNARY(shr, u32, u32, x >> k)
UNARY(sar, i32, i32, x >> k)
BINARY(lt, i32, float, x < y ? 1 : 0)
BINARY(le, i32, float, x <= y ? 1 : 0)
BINARY(eq, i32, float, x == y ? 1 : 0)
BINARY(ne, i32, float, x == y ? 0 : 1)
BINARY(ilt, i32, i32, x < y ? 1 : 0)
BINARY(ile, i32, i32, x <= y ? 1 : 0)
BINARY(ieq, i32, i32, x == y ? 1 : 0)
BINARY(ine, i32, i32, x != y ? 1 : 0)
BINARY(ult, i32, u32, x < y ? 1 : 0)
BINARY(ule, i32, u32, x <= y ? 1 : 0)
static void select(void* d_, const void* c_, const void* a_, const void* b_, std::int64_t n, std::int64_t) {
    u32* d = static_cast<u32*>(d_);
    const u32* c = static_cast<const u32*>(c_);
    const u32* a = static_cast<const u32*>(a_);
    const u32* b = static_cast<const u32*>(b_);
    LOCKSTEP_LOOP {
        const u32 x = a[i], y = b[i];
        d[i] = c[i] ? x : y;
    }
}
UNARY(f32_to_i32, i32, float, saturate(x))
UNARY(i32_to_f32, float, i32, static_cast<float>(x))
UNARY(i16_to_f32, float, std::int16_t, static_cast<float>(x))
UNARY(u8_to_f32, float, std::uint8_t, static_cast<float>(static_cast<i32>(x)))
UNARY(u16_to_f32, float, std::uint16_t, static_cast<float>(static_cast<i32>(x)))
UNARY(i16_to_i32, i32, std::int16_t, static_cast<i32>(x))
UNARY(u8_to_i32, i32, std::uint8_t, static_cast<i32>(x))
UNARY(u16_to_i32, i32, std::uint16_t, static_cast<i32>(x))
UNARY(canonical, u32, u32, canonical_bits(x))
UNARY(copy32, u32, u32, x)
UNARY(copy16, std::uint16_t, std::uint16_t, x)
UNARY(copy8, std::uint8_t, std::uint8_t, x)

}  // namespace ops

// Order fixed by lockstep/engine/native/codes.py.
static const Kernel kKernels[] = {
    ops::add,        ops::sub,        ops::mul,        ops::div,        ops::maximum,    ops::minimum,
    ops::sqrt,       ops::floor,      ops::ceil,       ops::rne,        ops::trunc,      ops::neg,
    ops::abs,        ops::exp,        ops::log,        ops::tanh,       ops::erf,        ops::iadd,
    ops::isub,       ops::imul,       ops::udiv,       ops::umod,       ops::bit_and,    ops::bit_or,
    ops::bit_xor,    ops::shl,        ops::shr,        ops::sar,        ops::lt,         ops::le,
    ops::eq,         ops::ne,         ops::ilt,        ops::ile,        ops::ieq,        ops::ine,
    ops::ult,        ops::ule,        ops::select,     ops::f32_to_i32, ops::i32_to_f32, ops::i16_to_f32,
    ops::u8_to_f32,  ops::u16_to_f32, ops::i16_to_i32, ops::u8_to_i32,  ops::u16_to_i32, ops::canonical,
    ops::copy32,     ops::copy16,     ops::copy8,
};

class Fused : public Instruction {
  public:
    explicit Fused(Words& w) {
        count_ = w.next();
        registers_ = static_cast<int>(w.next());
        tile_ = w.next();
        for (std::int64_t n = w.next(); n > 0; --n) {
            literals_.push_back({static_cast<int>(w.next()), static_cast<std::uint32_t>(w.next())});
        }
        for (std::int64_t n = w.next(); n > 0; --n) {
            Load l;
            l.reg = static_cast<int>(w.next());
            l.access.read(w);
            loads_.push_back(l);
        }
        for (std::int64_t n = w.next(); n > 0; --n) {
            Step s;
            s.kernel = kKernels[w.next()];
            s.out = static_cast<int>(w.next());
            for (int& in : s.in) in = static_cast<int>(w.next());
            s.immediate = w.next();
            s.slot = static_cast<int>(w.next());
            s.size = static_cast<int>(w.next());
            steps_.push_back(s);
        }
        blocks_ = (count_ + tile_ * kTilesABlock - 1) / (tile_ * kTilesABlock);
    }

    std::int64_t blocks(int) const override { return blocks_; }
    void block(Thread& t, char* const* slots, int, std::int64_t block) override {
        const std::size_t bytes = static_cast<std::size_t>(tile_) * 4;
        char* memory = static_cast<char*>(t.scratch[0].get(bytes * static_cast<std::size_t>(registers_ + 1)));
        void** registers =
            static_cast<void**>(t.scratch[1].get(sizeof(void*) * static_cast<std::size_t>(registers_)));
        if (!t.fresh(this, epoch)) {
            for (const Literal& l : literals_) {
                std::uint32_t* out = reinterpret_cast<std::uint32_t*>(memory + bytes * l.reg);
                for (std::int64_t i = 0; i < tile_; ++i) out[i] = l.bits;
            }
            for (const Load& l : loads_) {
                if (l.access.single()) load_bytes(l.access, slots[l.access.slot], 0, tile_, memory + bytes * l.reg);
            }
        }
        const std::int64_t stop = std::min(count_, (block + 1) * tile_ * kTilesABlock);
        for (std::int64_t start = block * tile_ * kTilesABlock; start < stop; start += tile_) {
            tile(slots, memory, bytes, registers, start, std::min(tile_, stop - start));
        }
    }

  private:
    static constexpr std::int64_t kTilesABlock = 4;
    struct Literal {
        int reg;
        std::uint32_t bits;
    };
    struct Load {
        int reg;
        Access access;
    };
    // One op: registers in and out; slot >= 0: the result goes there, elements of `size` bytes, in order.
    struct Step {
        Kernel kernel;
        int out, in[3], slot, size;
        std::int64_t immediate;
    };

    void tile(char* const* slots, char* memory, std::size_t bytes, void** registers, std::int64_t start,
              std::int64_t n) {
        for (const Literal& l : literals_) registers[l.reg] = memory + bytes * l.reg;
        for (const Load& l : loads_) {
            char* own = memory + bytes * l.reg;
            registers[l.reg] = own;
            if (l.access.single()) continue;
            if (l.access.contiguous()) {
                registers[l.reg] = slots[l.access.slot] + (l.access.offset + start) * l.access.size;
            } else {
                load_bytes(l.access, slots[l.access.slot], start, n, own);
            }
        }
        for (const Step& s : steps_) {
            void* out = s.slot < 0 ? memory + bytes * s.out : slots[s.slot] + start * s.size;
            s.kernel(out, registers[s.in[0]], registers[s.in[1]], registers[s.in[2]], n, s.immediate);
            registers[s.out] = out;
        }
    }

    std::int64_t count_, tile_, blocks_;
    int registers_;
    std::vector<Literal> literals_;
    std::vector<Load> loads_;
    std::vector<Step> steps_;
};

}  // namespace lockstep
