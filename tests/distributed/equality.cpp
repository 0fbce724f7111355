// N ranks with a part of the batch each are one rank with the whole batch.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/program.h"
#include "engine/random.h"
#include "layers/passes/data_parallel.h"
#include "models/training_step.h"
#include "tests/distributed/ranks.h"
#include "tests/support/build.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

constexpr int64_t kSide = 9, kClasses = 4, kBatch = 8;

/// Convolutions, batch norm with and without a residual, dropout and an auxiliary head.
Graph network(int64_t batch) {
  Graph g;
  const nlohmann::json none = nlohmann::json::object();
  const auto add = [&](const std::string& path, const std::string& word, const nlohmann::json& attributes, Values in) {
    return add_word(layers::Building{g, layers::Mode::train, path}, word, attributes, in);
  };
  const nlohmann::json conv = {{"out_channels", 6}, {"kernel", 3}, {"padding", 1}};
  Value v = g.input("image", f32({batch, kSide, kSide, 3}));
  v = add("a.relu", "relu", none, {add("a.bn", "batch_norm", none, {add("a.conv", "conv2d", conv, {v})})});
  const Value w = add("b.bn", "batch_norm", none, {add("b.conv", "conv2d", conv, {v})});
  v = add("b.relu", "relu", none, {add("b.sum", "add", none, {w, v})});
  const nlohmann::json head = {{"out_channels", kClasses}, {"bias", true}},
                       full = {{"height", 2 * kSide - 1}, {"width", 2 * kSide - 1}};
  g.output("aux", add("aux.full", "resize", full, {add("aux", "conv2d", head, {v})}));
  v = add("drop", "dropout2d", {{"probability", 0.4}}, {v});
  g.output("logits", add("logits", "resize", full, {add("cls", "conv2d", head, {v})}));
  return g;
}

models::TrainingOptions options_of(bool update, bool accumulate = false) {
  models::TrainingOptions options;
  options.update = update;
  options.accumulate = accumulate;
  options.confusion = true;
  options.weight_decay = 0.01;
  return options;
}

/// The samples `part` of batch `step`; sample s has its labels in (s % 5) of 10 pixels, so ranks differ in valid
/// pixels, and a mean far from zero.
void set_inputs(Program& program, const layers::BatchPart& part, int64_t step) {
  Tensor image = program.input("image"), label = program.input("label");
  std::vector<float> pixels = image.get<float>();
  std::vector<uint8_t> labels = label.get<uint8_t>();
  const auto count = static_cast<size_t>(part.count), sample = pixels.size() / count, map = labels.size() / count;
  for (size_t s = 0; s < count; ++s) {
    const size_t number = static_cast<size_t>(part.first) + s;
    const auto key = static_cast<uint64_t>(100 * step) + number;
    for (size_t i = 0; i < sample; ++i) pixels[s * sample + i] = static_cast<float>(3 + random_unit(key, i));
    for (size_t i = 0; i < map; ++i) {
      labels[s * map + i] = i % 10 < 2 * (number % 5) ? static_cast<uint8_t>((i + number) / 7 % kClasses) : 255;
    }
  }
  image.set(pixels);
  label.set(labels);
  program.input("counter").set(std::vector<int64_t>{5, step});
}

using Tensors = std::map<std::string, std::vector<float>>;

Tensors parameters_of(const Parameters& parameters) {
  Tensors result;
  for (const Parameters::Entry& entry : parameters.entries()) result[entry.name] = entry.tensor.get<float>();
  return result;
}

/// Losses, gradients, statistics and the confusion counts of the first batch.
Tensors first_batch(const layers::BatchPart& part, std::shared_ptr<HostCommunicator> ranks, int64_t bucket_bytes) {
  Device device = Device::cpu(1);
  if (ranks) device.join(std::move(ranks));
  Parameters parameters(device);
  Graph graph = models::training_step(network(part.count), options_of(false));
  for (size_t id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.nodes()[id];
    if (node.op() && std::string(node.op()->name()) == "batch_norm_statistics") {
      graph.output("mean." + node.name, {static_cast<int>(id), 0});
      graph.output("variance." + node.name, {static_cast<int>(id), 1});
    }
  }
  Program program(device, layers::data_parallel(graph, part, device.communicator().world(), {bucket_bytes}), parameters,
                  1);
  set_inputs(program, part, 0);
  program.run();
  Tensors result;
  for (const auto& [name, v] : program.graph().outputs()) {
    if (program.graph().type(v).dtype == DType::i64) {
      std::vector<int64_t> counts = program.output(name).get<int64_t>();
      device.communicator().all_reduce(name, counts);
      for (int64_t x : counts) result[name].push_back(static_cast<float>(x));
    } else {
      result[name] = program.output(name).get<float>();
    }
  }
  for (const auto& [of, v] : program.graph().gradients()) result["grad." + of] = program.gradient(of).get<float>();
  return result;
}

