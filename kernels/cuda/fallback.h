// What is said when one of our own kernels does what a vendor library was expected to do.
#pragma once

#include <string>
#include <vector>

namespace psanet::kernels::cuda {

/// "psanet: <library> has no plan for the <problem>; using our own kernel" on stderr, once for each problem in a
/// process. `why`, in the library's words, may be empty.
void say_fallback(const std::string& library, const std::string& problem, const std::string& why);

/// The lines so far, first to last.
std::vector<std::string> said_fallbacks();

}  // namespace psanet::kernels::cuda
