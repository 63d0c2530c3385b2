// A team of threads that runs one list of instructions in step, with barriers between them.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "common.h"

namespace lockstep {

inline void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

struct Barrier {
    explicit Barrier(int count) : count(count) {}
    void wait() {
        if (count == 1) return;
        const int mine = turn.load(std::memory_order_relaxed);
        if (arrived.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
            arrived.store(0, std::memory_order_relaxed);
            turn.store(mine + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; turn.load(std::memory_order_acquire) == mine; ++spins) {
            if (spins < 4000)
                relax();
            else
                std::this_thread::yield();
        }
    }
    const int count;
    std::atomic<int> arrived{0};
    std::atomic<int> turn{0};
};

// Floating-point control as IEEE-754 wants it (no flush to zero, nearest even), restored afterwards.
class StrictFloat {
  public:
#if defined(__x86_64__)
    StrictFloat() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
    ~StrictFloat() { _mm_setcsr(saved_); }

  private:
    unsigned saved_;
#elif defined(__aarch64__)
    StrictFloat() {
        std::uint64_t zero = 0;
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" ::"r"(zero));
    }
    ~StrictFloat() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

  private:
    std::uint64_t saved_;
#endif
};

// Threads that wait for work: they spin for a moment after each job, then sleep.
class Team {
  public:
    explicit Team(int count) : barrier_(count) {
        for (int i = 0; i < count; ++i) {
            states_.push_back(std::make_unique<Thread>());
            states_[i]->id = i;
            states_[i]->count = count;
            states_[i]->barrier = &barrier_;
        }
        for (int i = 1; i < count; ++i) workers_.emplace_back([this, i] { serve(i); });
    }
    ~Team() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
            job_.fetch_add(1);
        }
        wake_.notify_all();
        for (auto& w : workers_) w.join();
    }
    int size() const { return static_cast<int>(states_.size()); }

    // Runs `work` on every thread; returns when all are done.
    void run(const std::function<void(Thread&)>& work) {
        StrictFloat strict;
        if (size() == 1) {
            work(*states_[0]);
            return;
        }
        work_ = &work;
        left_.store(size() - 1, std::memory_order_relaxed);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            job_.fetch_add(1, std::memory_order_release);
        }
        if (sleeping_.load()) wake_.notify_all();
        work(*states_[0]);
        for (int spins = 0; left_.load(std::memory_order_acquire); ++spins) {
            if (spins < 4000)
                relax();
            else
                std::this_thread::yield();
        }
    }

  private:
    void serve(int id) {
        StrictFloat strict;
        std::uint64_t seen = 0;
        for (;;) {
            for (int spins = 0; spins < 20000 && job_.load(std::memory_order_acquire) == seen; ++spins) relax();
            if (job_.load(std::memory_order_acquire) == seen) {
                std::unique_lock<std::mutex> lock(mutex_);
                sleeping_.fetch_add(1);
                wake_.wait(lock, [&] { return job_.load(std::memory_order_acquire) != seen; });
                sleeping_.fetch_sub(1);
            }
            seen = job_.load(std::memory_order_acquire);
            if (stop_) return;
            (*work_)(*states_[id]);
            left_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }

    Barrier barrier_;
    std::vector<std::unique_ptr<Thread>> states_;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<std::uint64_t> job_{0};
    std::atomic<int> left_{0};
    std::atomic<int> sleeping_{0};
    bool stop_ = false;
    const std::function<void(Thread&)>* work_ = nullptr;
};

}  // namespace lockstep
