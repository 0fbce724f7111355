// One network as programs for several sizes of its input.
#pragma once

#include <functional>
#include <list>

#include "engine/program.h"
#include "models/model_file.h"
#include "models/protocol.h"

namespace psanet::models {

/// A network that can be built for other sizes than the one it was trained at.
struct ResizableNetwork {
  /// The smallest size that the network takes and that is at least as large on both sides.
  std::function<PlaneSize(PlaneSize)> fit;
  /// Its evaluation graph at such a size: "image" [batch, h, w, 3] to "logits".
  std::function<Graph(int64_t batch, PlaneSize size)> graph;
};

/// The model of read_model(name, settings) with other crops. An over-complete mask keeps the size that it has at the
/// crop of training, so that the weights fit (maps may be smaller or larger than its window). ConfigError from graph()
/// if some parameter has another shape at that size, as in the compact form of PSA.
ResizableNetwork resizable_network(const std::string& name, const nlohmann::json& settings);

/// A program of prediction_graph() with the addresses of what goes in and comes out.
class SizedProgram {
 public:
  SizedProgram(PlaneSize size, Device& device, Graph graph, Parameters& parameters)
      : size_(size), program_(device, std::move(graph), parameters) {}

  PlaneSize size() const { return size_; }
  Program& program() { return program_; }
  const Program& program() const { return program_; }
  /// [batch, h, w, 3]
  float* images();
  /// [batch, h, w, classes], after a run
  const float* scores();

 private:
  PlaneSize size_;
  Program program_;
  float* images_ = nullptr;
  const float* scores_ = nullptr;
};

/// Prediction programs by size, the most recently used kept.
class SizedPrograms {
 public:
  using Build = std::function<Graph(PlaneSize)>;
  /// Programs are dropped, the longest unused first, while all together take more than `most_bytes` and there is more
  /// than one.
  SizedPrograms(Device& device, Parameters& parameters, Build build, int64_t most_bytes);

  /// Builds it if it is not there.
  SizedProgram& of(PlaneSize size);

  /// Times that a program was built.
  int64_t built() const { return built_; }
  /// Of all programs that are kept, without the parameters.
  int64_t bytes() const;

 private:
  Device& device_;
  Parameters& parameters_;
  Build build_;
  int64_t most_bytes_, built_ = 0;
  std::list<SizedProgram> programs_;  // the most recently used first
};

}  // namespace psanet::models
