#include "tests/support/hash_values.h"

#include <cmath>
#include <map>

#include "engine/random.h"

namespace psanet::tests {

namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

uint64_t key(const std::string& name, uint64_t seed) {
  return hash_name(name + "#" + std::to_string(seed));
}

/// One multiplication, one addition, one rounding: the product goes through memory so that no compiler fuses the two.
float value(HashRange range, double unit) {
  const volatile double product = range.half * unit;
  return static_cast<float>(range.centre + product);
}

double gain(const std::string& name) {
  static const std::map<std::string, double> kGains = {
      {"psa.reduce.0.weight", 0.08}, {"psa.reduce_p.0.weight", 0.08}, {"psa.attention.3.weight", 3},
      {"psa.proj.0.weight", 8},      {"psa.attention_p.3.weight", 3}, {"cls.0.weight", 0.2},
      {"aux.0.weight", 0.2},
  };
  const auto found = kGains.find(name);
  return found == kGains.end() ? 1 : found->second;
}

bool last_of_tight(const std::string& name) {
  return name == "psa.attention.3.weight" || name == "psa.attention_p.3.weight" || name == "cls.4.weight" ||
         name == "aux.4.weight";
}

/// A batch norm's shift that the tight variant moves away from the ReLU's kink.
bool moved_by_tight(const std::string& name, const std::vector<int64_t>& file_shape) {
  return file_shape.size() == 1 && ends_with(name, ".bias") && name != "cls.4.bias" && name != "aux.4.bias";
}

}  // namespace

HashRange hash_range(const std::string& name, const std::vector<int64_t>& file_shape, bool tight) {
  if (ends_with(name, "running_mean")) return {0, 0.1};
  if (ends_with(name, "running_var")) return {1, 0.5};
  if (file_shape.size() == 4) {
    const auto fan_in = static_cast<double>(file_shape[1] * file_shape[2] * file_shape[3]);
    return {0, gain(name) * std::sqrt(6.0 / fan_in) * (tight && last_of_tight(name) ? 0.1 : 1.0)};
  }
  if (ends_with(name, ".bias")) return {0, 0.1};
  if (ends_with(name, "bn3.weight")) return {0.2, 0.1};
  return {1, 0.5};
}

std::vector<float> hash_values(const std::string& name, uint64_t seed, HashRange range, int64_t count) {
  const uint64_t k = key(name, seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = value(range, random_unit(k, i));
  return values;
}

std::vector<float> hash_parameter(const std::string& name, uint64_t seed, const std::vector<int64_t>& file_shape,
                                  bool tight) {
  int64_t count = 1;
  for (int64_t size : file_shape) count *= size;
  HashRange range = hash_range(name, file_shape, tight);
  if (!tight || !moved_by_tight(name, file_shape)) return hash_values(name, seed, range, count);
  const uint64_t k = key(name, seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    range.centre = ends_with(name, "bn3.bias") ? 2 : i % 4 == 3 ? -7 : 7;
    values[i] = value(range, random_unit(k, i));
  }
  return values;
}

std::vector<uint8_t> hash_labels(const std::string& name, uint64_t seed, int64_t classes, int64_t count) {
  const uint64_t k = key(name, seed);
  std::vector<uint8_t> labels(static_cast<size_t>(count));
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto v = static_cast<int64_t>((random_bits(k, i) >> 40) % static_cast<uint64_t>(classes + 1));
    labels[i] = v == classes ? uint8_t{255} : static_cast<uint8_t>(v);
  }
  return labels;
}

double hash_projection(const std::string& name, uint64_t seed, const std::vector<double>& gradient) {
  const uint64_t k = key("gradproj." + name, seed);
  double sum = 0;
  for (size_t i = 0; i < gradient.size(); ++i) sum += gradient[i] * random_unit(k, i);
  return sum;
}

void fill_with_hash(Parameters& parameters, uint64_t seed, bool tight) {
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (entry.source.kind == Source::Kind::momentum) {
      Tensor tensor = entry.tensor;
      tensor.zero();
      continue;
    }
    const Shape& s = entry.tensor.type().shape;
    const Shape shape = entry.source.layout == FileLayout::conv_weight ? Shape{s[0], s[3], s[1], s[2]} : s;
    const std::vector<float> values = hash_parameter(entry.name, seed, shape, tight);
    parameters.from_file(entry, FileTensor::of(shape, std::span<const float>(values)), "hash scheme");
  }
}

}  // namespace psanet::tests
