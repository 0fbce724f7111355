#include "models/expansion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/fields_json.h"
#include "engine/json/text.h"

namespace psanet::models {

using layers::Layer;
using layers::Word;
using nlohmann::json;

namespace {

constexpr size_t kMostNodes = 100000;
constexpr int64_t kMostRepeats = 10000;
constexpr size_t kDeepestBlocks = 50;  // blocks in each other: expansion is recursive
constexpr size_t kLongestPath = 1000;  // bytes of a node's path
constexpr size_t kStepsOfNode = 30;    // how much work one is, in characters of expressions

/// The nodes of one list that later nodes of the list may name.
struct Reachable {
  std::map<std::string, int> values;  // also "in" and the other inputs of the block
  int previous = kImage;
};

template <class T>
std::vector<std::string> keys(const std::map<std::string, T>& values) {
  std::vector<std::string> all;
  for (const auto& [name, value] : values) all.push_back(name);
  return all;
}

bool is_path(const std::string& name) {
  const auto allowed = [](char c) { return is_word(c) || c == '.'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed) && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string::npos;
}

class Expander {
 public:
  Expander(const ModelSource& source, std::span<const Word> words) : source_(source), words_(words) {}

  Expansion run() {
    Reachable top;
    top.values["in"] = kImage;
    list(*source_.graph, "", *source_.lets, top, &result_.parts);
    for (const std::string& part : result_.parts) result_.ends[part] = top.values.at(part);
    return std::move(result_);
  }

 private:
  /// Adds the nodes of a list; their paths begin with `prefix`. `names` gets the names in order.
  void list(const JsonReader& graph, const std::string& prefix, const Names& scope, Reachable& reachable,
            std::vector<std::string>* names) {
    if (!graph.value().is_array() || graph.value().empty()) graph.wrong("a list of nodes");
    for (size_t i = 0; i < graph.value().size(); ++i) {
      const JsonReader entry = graph.item(i);
      if (!entry.value().is_object()) entry.wrong("a node {\"op\": ...} or {\"block\": ...}");
      scope.spend(kStepsOfNode, entry.where());
      const int64_t count = repeats(entry, scope);
      for (int64_t index = 0; index < count; ++index) {
        scope.spend(kStepsOfNode + prefix.size(), entry.where());
        Names indexed(&scope);
        if (entry.has("repeat")) indexed.define("index", index, entry.where("repeat"));
        if (entry.has("inline")) {
          inlined(entry, prefix, indexed, reachable, names);
          continue;
        }
        const std::string name = node_name(entry, i, indexed);
        refuse_second(name, entry, reachable);
        const int value = node(entry, prefix + name, indexed, reachable);
        reachable.values[name] = value;
        reachable.previous = value;
        if (names) names->push_back(name);
      }
    }
  }

  static void refuse_second(const std::string& name, const JsonReader& entry, const Reachable& reachable) {
    if (reachable.values.count(name) == 0) return;
    throw ConfigError(fmt::format("{}: a second node \"{}\" in this list, want another name{}", entry.where("name"),
                                  printed(name), entry.has("repeat") ? ", such as one with {$index}" : ""));
  }

  /// The nodes of a block as if they were written here: without a name of their own in front, and within reach of the
  /// nodes that follow.
  void inlined(const JsonReader& entry, const std::string& prefix, const Names& scope, Reachable& reachable,
               std::vector<std::string>* names) {
    for (const char* key : {"op", "block", "name"}) {
      if (!entry.has(key)) continue;
      entry.fail(
          fmt::format("found \"inline\" and \"{}\"; want \"inline\" alone: its nodes have their own names", key));
    }
    std::vector<std::string> inner;
    const BlockUse use = block_use(entry, "inline", prefix, scope, reachable, &inner);
    for (const std::string& name : inner) {
      refuse_second(name, entry, reachable);
      reachable.values[name] = use.reachable.values.at(name);
      if (names) names->push_back(name);
    }
    reachable.previous = use.value;
  }

  int64_t repeats(const JsonReader& entry, const Names& scope) {
    const auto repeat = entry.find("repeat");
    if (!repeat) return 1;
    const json count = resolved(*repeat, scope);
    return repeat->with(count).integer(0, kMostRepeats);
  }

  /// The given name, or the position in the list.
  std::string node_name(const JsonReader& entry, size_t position, const Names& scope) {
    const std::string text = entry.text_of("name");
    if (text.empty()) return fmt::format("{}", position);
    const std::string where = entry.where("name");
    const std::string name = fill_in(text, where, scope);
    if (name == "in" || !is_path(name)) {
      throw ConfigError(fmt::format("{}: found \"{}\", want letters, digits, _ and dots between them, not \"in\"{}",
                                    where, printed(name),
                                    is_expression(name) ? "; an expression stands in {...}" : ""));
    }
    return name;
  }

