#include "models/model_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/error.h"
#include "engine/home.h"
#include "engine/json/text.h"

namespace psanet::models {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr size_t kMostFiles = 200;  // that a model uses, and entries of a `use`
constexpr size_t kDeepestUse = 50;  // files that use each other

/// What every file may have, and what a model file may have besides.
const std::vector<std::string> kShared = {"about", "use", "let", "require", "blocks", "backbone"};
const std::vector<std::string> kOfModel = {"about",  "use",   "let",     "input",    "require",
                                           "blocks", "graph", "outputs", "backbone", "names"};

const json kNothing, kEmpty = json::object();

/// Names that `$name` can reach.
void check_name(const std::string& name, const std::string& where) {
  const bool good = !name.empty() && name.size() <= kLongestText && !(name[0] >= '0' && name[0] <= '9') &&
                    std::all_of(name.begin(), name.end(), is_word);
  if (good) return;
  throw ConfigError(fmt::format("{}: found the name \"{}\", want letters, digits and _, beginning with a letter", where,
                                printed(name)));
}

void check_arguments(const Block& block) {
  const std::set<std::string> required(block.required.begin(), block.required.end());
  for (const auto& [argument, standard] : block.optional) {
    if (required.count(argument)) standard.fail("also in \"required\", want it in one of the two");
  }
  for (const char* reserved : {"name", "op", "block", "inline", "from", "repeat", "index"}) {
    if (!required.count(reserved) && !block.optional.count(reserved)) continue;
    throw ConfigError(
        fmt::format("{}: an argument \"{}\"; this word has a meaning of its own in a node, want another name",
                    block.where, reserved));
  }
}

Block read_block(const std::string& name, const JsonReader& body) {
  body.only_keys({"about", "required", "optional", "inputs", "graph", "out"});
  Block block;
  block.name = name;
  block.where = body.where();
  block.about = body.text_of("about");
  block.required = body.texts_of("required");
  for (const std::string& argument : block.required) check_name(argument, body.where("required"));
  for (const auto& [argument, standard] : body.members_of("optional")) {
    check_name(argument, body.where("optional"));
    block.optional.emplace(argument, standard);
  }
  check_arguments(block);
  for (const auto& [input, standard] : body.members_of("inputs")) {
    check_name(input, body.where("inputs"));
    if (standard.text() != "in") standard.wrong("\"in\", the input it is unless the node says");
    block.inputs.insert(input);
  }
  block.graph = body.find("graph").value_or(JsonReader(kNothing, body.where("graph")));
  block.out = body.text_of("out");
  return block;
}

Requirement read_requirement(const JsonReader& body) {
  body.only_keys({"of", "that", "say", "valid"});
  for (const char* key : {"of", "that", "say", "valid"}) {
    if (!body.has(key)) body.fail(fmt::format("no \"{}\", want of, that, say and valid", key));
  }
  return {body.text_of("of"), body.text_of("that"), body.text_of("say"), body.texts_of("valid"), body.where()};
}

/// Where a `use` points to: relative to the file that uses, else among our own files.
fs::path find_used(const fs::path& user, const std::string& name, const std::string& where) {
  std::error_code none;
  const fs::path beside = user.parent_path() / name;
  if (fs::exists(beside, none)) return beside;
  const fs::path ours = models_dir() / name;
  if (fs::exists(ours, none)) return ours;
  std::string places = printed(ours.string(), 300);
  if (ours != beside) places = fmt::format("{} and {}", printed(beside.string(), 300), places);
  throw ConfigError(fmt::format("{}: no file \"{}\"; looked for {}", where, printed(name), places));
}

/// The one of a file's `names` that is meant: an object with `about` and `let`; none for the file as it stands.
std::optional<JsonReader> chosen_of(const JsonReader& body, const std::string& name) {
  for (const auto& [other, chosen] : body.members_of("names")) {
    chosen.only_keys({"about", "let"});
    if (other == name) return chosen;
  }
  return {};
}

class SourceReader {
 public:
  ModelSource read(const ModelFile& model, const json& settings) {
    if (!settings.is_object()) JsonReader(settings, "settings").wrong("an object {name: value}");
    const JsonReader body = open(model.file, kOfModel);
    const std::optional<JsonReader> chosen = chosen_of(body, model.name);
    source_.file = body.where();
    source_.about = chosen && chosen->has("about") ? chosen->text_of("about") : body.text_of("about");
    for (const JsonReader& of : {body, chosen.value_or(body)}) {
      for (const auto& [name, value] : of.members_of("let")) chosen_values_[name] = settings.value(name, value.value());
    }
    add_with_used(model.file, body);
    if (chosen) add_lets(*chosen, body.where(), below_[body.where()]);
    source_.graph = body.find("graph").value_or(JsonReader(kNothing, body.where("graph")));
    source_.input = body.find("input").value_or(JsonReader(kEmpty, body.where("input")));
    source_.input->members();
    if (const auto outputs = body.find("outputs")) {
      outputs->only_keys({"logits", "aux"});
      for (const auto& [output, node] : outputs->members()) source_.outputs[output] = outputs->text_of(output);
    }
    apply(settings);
    return std::move(source_);
  }

