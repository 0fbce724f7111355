// Counts every allocation of the process, whoever makes it: operator new, malloc, aligned memory. What oneDNN and the
// OpenMP runtime allocate for their own books (a table of arguments for each primitive, a team of threads for each
// change of its size), below 16 KiB a piece (for oneDNN without AVX-512: anything), is not in our hands
// and not counted.
#pragma once

#include <cstdint>
#include <functional>

namespace psanet::tests {

/// False where the count cannot be taken: another C library than glibc, or a sanitizer that has malloc for itself.
bool allocations_are_counted();

/// Allocations of all threads since the first call.
int64_t allocations();

/// Runs body and returns how far allocated bytes rose above those at its begin (all threads; what blocks can hold,
/// which is a little more than what was asked for).
int64_t peak_bytes_of(const std::function<void()>& body);

}  // namespace psanet::tests
