// Counts every allocation of the process, whoever makes it: operator new, malloc, aligned memory. What oneDNN and the
// OpenMP runtime allocate for their own books (a table of arguments for each primitive, a team of threads for each
// change of its size), below 16 KiB a piece (for oneDNN without AVX-512: anything), is not in our hands
// and not counted.
#pragma once

#include <cstdint>

namespace psanet::tests {

/// False where the count cannot be taken: another C library than glibc, or a sanitizer that has malloc for itself.
bool allocations_are_counted();

/// Allocations of all threads since the first call.
int64_t allocations();

}  // namespace psanet::tests
