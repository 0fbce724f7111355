#include "models/model_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "engine/error.h"
#include "engine/fields_json.h"
#include "engine/home.h"
#include "models/json_file.h"

namespace psanet::models {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A member that is an object; empty if there is none.
json object_of(const json& object, const std::string& key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end()) return json::object();
  if (!it->is_object()) {
    throw ConfigError(fmt::format("{}{}: found {}, want an object {{...}}", where, key, shown(*it)));
  }
  return *it;
}

/// Names that `$name` can reach.
void check_name(const std::string& name, const std::string& where) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto is_word = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty() || !is_letter(name[0]) || !std::all_of(name.begin(), name.end(), is_word)) {
    throw ConfigError(
        fmt::format("{}: found the name \"{}\", want letters, digits and _, beginning with a letter", where, name));
  }
}

Block read_block(const std::string& name, const json& body, const std::string& where) {
  check_keys(body, where, {"about", "required", "optional", "inputs", "graph", "out"});
  Block block;
  block.name = name;
  block.where = where;
  block.about = text_of(body, "about", where);
  block.required = texts_of(body, "required", where);
  for (const std::string& argument : block.required) check_name(argument, where + ".required");
  for (const json members = object_of(body, "optional", where + "."); const auto& item : members.items()) {
    const std::string path = fmt::format("{}.optional.{}", where, item.key());
    check_name(item.key(), where + ".optional");
    if (std::find(block.required.begin(), block.required.end(), item.key()) != block.required.end()) {
      throw ConfigError(fmt::format("{}: also in \"required\", want it in one of the two", path));
    }
    block.optional[item.key()] = {item.value(), path};
  }
  for (const std::string& argument : block.arguments()) {
    for (const char* reserved : {"name", "op", "block", "inline", "from", "repeat", "index"}) {
      if (argument == reserved) {
        throw ConfigError(
            fmt::format("{}: an argument \"{}\"; this word has a meaning of its own in a node, want another name",
                        where, argument));
      }
    }
  }
  const json inputs = object_of(body, "inputs", where + ".");
  for (const auto& item : inputs.items()) {
    check_name(item.key(), where + ".inputs");
    const std::string standard = text_of(inputs, item.key(), where + ".inputs");
    if (standard != "in") {
      throw ConfigError(fmt::format("{}.inputs.{}: found \"{}\", want \"in\", the input it is unless the node says",
                                    where, item.key(), standard));
    }
    block.inputs[item.key()] = standard;
  }
  block.graph = {body.value("graph", json()), where + ".graph"};
  block.out = text_of(body, "out", where);
  return block;
}

Requirement read_requirement(const json& body, const std::string& where) {
  check_keys(body, where, {"of", "that", "say", "valid"});
  Requirement requirement;
  requirement.of = text_of(body, "of", where);
  requirement.that = text_of(body, "that", where);
  requirement.say = text_of(body, "say", where);
  requirement.valid = texts_of(body, "valid", where);
  requirement.where = where;
  for (const char* key : {"of", "that", "say", "valid"}) {
    if (!body.contains(key)) throw ConfigError(fmt::format("{}: no \"{}\", want of, that, say and valid", where, key));
  }
  return requirement;
}

/// Where a `use` points to: relative to the file that uses, else among our own files.
fs::path find_used(const fs::path& user, const std::string& name, const std::string& where) {
  const fs::path beside = user.parent_path() / name;
  if (fs::exists(beside)) return beside;
  const fs::path ours = models_dir() / name;
  if (fs::exists(ours)) return ours;
  throw ConfigError(
      fmt::format("{}: no file \"{}\"; looked for {} and {}", where, name, beside.string(), ours.string()));
}

class Reader {
 public:
  ModelSource read(const fs::path& file, const json& settings) {
    const json body = read_json_file(file);
    const std::string where = file.string();
    check_keys(body, where, {"about", "use", "let", "input", "require", "blocks", "graph", "outputs", "backbone"});
    source_.file = where;
    source_.about = text_of(body, "about", where + ": ");
    add_with_used(file, body);
    source_.graph = {body.value("graph", json()), where + ": graph"};
    source_.input = {object_of(body, "input", where + ": "), where + ": input"};
    const json outputs = object_of(body, "outputs", where + ": ");
    check_keys(outputs, where + ": outputs", {"logits", "aux"});
    for (const auto& item : outputs.items()) {
      source_.outputs[item.key()] = text_of(outputs, item.key(), where + ": outputs");
    }
    apply(settings);
    return std::move(source_);
  }

  ModelSource read_alone(const fs::path& file) {
    const json body = read_used(file, false);
    source_.file = file.string();
    source_.about = text_of(body, "about", file.string() + ": ");
    return std::move(source_);
  }

 private:
  json read_used(const fs::path& file, bool with_used = true) {
    const json body = read_json_file(file);
    check_keys(body, file.string(), {"about", "use", "let", "require", "blocks", "backbone"});
    if (with_used) {
      add_with_used(file, body);
    } else {
      add_shared(body, file.string(), {});
    }
    return body;
  }

