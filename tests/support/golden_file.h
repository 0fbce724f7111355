// A golden file: safetensors with several cases, described in its metadata (golden README, "File format").
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/safetensors.h"
#include "tests/support/host_tensor.h"

namespace psanet::tests {

class GoldenFile {
 public:
  explicit GoldenFile(const std::filesystem::path& path);

  std::vector<std::string> cases() const;
  /// A metadata entry, parsed once more; a plain word is a JSON string.
  nlohmann::json metadata(const std::string& key) const;
  bool has_metadata(const std::string& key) const { return file_.metadata.count(key) > 0; }
  bool contains(const std::string& name) const { return file_.contains(name); }
  std::vector<std::string> names() const;

  /// As the file has it: feature maps N,C,H,W. Scalars get shape [1], integers the dtype i64.
  HostTensor tensor(const std::string& name) const;
  /// Rank 4 (feature maps, convolution weights) with channels last; others as they are.
  HostTensor channels_last(const std::string& name) const;
  /// The tensors whose names begin with `prefix`, under the rest of their names: what load_weights() takes.
  Safetensors below(const std::string& prefix) const;

 private:
  Safetensors file_;
};

/// [N,C,H,W] -> [N,H,W,C], and back; tensors of other ranks stay as they are.
HostTensor channels_last(const HostTensor& t);
HostTensor channels_first(const HostTensor& t);

}  // namespace psanet::tests
