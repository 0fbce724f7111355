#include "tests/support/device_parity.h"

#include <fmt/format.h>

#include "kernels/bf16.h"
#include "tests/support/op_subject.h"
#include "tests/support/references.h"

namespace psanet::tests {

namespace {

/// What is left of the subject's activations once they were bf16.
Subject rounded(Subject s) {
  const auto round = [](HostTensor& t) {
    if (t.type.dtype != DType::f32 || t.type.rank() < 3) return;
    for (double& v : t.values) v = kernels::to_float(kernels::to_bf16(static_cast<float>(v)));
  };
  for (auto& [name, values] : s.inputs) round(values);
  for (auto& [name, values] : s.parameters) round(values);
  return s;
}

/// The outputs that the op's description defines.
std::vector<size_t> defined_outputs(const OpCase& c) {
  const HostTensors results = find_reference(c.op.name())(c.op, c.input_values());
  std::vector<size_t> outputs;
  for (size_t o = 0; o < c.op.infer(c.input_types()).size(); ++o) {
    if (!results[o].values.empty()) outputs.push_back(o);
  }
  return outputs;
}

void compare(const std::string& what, const Outcome& found, const Outcome& wanted, double tolerance,
             std::vector<std::string>& problems) {
  if (!found.repeatable) problems.push_back(what + ": two runs differ");
  for (size_t i = 0; i < wanted.values.size(); ++i) {
    const HostTensor& w = wanted.values[i];
    const bool floats = is_float(w.type.dtype);
    const Tolerance allowed =
        floats ? Tolerance{tolerance * std::max(1e-3, largest(w.values)), tolerance} : Tolerance{0, 0};
    const std::string off = difference(found.values[i], w, allowed);
    if (!off.empty()) problems.push_back(fmt::format("{}: result {}: {}", what, i, off));
  }
}

}  // namespace

std::vector<std::string> device_differences(const OpCase& c, Device& processor, Device& device, DType activations,
                                            double tolerance) {
  std::vector<std::string> problems;
  const bool bf16 = activations == DType::bf16;
  const auto check = [&](const std::string& what, const Subject& plain, const Subject& subject) {
    compare(what, run(device, subject), run(processor, bf16 ? rounded(plain) : plain), tolerance, problems);
  };
  for (Feed feed : {Feed::inputs, Feed::values}) {
    if (feed == Feed::values && !c.op.mutates(c.inputs.size()).empty()) continue;
    const char* how = feed == Feed::inputs ? "" : " in the memory of its inputs";
    const SubjectOptions plain{feed, DType::f32}, options{feed, activations};
    const std::vector<size_t> outputs = defined_outputs(c);
    check(fmt::format("forward{}", how), forward_subject(c, plain, outputs), forward_subject(c, options, outputs));
    if (differentiable(c)) {
      check(fmt::format("gradient{}", how), gradient_subject(c, plain), gradient_subject(c, options));
    }
  }
  return problems;
}

}  // namespace psanet::tests
