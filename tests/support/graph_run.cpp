#include "tests/support/graph_run.h"

#include <limits>

#include "engine/program.h"
#include "tests/support/allocation_count.h"

namespace psanet::tests {

namespace {

void set_inputs(Program& program, const Subject& subject, bool poison) {
  for (const auto& [name, values] : subject.inputs) {
    if (!program.has_input(name)) continue;  // pruned: no output needs it
    HostTensor written = values;
    if (poison && values.type.dtype == DType::f32) {
      for (double& v : written.values) v = std::numeric_limits<double>::quiet_NaN();
    }
    write_values(program.input(name), written);
  }
}

std::vector<Tensor> results(Program& program, const Subject& subject) {
  std::vector<Tensor> tensors;
  for (const std::string& name : subject.outputs) tensors.push_back(program.output(name));
  for (const std::string& name : subject.updated) tensors.push_back(program.input(name));
  return tensors;
}

}  // namespace

Outcome run(Device& device, const Subject& subject) {
  Parameters parameters(device);
  Program program(device, subject.graph, parameters);
  for (const auto& [name, values] : subject.parameters) {
    if (parameters.contains(name)) write_values(parameters.tensor(name), values);
  }

  set_inputs(program, subject, true);
  program.run();
  set_inputs(program, subject, false);
  program.run();
  Outcome outcome;
  for (const Tensor& tensor : results(program, subject)) {
    outcome.values.push_back(read_values(tensor));
    outcome.bits.push_back(read_bits(tensor));
  }

  set_inputs(program, subject, false);
  const int64_t before = allocations();
  program.run();
  outcome.allocations = allocations() - before;
  size_t i = 0;
  for (const Tensor& tensor : results(program, subject)) {
    outcome.repeatable = outcome.repeatable && read_bits(tensor) == outcome.bits[i++];
  }
  return outcome;
}

}  // namespace psanet::tests
