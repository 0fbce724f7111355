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
    Source source;  // kept()
    Tensor tensor;
    SourceKey key;
  };

  explicit Parameters(Device& device) : device_(device) {}

  /// Makes room for what the graph keeps and is not there yet, in one allocation (parameters first, in order: a flat
  /// buffer), and gives it its initial values: functions of `seed` and the tensor's name alone. A tensor that is there
  /// already keeps its values; ConfigError if its type differs.
  void add(const Graph& graph, uint64_t seed);

  const std::vector<Entry>& entries() const { return entries_; }
  /// Throws std::logic_error if there is none of that key.
  const Entry& entry(const SourceKey& key) const;
  const Tensor& tensor(const SourceKey& key) const { return entry(key).tensor; }
  bool contains(const SourceKey& key) const { return index_.count(key) > 0; }
  /// Of the parameter or statistic of that name.
  const Tensor& tensor(const std::string& name) const { return tensor({Source::Kind::parameter, name}); }
  bool contains(const std::string& name) const { return contains({Source::Kind::parameter, name}); }

  /// Grows whenever a value may have changed: set from outside, or updated by a run of a program. What is computed from
  /// parameters is as old as the version that it was computed at.
  uint64_t version() const;
  /// A run has updated some.
  void updated() { ++updates_; }

  /// The shape in files ([O,I,kh,kw] of convolution weights).
  static Shape file_shape(const Entry& entry);
  /// The values in file order (convolution weights as [O,I,kh,kw]).
  FileTensor to_file(const Entry& entry) const;
  /// Sets the values from file order; WeightsError naming `where` if the shape is another.
  void from_file(const Entry& entry, const FileTensor& values, const std::string& where);

 private:
  Device& device_;
  std::vector<Entry> entries_;
  std::map<SourceKey, size_t> index_;
  std::vector<std::shared_ptr<const Storage>> storages_;
  uint64_t updates_ = 0;
};

}  // namespace psanet
