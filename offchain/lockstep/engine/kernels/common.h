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
#if defined(__linux__)
#include <sys/mman.h>
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

constexpr std::size_t kLargePage = 2 << 20;

// Memory in large pages where the system gives them; null where there is none.
inline void* large_pages(std::size_t bytes) {
    bytes = (bytes + kLargePage - 1) / kLargePage * kLargePage;
    void* data = std::aligned_alloc(kLargePage, bytes);
#if defined(__linux__)
    if (data) madvise(data, bytes, MADV_HUGEPAGE);
#endif
    return data;
}

// Scratch memory of one thread: grows, never shrinks, 64-byte aligned.
class Scratch {
  public:
    ~Scratch() { std::free(data_); }
    void* get(std::size_t bytes) {
        if (bytes > size_) {
            std::free(data_);
            size_ = (bytes + 4095) / 4096 * 4096;
            data_ = size_ < kLargePage / 4 ? std::aligned_alloc(64, size_) : large_pages(size_);
            if (!data_) std::abort();
        }
        return data_;
    }

  private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

struct Instruction;

// One thread: its scratch buffers, and what it has prepared.
struct Thread {
    Scratch scratch[4];
    const Instruction* last = nullptr;  // whose registers scratch[0] holds, as of step `epoch`
    std::uint64_t epoch = 0;
    const class Format* format = nullptr;  // the contraction format this thread is set up for

    // Whether `mine` ran last on this thread in this step; notes it.
    bool fresh(const Instruction* mine, std::uint64_t now) {
        const bool yes = last == mine && epoch == now;
        last = mine;
        epoch = now;
        return yes;
    }
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

// An instruction: phases of independent blocks. Threads run blocks in any order; a phase begins when the one
// before is complete.
struct Instruction {
    virtual ~Instruction() = default;
    virtual int phases() const { return 1; }
    virtual std::int64_t blocks(int phase) const = 0;
    // Before the first phase, by one thread; `shared` is the instruction's until its last phase is done.
    virtual void prepare(Scratch& shared) { (void)shared; }
    virtual void block(Thread& t, char* const* slots, int phase, std::int64_t b) = 0;
    bool serial = false;      // too small to share
    std::uint64_t epoch = 0;  // number of the step
};

}  // namespace lockstep
