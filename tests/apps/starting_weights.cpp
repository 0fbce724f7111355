// psanet-train --weights with ImageNet networks under the names that they are published with. Names and shapes are
// written here, not taken from our models.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "engine/random.h"
#include "engine/safetensors.h"
#include "engine/type.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

/// An ImageNet classifier whose tensors are constants that their names give.
class ImageNetFile {
 public:
  Safetensors file;

  void conv(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    add(name + ".weight", {out, in, kernel, kernel});
  }
  void norm(const std::string& name, int64_t channels) {
    for (const char* what : {".weight", ".bias", ".running_mean", ".running_var"}) add(name + what, {channels});
    const int64_t count = 1234;
    file.tensors[name + ".num_batches_tracked"] = FileTensor::of({}, std::span<const int64_t>(&count, 1));
  }
  /// Three stages of basic blocks, two blocks each, the first on `in` channels; the fourth's are of no use to our small
  /// network, so that a few stand for all.
  void basic_stages(const std::string& prefix, int64_t in) {
    for (int stage = 1; stage <= 3; ++stage) {
      const int64_t width = 32 << stage;
      for (int block = 0; block < 2; ++block) {
        const std::string path = fmt::format("{}layer{}.{}.", prefix, stage, block);
        conv(path + "conv1", width, in, 3);
        norm(path + "bn1", width);
        conv(path + "conv2", width, width, 3);
        norm(path + "bn2", width);
        if (in != width) {
          conv(path + "downsample.0", width, in, 1);
          norm(path + "downsample.1", width);
        }
        in = width;
      }
    }
    norm(prefix + "layer4.0.bn1", 512);
    add(prefix + "fc.weight", {10, 512});
    add(prefix + "fc.bias", {10});
  }

 private:
  void add(const std::string& name, const Shape& shape) {
    const auto value = static_cast<float>(0.01 + 0.05 * random_unit(hash_name(name), 0));
    const std::vector<float> values(static_cast<size_t>(psanet::elements(shape)), value);
    file.tensors[name] = FileTensor::of(shape, std::span<const float>(values));
  }
};

struct Stem {
  std::string about;
  std::vector<std::string> convolutions, norms;  // their names
  std::vector<int64_t> channels;
  int64_t kernel = 3;
};

const std::vector<Stem>& stems() {
  static const std::vector<Stem> all = {
      {"torchvision, 7x7", {"conv1"}, {"bn1"}, {64}, 7},
      {"semseg's initmodel, 64-64-128", {"conv1", "conv2", "conv3"}, {"bn1", "bn2", "bn3"}, {64, 64, 128}},
      {"semseg's in data parallel",
       {"module.conv1", "module.conv2", "module.conv3"},
       {"module.bn1", "module.bn2", "module.bn3"},
       {64, 64, 128}},
      {"mmsegmentation, 32-32-64", {"stem.0", "stem.3", "stem.6"}, {"stem.1", "stem.4", "stem.7"}, {32, 32, 64}},
      {"mmsegmentation's whole network",
       {"backbone.stem.0", "backbone.stem.3", "backbone.stem.6"},
       {"backbone.stem.1", "backbone.stem.4", "backbone.stem.7"},
       {32, 32, 64}},
      {"ResNet-D, 32-32-64", {"conv1.0", "conv1.3", "conv1.6"}, {"conv1.1", "conv1.4", "bn1"}, {32, 32, 64}},
  };
  return all;
}

std::string prefix_of(const Stem& stem) {
  const std::string& name = stem.convolutions[0];
  for (const std::string prefix : {"module.", "backbone."}) {
    if (name.rfind(prefix, 0) == 0) return prefix;
  }
  return "";
}

Safetensors resnet18(const Stem& stem) {
  ImageNetFile result;
  int64_t in = 3;
  for (size_t i = 0; i < stem.channels.size(); ++i) {
    result.conv(stem.convolutions[i], stem.channels[i], in, stem.kernel);
    result.norm(stem.norms[i], stem.channels[i]);
    in = stem.channels[i];
  }
  result.basic_stages(prefix_of(stem), in);
  return result.file;
}

