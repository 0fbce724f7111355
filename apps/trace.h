// A run, node by node, for people.
#pragma once

#include "engine/program.h"

namespace psanet::apps {

/// Runs the program once and prints a line a node: time, rate, op, name, types; then the sum, the ops by time, and the
/// first non-finite value if there is one.
void run_and_print_trace(Program& program);

}  // namespace psanet::apps
