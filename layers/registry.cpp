#include "layers/registry.h"

#include "engine/json/text.h"
#include "layers/check.h"

namespace psanet::layers {

/// What each file of ops ends in.
using FileOfOps = void(Tables&);
FileOfOps conv2d_ops, batch_norm_ops, relu_ops, arithmetic_ops, concat_ops, pool_ops, resize_ops, dropout2d_ops,
    softmax_ops, matmul_ops, psa_ops, psa_projected_ops, resize_taps_ops, cast_ops, cross_entropy_ops, sgd_ops,
    accumulate_ops, sigmoid_ops;

namespace {

const Tables& tables() {
  static const Tables kTables = [] {
    Tables all;
    // Words are documented in this order.
    for (FileOfOps* add : {conv2d_ops, batch_norm_ops, relu_ops, sigmoid_ops, arithmetic_ops, concat_ops, pool_ops,
                           resize_ops, dropout2d_ops, softmax_ops, matmul_ops, psa_ops, psa_projected_ops,
                           resize_taps_ops, cast_ops, cross_entropy_ops, sgd_ops, accumulate_ops}) {
      add(all);
    }
    return all;
  }();
  return kTables;
}

}  // namespace

std::span<const OpEntry> all_ops() {
  return tables().all_ops();
}

Op make_op(const std::string& name, const nlohmann::json& attributes) {
  std::vector<std::string> names;
  for (const OpEntry& op : all_ops()) {
    if (name == op.name) return op.make(attributes);
    names.emplace_back(op.name);
  }
  throw ConfigError(fmt::format("no op \"{}\"{}", name, did_you_mean(name, names)));
}

std::span<const Word> words() {
  return tables().all_words();
}

const Word* find_word(const std::string& name) {
  for (const Word& word : words()) {
    if (name == word.name) return &word;
  }
  return nullptr;
}

}  // namespace psanet::layers
