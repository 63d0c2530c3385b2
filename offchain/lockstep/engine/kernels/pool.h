// A team of threads that help each other with one job at a time.
#pragma once

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "common.h"

namespace lockstep {

inline void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

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

// Work that other threads may join at any time and leave at any time.
class Job {
  public:
    virtual ~Job() = default;
    // Does what there is to do now; false where there was nothing.
    virtual bool help(Thread& t) = 0;
    virtual void leave(Thread&) {}
};

// Threads that help with the current job. The caller never waits for a thread that has not begun a block: on a
// busy machine a helper that the system does not run costs nothing.
class Team {
  public:
    explicit Team(int count) : helpers_(static_cast<std::size_t>(count > 0 ? count - 1 : 0)) {
        try {
            for (auto& h : helpers_) h.thread = std::thread([this, &h] { serve(h); });
        } catch (const std::system_error&) {
            // No more threads to be had: those that are there do the work.
        }
    }
    ~Team() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
        }
        wake_.notify_all();
        for (auto& h : helpers_)
            if (h.thread.joinable()) h.thread.join();
    }
    int size() const { return static_cast<int>(helpers_.size()) + 1; }
    Thread& caller() { return caller_; }
    std::mutex& turn() { return turn_; }

    // Makes a job the current one.
    void call(Job* job) {
        if (helpers_.empty()) return;
        job_.store(job);
        calls_.fetch_add(1);
        if (sleeping_.load() > 0) {
            std::lock_guard<std::mutex> lock(mutex_);
            wake_.notify_all();
        }
    }
    // No thread touches the job once this returns.
    void dismiss(Job* job) {
        Job* expected = job;
        job_.compare_exchange_strong(expected, nullptr);
        for (auto& h : helpers_)
            while (h.at.load() == job) std::this_thread::yield();
    }

  private:
    struct Helper {
        std::thread thread;
        Thread state;
        std::atomic<Job*> at{nullptr};  // the job it may touch
    };

    void serve(Helper& me) {
        StrictFloat strict;
        for (;;) {
            const std::uint64_t seen = calls_.load();
            Job* job = job_.load();
            me.at.store(job);
            if (job && job_.load() == job) {
                for (int idle = 0; idle < kIdle && job_.load() == job;) {
                    if (job->help(me.state)) {
                        idle = 0;
                    } else {
                        ++idle;
                        relax();
                    }
                }
                job->leave(me.state);
            }
            me.at.store(nullptr);
            std::unique_lock<std::mutex> lock(mutex_);
            sleeping_.fetch_add(1);
            wake_.wait(lock, [&] { return stop_ || calls_.load() != seen; });
            sleeping_.fetch_sub(1);
            if (stop_) return;
        }
    }

    static constexpr int kIdle = 20000;
    std::vector<Helper> helpers_;
    Thread caller_;
    std::mutex turn_, mutex_;
    std::condition_variable wake_;
    std::atomic<Job*> job_{nullptr};
    std::atomic<std::uint64_t> calls_{0};
    std::atomic<int> sleeping_{0};
    bool stop_ = false;
};

}  // namespace lockstep
