#include "tests/support/op_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/home.h"
#include "engine/random.h"
#include "layers/registry.h"

namespace psanet::tests {

using nlohmann::json;

namespace {

std::filesystem::path folder() {
  return home() / "tests" / "layers" / "cases";
}

DType dtype_of(const std::string& name) {
  for (DType dtype : {DType::f32, DType::bf16, DType::i32, DType::i64, DType::u8}) {
    if (name == psanet::name(dtype)) return dtype;
  }
  throw std::runtime_error("no dtype " + name);
}

void fill_uniform(HostTensor& tensor, uint64_t key, double low, double high) {
  for (size_t i = 0; i < tensor.values.size(); ++i) {
    const double unit = random_unit(key, i);
    tensor.values[i] = static_cast<float>(low + (high - low) * (unit + 1) / 2);
  }
}

/// Multiples of 0.02, shifted by 0.01, in random order around zero.
void fill_distinct(HostTensor& tensor, uint64_t key) {
  const size_t count = tensor.values.size();
  for (size_t i = 0; i < count; ++i) {
    tensor.values[i] =
        static_cast<float>(0.02 * (static_cast<double>(i) - std::floor(static_cast<double>(count) / 2)) + 0.01);
  }
  for (size_t i = count; i > 1; --i) std::swap(tensor.values[i - 1], tensor.values[random_bits(key, i) % i]);
}

void fill_labels(HostTensor& tensor, uint64_t key, int64_t classes, double ignore, double share) {
  for (size_t i = 0; i < tensor.values.size(); ++i) {
    const double dice = (random_unit(key, 2 * i) + 1) / 2;
    const auto label = static_cast<double>(random_bits(key, 2 * i + 1) % static_cast<uint64_t>(classes));
    tensor.values[i] = dice < share ? ignore : label;
  }
}

/// Mean, or biased variance, of each channel of x over its rows.
void fill_statistic(HostTensor& tensor, const HostTensor& x, bool variance) {
  const int64_t channels = x[-1], rows = x.type.elements() / channels;
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0, squares = 0;
    for (int64_t r = 0; r < rows; ++r) mean += x.at(r * channels + c) / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) {
      const double d = x.at(r * channels + c) - mean;
      squares += d * d / static_cast<double>(rows);
    }
    tensor.at(c) = static_cast<float>(variance ? squares : mean);
  }
}

CaseInput read_input(const json& spec, const std::string& key_name, const std::vector<CaseInput>& before) {
  const json object = spec.is_array() ? json{{"shape", spec}} : spec;
  CaseInput input;
  const std::string fill = object.value("fill", "uniform");
  const char* standard_dtype = fill == "labels" ? "u8" : fill == "counter" ? "i64" : "f32";
  const Type type{dtype_of(object.value("dtype", standard_dtype)), object.at("shape").get<Shape>()};
  input.tensor = HostTensor(type);
  input.constant = object.value("constant", false) || type.dtype != DType::f32;
  const uint64_t key = hash_name(key_name);
  if (object.contains("values")) {
    const json& values = object.at("values");
    if (values.size() != static_cast<size_t>(type.elements())) {
      throw std::runtime_error(key_name + ": number of values and shape differ");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      input.tensor.values[i] = values[i].is_null() ? std::nan("") : values[i].get<double>();  // JSON knows no NaN
    }
  } else if (fill == "uniform") {
    fill_uniform(input.tensor, key, object.value("low", -1.0), object.value("high", 1.0));
  } else if (fill == "positive") {
    fill_uniform(input.tensor, key, 0.5, 1.5);
  } else if (fill == "distinct") {
    fill_distinct(input.tensor, key);
  } else if (fill == "labels") {
    fill_labels(input.tensor, key, object.at("classes").get<int64_t>(), object.value("ignore", 255.0),
                object.value("share", 0.2));
  } else if (fill == "mean" || fill == "variance") {
    fill_statistic(input.tensor, before.at(0).tensor, fill == "variance");
    input.constant = true;
  } else {
    throw std::runtime_error(key_name + ": no fill " + fill);
  }
  return input;
}

}  // namespace

HostTensors OpCase::input_values() const {
  HostTensors values;
  for (const CaseInput& input : inputs) values.push_back(input.tensor);
  return values;
}

Types OpCase::input_types() const {
  Types types;
  for (const CaseInput& input : inputs) types.push_back(input.tensor.type);
  return types;
}

std::vector<OpCase> read_cases(const std::string& file) {
  const std::filesystem::path path = folder() / (file + ".json");
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path.string() + ": cannot be opened");
  std::vector<OpCase> cases;
  const json families = json::parse(in);
  for (const json& family : families) {
    const auto op = family.at("op").get<std::string>();
    int number = 0;
    for (const json& entry : family.at("cases")) {
      const json attributes = entry.value("with", json::object());
      std::string name = attributes.empty() ? op : fmt::format("{} {}", op, attributes.dump());
      std::vector<CaseInput> inputs;
      for (const json& spec : entry.at("in")) {
        inputs.push_back(read_input(spec, fmt::format("{}#{}#{}", op, number, inputs.size()), inputs));
        name += " " + to_string(inputs.back().tensor.type.shape);
      }
      if (entry.contains("note")) name += " (" + entry["note"].get<std::string>() + ")";
      cases.push_back({std::move(name), layers::make_op(op, attributes), std::move(inputs),
                       entry.value("gradient", true), entry.value("tolerance", 1e-5)});
      ++number;
    }
  }
  return cases;
}

std::vector<std::string> case_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace psanet::tests
