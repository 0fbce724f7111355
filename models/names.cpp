#include "models/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/error.h"
#include "engine/fields_json.h"

namespace psanet::models {

void Names::define(const std::string& name, Scalar value, const std::string& where) {
  Entry entry;
  entry.where = where;
  if (const auto* text = std::get_if<std::string>(&value); text && is_expression(*text)) {
    entry.expression = *text;
    entry.done = false;
  } else {
    entry.value = std::move(value);
  }
  entries_[name] = std::move(entry);
}

std::optional<Scalar> Names::find(const std::string& name) const {
  const auto it = entries_.find(name);
  if (it == entries_.end()) return outer_ ? outer_->find(name) : std::nullopt;
  Entry& entry = it->second;
  if (entry.done) return entry.value;
  if (entry.busy) {
    throw ConfigError(fmt::format("{}: computed from itself ({} -> {})", entry.where, fmt::join(busy_, " -> "), name));
  }
  entry.busy = true;
  busy_.push_back(name);
  try {
    entry.value = evaluate(entry.expression, entry.where, *this);
  } catch (...) {
    entry.busy = false;
    busy_.pop_back();
    throw;
  }
  entry.busy = false;
  entry.done = true;
  busy_.pop_back();
  return entry.value;
}

std::vector<std::string> Names::names() const {
  std::vector<std::string> all;
  for (const auto& [name, entry] : entries_) all.push_back(name);
  if (outer_) {
    for (std::string& name : outer_->names()) {
      if (!entries_.count(name)) all.push_back(std::move(name));
    }
  }
  return all;
}

Scalar Names::get(const std::string& name, const std::string& where) const {
  if (std::optional<Scalar> found = find(name)) return *found;
  const std::string like = nearest(name, names());
  throw ConfigError(fmt::format("{}: there is no \"{}\"{}; known names: {}", where, name,
                                like.empty() ? "" : fmt::format(", did you mean \"{}\"?", like),
                                fmt::join(names(), ", ")));
}

std::string Names::where(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? "" : it->second.where;
}

std::string Names::expression(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? "" : it->second.expression;
}

std::map<std::string, Scalar> Names::values() const {
  std::map<std::string, Scalar> all;
  for (const auto& [name, entry] : entries_) all[name] = *find(name);
  return all;
}

}  // namespace psanet::models