  /// The files that `file` uses, each once however often it is used, then `file` itself.
  void add_with_used(const fs::path& file, const json& body) {
    const std::string where = file.string();
    std::set<std::string>& below = below_[where];
    const std::vector<std::string> used = texts_of(body, "use", where + ": ");
    open_.push_back(where);
    for (size_t i = 0; i < used.size(); ++i) {
      const std::string path = fmt::format("{}: use[{}]", where, i);
      const fs::path other = find_used(file, used[i], path).lexically_normal();
      const std::string name = other.string();
      if (std::find(open_.begin(), open_.end(), name) != open_.end())
        throw ConfigError(
            fmt::format("{}: \"{}\" uses itself ({} -> {})", path, used[i], fmt::join(open_, " -> "), name));
      if (below_.count(name) == 0) read_used(other);
      below.insert(name);
      below.insert(below_.at(name).begin(), below_.at(name).end());
    }
    open_.pop_back();
    add_shared(body, where, below);
  }

  /// What both kinds of file have. A file's own lets replace those of the files that it uses.
  void add_shared(const json& body, const std::string& file, const std::set<std::string>& below) {
    for (const json members = object_of(body, "let", file + ": "); const auto& item : members.items()) {
      const std::string where = fmt::format("{}: let.{}", file, item.key());
      check_name(item.key(), file + ": let");
      if (const auto other = let_file_.find(item.key()); other != let_file_.end() && below.count(other->second) == 0) {
        throw ConfigError(fmt::format("{}: also defined by {}, which this file does not use; want another name", where,
                                      source_.lets->where(item.key())));
      }
      let_file_[item.key()] = file;
      source_.lets->define(item.key(), to_scalar(item.value(), where), where);
    }
    const std::vector<std::string> backbone = texts_of(body, "backbone", file + ": ");
    for (size_t i = 0; i < backbone.size(); ++i) {
      source_.backbone.push_back({backbone[i], fmt::format("{}: backbone[{}]", file, i)});
    }
    if (const auto list = body.find("require"); list != body.end()) {
      const std::string where = file + ": require";
      if (!list->is_array()) throw ConfigError(fmt::format("{}: found {}, want a list", where, shown(*list)));
      for (size_t i = 0; i < list->size(); ++i) {
        source_.requirements.push_back(read_requirement((*list)[i], fmt::format("{}[{}]", where, i)));
      }
    }
    for (const json members = object_of(body, "blocks", file + ": "); const auto& item : members.items()) {
      const std::string where = fmt::format("{}: blocks.{}", file, item.key());
      check_name(item.key(), file + ": blocks");
      Block block = read_block(item.key(), item.value(), where);
      const auto [it, is_new] = source_.blocks.emplace(item.key(), std::move(block));
      if (!is_new) {
        throw ConfigError(fmt::format("{}: also defined by {}, want another name", where, it->second.where));
      }
    }
  }

  static bool fits(const Scalar& old, const Scalar& value) {
    if (is_null(value)) return true;
    const bool number = std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
    if (is_null(old) || std::holds_alternative<double>(old)) return number;
    return old.index() == value.index();
  }

  static const char* wanted(const Scalar& old) {
    if (std::holds_alternative<bool>(old)) return "true or false";
    if (std::holds_alternative<int64_t>(old)) return "an integer";
    if (std::holds_alternative<std::string>(old)) return "a string";
    return is_null(old) ? "a number or null" : "a number";
  }

  void apply(const json& settings) {
    if (!settings.is_object()) {
      throw ConfigError(fmt::format("settings: found {}, want an object {{name: value}}", shown(settings)));
    }
    for (const auto& item : settings.items()) {
      const std::string& name = item.key();
      const std::string where = fmt::format("{}: let.{}", source_.file, name);
      const Names& lets = *source_.lets;
      if (!lets.defines(name)) {
        const std::string like = nearest(name, lets.names());
        throw ConfigError(fmt::format("{}: cannot set \"{}\", the model has no such value{}; it has: {}", source_.file,
                                      name, like.empty() ? "" : fmt::format(", did you mean \"{}\"?", like),
                                      fmt::join(lets.names(), ", ")));
      }
      if (const std::string expression = lets.expression(name); !expression.empty()) {
        throw ConfigError(fmt::format("{}: cannot be set to {}, it is computed as \"{}\"; set what it is computed from",
                                      where, shown(item.value()), expression));
      }
      const Scalar old = *lets.find(name);
      Scalar value = to_scalar(item.value(), where);
      if (const auto* text = std::get_if<std::string>(&value); !fits(old, value) || (text && is_expression(*text))) {
        throw ConfigError(
            fmt::format("{}: set to {}, want {} (it was {})", where, show(value), wanted(old), show(old)));
      }
      if (const auto* whole = std::get_if<int64_t>(&value); whole && std::holds_alternative<double>(old)) {
        value = static_cast<double>(*whole);
      }
      source_.lets->define(name, std::move(value), lets.where(name));
    }
  }

  ModelSource source_;
  std::map<std::string, std::set<std::string>> below_;  // file -> all files it uses, directly or not
  std::map<std::string, std::string> let_file_;         // let -> the file whose definition holds
  std::vector<std::string> open_;                       // being read, outermost first
};

}  // namespace

std::vector<std::string> Block::arguments() const {
  std::vector<std::string> all = required;
  for (const auto& [argument, standard] : optional) all.push_back(argument);
  return all;
}

ModelSource read_model_source(const fs::path& file, const json& settings) {
  return Reader().read(file, settings);
}

ModelSource read_used_source(const fs::path& file) {
  return Reader().read_alone(file);
}

fs::path models_dir() {
  return home() / "models";
}

}  // namespace psanet::models
