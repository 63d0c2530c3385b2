// Shared by all kernels: element helpers, the reader of instruction words, thread state.
//
// Compile with -ffp-contract=off and without -ffast-math: every kernel gives the reference's bits.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {

constexpr std::uint32_t kCanonicalNaN = 0x7FC00000u;
constexpr int kAbsorbing = 255;  // exponent of a row that is not finite

inline std::uint32_t bits_of(float x) {
    std::uint32_t b;
    std::memcpy(&b, &x, 4);
    return b;
}

inline float float_of(std::uint32_t b) {
    float x;
    std::memcpy(&x, &b, 4);
    return x;
}

inline double double_of(std::uint64_t b) {
    double x;
    std::memcpy(&x, &b, 8);
    return x;
}

// 2**e for e in [-1022, 1023].
inline double power_of_two(int e) { return double_of(static_cast<std::uint64_t>(e + 1023) << 52); }

// Scratch memory of one thread: grows, never shrinks, 64-byte aligned.
class Scratch {
  public:
    ~Scratch() { std::free(data_); }
    void* get(std::size_t bytes) {
        if (bytes > size_) {
            std::free(data_);
            size_ = (bytes + 4095) / 4096 * 4096;
            data_ = std::aligned_alloc(64, size_);
            if (!data_) std::abort();
        }
        return data_;
    }

  private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

// One thread's view of a run: who it is, its scratch buffers, and the barrier of the instruction's team.
struct Barrier;
struct Thread {
    int id = 0;
    int count = 1;
    Barrier* barrier = nullptr;
    Scratch scratch[4];
};

// Instruction words as Python wrote them.
class Words {
  public:
    Words(const std::int64_t* at, const std::int64_t* end) : at_(at), end_(end) {}
    std::int64_t next() {
        if (at_ == end_) std::abort();
        return *at_++;
    }
    bool done() const { return at_ == end_; }

  private:
    const std::int64_t* at_;
    const std::int64_t* end_;
};

// An instruction. `run` is called by every thread of the team, with the counters zero at the start of a step.
struct Instruction {
    virtual ~Instruction() = default;
    virtual void run(Thread& t, char* const* slots) = 0;
    std::atomic<std::int64_t> counter[2] = {};
    bool serial = false;

    // Next block of a phase's work; blocks are claimed as threads come free.
    std::int64_t claim(int phase) { return counter[phase].fetch_add(1, std::memory_order_relaxed); }
};

}  // namespace lockstep
