// Every tensor that outlives a run: parameters, running statistics, momentum. Programs of the same model share them.
#pragma once

#include <map>

#include "engine/graph.h"
#include "engine/safetensors.h"
#include "engine/tensor.h"

namespace psanet {

class Parameters {
 public:
  struct Entry {
    std::string name;
    Source source;  // kind parameter or state
    Tensor tensor;
  };

  explicit Parameters(Device& device) : device_(device) {}

  /// Makes room for the graph's parameters and states that are not there yet, in one allocation (parameters first, in
  /// order: a flat buffer), and gives them their initial values: functions of `seed` and the tensor's name alone. A
  /// tensor that is there already keeps its values; ConfigError if its type differs.
  void add(const Graph& graph, uint64_t seed);

  const std::vector<Entry>& entries() const { return entries_; }
  /// Throws std::logic_error if there is none of that name.
  const Tensor& tensor(const std::string& name) const;
  bool contains(const std::string& name) const { return index_.count(name) > 0; }

  /// The shape in files ([O,I,kh,kw] of convolution weights).
  static Shape file_shape(const Entry& entry);
  /// Sums that are zero between two updates (gradients of several batches, "accumulated."): files do not have them.
  static bool in_files(const Entry& entry) { return entry.name.rfind("accumulated.", 0) != 0; }

  /// The values in file order (convolution weights as [O,I,kh,kw]).
  FileTensor to_file(const Entry& entry) const;
  /// Sets the values from file order; WeightsError naming `where` if the shape is another.
  void from_file(const Entry& entry, const FileTensor& values, const std::string& where);

 private:
  Device& device_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t> index_;
};

/// What became of the tensors when weights were loaded.
struct LoadReport {
  std::vector<std::string> loaded, missing, unused;  // missing: in the model, not in the file; unused: the reverse
};

/// Loads by name; a "module." prefix in the file is ignored, as are num_batches_tracked counters. With `strict` a
/// missing or unused tensor is a WeightsError that lists the first few. Momentum and other states whose name is not in
/// the file are no parameters of the model and never missing.
LoadReport load_weights(Parameters& parameters, const Safetensors& file, const std::string& file_name, bool strict);

}  // namespace psanet
