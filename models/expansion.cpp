#include "models/expansion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/error.h"
#include "engine/fields_json.h"
#include "models/json_file.h"
#include "models/resolved.h"

namespace psanet::models {

using layers::Layer;
using layers::Word;
using nlohmann::json;

namespace {

constexpr size_t kMostNodes = 100000;
constexpr int64_t kMostRepeats = 10000;

/// The nodes of one list that later nodes of the list may name.
struct Reachable {
  std::map<std::string, int> values;  // also "in" and the other inputs of the block
  int previous = kImage;
};

std::vector<std::string> keys(const std::map<std::string, int>& values) {
  std::vector<std::string> all;
  for (const auto& [name, value] : values) all.push_back(name);
  return all;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& known) {
  const std::string like = nearest(word, known);
  return like.empty() ? "" : fmt::format(", did you mean \"{}\"?", like);
}

bool is_path(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed) && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string::npos;
}

class Expander {
 public:
  Expander(const ModelSource& source, std::span<const Word> words) : source_(source), words_(words) {}

  Expansion run() {
    Reachable top;
    top.values["in"] = kImage;
    list(source_.graph, "", *source_.lets, top, &result_.parts);
    for (const std::string& part : result_.parts) result_.ends[part] = top.values.at(part);
    return std::move(result_);
  }

