#include "data/list_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "data/file_bytes.h"

namespace psanet::data {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string> split_fields(std::string_view line) {
  // With a tab in the line, names may hold spaces.
  const std::string_view separators = line.find('\t') != std::string_view::npos ? "\t" : " ";
  std::vector<std::string> fields;
  while (!line.empty()) {
    const auto end = std::min(line.find_first_of(separators), line.size());
    if (const auto field = trim(line.substr(0, end)); !field.empty()) fields.emplace_back(field);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

}  // namespace

std::vector<ListLine> read_list_lines(const std::filesystem::path& list) {
  const std::vector<std::uint8_t> bytes = read_file_bytes(list);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<ListLine> lines;
  for (int number = 1; !rest.empty(); ++number) {
    const auto end = std::min(rest.find('\n'), rest.size());
    if (auto names = split_fields(rest.substr(0, end)); !names.empty()) lines.push_back({number, std::move(names)});
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

std::string complaint_about(const ListLine& line, bool labels_required) {
  const std::size_t count = line.names.size();
  if (count <= 2 && !(count == 1 && labels_required)) return {};
  return fmt::format("line {}: found {} names, wanted \"image label\"{}", line.number, count,
                     count > 2 ? " (use a tab between names that hold spaces)" : "");
}

}  // namespace psanet::data
