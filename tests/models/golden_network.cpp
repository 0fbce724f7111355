#include "tests/models/golden_network.h"

#include <nlohmann/json.hpp>

#include "tests/support/hash_values.h"

namespace psanet::tests {

using nlohmann::json;

namespace {

models::Model model_of(const GoldenFile& file) {
  json settings = {{"classes", file.metadata("classes")},       {"crop_h", file.metadata("crop_h")},
                   {"crop_w", file.metadata("crop_w")},         {"zoom", file.metadata("zoom_factor")},
                   {"aux_weight", file.metadata("aux_weight")}, {"dropout", file.metadata("dropout")}};
  const bool psa = file.metadata("arch") == "psanet";
  if (psa) {
    const json arguments = file.metadata("kwargs");
    settings["shrink"] = arguments.at("shrink_factor");
    for (const char* same : {"mask_h", "mask_w", "psa_softmax", "normalization_factor"})
      settings[same] = arguments.at(same);
  }
  return models::read_model(psa ? "psanet50" : "pspnet50", settings);
}

}  // namespace

GoldenNetwork::GoldenNetwork(const std::filesystem::path& dir, const std::string& name)
    : file(dir / (name + ".safetensors")),
      model(model_of(file)),
      seed(file.metadata("seed").get<uint64_t>()),
      tight(file.has_metadata("variant") && file.metadata("variant") == "tight"),
      batch(file.metadata("batch").get<int64_t>()),
      parameters(device) {}

std::unique_ptr<Program> GoldenNetwork::program(Graph graph) {
  const size_t before = parameters.entries().size();
  auto made = std::make_unique<Program>(device, std::move(graph), parameters);
  if (parameters.entries().size() != before) reset();
  return made;
}

void GoldenNetwork::reset() {
  fill_with_hash(parameters, seed, tight);
}

HostTensor GoldenNetwork::file_order(const std::string& name, const Tensor& tensor) const {
  const HostTensor values = read_values(tensor);
  return name.find("weight") == std::string::npos ? values : channels_first(values);
}

HostTensor GoldenNetwork::image(const std::string& name) const {
  const Type type = f32({batch, 3, model.crop_h, model.crop_w});
  const std::vector<float> values = hash_values(name, seed, {0, 2}, type.elements());
  return channels_last(HostTensor(type, {values.begin(), values.end()}));
}

HostTensor GoldenNetwork::labels(const std::string& name) const {
  const auto zoom = file.metadata("zoom_factor").get<int64_t>();
  const Type type{DType::u8, {batch, (model.crop_h - 1) / 8 * zoom + 1, (model.crop_w - 1) / 8 * zoom + 1}};
  const std::vector<uint8_t> values = hash_labels(name, seed, model.classes, type.elements());
  return {type, {values.begin(), values.end()}};
}

}  // namespace psanet::tests
