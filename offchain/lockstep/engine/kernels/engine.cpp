// The native engine: a step of a program as one list of instructions. C interface for ctypes.

#include <ctime>
#include <deque>
#include <memory>

#include "contract.h"
#include "elementwise.h"
#include "freivalds.h"
#include "movement.h"
#include "pool.h"
#include "reduce.h"
#include "residual.h"

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
        case 12: made = std::make_unique<Freivalds>(w); break;
        case 13: made = std::make_unique<TwoParts>(w); break;
        default: std::abort();
    }
    made->serial = serial;
    return made;
}

// Memory for a step's values.
class Arena {
  public:
    explicit Arena(std::size_t bytes) : data_(static_cast<char*>(large_pages(bytes))) {}
    ~Arena() { std::free(data_); }
    char* data() const { return data_; }

  private:
    char* data_;
};

class Engine : public Job {
  public:
    Engine(const std::int64_t* words, std::int64_t count, const std::int64_t* slots, std::int64_t slot_count,
           std::int64_t arena_bytes, Team* team)
        : arena_(static_cast<std::size_t>(arena_bytes)), team_(team) {
        Words w(words, words + count);
        while (!w.done()) list_.push_back(decode(w));
        for (auto& i : list_) {
            if (team->size() == 1) i->serial = true;
            for (int phase = 0; phase < i->phases(); ++phase) stages_.emplace_back(i.get(), phase);
        }
        // A slot is an offset into the arena, or -1 - k for external k.
        for (std::int64_t i = 0; i < slot_count; ++i) {
            slots_.push_back(slots[i] >= 0 ? arena_.data() + slots[i] : nullptr);
            if (slots[i] < 0) external_.push_back({static_cast<std::size_t>(i), static_cast<std::size_t>(-1 - slots[i])});
        }
    }
    ~Engine() override { team_->dismiss(this); }
    bool ready() const { return arena_.data() != nullptr; }

    // One step; `seconds` (if any) gains what each instruction took.
    void run(char* const* external, double* seconds = nullptr) {
        StrictFloat strict;
        std::lock_guard<std::mutex> turn(team_->turn());
        for (const auto& e : external_) slots_[e.first] = external[e.second];
        ++epoch_;
        for (auto& i : list_) i->epoch = epoch_;
        for (auto& s : stages_) {
            s.done.store(0, std::memory_order_relaxed);
            s.next.store(epoch_ << 32, std::memory_order_relaxed);
        }
        Thread& me = team_->caller();
        team_->call(this);
        std::size_t instruction = 0;
        for (std::size_t n = 0; n < stages_.size(); ++n) {
            Stage& s = stages_[n];
            const double start = seconds ? now() : 0;
            if (s.phase == 0) s.instruction->prepare(shared_);
            if (s.instruction->serial) {
                for (std::int64_t b = 0; b < s.blocks; ++b) s.instruction->block(me, slots_.data(), s.phase, b);
            } else {
                now_.store(epoch_ << 32 | n, std::memory_order_release);
                take_part(me, s, epoch_);
                for (int spins = 0; s.done.load(std::memory_order_acquire) < s.blocks; ++spins)
                    spins < 2000 ? relax() : std::this_thread::yield();
            }
            if (seconds) seconds[instruction] += now() - start;
            if (n + 1 < stages_.size() && stages_[n + 1].phase == 0) ++instruction;
        }
        now_.store(kNothing, std::memory_order_release);
        leave(me);
    }

    // Another thread: blocks of the stage that is being worked on.
    bool help(Thread& t) override {
        const std::uint64_t at = now_.load(std::memory_order_acquire);
        return at != kNothing && take_part(t, stages_[at & 0xFFFFFFFFu], at >> 32);
    }
    void leave(Thread& t) override {
        if (t.format) t.format->end();
        t.format = nullptr;
        t.last = nullptr;
    }

  private:
    // A phase of an instruction. `next` is the step's number above the next block's: a thread that comes late,
    // from a step before, finds another number and takes nothing.
    struct Stage {
        Stage(Instruction* instruction, int phase)
            : instruction(instruction), phase(phase), blocks(instruction->blocks(phase)) {}
        Instruction* instruction;
        int phase;
        std::int64_t blocks;
        std::atomic<std::uint64_t> next{0};
        std::atomic<std::int64_t> done{0};
    };

    bool take_part(Thread& t, Stage& s, std::uint64_t epoch) {
        bool any = false;
        std::uint64_t seen = s.next.load(std::memory_order_acquire);
        while (seen >> 32 == epoch && static_cast<std::int64_t>(seen & 0xFFFFFFFFu) < s.blocks) {
            if (!s.next.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
            s.instruction->block(t, slots_.data(), s.phase, static_cast<std::int64_t>(seen & 0xFFFFFFFFu));
            s.done.fetch_add(1, std::memory_order_acq_rel);
            any = true;
            seen = s.next.load(std::memory_order_acquire);
        }
        return any;
    }

    static double now() {
        timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    }

    static constexpr std::uint64_t kNothing = ~0ull;
    Arena arena_;
    Scratch shared_;
    std::vector<std::unique_ptr<Instruction>> list_;
    std::deque<Stage> stages_;
    std::vector<char*> slots_;
    std::vector<std::pair<std::size_t, std::size_t>> external_;
    Team* team_;
    std::uint64_t epoch_ = 0;
    std::atomic<std::uint64_t> now_{kNothing};
};

}  // namespace lockstep

extern "C" {

// How contractions are done here.
const char* lockstep_format() { return lockstep::best_format().name(); }

// Lines (pairs of terms) that 32-bit sums of products of two blocks of 16 rows of n mantissas take; 0 where nothing asks.
int lockstep_lines_between(const std::int16_t* left, const std::int16_t* right, std::int64_t n) {
#if defined(LOCKSTEP_SLICES)
    return static_cast<int>(lockstep::lines_between(lockstep::norms(left, n), lockstep::norms(right, n)));
#else
    (void)left, (void)right, (void)n;
    return 0;
#endif
}

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
    static_cast<lockstep::Engine*>(engine)->run(external, seconds);
}
}
