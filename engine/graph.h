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

/// Where a value comes from when no op computes it.
struct Source {
  enum class Kind {
    input,      // set by the caller before a run: image, label, learning rate
    parameter,  // trained
    state,      // kept between runs but not trained: running statistics, momentum
    derived,    // kept between runs and recomputed from parameters when those change from outside: bf16 copies
    constant    // the same number everywhere
  };
  Kind kind = Kind::input;
  Initializer initializer;               // parameter, state, constant
  FileLayout layout = FileLayout::same;  // parameter, state: how a file stores it
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

class Graph {
 public:
  Value input(std::string name, Type type);
  Value parameter(std::string name, Type type, Initializer initializer, FileLayout layout = FileLayout::same);
  Value state(std::string name, Type type, Initializer initializer, FileLayout layout = FileLayout::same);
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
  void clear_outputs() { outputs_.clear(); }
  Value output(const std::string& name) const;

  const std::deque<Node>& nodes() const { return nodes_; }
  const Node& node(int id) const { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(Value v) const { return node(v.node); }
  const Type& type(Value v) const { return node(v).outputs[static_cast<size_t>(v.output)]; }
  Types types(const Values& values) const;

  /// The source of that name, or an empty value.
  Value find_source(const std::string& name) const;
  /// All sources of a kind, in order.
  Values sources(Source::Kind kind) const;

  /// For each node and output: how many inputs read it (outputs of the graph count as one).
  std::vector<std::vector<int>> use_counts() const;

 private:
  Value source(std::string name, Type type, Source source);

  std::deque<Node> nodes_;  // a deque: references stay valid while the graph grows
  std::map<std::string, Value> outputs_;
  std::map<std::string, Value> sources_;
};

}  // namespace psanet
