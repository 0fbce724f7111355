#include "models/checkpoint.h"

#include <fmt/format.h>

#include <cmath>
#include <system_error>

#include "engine/atomic_file.h"
#include "engine/crc32c.h"
#include "engine/error.h"
#include "engine/json/reader.h"
#include "engine/json/text.h"
#include "engine/type.h"

namespace psanet::models {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr int kFormat = 1;
constexpr int kDigits = 9;
constexpr char kManifestEnd[] = ".json";
constexpr JsonLimits kManifestLimits{int64_t{64} << 20};  // it describes every node and tensor

/// Of the bytes of a tensor or a text.
template <class Bytes>
std::string checksum_of(const Bytes& bytes) {
  return fmt::format("{:08x}", crc32c(bytes.data(), bytes.size()));
}

ordered_json describe(const Safetensors& file) {
  ordered_json tensors = ordered_json::object();
  for (const auto& [name, tensor] : file.tensors) {
    tensors[name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"crc32c", checksum_of(tensor.bytes)}};
  }
  return tensors;
}

ordered_json finite(const std::map<std::string, double>& metrics) {
  ordered_json object = ordered_json::object();
  for (const auto& [name, value] : metrics) {
    if (std::isfinite(value)) object[name] = value;  // JSON has no others
  }
  return object;
}

void write_manifest(const std::filesystem::path& path, const ordered_json& content, FileSystem& files) {
  const ordered_json manifest = {{"crc32c", checksum_of(content.dump())}, {"checkpoint", content}};
  write_text_atomically(path, manifest.dump(1) + "\n", files);
}

WeightsError damaged(const std::filesystem::path& file, const std::string& why) {
  return WeightsError(fmt::format("{}: {}", file.string(), why));
}

/// Throws unless the tensors are those that the manifest describes.
void check_tensors(const std::filesystem::path& path, const Safetensors& file, const ordered_json& described) {
  for (const auto& [name, wanted] : described.items()) {
    if (!file.contains(name)) throw damaged(path, fmt::format("tensor \"{}\" of the manifest is not in it", name));
    const FileTensor& found = file.at(name);
    const auto shape = wanted.at("shape").get<std::vector<int64_t>>();
    if (found.dtype != wanted.at("dtype") || found.shape != shape) {
      throw damaged(path, fmt::format("tensor \"{}\" is {} {}, the manifest says {} {}", name, found.dtype,
                                      to_string(found.shape), wanted.at("dtype").get<std::string>(), to_string(shape)));
    }
    if (const std::string checksum = checksum_of(found.bytes); checksum != wanted.at("crc32c")) {
      throw damaged(path, fmt::format("tensor \"{}\" has the checksum {}, the manifest says {}", name, checksum,
                                      wanted.at("crc32c").get<std::string>()));
    }
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (!described.contains(name)) throw damaged(path, fmt::format("tensor \"{}\" is not in the manifest", name));
  }
}

}  // namespace

std::string manifest_name(int64_t iteration) {
  return fmt::format("{:0{}}{}", iteration, kDigits, kManifestEnd);
}

int64_t iteration_of_manifest(const std::string& name) {
  const size_t digits = name.find_first_not_of("0123456789");
  if (digits < kDigits || digits > 18 || name.substr(digits) != kManifestEnd) return -1;
  return std::stoll(name.substr(0, digits));
}

void write_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint, FileSystem& files) {
  const ordered_json tensors = describe(checkpoint.tensors);
  const std::filesystem::path manifest = folder / manifest_name(checkpoint.iteration);
  const std::string file = fmt::format("{}-{}.safetensors", manifest.stem().string(), checksum_of(tensors.dump()));
  write_safetensors(folder / file, checkpoint.tensors, files);
  try {
    const ordered_json content = {{"format", kFormat},
                                  {"iteration", checkpoint.iteration},
                                  {"metrics", finite(checkpoint.metrics)},
                                  {"file", file},
                                  {"metadata", checkpoint.tensors.metadata},
                                  {"tensors", tensors},
                                  {"state", checkpoint.state}};
    write_manifest(manifest, content, files);
  } catch (const FileError&) {
    // Without a manifest the tensors are only in the way; unless they are those of a manifest that was there before.
    std::error_code none;
    if (!std::filesystem::exists(manifest, none)) {
      try {
        files.remove(folder / file);
      } catch (const std::system_error&) {
      }
    }
    throw;
  }
}

void write_metrics(const std::filesystem::path& manifest, const std::map<std::string, double>& metrics,
                   FileSystem& files) {
  ordered_json content = read_manifest(manifest);
  content["metrics"] = finite(metrics);
  write_manifest(manifest, content, files);
}

ordered_json read_manifest(const std::filesystem::path& manifest) {
  const auto outer = read_json<ordered_json>(manifest, raise<WeightsError>, kManifestLimits, "is no whole manifest");
  if (!outer.is_object() || !outer.contains("checkpoint") || !outer.contains("crc32c")) {
    throw damaged(manifest, "is no whole manifest");
  }
  const ordered_json& content = outer.at("checkpoint");
  if (const std::string checksum = checksum_of(content.dump()); outer.at("crc32c") != checksum) {
    throw damaged(manifest, fmt::format("has the checksum {}, it says {}", checksum, shown(outer.at("crc32c"))));
  }
  const json members = content;
  const JsonReader reader(members, manifest.string(), manifest.string() + ": ", {raise<WeightsError>});
  if (const int64_t format = reader.at("format").integer(); format != kFormat) {
    throw damaged(manifest, fmt::format("has format {}, this program reads {}", format, kFormat));
  }
  reader.at("iteration").integer(0);
  if (const JsonReader file = reader.at("file"); file.text().find('/') != std::string::npos) file.wrong("a file name");
  reader.at("state");
  for (const auto& [name, metric] : reader.at("metrics").members()) metric.number();
  for (const auto& [name, tensor] : reader.at("tensors").members()) {
    tensor.at("dtype").text();
    tensor.at("crc32c").text();
    for (const JsonReader& size : tensor.at("shape").items()) size.integer(0);
  }
  return content;
}

Checkpoint read_checkpoint(const std::filesystem::path& manifest) {
  const ordered_json content = read_manifest(manifest);
  Checkpoint checkpoint;
  checkpoint.iteration = content.at("iteration").get<int64_t>();
  if (manifest.filename() != manifest_name(checkpoint.iteration)) {
    throw damaged(manifest, fmt::format("is of iteration {}, another than its name says", checkpoint.iteration));
  }
  checkpoint.metrics = content.at("metrics").get<std::map<std::string, double>>();
  checkpoint.state = content.at("state");
  const std::filesystem::path file = manifest.parent_path() / content.at("file").get<std::string>();
  checkpoint.tensors = read_safetensors(file);
  check_tensors(file, checkpoint.tensors, content.at("tensors"));
  if (content.contains("metadata") && content.at("metadata") != ordered_json(checkpoint.tensors.metadata)) {
    throw damaged(file, "its metadata are not those of the manifest");  // what is momentum of what is there
  }
  return checkpoint;
}

}  // namespace psanet::models
