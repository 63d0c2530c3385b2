// Tensor roots: the RFC 9162 tree over a tensor's 1 KiB chunks, for many tensors in one call, and beside it the SHA-256
// of the file that they make. Twin of lockstep/commitments.
#pragma once

#include <algorithm>

#include "pool.h"
#include "sha256_wide.h"

namespace lockstep {

constexpr std::int64_t kChunk = 1024;
constexpr std::int64_t kLimb = 64 * kChunk;  // a limb of the tree: an aligned block of 64 chunks is a subtree

// The root of the tree whose subtrees' roots these are, which it overwrites; it comes first.
inline void fold(std::uint8_t* hashes, std::int64_t count) {
    for (; count > 1; count = (count + 1) / 2) {
        sha::prefixed_all(1, hashes, 64, count / 2, hashes);
        if (count % 2) std::memcpy(hashes + 16 * (count - 1), hashes + 32 * (count - 1), 32);
    }
}

// Leaf hashes of n bytes' chunks.
inline void leaf_hashes(const std::uint8_t* data, std::int64_t n, std::uint8_t* out) {
    sha::prefixed_all(0, data, kChunk, n / kChunk, out);
    if (n % kChunk > 0)
        sha::prefixed_all(0, data + n / kChunk * kChunk, static_cast<std::size_t>(n % kChunk), 1, out + n / kChunk * 32);
}

// Whether some f32 is a NaN that is not the canonical one.
inline bool has_odd_nan(const std::uint8_t* data, std::int64_t n) {
    std::uint32_t odd = 0;
    for (std::int64_t i = 0; i < n; i += 4) {
        std::uint32_t x;
        std::memcpy(&x, data + i, 4);
        odd |= static_cast<std::uint32_t>((x & 0x7FFFFFFFu) > 0x7F800000u) & static_cast<std::uint32_t>(x != kCanonicalNaN);
    }
    return odd != 0;
}

// Tensors whose roots are wanted. Heads are what a root hashes before the tree: 0x02, dtype, rank, shape; the last is
// that of the list of roots.
struct Tensors {
    std::int64_t count;
    const std::uint8_t* const* data;
    const std::int64_t* bytes;
    const std::uint8_t* floats;  // whether it is f32
    const std::uint8_t* heads;
    const std::int64_t* head_ends;
};

// Roots of tensors, and then of the list of them: count + 1 hashes in `roots`, and in `odd` which of the tensors hold a
// NaN that is not canonical, so that their roots are worth nothing. With `leaves`, the chunks' hashes alone.
class Roots : public Job {
  public:
    Roots(const Tensors& tensors, std::uint8_t* roots, std::uint8_t* odd, std::uint8_t* leaves = nullptr)
        : tensors_(tensors), roots_(roots), odd_(odd), leaves_(leaves) {
        for (std::int64_t i = 0; i < tensors.count; ++i) first_.push_back(first_.back() + (tensors.bytes[i] + kLimb - 1) / kLimb);
        if (!leaves) limbs_.resize(static_cast<std::size_t>(32 * first_.back()));
    }

    // By all threads of a team, or by the caller alone where there is none.
    void run(Team* team) {
        if (!team) return alone(nullptr);
        std::lock_guard<std::mutex> turn(team->turn());
        team->call(this);
        help(team->caller());
        while (done_.load() < first_.back()) std::this_thread::yield();
        team->dismiss(this);
    }
    // Limbs are taken in order by whoever is here.
    bool help(Thread&) override {
        bool any = false;
        for (std::int64_t at; (at = next_.fetch_add(1)) < first_.back(); any = true) {
            const auto after = std::upper_bound(first_.begin(), first_.end(), at);
            limb(after - first_.begin() - 1, at);
            done_.fetch_add(1);
        }
        return any;
    }
    // By the caller alone. The file, if there is one, gains each limb's bytes while the cache holds them.
    void alone(sha::Stream* file) {
        for (std::int64_t i = 0; i < tensors_.count; ++i)
            for (std::int64_t at = first_[i]; at < first_[i + 1]; ++at) {
                limb(i, at);
                if (file) file->append(start(i, at), static_cast<std::size_t>(size(i, at)));
            }
    }

    // What remains above the limbs.
    void finish() {
        const std::int64_t n = tensors_.count;
        for (std::int64_t i = 0; i < n; ++i) {
            std::uint8_t* tree = limbs_.data() + 32 * first_[i];
            fold(tree, first_[i + 1] - first_[i]);
            headed(i, tree);
        }
        std::vector<std::uint8_t> leaves(static_cast<std::size_t>(32 * ((32 * n + kChunk - 1) / kChunk)));
        leaf_hashes(roots_, 32 * n, leaves.data());
        fold(leaves.data(), static_cast<std::int64_t>(leaves.size() / 32));
        headed(n, leaves.data());
    }

  private:
    static constexpr std::int64_t kHashes = 32 * kLimb / kChunk;
    const std::uint8_t* start(std::int64_t tensor, std::int64_t at) const {
        return tensors_.data[tensor] + (at - first_[tensor]) * kLimb;
    }
    std::int64_t size(std::int64_t tensor, std::int64_t at) const {
        return std::min(kLimb, tensors_.bytes[tensor] - (at - first_[tensor]) * kLimb);
    }
    void limb(std::int64_t tensor, std::int64_t at) {
        const std::uint8_t* data = start(tensor, at);
        const std::int64_t n = size(tensor, at);
        if (leaves_) return leaf_hashes(data, n, leaves_ + at * kHashes);
        std::uint8_t hashes[kHashes];
        leaf_hashes(data, n, hashes);
        fold(hashes, (n + kChunk - 1) / kChunk);
        std::memcpy(limbs_.data() + 32 * at, hashes, 32);
        if (tensors_.floats[tensor] && has_odd_nan(data, n)) __atomic_store_n(odd_ + tensor, 1, __ATOMIC_RELAXED);
    }
    void headed(std::int64_t i, const std::uint8_t* tree) {
        const std::int64_t from = i ? tensors_.head_ends[i - 1] : 0;
        sha::Stream whole;
        whole.append(tensors_.heads + from, static_cast<std::size_t>(tensors_.head_ends[i] - from));
        whole.append(tree, 32);
        whole.finish(roots_ + 32 * i);
    }

    const Tensors tensors_;
    std::uint8_t *roots_, *odd_, *leaves_;
    std::vector<std::int64_t> first_{0};  // limb of each tensor; one behind the last
    std::vector<std::uint8_t> limbs_;
    std::atomic<std::int64_t> next_{0}, done_{0};
};

}  // namespace lockstep
