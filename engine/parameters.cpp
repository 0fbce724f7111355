#include "engine/parameters.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/main_memory.h"
#include "engine/random.h"
#include "engine/swap_axes.h"
#include "kernels/memory.h"

namespace psanet {

namespace {

std::vector<float> initial_values(const std::string& name, const Type& type, const Initializer& init, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(type.elements()));
  const uint64_t key = hash_name(fmt::format("{}#{}", name, seed));
  for (size_t i = 0; i < values.size(); ++i) {
    const double factor = init.kind == Initializer::Kind::uniform  ? random_unit(key, i)
                          : init.kind == Initializer::Kind::normal ? random_normal(key, i)
                                                                   : 1;
    values[i] = static_cast<float>(init.value * factor);
  }
  return values;
}

}  // namespace

void Parameters::add(const Graph& graph, uint64_t seed) {
  std::vector<const Node*> fresh, others;
  for (const Node& node : graph.nodes()) {
    if (!node.source() || !node.source()->kept()) continue;
    const auto known = index_.find(key_of(node));
    if (known == index_.end()) {
      (node.is(Source::Kind::parameter) ? fresh : others).push_back(&node);
    } else if (const Type& type = entries_[known->second].tensor.type(); type != node.outputs[0]) {
      throw ConfigError(fmt::format("{}: is {} here, but was {} in the graph that was compiled first", node.name,
                                    to_string(node.outputs[0]), to_string(type)));
    }
  }
  fresh.insert(fresh.end(), others.begin(), others.end());
  if (fresh.empty()) return;
  int64_t bytes = 0;
  std::vector<int64_t> offsets;
  for (const Node* node : fresh) {
    offsets.push_back(bytes);
    bytes += kernels::aligned(node->outputs[0].bytes());
  }
  require_main_memory(bytes, "the parameters");
  const auto storage = std::make_shared<Storage>(device_, bytes);
  for (size_t i = 0; i < fresh.size(); ++i) {
    const Node& node = *fresh[i];
    Tensor tensor(storage, offsets[i], node.outputs[0]);
    tensor.set(initial_values(node.name, node.outputs[0], node.source()->initializer, seed));
    index_.emplace(key_of(node), entries_.size());
    entries_.push_back({node.name, *node.source(), std::move(tensor), key_of(node)});
  }
  storages_.push_back(storage);
}

const Parameters::Entry& Parameters::entry(const SourceKey& key) const {
  const auto it = index_.find(key);
  if (it == index_.end()) throw std::logic_error("no parameter or state named " + key.name);
  return entries_[it->second];
}

uint64_t Parameters::version() const {
  uint64_t version = updates_;
  for (const auto& storage : storages_) version += storage->version();
  return version;
}

Shape Parameters::file_shape(const Entry& entry) {
  const Shape& shape = entry.tensor.type().shape;
  return entry.source.layout == FileLayout::conv_weight ? Shape{shape[0], shape[3], shape[1], shape[2]} : shape;
}

FileTensor Parameters::to_file(const Entry& entry) const {
  std::vector<float> values = entry.tensor.get<float>();
  const Shape& shape = entry.tensor.type().shape;
  if (entry.source.layout == FileLayout::conv_weight) {
    values = swap_axes(values, shape[0], shape[1] * shape[2], shape[3]);
  }
  return FileTensor::of(file_shape(entry), std::span<const float>(values));
}

void Parameters::from_file(const Entry& entry, const FileTensor& values, const std::string& where) {
  const Shape& shape = entry.tensor.type().shape;
  const Shape wanted = file_shape(entry);
  if (values.shape != wanted) {
    throw WeightsError(fmt::format("{}: tensor \"{}\" has shape {}, the model wants {}", where, entry.name,
                                   to_string(values.shape), to_string(wanted)));
  }
  std::vector<float> host = values.values<float>();
  if (entry.source.layout == FileLayout::conv_weight) host = swap_axes(host, shape[0], shape[3], shape[1] * shape[2]);
  Tensor tensor = entry.tensor;
  tensor.set(host);
}

}  // namespace psanet
