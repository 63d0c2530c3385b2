// Hashing, for ctypes: chunk hashes of one tensor, roots of many, and of a file of them.

#include "trees.h"

extern "C" {

// Leaf hashes of n bytes' 1 KiB chunks, 32 bytes each.
void lockstep_chunk_hashes(void* team, const std::uint8_t* data, std::int64_t n, std::uint8_t* out) {
    const lockstep::Tensors one{1, &data, &n, nullptr, nullptr, nullptr};
    lockstep::Roots(one, nullptr, nullptr, out).run(static_cast<lockstep::Team*>(team));
}

// Roots of tensors and of the list of them (count + 1), by the team's threads, or by the caller alone where it is null.
void lockstep_roots(void* team, const lockstep::Tensors* tensors, std::uint8_t* roots, std::uint8_t* odd) {
    lockstep::Roots job(*tensors, roots, odd);
    job.run(static_cast<lockstep::Team*>(team));
    job.finish();
}

// The same by the caller alone, and the SHA-256 of `head` (n bytes) with the tensors' bytes behind it.
void lockstep_file_roots(const lockstep::Tensors* tensors, const std::uint8_t* head, std::int64_t n, std::uint8_t* roots,
                         std::uint8_t* odd, std::uint8_t* digest) {
    lockstep::Roots job(*tensors, roots, odd);
    lockstep::sha::Stream file;
    file.append(head, static_cast<std::size_t>(n));
    job.alone(&file);
    file.finish(digest);
    job.finish();
}

// Portable and fast code must agree: checked before the fast one is used.
void lockstep_sha_portable(const std::uint8_t* block, std::uint32_t* state) {
    lockstep::sha::blocks_portable(state, block, 1);
}
}