 private:
  /// Adds the nodes of a list; their paths begin with `prefix`. `names` gets the names in order.
  void list(const Located& graph, const std::string& prefix, const Names& scope, Reachable& reachable,
            std::vector<std::string>* names) {
    if (!graph.json.is_array() || graph.json.empty()) {
      throw ConfigError(fmt::format("{}: found {}, want a list of nodes", graph.where, shown(graph.json)));
    }
    for (size_t i = 0; i < graph.json.size(); ++i) {
      const Located entry{graph.json[i], fmt::format("{}[{}]", graph.where, i)};
      if (!entry.json.is_object()) {
        throw ConfigError(fmt::format("{}: found {}, want a node {{\"op\": ...}} or {{\"block\": ...}}", entry.where,
                                      shown(entry.json)));
      }
      const int64_t count = repeats(entry, scope);
      for (int64_t index = 0; index < count; ++index) {
        Names indexed(&scope);
        if (entry.json.contains("repeat")) indexed.define("index", index, entry.where + ".repeat");
        if (entry.json.contains("inline")) {
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

  static void refuse_second(const std::string& name, const Located& entry, const Reachable& reachable) {
    if (reachable.values.count(name) == 0) return;
    throw ConfigError(fmt::format("{}.name: a second node \"{}\" in this list, want another name{}", entry.where, name,
                                  entry.json.contains("repeat") ? ", such as one with {$index}" : ""));
  }

  /// The nodes of a block as if they were written here: without a name of their own in front, and within reach of the
  /// nodes that follow.
  void inlined(const Located& entry, const std::string& prefix, const Names& scope, Reachable& reachable,
               std::vector<std::string>* names) {
    for (const char* key : {"op", "block", "name"}) {
      if (entry.json.contains(key)) {
        throw ConfigError(
            fmt::format("{}: found \"inline\" and \"{}\"; want \"inline\" alone: its nodes have their own names",
                        entry.where, key));
      }
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

  int64_t repeats(const Located& entry, const Names& scope) {
    const auto it = entry.json.find("repeat");
    if (it == entry.json.end()) return 1;
    const std::string where = entry.where + ".repeat";
    const json count = resolved(*it, where, scope);
    if (!count.is_number_integer() || count.get<int64_t>() < 0 || count.get<int64_t>() > kMostRepeats) {
      throw ConfigError(fmt::format("{}: found {}, want an integer from 0 to {}", where, shown(count), kMostRepeats));
    }
    return count.get<int64_t>();
  }

  /// The given name, or the position in the list.
  std::string node_name(const Located& entry, size_t position, const Names& scope) {
    const std::string text = text_of(entry.json, "name", entry.where);
    if (text.empty()) return fmt::format("{}", position);
    const std::string where = entry.where + ".name";
    const std::string name = fill_in(text, where, scope);
    if (name == "in" || !is_path(name)) {
      throw ConfigError(fmt::format("{}: found \"{}\", want letters, digits, _ and dots between them, not \"in\"{}",
                                    where, name, is_expression(name) ? "; an expression stands in {...}" : ""));
    }
    return name;
  }

  /// Adds one node; the index of its value.
  int node(const Located& entry, const std::string& path, const Names& scope, const Reachable& reachable) {
    const std::string op = text_of(entry.json, "op", entry.where), block = text_of(entry.json, "block", entry.where);
    if (op.empty() == block.empty()) {
      throw ConfigError(fmt::format("{}: found {}, want either \"op\" or \"block\"", entry.where,
                                    op.empty() ? "neither \"op\" nor \"block\"" : "both \"op\" and \"block\""));
    }
    return op.empty() ? block_use(entry, "block", path + ".", scope, reachable, nullptr).value
                      : op_node(entry, op, path, scope, reachable);
  }

  int value_named(const std::string& text, const std::string& where, const Names& scope, const Reachable& reachable) {
    const std::string name = fill_in(text, where, scope);
    const auto it = reachable.values.find(name);
    if (it != reachable.values.end()) return it->second;
    const std::vector<std::string> known = keys(reachable.values);
    throw ConfigError(fmt::format("{}: there is no node \"{}\" before this one{}; known names: {}", where, name,
                                  did_you_mean(name, known), fmt::join(known, ", ")));
  }

  int op_node(const Located& entry, const std::string& op, const std::string& path, const Names& scope,
              const Reachable& reachable) {
    const auto word = std::find_if(words_.begin(), words_.end(), [&](const Word& w) { return op == w.name; });
    if (word == words_.end()) {
      std::vector<std::string> known;
      for (const Word& w : words_) known.push_back(w.name);
      throw ConfigError(fmt::format("{}.op: unknown op \"{}\"{}; known ops: {}", entry.where, op,
                                    did_you_mean(op, known), fmt::join(known, ", ")));
    }
    FlatNode flat;
    flat.path = path;
    flat.word = &*word;
    flat.layer = attributes(*word, entry, path, scope);
    flat.inputs = op_inputs(*word, entry, scope, reachable);
    flat.where = entry.where;
    if (!paths_.insert(path).second) {
      throw ConfigError(fmt::format("{}: a second node with the path \"{}\", want another name", entry.where, path));
    }
    if (result_.nodes.size() >= kMostNodes) {
      throw ConfigError(fmt::format("{}: more than {} nodes, want fewer repeats", entry.where, kMostNodes));
    }
    result_.nodes.push_back(std::move(flat));
    return static_cast<int>(result_.nodes.size()) - 1;
  }

  std::shared_ptr<const Layer> attributes(const Word& word, const Located& entry, const std::string& path,
                                          const Names& scope) {
    std::shared_ptr<Layer> layer = word.make();
    const auto visit = [&](Fields& f) { layer->fields(f); };
    std::vector<std::string> known = {"name", "op", "from", "repeat"};
    const nlohmann::ordered_json standard = write_fields(visit);
    for (const auto& item : standard.items()) known.push_back(item.key());
    check_keys(entry.json, entry.where, known);
    json values = json::object();
    std::string written;  // the expressions, to explain a value that is refused
    for (const auto& item : entry.json.items()) {
      if (!standard.contains(item.key())) continue;
      values[item.key()] = resolved(item.value(), entry.where + "." + item.key(), scope);
      if (values[item.key()] != item.value()) written += fmt::format("; {} is {}", item.key(), shown(item.value()));
    }
    try {
      read_fields(values, entry.where, visit);
    } catch (const ConfigError& e) {
      throw ConfigError(fmt::format("{} (node {}{})", e.what(), path, written));
    }
    return layer;
  }

  std::vector<int> op_inputs(const Word& word, const Located& entry, const Names& scope, const Reachable& reachable) {
    std::vector<int> inputs;
    const std::string where = entry.where + ".from";
    const auto it = entry.json.find("from");
    if (it == entry.json.end()) {
      inputs = {reachable.previous};
    } else if (it->is_string()) {
      inputs = {value_named(it->get<std::string>(), where, scope, reachable)};
    } else if (it->is_array()) {
      for (const std::string& name : texts_of(entry.json, "from", entry.where)) {
        inputs.push_back(value_named(name, where, scope, reachable));
      }
    } else {
      throw ConfigError(fmt::format("{}: found {}, want the name of a node or a list of names", where, shown(*it)));
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
  const Block& block_named(const Located& entry, const char* key, const Names& scope) {
    const std::string where = fmt::format("{}.{}", entry.where, key);
    const json value = resolved(entry.json[key], where, scope);
    const std::string name = value.is_string() ? value.get<std::string>() : shown(value);
    const auto found = source_.blocks.find(name);
    if (found != source_.blocks.end()) return found->second;
    std::vector<std::string> known;
    for (const auto& [block, body] : source_.blocks) known.push_back(block);
    throw ConfigError(fmt::format("{}: unknown block \"{}\"{}; known blocks: {}", where, name,
                                  did_you_mean(name, known),
                                  known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
  }

  BlockUse block_use(const Located& entry, const char* key, const std::string& prefix, const Names& scope,
                     const Reachable& reachable, std::vector<std::string>* names) {
    const Block& block = block_named(entry, key, scope);
    if (std::find(open_blocks_.begin(), open_blocks_.end(), block.name) != open_blocks_.end()) {
      throw ConfigError(fmt::format("{}: the block \"{}\" uses itself ({} -> {})", entry.where, block.name,
                                    fmt::join(open_blocks_, " -> "), block.name));
    }
    Names inside(source_.lets.get());
    arguments(block, entry, key, scope, inside);
    BlockUse use{kImage, block_inputs(block, entry, scope, reachable)};
    open_blocks_.push_back(block.name);
    list(block.graph, prefix, inside, use.reachable, names);
    open_blocks_.pop_back();
    use.value = block.out.empty() ? use.reachable.previous
                                  : value_named(block.out, block.where + ".out", inside, use.reachable);
    return use;
  }

  /// Defines the arguments of one use of a block in `inside`.
  void arguments(const Block& block, const Located& entry, const char* key, const Names& scope, Names& inside) {
    const std::vector<std::string> known = block.arguments();
    std::vector<std::string> allowed = {"name", key, "from", "repeat"};
    allowed.insert(allowed.end(), known.begin(), known.end());
    check_keys(entry.json, entry.where, allowed);
    for (const std::string& name : known) {
      const auto it = entry.json.find(name);
      if (it != entry.json.end()) {
        const std::string where = entry.where + "." + name;
        inside.define(name, to_scalar(resolved(*it, where, scope), where), where);
      } else if (const auto standard = block.optional.find(name); standard != block.optional.end()) {
        inside.define(name, to_scalar(standard->second.json, standard->second.where), standard->second.where);
      } else {
        throw ConfigError(fmt::format("{}: no \"{}\", the block \"{}\" wants {}", entry.where, name, block.name,
                                      fmt::join(block.required, ", ")));
      }
    }
  }

  /// `in` and the block's other inputs.
  Reachable block_inputs(const Block& block, const Located& entry, const Names& scope, const Reachable& reachable) {
    Reachable inside;
    inside.values["in"] = reachable.previous;
    const std::string where = entry.where + ".from";
    json from = json::object();
    if (const auto it = entry.json.find("from"); it != entry.json.end()) {
      if (it->is_string()) {
        from["in"] = *it;
      } else if (it->is_object()) {
        from = *it;
      } else {
        throw ConfigError(fmt::format("{}: found {}, want the name of a node or an object {{input of the block: name}}",
                                      where, shown(*it)));
      }
    }
    std::vector<std::string> known = {"in"};
    for (const auto& [input, standard] : block.inputs) known.push_back(input);
    check_keys(from, where, known);
    for (const std::string& input : known) {
      const std::string name = text_of(from, input, where);
      inside.values[input] = name.empty() ? inside.values.at("in") : value_named(name, where, scope, reachable);
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
