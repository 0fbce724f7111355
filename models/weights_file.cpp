#include "models/weights_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace psanet::models {

namespace {
bool starts_with(const std::string& text, const std::string& start) {
  return text.rfind(start, 0) == 0;
}
bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}
}  // namespace

Safetensors to_file(const Parameters& parameters, int64_t iterations, bool optimizer) {
  const std::string running_mean = ".running_mean";
  Safetensors file;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!Parameters::in_files(entry)) continue;
    if (!optimizer && starts_with(entry.name, "momentum.")) continue;
    file.tensors[entry.name] = parameters.to_file(entry);
    if (ends_with(entry.name, running_mean)) {
      const std::string norm = entry.name.substr(0, entry.name.size() - running_mean.size());
      file.tensors[norm + ".num_batches_tracked"] = FileTensor::of({}, std::span<const int64_t>(&iterations, 1));
    }
  }
  file.metadata["format"] = "psanet";
  file.metadata["iterations"] = std::to_string(iterations);
  return file;
}

std::string describe(const LoadReport& report) {
  const auto some = [](const std::vector<std::string>& names) {
    const size_t shown = std::min<size_t>(names.size(), 3);
    return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "),
                       names.size() > shown ? ", ..." : "");
  };
  std::string text = fmt::format("{} tensors loaded", report.loaded.size());
  if (!report.missing.empty())
    text += fmt::format("; {} of the model not in the file: {}", report.missing.size(), some(report.missing));
  if (!report.unused.empty())
    text += fmt::format("; {} of the file not used: {}", report.unused.size(), some(report.unused));
  return text;
}

}  // namespace psanet::models