  ModelSource read_alone(const fs::path& file) {
    const JsonReader body = open(file, kShared);
    add_shared(body, {});
    source_.file = body.where();
    source_.about = body.text_of("about");
    return std::move(source_);
  }

 private:
  JsonReader open(const fs::path& file, const std::vector<std::string>& keys) {
    source_.documents.push_back(std::make_shared<const json>(read_json(file, raise<ConfigError>)));
    if (source_.documents.size() > kMostFiles) {
      throw ConfigError(fmt::format("{}: the model uses more than {} files", file.string(), kMostFiles));
    }
    JsonReader body = JsonReader::of_file(*source_.documents.back(), file.string());
    body.only_keys(keys);
    return body;
  }

  /// A name of a file in which `$name` stands for a value of the model file that is a plain word.
  std::string with_values(std::string text, const std::string& where) const {
    const std::string wrong = fmt::format("{}: \"{}\": ", where, printed(text));
    for (size_t at; (at = text.find('$')) != std::string::npos;) {
      const auto end = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at) + 1, text.end(), is_word);
      const std::string name(text.begin() + static_cast<std::ptrdiff_t>(at) + 1, end);
      if (!chosen_values_.contains(name)) {
        std::vector<std::string> known;
        for (const auto& item : chosen_values_.items()) known.push_back(item.key());
        throw ConfigError(fmt::format("{}there is no let \"{}\" in the model file{}", wrong, printed(name),
                                      did_you_mean(name, known)));
      }
      const json& value = chosen_values_.at(name);
      const std::string word = value.is_string() ? value.get<std::string>() : "";
      if (word.empty() || !std::all_of(word.begin(), word.end(), is_word)) {
        throw ConfigError(
            fmt::format("{}${} is {}, want a string of letters, digits and _", wrong, name, shown(value)));
      }
      text.replace(at, name.size() + 1, word);
    }
    return text;
  }

  /// The files that `file` uses, each once however often it is used, then `file` itself.
  void add_with_used(const fs::path& file, const JsonReader& body) {
    const std::string where = body.where();
    std::set<std::string>& below = below_[where];
    const std::vector<std::string> used = body.texts_of("use");
    if (used.size() > kMostFiles || open_.size() >= kDeepestUse) {
      body.fail(fmt::format("uses too many files, want at most {}, and at most {} that use each other", kMostFiles,
                            kDeepestUse));
    }
    open_.push_back(where);
    for (size_t i = 0; i < used.size(); ++i) {
      const std::string path = fmt::format("{}[{}]", body.where("use"), i);
      const fs::path other = find_used(file, with_values(used[i], path), path).lexically_normal();
      const std::string name = other.string();
      if (std::find(open_.begin(), open_.end(), name) != open_.end()) {
        throw ConfigError(
            fmt::format("{}: \"{}\" uses itself ({} -> {})", path, used[i], fmt::join(open_, " -> "), name));
      }
      if (below_.count(name) == 0) add_with_used(other, open(other, kShared));
      below.insert(name);
      below.insert(below_.at(name).begin(), below_.at(name).end());
    }
    open_.pop_back();
    add_shared(body, below);
  }

  /// The `let` of a file or of one of its names. They replace those of the files `below`.
  void add_lets(const JsonReader& body, const std::string& file, const std::set<std::string>& below) {
    for (const auto& [name, value] : body.members_of("let")) {
      check_name(name, body.where("let"));
      const auto other = let_file_.find(name);
      if (other != let_file_.end() && other->second != file && below.count(other->second) == 0) {
        value.fail(fmt::format("also defined by {}, which this file does not use; want another name",
                               source_.lets->where(name)));
      }
      let_file_[name] = file;
      source_.lets->define(name, to_scalar(value), value.where());
    }
  }

  /// What both kinds of file have.
  void add_shared(const JsonReader& body, const std::set<std::string>& below) {
    add_lets(body, body.where(), below);
    const std::vector<std::string> backbone = body.texts_of("backbone");
    for (size_t i = 0; i < backbone.size(); ++i) {
      source_.backbone.push_back({backbone[i], fmt::format("{}[{}]", body.where("backbone"), i)});
    }
    if (const auto list = body.find("require")) {
      for (const JsonReader& item : list->items()) source_.requirements.push_back(read_requirement(item));
    }
    for (const auto& [name, block] : body.members_of("blocks")) {
      check_name(name, body.where("blocks"));
      const auto [it, is_new] = source_.blocks.emplace(name, read_block(name, block));
      if (!is_new) block.fail(fmt::format("also defined by {}, want another name", it->second.where));
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
    for (const auto& item : settings.items()) {
      const std::string& name = item.key();
      const Names& lets = *source_.lets;
      if (!lets.defines(name)) {
        throw ConfigError(fmt::format("{}: cannot set \"{}\", the model has no such value{}; it has: {}", source_.file,
                                      printed(name), did_you_mean(name, lets.names()), listed(lets.names())));
      }
      const JsonReader setting(item.value(), fmt::format("{}: let.{}", source_.file, name));
      if (const std::string expression = lets.expression(name); !expression.empty()) {
        setting.fail(fmt::format("cannot be set to {}, it is computed as \"{}\"; set what it is computed from",
                                 shown(item.value()), printed(expression, kLongestText)));
      }
      const Scalar old = *lets.find(name);
      Scalar value = to_scalar(setting);
      if (const auto* text = std::get_if<std::string>(&value); !fits(old, value) || (text && is_expression(*text))) {
        setting.fail(fmt::format("set to {}, want {} (it was {})", show(value), wanted(old), show(old)));
      }
      if (const auto* whole = std::get_if<int64_t>(&value); whole && std::holds_alternative<double>(old)) {
        value = static_cast<double>(*whole);
      }
      source_.lets->define(name, std::move(value), lets.where(name));
    }
  }

  ModelSource source_;
  json chosen_values_ = json::object();                 // lets of the model file as settings have them, for `use`
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

ModelSource read_model_source(const ModelFile& model, const json& settings) {
  return SourceReader().read(model, settings);
}

std::vector<std::string> names_of_models(const fs::path& file) {
  const json document = read_json(file, raise<ConfigError>);
  std::vector<std::string> names;
  const JsonReader body = JsonReader::of_file(document, file.string());
  body.members();
  for (const auto& [name, chosen] : body.members_of("names")) names.push_back(name);
  return names;
}

ModelSource read_used_source(const fs::path& file) {
  return SourceReader().read_alone(file);
}

fs::path models_dir() {
  return home() / "models";
}

}  // namespace psanet::models
