// The native engine: a step of a program as one list of instructions, and hashing. C interface for ctypes.

#include <memory>

#include "contract.h"
#include "elementwise.h"
#include "movement.h"
#include "pool.h"
#include "rows.h"
#include "sha256.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace lockstep {

// Codes fixed by lockstep/engine/native/codes.py.
static std::unique_ptr<Instruction> decode(Words& w) {
    const std::int64_t code = w.next();
    const bool serial = w.next() != 0;
    std::unique_ptr<Instruction> made;
    switch (code) {
        case 0: made = std::make_unique<Fused>(w); break;
        case 1: made = std::make_unique<Quantize>(w); break;
        case 2: made = std::make_unique<Contract>(w); break;
        case 3: made = std::make_unique<Sum>(w); break;
        case 4: made = std::make_unique<Order>(w); break;
        case 5: made = std::make_unique<ScatterAdd>(w); break;
        case 6: made = std::make_unique<Move>(w); break;
        case 7: made = std::make_unique<Join>(w); break;
        case 8: made = std::make_unique<Gather>(w); break;
        case 9: made = std::make_unique<Iota>(w); break;
        case 10: made = std::make_unique<RandomBits>(w); break;
        case 11: made = std::make_unique<Shuffle>(w); break;
        default: std::abort();
    }
    made->serial = serial;
    return made;
}

// Memory for a step's values: large pages where the system gives them.
class Arena {
  public:
    explicit Arena(std::size_t bytes) : bytes_((bytes + (2 << 20)) / (2 << 20) * (2 << 20)) {
        data_ = static_cast<char*>(std::aligned_alloc(2 << 20, bytes_));
#if defined(__linux__)
        if (data_) madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
    }
    ~Arena() { std::free(data_); }
    char* data() const { return data_; }

  private:
    std::size_t bytes_;
    char* data_;
};

class Engine {
  public:
    Engine(const std::int64_t* words, std::int64_t count, const std::int64_t* slots, std::int64_t slot_count,
           std::int64_t arena_bytes, Team* team)
        : arena_(static_cast<std::size_t>(arena_bytes)), team_(team) {
        Words w(words, words + count);
        while (!w.done()) list_.push_back(decode(w));
        // A slot is an offset into the arena, or -1 - k for external k.
        for (std::int64_t i = 0; i < slot_count; ++i) {
            slots_.push_back(slots[i] >= 0 ? arena_.data() + slots[i] : nullptr);
            if (slots[i] < 0) external_.push_back({static_cast<std::size_t>(i), static_cast<std::size_t>(-1 - slots[i])});
        }
    }
    bool ready() const { return arena_.data() != nullptr; }
    void run(char* const* external) {
        for (const auto& e : external_) slots_[e.first] = external[e.second];
        for (auto& i : list_) i->counter[0] = i->counter[1] = 0;
        team_->run([this](Thread& t) {
            bool crowd = false;  // whether the last instruction ran on all threads
            for (auto& i : list_) {
                if (i->serial) {
                    if (crowd) t.barrier->wait();
                    crowd = false;
                    if (t.id == 0) i->run(t, slots_.data());
                } else {
                    t.barrier->wait();
                    crowd = true;
                    i->run(t, slots_.data());
                }
            }
        });
    }
    // As `run` on one thread, with the seconds each instruction took.
    void profile(char* const* external, double* seconds);

  private:
    Arena arena_;
    std::vector<std::unique_ptr<Instruction>> list_;
    std::vector<char*> slots_;
    std::vector<std::pair<std::size_t, std::size_t>> external_;
    Team* team_;
};

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void Engine::profile(char* const* external, double* seconds) {
    for (const auto& e : external_) slots_[e.first] = external[e.second];
    for (auto& i : list_) i->counter[0] = i->counter[1] = 0;
    team_->run([&](Thread& t) {
        std::size_t n = 0;
        for (auto& i : list_) {
            t.barrier->wait();
            const double start = t.id == 0 ? now() : 0;
            if (!i->serial || t.id == 0) i->run(t, slots_.data());
            t.barrier->wait();
            if (t.id == 0) seconds[n++] += now() - start;
        }
    });
}

}  // namespace lockstep

extern "C" {

// How contractions are done here.
const char* lockstep_format() { return lockstep::best_format().name(); }

void* lockstep_team(int threads) { return new lockstep::Team(threads); }
void lockstep_team_free(void* team) { delete static_cast<lockstep::Team*>(team); }

void* lockstep_engine(const std::int64_t* words, std::int64_t count, const std::int64_t* slots,
                      std::int64_t slot_count, std::int64_t arena_bytes, void* team) {
    auto made = std::make_unique<lockstep::Engine>(words, count, slots, slot_count, arena_bytes,
                                                   static_cast<lockstep::Team*>(team));
    return made->ready() ? made.release() : nullptr;
}
void lockstep_engine_free(void* engine) { delete static_cast<lockstep::Engine*>(engine); }
void lockstep_run(void* engine, char* const* external) { static_cast<lockstep::Engine*>(engine)->run(external); }
void lockstep_profile(void* engine, char* const* external, double* seconds) {
    static_cast<lockstep::Engine*>(engine)->profile(external, seconds);
}

// Leaf hashes of n bytes' 1 KiB chunks (32 bytes each), by all threads of the team.
void lockstep_chunk_hashes(void* team, const std::uint8_t* data, std::int64_t n, std::uint8_t* out) {
    std::atomic<std::int64_t> next{0};
    static_cast<lockstep::Team*>(team)->run([&](lockstep::Thread&) {
        constexpr std::int64_t kBlock = 64 * 1024;
        for (std::int64_t at; (at = next.fetch_add(kBlock)) < n;) {
            for (std::int64_t i = at; i < std::min(n, at + kBlock); i += 1024) {
                lockstep::sha::prefixed(0, data + i, static_cast<std::size_t>(std::min<std::int64_t>(1024, n - i)),
                                        out + i / 32);
            }
        }
    });
}

// One level of a tree in place: neighbours joined, an odd last one carried. Returns the new count.
std::int64_t lockstep_join_level(std::uint8_t* hashes, std::int64_t count) {
    for (std::int64_t i = 0; i + 1 < count; i += 2) {
        std::uint8_t joined[32];
        lockstep::sha::prefixed(1, hashes + 32 * i, 64, joined);
        std::memcpy(hashes + 16 * i, joined, 32);
    }
    if (count % 2 && count > 1) std::memcpy(hashes + 16 * (count - 1), hashes + 32 * (count - 1), 32);
    return (count + 1) / 2;
}

// Portable and fast code must agree: checked before the fast one is used.
void lockstep_sha_portable(const std::uint8_t* block, std::uint32_t* state) {
    lockstep::sha::blocks_portable(state, block, 1);
}
}
