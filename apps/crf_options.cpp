#include "apps/crf_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/error.h"
#include "engine/json/reader.h"
#include "engine/json/text.h"

namespace psanet::apps {

namespace {

struct WeightOrWidth {
  const char* name;
  double kernels::DenseCrfParameters::*member;
};
constexpr WeightOrWidth kNumbers[] = {{"bi_w", &kernels::DenseCrfParameters::bi_w},
                                      {"bi_xy_std", &kernels::DenseCrfParameters::bi_xy_std},
                                      {"bi_rgb_std", &kernels::DenseCrfParameters::bi_rgb_std},
                                      {"pos_w", &kernels::DenseCrfParameters::pos_w},
                                      {"pos_xy_std", &kernels::DenseCrfParameters::pos_xy_std}};

void set_parameter(const std::string& assignment, kernels::DenseCrfParameters& parameters) {
  const auto [name, text] = split_setting(assignment, "--crf-set");
  const auto value = parse_setting(text, "--crf-set " + name);
  if (name == "iterations") {
    if (!value.is_number_integer()) {
      throw ConfigError(fmt::format("--crf-set: iterations: found \"{}\", want a whole number", printed(text)));
    }
    parameters.iterations = JsonReader(value, "--crf-set: iterations")
                                .integer(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
    return;
  }
  std::vector<std::string> names = {"iterations"};
  for (const WeightOrWidth& number : kNumbers) {
    names.emplace_back(number.name);
    if (name != number.name) continue;
    if (!value.is_number())
      throw ConfigError(fmt::format("--crf-set: {}: found \"{}\", want a number", name, printed(text)));
    parameters.*number.member = value.get<double>();
    return;
  }
  throw ConfigError(fmt::format("--crf-set: unknown name \"{}\"{}; known names: {}", printed(name),
                                did_you_mean(name, names), listed(names)));
}

}  // namespace

void CrfOptions::add_to(App& app) {
  app.flag("--crf", enabled, "post-processing by a fully connected CRF with the paper's parameters");
  app.repeated_option("--crf-set", settings,
                      "the CRF with other parameters, as bi_w=4,iterations=5 (bi_w, bi_xy_std, bi_rgb_std, pos_w, "
                      "pos_xy_std, iterations)");
}

kernels::DenseCrfParameters CrfOptions::parameters() const {
  kernels::DenseCrfParameters parameters;
  for (const std::string& list : settings) {
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) set_parameter(part, parameters);
  }
  // What does not depend on the picture is wrong before anything is read.
  if (const std::string problem = dense_crf_problem({1, 1, 2}, parameters); !problem.empty()) {
    throw ConfigError("--crf-set: " + problem);
  }
  return parameters;
}

void check_crf_classes(const std::string& model, int64_t classes) {
  if (classes >= 2) return;
  throw ConfigError(
      fmt::format("--crf: the model {} has {} class: there are no class probabilities to work on", model, classes));
}

std::string describe(const kernels::DenseCrfParameters& parameters) {
  std::string text = " + DenseCRF (";
  for (const WeightOrWidth& number : kNumbers) text += fmt::format("{} {}, ", number.name, parameters.*number.member);
  return text + fmt::format("{} iterations)", parameters.iterations);
}

data::LabelMap crf_labels(int threads, const kernels::DenseCrfParameters& parameters, const data::Image& image,
                          const std::vector<float>& probabilities, int64_t classes) {
  constexpr float kLeast = 1e-5f;
  const kernels::DenseCrfDims dims{image.height, image.width, classes};
  if (const std::string problem = dense_crf_problem(dims, parameters); !problem.empty()) {
    throw ConfigError("--crf: " + problem);
  }
  std::vector<float> unary(probabilities.size()), q(probabilities.size());
  for (size_t i = 0; i < unary.size(); ++i) unary[i] = -std::log(std::max(probabilities[i], kLeast));
  kernels::dense_crf_on_processor(threads, dims, parameters, image.pixels.data(), unary.data(), q.data());
  data::LabelMap map(image.height, image.width);
  for (size_t p = 0; p < map.labels.size(); ++p) {
    const float* first = q.data() + p * static_cast<size_t>(classes);
    map.labels[p] = static_cast<uint8_t>(std::max_element(first, first + classes) - first);
  }
  return map;
}

}  // namespace psanet::apps
