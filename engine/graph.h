// The static graph. Nodes are in execution order: a node only reads values of earlier nodes.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "engine/initializer.h"
#include "engine/op.h"

namespace psanet {

/// Where a value comes from when no op computes it, and what it is to the model. Nothing is read off names.
struct Source {
  enum class Kind : uint8_t {
    input,         // set by the caller before a run: image, label, learning rate
    constant,      // the same number everywhere
    derived,       // computed from parameters whenever those change from outside: bf16 copies
    parameter,     // trained
    statistic,     // kept by a layer while it trains: running mean and variance
    momentum,      // of a parameter
    gradient_sum,  // of a parameter, over the batches of one update
    loss_sum       // of a loss, over the batches of one update
  };
  Kind kind = Kind::input;
  Initializer initializer = {};          // of what outlives runs, and of constants
  FileLayout layout = FileLayout::same;  // of what outlives runs: how a file stores it
  std::string of = {};                   // the layer of a statistic; the parameter of its momentum; what is summed

  /// Does it outlive programs (in Parameters)?
  bool kept() const { return kind >= Kind::parameter; }
  /// Does it outlive processes? Sums are zero whenever a file is written.
  bool in_files() const { return kept() && kind < Kind::gradient_sum; }
};

/// What a source is called among those of its kind. Parameters and statistics are one kind here, as they are in a
/// state_dict: `kind` is parameter, `name` their own. Of momentum and sums `name` is what they belong to.
struct SourceKey {
  Source::Kind kind = Source::Kind::parameter;
  std::string name;
  auto operator<=>(const SourceKey&) const = default;
};

struct Node {
  std::string name;
  std::variant<Source, Op> body;
  Values inputs;
  Types outputs;

  const Source* source() const { return std::get_if<Source>(&body); }
  const Op* op() const { return std::get_if<Op>(&body); }
  bool is(Source::Kind kind) const { return source() && source()->kind == kind; }
  /// The op struct if the node is a T.
  template <class T>
  const T* as() const {
    return op() ? op()->template as<T>() : nullptr;
  }
};

/// `node` is a source.
SourceKey key_of(const Node& node);

class Graph {
 public:
  Value input(std::string name, Type type);
  Value parameter(std::string name, Type type, Initializer initializer, FileLayout layout = FileLayout::same);
  /// `layer`: the batch norm that keeps it.
  Value statistic(std::string name, std::string layer, Type type, Initializer initializer);
  /// A zero of the type and file layout of `parameter`, kept for it: momentum or gradient_sum.
  Value kept_for(Source::Kind kind, Value parameter);
  Value loss_sum(std::string loss, Type type);
  Value derived(std::string name, Type type);
  Value constant(std::string name, Type type, double value);

  /// Adds a node; infers the types of its outputs. A ConfigError of the op gets the node's name in front.
  Values apply(std::string name, Op op, Values inputs);
  /// The same for ops whose first output is all that matters.
  Value add(std::string name, Op op, Values inputs) {
    return apply(std::move(name), std::move(op), std::move(inputs))[0];
  }
  /// A copy of a node of another graph, inputs replaced (for passes).
  Values copy(const Node& node, Values inputs);

  /// Names a value that a program shall compute.
  void output(const std::string& name, Value value) { outputs_[name] = value; }
  const std::map<std::string, Value>& outputs() const { return outputs_; }
  Value output(const std::string& name) const;
  /// The same for the gradient of the source of that name.
  void gradient(const std::string& of, Value value) { gradients_[of] = value; }
  const std::map<std::string, Value>& gradients() const { return gradients_; }
  Value gradient(const std::string& of) const;
  void clear_outputs();
  /// All that a program shall compute: outputs and gradients.
  Values results() const;

  const std::deque<Node>& nodes() const { return nodes_; }
  const Node& node(int id) const { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(Value v) const { return node(v.node); }
  const Type& type(Value v) const { return node(v).outputs[static_cast<size_t>(v.output)]; }
  Types types(const Values& values) const;

  /// The source of that key, or an empty value.
  Value find(const SourceKey& key) const;
  Value find_input(const std::string& name) const { return find({Source::Kind::input, name}); }
  /// A parameter or statistic.
  Value find_parameter(const std::string& name) const { return find({Source::Kind::parameter, name}); }
  /// All sources of a kind, in order.
  Values sources(Source::Kind kind) const;

  /// For each node and output: how many inputs read it (results of the graph count as one).
  std::vector<std::vector<int>> use_counts() const;

 private:
  Value source(std::string name, Type type, Source source);

  std::deque<Node> nodes_;  // a deque: references stay valid while the graph grows
  std::map<std::string, Value> outputs_, gradients_;
  std::map<SourceKey, Value> sources_;
};

}  // namespace psanet
