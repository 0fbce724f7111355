#include "apps/rank_agreement.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/crc32c.h"
#include "engine/error.h"
#include "models/checkpoint_fit.h"

namespace psanet::apps {

using nlohmann::ordered_json;

namespace {

std::string checksum(const Parameters& parameters) {
  uint32_t sum = 0;
  for (const Parameters::Entry& entry : parameters.entries()) {
    const FileTensor values = parameters.to_file(entry);
    sum = crc32c(values.bytes.data(), values.bytes.size(), sum);
  }
  return fmt::format("{:08x}", sum);
}

std::string of_rank_0(Communicator& ranks, std::string text) {
  int64_t bytes = static_cast<int64_t>(text.size());
  ranks.broadcast("what is trained", std::as_writable_bytes(std::span(&bytes, 1)), 0);
  text.resize(static_cast<size_t>(bytes));
  ranks.broadcast("what is trained", std::as_writable_bytes(std::span(text)), 0);
  return text;
}

/// What `own` is about to do that `first` is not, or nothing.
std::string disagreement(const ordered_json& first, const ordered_json& own, const std::set<std::string>& may_differ) {
  if (first["start"] != own["start"]) {
    return fmt::format("starts at iteration {}, rank 0 at {}: do both see the same run folder?", own["start"].dump(),
                       first["start"].dump());
  }
  const auto differences = models::differences(first["run"], own["run"], may_differ);
  if (!differences.empty()) {
    return fmt::format("trains something else than rank 0: {}", models::first_few(differences));
  }
  if (first["values"] != own["values"]) {
    return fmt::format("starts from other parameters than rank 0 (checksums {} and {}): are their weights the same?",
                       own["values"].dump(), first["values"].dump());
  }
  return {};
}

}  // namespace

void check_agreement(Communicator& ranks, int64_t start, const ordered_json& state,
                     const std::set<std::string>& may_differ, const Parameters& parameters) {
  if (ranks.world() == 1) return;
  const ordered_json own = {{"start", start}, {"run", state}, {"values", checksum(parameters)}};
  const ordered_json first = ordered_json::parse(of_rank_0(ranks, own.dump()));
  const std::string found = disagreement(first, own, may_differ);
  int64_t others = found.empty() ? 0 : 1;
  ranks.all_reduce("ranks that differ", std::span(&others, 1));
  if (!found.empty()) throw ConfigError(fmt::format("rank {} {}", ranks.rank(), found));
  if (others > 0) {
    throw ConfigError(fmt::format("rank {}: {} of {} ranks differ from rank 0, and say in what", ranks.rank(), others,
                                  ranks.world()));
  }
}

}  // namespace psanet::apps