/// Parameters, momentum and running statistics after ten steps, and the losses.
Tensors ten_steps(const layers::BatchPart& part, std::shared_ptr<HostCommunicator> ranks) {
  Device device = Device::cpu(1);
  if (ranks) device.join(std::move(ranks));
  Parameters parameters(device);
  Program program(device,
                  layers::data_parallel(models::training_step(network(part.count), options_of(true)), part,
                                        device.communicator().world(), {500}),
                  parameters, 1);
  std::vector<float> losses;
  for (int64_t step = 0; step < 10; ++step) {
    device.communicator().set_step(step);
    set_inputs(program, part, step);
    program.input("rate").set(std::vector<float>{0.05f});
    program.run();
    losses.push_back(program.output("loss").get<float>()[0]);
  }
  Tensors result = parameters_of(parameters);
  result["losses"] = losses;
  return result;
}

/// Two updates from two batches each.
Tensors accumulated(const layers::BatchPart& part, std::shared_ptr<HostCommunicator> ranks) {
  Device device = Device::cpu(1);
  if (ranks) device.join(std::move(ranks));
  const int world = device.communicator().world();
  Parameters parameters(device);
  const Graph step_graph = models::training_step(network(part.count), options_of(true, true));
  Program step(device, layers::data_parallel(step_graph, part, world), parameters, 1);
  Program update(device,
                 layers::data_parallel(models::accumulated_update(step_graph, options_of(true, true)), part, world),
                 parameters, 1);
  for (int64_t i = 0; i < 4; ++i) {
    set_inputs(step, part, i);
    step.run();
    if (i % 2 == 0) continue;
    update.input("rate").set(std::vector<float>{0.05f});
    update.run();
  }
  Tensors result = parameters_of(parameters);
  for (auto it = result.begin(); it != result.end();) {  // sums of one rank
    it = it->first.rfind("accumulated.", 0) == 0 ? result.erase(it) : std::next(it);
  }
  result["loss"] = update.output("loss").get<float>();
  return result;
}

std::vector<Tensors> of_ranks(
    const std::vector<int64_t>& counts,
    const std::function<Tensors(const layers::BatchPart&, std::shared_ptr<HostCommunicator>)>& f) {
  std::vector<Tensors> results(counts.size());
  on_ranks(static_cast<int>(counts.size()), [&](const std::shared_ptr<HostCommunicator>& c) {
    layers::BatchPart part{0, counts[static_cast<size_t>(c->rank())], kBatch};
    for (int r = 0; r < c->rank(); ++r) part.first += counts[static_cast<size_t>(r)];
    results[static_cast<size_t>(c->rank())] = f(part, c);
  });
  return results;
}

/// Largest difference over largest value, of the worst tensor.
double worst(const Tensors& got, const Tensors& want, std::string& where) {
  double result = 0;
  REQUIRE(got.size() == want.size());
  for (const auto& [name, values] : want) {
    const std::vector<float>& other = got.at(name);
    REQUIRE(other.size() == values.size());
    double difference = 0, largest = 1e-6;
    for (size_t i = 0; i < values.size(); ++i) {
      difference = std::max(difference, static_cast<double>(std::abs(values[i] - other[i])));
      largest = std::max(largest, static_cast<double>(std::abs(values[i])));
    }
    if (difference / largest >= result) {
      result = difference / largest;
      where = name;
    }
  }
  return result;
}

bool skipped() {
  if (!has_gloo()) WARN("SKIPPED: built without Gloo");
  return !has_gloo();
}

const std::vector<std::vector<int64_t>> kSplits = {{4, 4}, {2, 2, 2, 2}, {5, 3}, {1, 4, 1, 2}};

