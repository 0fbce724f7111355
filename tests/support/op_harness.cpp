#include "tests/support/op_harness.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/autodiff.h"
#include "engine/random.h"
#include "layers/arithmetic.h"
#include "layers/conv2d.h"
#include "layers/matmul.h"
#include "tests/support/graph_run.h"
#include "tests/support/op_subject.h"
#include "tests/support/references.h"

namespace psanet::tests {

namespace {

using Problems = std::vector<std::string>;

/// What 1, 2 and 3 threads gave.
struct Outcomes {
  Outcome one, two, three;
};

/// Convolutions and matrix products are oneDNN's. It cuts its sums into as many pieces as there are threads.
bool sums_by_thread(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    if (node.as<layers::Conv2d>() || node.as<layers::Conv2dBackwardData>() ||
        node.as<layers::Conv2dBackwardWeights>() || node.as<layers::Matmul>()) {
      return true;
    }
  }
  return false;
}

Outcomes run_on_all(const Subject& s, const OpCase& c, Devices& devices, const std::string& what, Problems& problems) {
  Outcomes outcomes{run(devices.one, s), run(devices.two, s), run(devices.three, s)};
  const bool same_bits = !sums_by_thread(s.graph);
  int threads = 0;
  for (const Outcome* o : {&outcomes.one, &outcomes.two, &outcomes.three}) {
    ++threads;
    if (!o->repeatable) problems.push_back(fmt::format("{}: {} threads: two runs differ", what, threads));
    if (same_bits && o->bits != outcomes.one.bits) {
      problems.push_back(fmt::format("{}: {} threads give other bits than one", what, threads));
    }
    for (size_t i = 0; !same_bits && i < o->values.size(); ++i) {
      const HostTensor& wanted = outcomes.one.values[i];
      const std::string off = difference(o->values[i], wanted, tolerance_for(c, wanted));
      if (!off.empty()) problems.push_back(fmt::format("{}: {} threads against one: {}", what, threads, off));
    }
    if (o->allocations != 0) {
      problems.push_back(fmt::format("{}: {} threads: {} allocations in a later run", what, threads, o->allocations));
    }
  }
  return outcomes;
}

/// Central differences of sum(d_out * reference(in)) along a direction of input i.
double derivative(const OpCase& c, Reference reference, const HostTensor& d_out, size_t i,
                  const std::vector<double>& direction) {
  constexpr double kStep = 1e-5;
  const auto value = [&](double step) {
    HostTensors in = c.input_values();
    for (size_t k = 0; k < direction.size(); ++k) in[i].values[k] += step * direction[k];
    const HostTensors out = reference(c.op, in);
    double sum = 0;
    for (size_t k = 0; k < d_out.values.size(); ++k) sum += d_out.values[k] * out[0].values[k];
    return sum;
  };
  return (value(kStep) - value(-kStep)) / (2 * kStep);
}

/// Compares the gradient of input i with differences: single elements (all, or some of many) and random directions,
/// which together see every element.
void check_gradient(const OpCase& c, Reference reference, size_t i, const HostTensor& d_in, Problems& problems) {
  const HostTensor d_out = upstream(c);
  const size_t count = d_in.values.size();
  const double allowed = c.tolerance * std::max(1.0, largest(d_in.values));
  const size_t stride = std::max<size_t>(1, count / 64);
  for (size_t k = 0; k < count; k += stride) {
    std::vector<double> direction(count, 0.0);
    direction[k] = 1;
    const double wanted = derivative(c, reference, d_out, i, direction);
    if (std::abs(d_in.values[k] - wanted) <= allowed) continue;
    problems.push_back(
        fmt::format("gradient of input {}: value {} is {:.9g}, differences give {:.9g}", i, k, d_in.values[k], wanted));
    return;
  }
  for (uint64_t d = 0; stride > 1 && d < 4; ++d) {
    const uint64_t key = hash_name(fmt::format("{}#direction{}", c.name, d));
    std::vector<double> direction(count);
    double found = 0;
    for (size_t k = 0; k < count; ++k) {
      direction[k] = random_unit(key, k);
      found += direction[k] * d_in.values[k];
    }
    const double wanted = derivative(c, reference, d_out, i, direction);
    if (std::abs(found - wanted) <= allowed * std::sqrt(static_cast<double>(count))) continue;
    problems.push_back(
        fmt::format("gradient of input {} along a direction: {:.9g}, differences give {:.9g}", i, found, wanted));
    return;
  }
}

void check_forward(const OpCase& c, Reference reference, Devices& devices, Problems& problems) {
  // What is looked at: the outputs that the op's description defines, and what it updates in place.
  const size_t results = c.op.infer(c.input_types()).size();
  HostTensors wanted = reference(c.op, c.input_values());
  std::vector<size_t> outputs;
  for (size_t o = 0; o < results; ++o) {
    if (!wanted[o].values.empty()) outputs.push_back(o);
  }
  std::erase_if(wanted, [](const HostTensor& t) { return t.values.empty(); });

  const auto compare = [&](const std::string& what, const HostTensors& found) {
    if (found.size() != wanted.size()) {
      problems.push_back(fmt::format("{}: {} results, the reference has {}", what, found.size(), wanted.size()));
      return;
    }
    for (size_t o = 0; o < wanted.size(); ++o) {
      const std::string off = difference(found[o], wanted[o], tolerance_for(c, wanted[o]));
      if (!off.empty()) problems.push_back(fmt::format("{}: output {}: {}", what, o, off));
    }
  };
  const Outcomes all = run_on_all(forward_subject(c, {}, outputs), c, devices, "forward", problems);
  compare("forward", all.one.values);

  if (!c.op.mutates(c.inputs.size()).empty()) return;
  if (c.inputs.size() > 1) {
    compare("forward with constants", run(devices.two, forward_subject(c, {Feed::parameters}, outputs)).values);
  }
  if (run(devices.two, forward_subject(c, {Feed::values}, outputs)).bits != all.two.bits) {
    problems.emplace_back("forward in the memory of its inputs: other bits");
  }
  for (size_t k = 0; outputs.size() > 1 && k < outputs.size(); ++k) {
    if (run(devices.two, forward_subject(c, {}, {outputs[k]})).bits[0] != all.two.bits[k]) {
      problems.push_back(fmt::format("forward with output {} alone: other bits", outputs[k]));
    }
  }
}

void check_backward(const OpCase& c, Reference reference, Devices& devices, Problems& problems) {
  const Subject subject = gradient_subject(c, {});
  const Outcomes all = run_on_all(subject, c, devices, "gradient", problems);
  size_t at = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].constant) continue;
    if (at >= subject.outputs.size() || subject.outputs[at] != fmt::format("d_in{}", i)) {
      problems.push_back(fmt::format("no gradient of input {}", i));
      continue;
    }
    check_gradient(c, reference, i, all.one.values[at], problems);
    const Outcome alone = run(devices.two, gradient_subject(c, {}, static_cast<int>(i)));
    if (alone.bits[0] != all.two.bits[at]) {
      problems.push_back(fmt::format("gradient of input {} alone: other bits", i));
    }
    ++at;
  }
  if (run(devices.two, gradient_subject(c, {Feed::values})).bits != all.two.bits) {
    problems.emplace_back("gradient in the memory of its inputs: other bits");
  }
}

}  // namespace

std::vector<std::string> broken_promises(const OpCase& c, Devices& devices) {
  const Reference reference = find_reference(c.op.name());
  if (reference == nullptr) return {fmt::format("there is no reference loop for {}", c.op.name())};
  Problems problems;
  check_forward(c, reference, devices, problems);
  if (differentiable(c)) check_backward(c, reference, devices, problems);
  return problems;
}

std::set<std::string> gradient_ops(const OpCase& c) {
  std::set<std::string> names;
  if (!differentiable(c)) return names;
  const Subject subject = gradient_subject(c, {});
  for (const Node& node : subject.graph.nodes()) {
    if (node.op() && node.name != kOpNode) names.insert(node.op()->name());
  }
  return names;
}

}  // namespace psanet::tests
