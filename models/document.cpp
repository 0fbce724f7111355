#include "models/document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/fields_json.h"
#include "layers/language.h"
#include "models/model_file.h"
#include "models/model_source.h"

namespace psanet::models {

namespace {

std::string input_count(const layers::Word& word) {
  if (word.max_inputs < 0) return fmt::format("{} or more inputs", word.min_inputs);
  if (word.min_inputs != word.max_inputs) return fmt::format("{} to {} inputs", word.min_inputs, word.max_inputs);
  return word.min_inputs == 1 ? "one input" : fmt::format("{} inputs", word.min_inputs);
}

std::string document_word(const layers::Word& word) {
  const std::unique_ptr<layers::Layer> layer = word.make();
  const std::string table = document_fields([&](Fields& f) { layer->fields(f); });
  return fmt::format("### `{}`\n{} Takes {}.\n\n{}\n", word.name, word.doc, input_count(word),
                     table.empty() ? "No attributes.\n" : table);
}

/// "name", or "name = default".
std::string document_argument(const Block& block, const std::string& name) {
  const auto standard = block.optional.find(name);
  if (standard == block.optional.end()) return fmt::format("`{}`", name);
  const nlohmann::json& value = standard->second.value();
  return fmt::format("`{} = {}`", name, value.is_string() ? value.get<std::string>() : value.dump());
}

std::string document_block(const Block& block) {
  std::vector<std::string> arguments;
  for (const std::string& name : block.arguments()) arguments.push_back(document_argument(block, name));
  std::vector<std::string> inputs = {"`in`"};
  for (const std::string& name : block.inputs) inputs.push_back(fmt::format("`{} = in`", name));
  return fmt::format("| `{}` | {} | {} | {} |\n", block.name, fmt::join(arguments, ", "), fmt::join(inputs, ", "),
                     block.about);
}

/// The plain values, which --set can replace, and the computed ones.
std::string document_lets(const Names& lets) {
  std::vector<std::string> plain, computed;
  for (const std::string& name : lets.names()) {
    const std::string expression = lets.expression(name);
    if (expression.empty()) {
      plain.push_back(fmt::format("`{} = {}`", name, show(*lets.find(name))));
    } else {
      computed.push_back(fmt::format("`{} = {}`", name, expression));
    }
  }
  std::string text;
  if (!plain.empty()) text += fmt::format("\nValues: {}.\n", fmt::join(plain, ", "));
  if (!computed.empty()) text += fmt::format("\nComputed: {}.\n", fmt::join(computed, ", "));
  return text;
}

std::string document_used_file(const std::filesystem::path& file) {
  const ModelSource source = read_used_source(file);
  std::string text =
      fmt::format("### `blocks/{}`\n{}.\n{}", file.filename().string(), source.about, document_lets(*source.lets));
  if (!source.blocks.empty()) text += "\n| block | arguments | inputs | what it is |\n|---|---|---|---|\n";
  for (const auto& [name, block] : source.blocks) text += document_block(block);
  return text + "\n";
}

}  // namespace

std::string document_language() {
  std::string text = "## Ops\n\n";
  for (const layers::Word& word : layers::words()) text += document_word(word);

  text += "## Shared blocks\n\n";
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(models_dir() / "blocks")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) text += document_used_file(file);

  text += "## Models\n\n| model | what it is |\n|---|---|\n";
  for (const std::string& name : our_models()) text += fmt::format("| `{}` | {} |\n", name, read_model(name).about);
  return text;
}

}  // namespace psanet::models
