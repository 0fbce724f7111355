#include "models/sized_programs.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace psanet::models {

namespace {

/// ConfigError if weights of `trained` do not fit `other`.
void check_same_parameters(const Graph& trained, const Graph& other, PlaneSize at, PlaneSize crop) {
  for (Value v : other.sources(Source::Kind::parameter)) {
    const std::string& name = other.node(v).name;
    const Value ours = trained.find_parameter(name);
    if (ours && trained.type(ours) == other.type(v)) continue;
    throw ConfigError(fmt::format(
        "the protocol whole needs the network at {}x{}, where {} would be {} instead of {}: this network is bound to "
        "its crop, {}x{} (compact PSA scores absolute positions); want the protocol slide, semseg or caffe",
        at.height, at.width, name, to_string(other.type(v)), ours ? to_string(trained.type(ours)) : "nothing",
        crop.height, crop.width));
  }
}

}  // namespace

ResizableNetwork resizable_network(const std::string& name, const nlohmann::json& settings) {
  struct Shared {
    std::string name;
    nlohmann::json settings;
    PlaneSize crop;
    std::map<int64_t, int64_t> rows = {}, columns = {};  // what was asked for -> what fits
    Model at(PlaneSize size) const {
      nlohmann::json changed = settings;
      changed["crop_h"] = size.height;
      changed["crop_w"] = size.width;
      return read_model(name, changed);
    }
  };
  const Model trained = read_model(name, settings);
  const auto shared = std::make_shared<Shared>(Shared{name, settings, {trained.crop_h, trained.crop_w}});
  for (const char* axis : {"h", "w"}) {
    const auto mask = trained.lets.find(std::string("psa_mask_") + axis);
    if (mask != trained.lets.end()) shared->settings[std::string("mask_") + axis] = to_json(mask->second);
  }

  // A model says itself which crops it takes; between two of them there are a few pixels (8 times the shrink).
  const auto fit_axis = [shared](int64_t wanted, bool rows) {
    std::map<int64_t, int64_t>& known = rows ? shared->rows : shared->columns;
    if (const auto it = known.find(wanted); it != known.end()) return it->second;
    std::string why;
    for (int64_t size = wanted; size < wanted + 256; ++size) {
      try {
        shared->at(rows ? PlaneSize{size, shared->crop.width} : PlaneSize{shared->crop.height, size});
        return known[wanted] = size;
      } catch (const ConfigError& e) {
        why = e.what();
      }
    }
    throw ConfigError(fmt::format("the protocol whole: no size from {} pixels on fits the model: {}", wanted, why));
  };
  ResizableNetwork network;
  network.fit = [fit_axis](PlaneSize size) {
    return PlaneSize{fit_axis(size.height, true), fit_axis(size.width, false)};
  };
  network.graph = [shared](int64_t batch, PlaneSize size) {
    const BuildOptions options{layers::Mode::eval, batch};
    Graph graph = shared->at(size).build(options);
    check_same_parameters(shared->at(shared->crop).build(options), graph, size, shared->crop);
    return graph;
  };
  return network;
}

float* SizedProgram::images() {
  if (images_ == nullptr) images_ = static_cast<float*>(program_.input("image").writable());
  return images_;
}

const float* SizedProgram::scores() {
  if (scores_ == nullptr) {
    const std::string& only = program_.graph().outputs().begin()->first;
    scores_ = static_cast<const float*>(program_.output(only).data());
  }
  return scores_;
}

SizedPrograms::SizedPrograms(Device& device, Parameters& parameters, Build build, int64_t most_bytes)
    : device_(device), parameters_(parameters), build_(std::move(build)), most_bytes_(most_bytes) {}

SizedProgram& SizedPrograms::of(PlaneSize size) {
  for (auto it = programs_.begin(); it != programs_.end(); ++it) {
    if (it->size() == size) {
      programs_.splice(programs_.begin(), programs_, it);
      return programs_.front();
    }
  }
  programs_.emplace_front(size, device_, build_(size), parameters_);
  ++built_;
  while (programs_.size() > 1 && bytes() > most_bytes_) programs_.pop_back();
  return programs_.front();
}

int64_t SizedPrograms::bytes() const {
  int64_t sum = 0;
  for (const SizedProgram& sized : programs_) {
    const MemoryReport& memory = sized.program().memory();
    sum += memory.peak_bytes() - memory.parameter_bytes;
  }
  return sum;
}

}  // namespace psanet::models