TEST_CASE("equality: losses and gradients and statistics of N ranks are those of one") {
  if (skipped()) return;
  const Tensors one = first_batch({0, kBatch, kBatch}, nullptr, 1 << 20);
  for (const auto& counts : kSplits) {
    for (const int64_t bucket_bytes : {int64_t{1}, int64_t{1000}, int64_t{1} << 20}) {
      const auto all = of_ranks(counts, [&](const layers::BatchPart& part, std::shared_ptr<HostCommunicator> c) {
        return first_batch(part, std::move(c), bucket_bytes);
      });
      std::string where;
      const double error = worst(all[0], one, where);
      INFO(counts.size() << " ranks, the first with " << counts[0] << ", bucket " << bucket_bytes << ": " << where);
      CHECK(error < 1e-5);
      for (const Tensors& other : all) CHECK(other == all[0]);
    }
  }
}

TEST_CASE("equality: parameters after ten steps of N ranks are those of one") {
  if (skipped()) return;
  const Tensors one = ten_steps({0, kBatch, kBatch}, nullptr);
  for (const auto& counts : kSplits) {
    const auto all = of_ranks(counts, ten_steps), again = of_ranks(counts, ten_steps);
    std::string where;
    const double error = worst(all[0], one, where);
    INFO(counts.size() << " ranks, the first with " << counts[0] << ": " << where);
    CHECK(error < 1e-4);
    for (const Tensors& other : all) CHECK(other == all[0]);
    CHECK(again == all);  // to the bit
  }
}

TEST_CASE("equality: accumulated updates of N ranks are those of one") {
  if (skipped()) return;
  const Tensors one = accumulated({0, kBatch, kBatch}, nullptr);
  const auto all = of_ranks({4, 4}, accumulated);
  std::string where;
  const double error = worst(all[0], one, where);
  INFO(where);
  CHECK(error < 1e-4);
  CHECK(all[1] == all[0]);
}

/// No batch norm and no dropout: what a rank computes does not depend on the others' samples.
Graph separable_network(int64_t batch) {
  Graph g;
  const layers::Building building{g, layers::Mode::train, "cls"};
  const Value image = g.input("image", f32({batch, kSide, kSide, 3}));
  const nlohmann::json conv = {{"out_channels", kClasses}, {"kernel", 3}, {"padding", 1}, {"bias", true}};
  const Value logits = add_word(building, "conv2d", conv, {image});
  g.output("logits", logits);
  g.output("aux", add_word(layers::Building{g, layers::Mode::train, "aux"}, "conv2d", conv, {image}));
  return g;
}

/// Losses and gradients of a part, for one of several ranks whose means are averaged or for the part alone.
Tensors means_of_ranks(const layers::BatchPart& part, std::shared_ptr<HostCommunicator> ranks) {
  Device device = Device::cpu(1);
  models::TrainingOptions options;
  options.update = false;
  Graph step = models::training_step(separable_network(part.count), options);
  if (ranks) {
    step = layers::data_parallel(step, part, ranks->world(), {1000, true});
    device.join(std::move(ranks));
  }
  Parameters parameters(device);
  Program program(device, step, parameters, 1);
  Tensor image = program.input("image"), label = program.input("label");
  std::vector<float> pixels = image.get<float>();
  std::vector<uint8_t> labels = label.get<uint8_t>();
  const auto count = static_cast<size_t>(part.count), sample = pixels.size() / count, map = labels.size() / count;
  for (size_t s = 0; s < count; ++s) {
    const size_t number = static_cast<size_t>(part.first) + s;
    for (size_t i = 0; i < sample; ++i) pixels[s * sample + i] = static_cast<float>(random_unit(number, i));
    // The first sample has no valid pixel at all, the others have more and more.
    for (size_t i = 0; i < map; ++i) labels[s * map + i] = i % 8 < number ? static_cast<uint8_t>(i % kClasses) : 255;
  }
  image.set(pixels);
  label.set(labels);
  program.run();
  Tensors result;
  for (const auto& [name, v] : program.graph().outputs()) result[name] = program.output(name).get<float>();
  for (const auto& [of, v] : program.graph().gradients()) result["grad." + of] = program.gradient(of).get<float>();
  return result;
}

TEST_CASE("equality: the mean of each rank's mean is what the official code computes") {
  if (skipped()) return;
  for (const std::vector<int64_t>& counts : {std::vector<int64_t>{4, 4}, {1, 2, 5}}) {
    const auto all = of_ranks(counts, means_of_ranks);
    const auto world = static_cast<float>(counts.size());
    Tensors want;
    int64_t first = 0;
    for (const int64_t count : counts) {
      for (const auto& [name, values] : means_of_ranks({first, count, kBatch}, nullptr)) {
        std::vector<float>& sum = want[name];
        sum.resize(values.size());
        for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i] / world;
      }
      first += count;
    }
    std::string where;
    const double error = worst(all[0], want, where);
    INFO(counts.size() << " ranks: " << where);
    CHECK(error < 1e-5);
    for (const Tensors& other : all) CHECK(other == all[0]);
  }
}

