#include "engine/communicator.h"

#include <algorithm>

namespace psanet {

void Communicator::all_gather(const std::string&, std::span<const double> mine, std::span<double> all) {
  if (mine.size() != all.size()) throw std::logic_error("all_gather: sizes do not fit");
  std::copy(mine.begin(), mine.end(), all.begin());
}

}  // namespace psanet