  /// Adds one node; the index of its value.
  int node(const JsonReader& entry, const std::string& path, const Names& scope, const Reachable& reachable) {
    const std::string op = entry.text_of("op");
    if (op.empty() != entry.has("block")) {
      entry.fail(fmt::format("found {}, want either \"op\" or \"block\"",
                             op.empty() ? "neither \"op\" nor \"block\"" : "both \"op\" and \"block\""));
    }
    if (path.size() > kLongestPath)
      entry.fail(fmt::format("the path {} is longer than {} bytes", printed(path), kLongestPath));
    return op.empty() ? block_use(entry, "block", path + ".", scope, reachable, nullptr).value
                      : op_node(entry, op, path, scope, reachable);
  }

  int value_named(const std::string& text, const std::string& where, const Names& scope, const Reachable& reachable) {
    const std::string name = fill_in(text, where, scope);
    const auto it = reachable.values.find(name);
    if (it != reachable.values.end()) return it->second;
    const std::vector<std::string> known = keys(reachable.values);
    throw ConfigError(fmt::format("{}: there is no node \"{}\" before this one{}; known names: {}", where,
                                  printed(name), did_you_mean(name, known), listed(known)));
  }

  int op_node(const JsonReader& entry, const std::string& op, const std::string& path, const Names& scope,
              const Reachable& reachable) {
    const auto word = std::find_if(words_.begin(), words_.end(), [&](const Word& w) { return op == w.name; });
    if (word == words_.end()) {
      std::vector<std::string> known;
      for (const Word& w : words_) known.push_back(w.name);
      entry.at("op").fail(
          fmt::format("unknown op \"{}\"{}; known ops: {}", printed(op), did_you_mean(op, known), listed(known)));
    }
    FlatNode flat;
    flat.path = path;
    flat.word = &*word;
    flat.layer = attributes(*word, entry, path, scope);
    flat.inputs = op_inputs(*word, entry, scope, reachable);
    flat.where = entry.where();
    if (!paths_.insert(path).second) {
      entry.fail(fmt::format("a second node with the path \"{}\", want another name", printed(path)));
    }
    if (result_.nodes.size() >= kMostNodes) {
      entry.fail(fmt::format("more than {} nodes, want fewer repeats", kMostNodes));
    }
    result_.nodes.push_back(std::move(flat));
    return static_cast<int>(result_.nodes.size()) - 1;
  }

  std::shared_ptr<const Layer> attributes(const Word& word, const JsonReader& entry, const std::string& path,
                                          const Names& scope) {
    std::shared_ptr<Layer> layer = word.make();
    const auto visit = [&](Fields& f) { layer->fields(f); };
    std::vector<std::string> known = {"name", "op", "from", "repeat"};
    const nlohmann::ordered_json standard = write_fields(visit);
    for (const auto& item : standard.items()) known.push_back(item.key());
    entry.only_keys(known);
    json values = json::object();
    std::string written;  // the expressions, to explain a value that is refused
    for (const auto& [key, value] : entry.members()) {
      if (!standard.contains(key)) continue;
      values[key] = resolved(value, scope);
      if (values[key] != value.value()) written += fmt::format("; {} is {}", key, shown(value.value()));
    }
    try {
      read_fields(values, entry.where(), visit);
    } catch (const ConfigError& e) {
      throw ConfigError(fmt::format("{} (node {}{})", e.what(), printed(path), written));
    }
    return layer;
  }

  std::vector<int> op_inputs(const Word& word, const JsonReader& entry, const Names& scope,
                             const Reachable& reachable) {
    std::vector<int> inputs;
    const std::string where = entry.where("from");
    const auto from = entry.find("from");
    if (!from) {
      inputs = {reachable.previous};
    } else if (from->value().is_string()) {
      inputs = {value_named(from->text(), where, scope, reachable)};
    } else if (from->value().is_array()) {
      for (const std::string& name : entry.texts_of("from")) {
        inputs.push_back(value_named(name, where, scope, reachable));
      }
    } else {
      from->wrong("the name of a node or a list of names");
    }
    const int count = static_cast<int>(inputs.size());
    if (count < word.min_inputs || (word.max_inputs >= 0 && count > word.max_inputs)) {
      const std::string wanted = word.min_inputs == word.max_inputs ? fmt::format("{}", word.min_inputs)
                                 : word.max_inputs < 0              ? fmt::format("{} or more", word.min_inputs)
                                                       : fmt::format("{} to {}", word.min_inputs, word.max_inputs);
      throw ConfigError(
          fmt::format("{}: \"{}\" has {} input{}, want {}", where, word.name, count, count == 1 ? "" : "s", wanted));
    }
    return inputs;
  }

