#include "engine/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "engine/error.h"
#include "engine/main_memory.h"
#include "engine/random.h"
#include "kernels/memory.h"

namespace psanet {

namespace {

constexpr char kMomentum[] = "momentum.";

std::vector<float> initial_values(const std::string& name, const Type& type, const Initializer& init, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(type.elements()));
  const uint64_t key = hash_name(fmt::format("{}#{}", name, seed));
  for (size_t i = 0; i < values.size(); ++i) {
    switch (init.kind) {
      case Initializer::Kind::constant:
        values[i] = static_cast<float>(init.value);
        break;
      case Initializer::Kind::uniform:
        values[i] = static_cast<float>(init.value * random_unit(key, i));
        break;
      case Initializer::Kind::normal:
        values[i] = static_cast<float>(init.value * random_normal(key, i));
        break;
    }
  }
  return values;
}

/// [O, inner_a, inner_b] -> [O, inner_b, inner_a]
std::vector<float> swap_inner(const std::vector<float>& from, int64_t outer, int64_t a, int64_t b) {
  std::vector<float> to(from.size());
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < a; ++i) {
      for (int64_t j = 0; j < b; ++j) {
        to[static_cast<size_t>((o * b + j) * a + i)] = from[static_cast<size_t>((o * a + i) * b + j)];
      }
    }
  }
  return to;
}

}  // namespace

void Parameters::add(const Graph& graph, uint64_t seed) {
  std::vector<const Node*> fresh;
  int64_t bytes = 0;
  std::vector<int64_t> offsets;
  for (Source::Kind kind : {Source::Kind::parameter, Source::Kind::state}) {
    for (Value v : graph.sources(kind)) {
      const Node& node = graph.node(v);
      if (auto it = index_.find(node.name); it != index_.end()) {
        const Type& known = entries_[it->second].tensor.type();
        if (known != node.outputs[0]) {
          throw ConfigError(fmt::format("{}: is {} here, but was {} in the graph that was compiled first", node.name,
                                        to_string(node.outputs[0]), to_string(known)));
        }
        continue;
      }
      fresh.push_back(&node);
      offsets.push_back(bytes);
      bytes += kernels::aligned(node.outputs[0].bytes());
    }
  }
  if (fresh.empty()) return;
  require_main_memory(bytes, "the parameters");
  const auto storage = std::make_shared<Storage>(device_, bytes);
  for (size_t i = 0; i < fresh.size(); ++i) {
    const Node& node = *fresh[i];
    Tensor tensor(storage, offsets[i], node.outputs[0]);
    tensor.set(initial_values(node.name, node.outputs[0], node.source()->initializer, seed));
    index_.emplace(node.name, entries_.size());
    entries_.push_back({node.name, *node.source(), std::move(tensor)});
  }
}

const Tensor& Parameters::tensor(const std::string& name) const {
  auto it = index_.find(name);
  if (it == index_.end()) throw std::logic_error("no parameter or state named " + name);
  return entries_[it->second].tensor;
}

Shape Parameters::file_shape(const Entry& entry) {
  const Shape& shape = entry.tensor.type().shape;
  return entry.source.layout == FileLayout::conv_weight ? Shape{shape[0], shape[3], shape[1], shape[2]} : shape;
}

FileTensor Parameters::to_file(const Entry& entry) const {
  std::vector<float> values = entry.tensor.get<float>();
  const Shape& shape = entry.tensor.type().shape;
  if (entry.source.layout == FileLayout::conv_weight) {
    values = swap_inner(values, shape[0], shape[1] * shape[2], shape[3]);
  }
  return FileTensor::of(file_shape(entry), std::span<const float>(values));
}

void Parameters::from_file(const Entry& entry, const FileTensor& values, const std::string& where) {
  const Shape& shape = entry.tensor.type().shape;
  const bool convolution = entry.source.layout == FileLayout::conv_weight;
  const Shape wanted = file_shape(entry);
  if (values.shape != wanted) {
    throw WeightsError(fmt::format("{}: tensor \"{}\" has shape {}, the model wants {}", where, entry.name,
                                   to_string(values.shape), to_string(wanted)));
  }
  std::vector<float> host = values.values<float>();
  if (convolution) host = swap_inner(host, shape[0], shape[3], shape[1] * shape[2]);
  Tensor tensor = entry.tensor;
  tensor.set(host);
}

LoadReport load_weights(Parameters& parameters, const Safetensors& file, const std::string& file_name, bool strict) {
  const std::string module = "module.";
  std::map<std::string, const FileTensor*> by_name;
  for (const auto& [name, tensor] : file.tensors) {
    by_name[name.rfind(module, 0) == 0 ? name.substr(module.size()) : name] = &tensor;
  }
  LoadReport report;
  std::set<std::string> known;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!Parameters::in_files(entry)) continue;
    known.insert(entry.name);
    auto it = by_name.find(entry.name);
    if (it != by_name.end()) {
      parameters.from_file(entry, *it->second, file_name);
      report.loaded.push_back(entry.name);
    } else if (entry.name.rfind(kMomentum, 0) != 0) {
      report.missing.push_back(entry.name);
    }
  }
  for (const auto& [name, tensor] : by_name) {
    if (!known.count(name) && name.find("num_batches_tracked") == std::string::npos) report.unused.push_back(name);
  }
  if (strict && !(report.missing.empty() && report.unused.empty())) {
    const auto some = [](const std::vector<std::string>& names) {
      const size_t shown = std::min<size_t>(names.size(), 4);
      return fmt::format("{} ({}{})", names.size(),
                         fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "),
                         names.size() > shown ? ", ..." : "");
    };
    throw WeightsError(fmt::format(
        "{}: does not fit the model: {} tensors of the model are missing in it, {} of it are not in the model",
        file_name, report.missing.empty() ? "0" : some(report.missing),
        report.unused.empty() ? "0" : some(report.unused)));
  }
  return report;
}

}  // namespace psanet
