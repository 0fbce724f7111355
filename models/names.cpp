#include "models/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/error.h"
#include "engine/json/text.h"

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
  if (std::find(busy_.begin(), busy_.end(), name) != busy_.end()) {
    throw ConfigError(fmt::format("{}: computed from itself ({} -> {})", entry.where, fmt::join(busy_, " -> "), name));
  }
  int& chain = outermost()->chain_;
  if (chain >= kLongestChain) {
    throw ConfigError(fmt::format("{}: computed through more than {} other values", entry.where, kLongestChain));
  }
  busy_.push_back(name);
  ++chain;
  const auto finish = [&] {
    busy_.pop_back();
    --chain;
  };
  try {
    entry.value = evaluate(entry.expression, entry.where, *this);
  } catch (...) {
    finish();
    throw;
  }
  finish();
  entry.done = true;
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
  throw ConfigError(fmt::format("{}: there is no \"{}\"{}; known names: {}", where, printed(name),
                                did_you_mean(name, names()), listed(names())));
}

void Names::spend(size_t steps, const std::string& where) const {
  size_t& left = outermost()->work_left_;
  if (steps > left) {
    throw ConfigError(
        fmt::format("{}: the model takes more than {} steps to read, want fewer repeats", where, kMostWork));
  }
  left -= steps;
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