TEST_CASE("equality: parts of a batch are as equal as can be") {
  int64_t first = 0;
  for (int rank = 0; rank < 3; ++rank) {
    const auto part = layers::BatchPart::of_rank(8, rank, 3);
    CHECK(part.first == first);
    CHECK(part.count == (rank < 2 ? 3 : 2));
    CHECK(part.total == 8);
    first += part.count;
  }
  CHECK(first == 8);
  CHECK_THROWS_AS(layers::BatchPart::of_rank(2, 0, 3), ConfigError);
}

/// Convolutions that take a few milliseconds each.
Graph deep_network(int64_t batch) {
  Graph g;
  const nlohmann::json conv = {{"out_channels", 32}, {"kernel", 3}, {"padding", 1}};
  Value v = g.input("image", f32({batch, 65, 65, 3}));
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    v = add_word(layers::Building{g, layers::Mode::train, name}, "conv2d", conv, {v});
  }
  g.output("logits", v);
  return g;
}

TEST_CASE("equality: sums go on beside the backward pass and a timed run computes the same") {
  if (skipped()) return;
  Timeline timeline;
  bool same = false, beside = false;
  on_ranks(2, [&](const std::shared_ptr<HostCommunicator>& c) {
    Device device = Device::cpu(1);
    device.join(c);
    Parameters parameters(device);
    models::TrainingOptions options;
    options.update = false;
    const layers::BatchPart part{c->rank(), 1, 2};
    Program program(device, layers::data_parallel(models::training_step(deep_network(1), options), part, 2, {1}),
                    parameters, 1);
    program.input("image").set(std::vector<float>(65 * 65 * 3, 0.5F));
    program.run();
    const auto want = program.gradient("a.weight").get<float>();
    for (int i = 0; i < 5; ++i) {  // the communication thread may be late once
      const Timeline own = program.run_timed();
      if (c->rank() > 0) continue;
      timeline = own;
      same = program.gradient("a.weight").get<float>() == want;
      const auto last = std::find_if(own.nodes.rbegin(), own.nodes.rend(),
                                     [](const TimedSpan& s) { return s.op == "conv2d_backward_weights"; });
      REQUIRE(last != own.nodes.rend());
      beside |= own.collectives.front().begin_s < last->begin_s;
    }
  });
  CHECK(same);
  CHECK(beside);
  REQUIRE(timeline.collectives.size() == 8);
  for (size_t i = 0; i < timeline.collectives.size(); ++i) {
    const TimedSpan& sum = timeline.collectives[i];
    CHECK(sum.name == "gradients." + std::to_string(i));
    CHECK(sum.begin_s < sum.end_s);
    if (i > 0) CHECK(sum.begin_s >= timeline.collectives[i - 1].end_s);
  }
  for (size_t i = 0; i + 1 < timeline.nodes.size(); ++i)
    CHECK(timeline.nodes[i].end_s == timeline.nodes[i + 1].begin_s);
  CHECK(timeline.nodes.back().end_s >= timeline.collectives.back().end_s);
}

TEST_CASE("equality: buckets start before the backward pass ends and the part that is all changes nothing") {
  const Graph graph = models::training_step(network(2), options_of(true));
  CHECK(layers::data_parallel(graph, {0, 2, 2}, 1).nodes().size() == graph.nodes().size());
  const Graph split = layers::data_parallel(graph, {0, 2, 4}, 2, {1000});
  int first_start = -1, first_wait = -1, last_gradient = -1, starts = 0, id = 0;
  for (const Node& node : split.nodes()) {
    const std::string op = node.op() ? node.op()->name() : "";
    if (op == "start_bucket" && starts++ == 0) first_start = id;
    if (op == "wait_bucket" && first_wait < 0) first_wait = id;
    if (op == "conv2d_backward_weights") last_gradient = id;
    ++id;
  }
  CHECK(starts > 1);
  CHECK(first_start < last_gradient);
  CHECK(first_wait > last_gradient);
}

}  // namespace
}  // namespace psanet::tests