  /// What one use of a block leaves: the node with its value, and all of its nodes by name.
  struct BlockUse {
    int value = kImage;
    Reachable reachable;
  };

  /// The block that the member `key` ("block" or "inline") names: a name, or an expression whose value is one.
  const Block& block_named(const JsonReader& entry, const char* key, const Names& scope) {
    const JsonReader member = entry.at(key);
    if (!member.value().is_string()) member.wrong("the name of a block");
    const json value = resolved(member, scope);
    const std::string name = value.is_string() ? value.get<std::string>() : shown(value);
    const auto found = source_.blocks.find(name);
    if (found != source_.blocks.end()) return found->second;
    const std::vector<std::string> known = keys(source_.blocks);
    member.fail(fmt::format("unknown block \"{}\"{}; known blocks: {}", printed(name), did_you_mean(name, known),
                            listed(known)));
  }

  BlockUse block_use(const JsonReader& entry, const char* key, const std::string& prefix, const Names& scope,
                     const Reachable& reachable, std::vector<std::string>* names) {
    const Block& block = block_named(entry, key, scope);
    if (std::find(open_blocks_.begin(), open_blocks_.end(), block.name) != open_blocks_.end()) {
      entry.fail(fmt::format("the block \"{}\" uses itself ({} -> {})", block.name, fmt::join(open_blocks_, " -> "),
                             block.name));
    }
    if (open_blocks_.size() >= kDeepestBlocks)
      entry.fail(fmt::format("blocks in each other, deeper than {}", kDeepestBlocks));
    Names inside(source_.lets.get());
    arguments(block, entry, key, scope, inside);
    BlockUse use{kImage, block_inputs(block, entry, scope, reachable)};
    open_blocks_.push_back(block.name);
    list(*block.graph, prefix, inside, use.reachable, names);
    open_blocks_.pop_back();
    use.value = block.out.empty() ? use.reachable.previous
                                  : value_named(block.out, block.where + ".out", inside, use.reachable);
    return use;
  }

  /// Defines the arguments of one use of a block in `inside`.
  void arguments(const Block& block, const JsonReader& entry, const char* key, const Names& scope, Names& inside) {
    const std::vector<std::string> known = block.arguments();
    std::vector<std::string> allowed = {"name", key, "from", "repeat"};
    allowed.insert(allowed.end(), known.begin(), known.end());
    scope.spend(kStepsOfNode * known.size(), entry.where());
    entry.only_keys(allowed);
    for (const std::string& name : known) {
      if (const auto argument = entry.find(name)) {
        const json value = resolved(*argument, scope);
        inside.define(name, to_scalar(argument->with(value)), argument->where());
      } else if (const auto standard = block.optional.find(name); standard != block.optional.end()) {
        inside.define(name, to_scalar(standard->second), standard->second.where());
      } else {
        entry.fail(fmt::format("no \"{}\", the block \"{}\" wants {}", printed(name), printed(block.name),
                               listed(block.required)));
      }
    }
  }

  /// `in` and the block's other inputs.
  Reachable block_inputs(const Block& block, const JsonReader& entry, const Names& scope, const Reachable& reachable) {
    Reachable inside;
    inside.values["in"] = reachable.previous;
    json from = json::object();
    const auto given = entry.find("from");
    if (given && given->value().is_string()) {
      from["in"] = given->value();
    } else if (given) {
      if (!given->value().is_object()) given->wrong("the name of a node or an object {input of the block: name}");
      from = given->value();
    }
    std::vector<std::string> known = {"in"};
    known.insert(known.end(), block.inputs.begin(), block.inputs.end());
    scope.spend(kStepsOfNode * known.size(), entry.where());
    const JsonReader names(from, entry.where("from"));
    names.only_keys(known);
    for (const std::string& input : known) {
      const std::string name = names.text_of(input);
      inside.values[input] = name.empty() ? inside.values.at("in") : value_named(name, names.where(), scope, reachable);
    }
    inside.previous = inside.values.at("in");
    return inside;
  }

  const ModelSource& source_;
  std::span<const Word> words_;
  Expansion result_;
  std::set<std::string> paths_;
  std::vector<std::string> open_blocks_;
};

}  // namespace

Expansion expand(const ModelSource& source, std::span<const Word> words) {
  return Expander(source, words).run();
}

}  // namespace psanet::models
