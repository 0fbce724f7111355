#include "tests/support/golden_file.h"

#include <nlohmann/json.hpp>

namespace psanet::tests {

using nlohmann::json;

GoldenFile::GoldenFile(const std::filesystem::path& path) : file_(read_safetensors(path)) {}

std::vector<std::string> GoldenFile::cases() const {
  return metadata("cases").get<std::vector<std::string>>();
}

json GoldenFile::metadata(const std::string& key) const {
  const std::string& text = file_.metadata.at(key);
  const json parsed = json::parse(text, nullptr, false);
  return parsed.is_discarded() ? json(text) : parsed;
}

std::vector<std::string> GoldenFile::names() const {
  std::vector<std::string> found;
  for (const auto& [name, tensor] : file_.tensors) found.push_back(name);
  return found;
}

HostTensor GoldenFile::tensor(const std::string& name) const {
  const FileTensor& stored = file_.at(name);
  const bool floats = stored.dtype == "F32" || stored.dtype == "F64";
  return {Type{floats                 ? DType::f32
               : stored.dtype == "U8" ? DType::u8
                                      : DType::i64,
               stored.shape.empty() ? Shape{1} : stored.shape},
          stored.values<double>()};
}

HostTensor GoldenFile::channels_last(const std::string& name) const {
  return tests::channels_last(tensor(name));
}

Safetensors GoldenFile::below(const std::string& prefix) const {
  Safetensors part;
  for (const auto& [name, stored] : file_.tensors) {
    if (name.rfind(prefix, 0) == 0) part.tensors.emplace(name.substr(prefix.size()), stored);
  }
  return part;
}

HostTensor channels_last(const HostTensor& t) {
  if (t.type.rank() != 4) return t;
  HostTensor to(Type{t.type.dtype, {t[0], t[2], t[3], t[1]}});
  for (int64_t n = 0; n < t[0]; ++n)
    for (int64_t c = 0; c < t[1]; ++c)
      for (int64_t h = 0; h < t[2]; ++h)
        for (int64_t w = 0; w < t[3]; ++w) to.at(n, h, w, c) = t.at(n, c, h, w);
  return to;
}

HostTensor channels_first(const HostTensor& t) {
  if (t.type.rank() != 4) return t;
  HostTensor to(Type{t.type.dtype, {t[0], t[3], t[1], t[2]}});
  for (int64_t n = 0; n < t[0]; ++n)
    for (int64_t h = 0; h < t[1]; ++h)
      for (int64_t w = 0; w < t[2]; ++w)
        for (int64_t c = 0; c < t[3]; ++c) to.at(n, c, h, w) = t.at(n, h, w, c);
  return to;
}

}  // namespace psanet::tests
