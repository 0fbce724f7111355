// A run, node by node, for people.
#pragma once

#include <filesystem>
#include <string>

#include "engine/program.h"

namespace psanet::apps {

/// Runs the program once and prints a line a node: time, rate, op, name, types; then the sum, the ops by time, and the
/// first non-finite value if there is one.
void run_and_print_trace(Program& program);

/// Writes a timeline as a Chrome trace (JSON; Perfetto and chrome://tracing show it): one lane for the nodes, one for
/// the sums over ranks. FileError if it cannot be written.
void write_timeline(const std::filesystem::path& file, const Timeline& timeline);
/// "nodes 812.3 ms; 9 sums over ranks 95.1 ms, of which 90.2 ms beside other nodes than those that wait for them"
std::string describe(const Timeline& timeline);

}  // namespace psanet::apps
