// What ran from when to when.
#pragma once

#include <string>
#include <vector>

namespace psanet {

struct TimedSpan {
  std::string name, op;
  double begin_s = 0, end_s = 0;  // behind the beginning of the timeline
};

/// One run of a program: its nodes, one after the other, and the sums over ranks that went on beside them.
struct Timeline {
  std::vector<TimedSpan> nodes, collectives;
};

}  // namespace psanet