/// One update at rate 0 on fcn18_small.
std::vector<std::string> start_from(const std::filesystem::path& weights, const std::filesystem::path& output,
                                    const std::vector<std::string>& lets) {
  std::vector<std::string> arguments = {"demo_without_psa", "--data-root", tiny_scenes(), "--output", output,
                                        "--weights",        weights};
  for (const std::string& a : tiny_overrides()) arguments.push_back(a);
  arguments.insert(arguments.end(), {"model=fcn18_small", "val_split=\"\"", "base_rate=0", "weight_decay=0"});
  arguments.insert(arguments.end(), lets.begin(), lets.end());
  return arguments;
}

/// What an error says to write behind --set.
std::vector<std::string> lets_of(const std::string& message) {
  const size_t from = message.find("--set "), to = message.find(" makes the model fit");
  if (from == std::string::npos || to == std::string::npos) return {};
  std::istringstream words(message.substr(from + 6, to - from - 6));
  std::vector<std::string> lets;
  for (std::string word; words >> word;) lets.push_back(word);
  return lets;
}

TEST_CASE("starting weights: every published stem is refused with the lets that make the model fit and then loads") {
  const std::vector<std::vector<std::string>> wanted = {
      {"let.stem=stem_7x7", "let.stage_1=basic_stage_plain"},
      {"let.stem_1=64", "let.stem_2=64", "let.stem_3=128"},
      {"let.stem_1=64", "let.stem_2=64", "let.stem_3=128"},
      {"let.stage_1=basic_stage_plain"},
      {"let.stage_1=basic_stage_plain"},
      {"let.stage_1=basic_stage_plain"},
  };
  for (size_t s = 0; s < stems().size(); ++s) {
    const Stem& stem = stems()[s];
    INFO(stem.about);
    const TemporaryFolder folder;
    const Safetensors file = resnet18(stem);
    write_safetensors(folder / "imagenet.safetensors", file);

    const ProgramResult refused =
        run_program("psanet-train", start_from(folder / "imagenet.safetensors", folder / "a", {}));
    INFO(refused.err);
    CHECK(refused.exit_code == 4);
    CHECK(refused.err.find('\n') == refused.err.size() - 1);
    CHECK_FALSE(std::filesystem::exists(folder / "a"));
    const std::vector<std::string> lets = lets_of(refused.err);
    CHECK(lets == wanted[s]);

    const ProgramResult result =
        run_well("psanet-train", start_from(folder / "imagenet.safetensors", folder / "b", lets));
    INFO(result.out);
    CHECK(result.out.find("fc.") == std::string::npos);
    CHECK(result.out.find("4 of the file not used: layer4.0.bn1.") != std::string::npos);
    const Safetensors trained = read_safetensors(folder / "b" / "weights.safetensors");
    const std::string prefix = prefix_of(stem);
    size_t compared = 0;
    const auto check_same = [&](const std::string& ours, const std::string& theirs) {
      for (const char* what : {".weight", ".bias"}) {  // running statistics move on at rate 0 too
        if (!file.contains(theirs + what)) continue;
        INFO(theirs << what);
        REQUIRE(trained.contains(ours + what));
        CHECK(trained.at(ours + what).shape == file.at(theirs + what).shape);
        CHECK(trained.at(ours + what).bytes == file.at(theirs + what).bytes);
        ++compared;
      }
    };
    for (size_t i = 0; i < stem.channels.size(); ++i) {
      check_same(fmt::format("layer0.{}", 3 * i), stem.convolutions[i]);
      check_same(fmt::format("layer0.{}", 3 * i + 1), stem.norms[i]);
    }
    std::set<std::string> layers;
    for (const auto& [name, tensor] : file.tensors) {
      const std::string ours = name.substr(prefix.size());
      if (ours.rfind("layer", 0) == 0 && ours.rfind("layer4", 0) != 0) layers.insert(ours.substr(0, ours.rfind('.')));
    }
    for (const std::string& layer : layers) check_same(layer, prefix + layer);
    const size_t shortcuts = stem.channels.back() == 64 ? 2 : 3;
    CHECK(compared == 3 * stem.channels.size() + 6 * 6 + 3 * shortcuts);
  }
}

}  // namespace
}  // namespace psanet::tests
