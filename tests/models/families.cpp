// Every model that users know by name is the network that it always was: checkpoints hold its description.
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/crc32c.h"
#include "models/checkpoint_fit.h"
#include "models/model_file.h"
#include "models/model_source.h"
#include "tests/models/wrong.h"
#include "tests/support/temporary_folder.h"

using namespace psanet;
using namespace psanet::models;
using layers::Mode;
using nlohmann::json;
using psanet::tests::check_message;
using psanet::tests::message_of;
using psanet::tests::TemporaryFolder;

namespace {

struct Known {
  const char *name, *about;
  int64_t crop_h, crop_w;
  uint32_t train, eval;  // checksums of the descriptions of its graphs
};

constexpr Known kModels[] = {
    {"aspp101", "ASPP on ResNet-101", 465, 465, 0x08a36596, 0x6cbfd815},
    {"aspp18", "ASPP on ResNet-18", 465, 465, 0x9f00c2ef, 0x93d94dbd},
    {"aspp18_small", "ASPP on ResNet-18 cut short", 113, 161, 0xfa945884, 0x3691ee04},
    {"aspp50", "ASPP on ResNet-50", 465, 465, 0x68debad4, 0x31b23eee},
    {"fcn101", "Dilated FCN on ResNet-101", 465, 465, 0x2d8943b0, 0x6473af03},
    {"fcn18", "Dilated FCN on ResNet-18", 465, 465, 0x45977007, 0x5b1b9353},
    {"fcn18_small", "Dilated FCN on ResNet-18 cut short", 113, 161, 0x1e0c25e4, 0x7e14aca7},
    {"fcn50", "Dilated FCN on ResNet-50", 465, 465, 0x16b84b61, 0x5c90b1f5},
    {"globalpool101", "Global pooling on ResNet-101", 465, 465, 0xa3279df9, 0xe7e17ef5},
    {"globalpool18", "Global pooling on ResNet-18", 465, 465, 0x695049b6, 0x8ab775cb},
    {"globalpool18_small", "Global pooling on ResNet-18 cut short", 113, 161, 0xdc582ebe, 0x953237a0},
    {"globalpool50", "Global pooling on ResNet-50", 465, 465, 0x4a43b248, 0xee5221b5},
    {"nonlocal101", "Non-local block on ResNet-101", 465, 465, 0x19fe16f0, 0x5e99463e},
    {"nonlocal18", "Non-local block on ResNet-18", 465, 465, 0xe2447619, 0x55f860ad},
    {"nonlocal18_small", "Non-local block on ResNet-18 cut short", 113, 161, 0x8d5034d7, 0x07f2e2c4},
    {"nonlocal50", "Non-local block on ResNet-50", 465, 465, 0x2046d1be, 0x19f1aa54},
    {"psanet101", "PSANet on ResNet-101, collect and distribute", 465, 465, 0x11f668ad, 0x4053fe8a},
    {"psanet101_collect", "PSANet on ResNet-101, collect only", 465, 465, 0x21a9edf7, 0x1991bf0d},
    {"psanet101_collect_compact", "PSANet on ResNet-101, collect only, compact", 465, 465, 0x94617ab1, 0x37095856},
    {"psanet101_compact", "PSANet on ResNet-101, collect and distribute, compact", 465, 465, 0x1f2f4139, 0x425e0d76},
    {"psanet101_distribute", "PSANet on ResNet-101, distribute only", 465, 465, 0xead1d28b, 0xc5b0a63e},
    {"psanet18", "PSANet on ResNet-18, collect and distribute", 465, 465, 0xdbb2b66a, 0xc4920be6},
    {"psanet18_collect", "PSANet on ResNet-18, collect only", 465, 465, 0x2bbd9781, 0x01ee8e34},
    {"psanet18_collect_compact", "PSANet on ResNet-18, collect only, compact", 465, 465, 0x7386aaad, 0xb7d71b42},
    {"psanet18_compact", "PSANet on ResNet-18, collect and distribute, compact", 465, 465, 0xa9bcdbb2, 0x41ec0026},
    {"psanet18_distribute", "PSANet on ResNet-18, distribute only", 465, 465, 0xf4c200e6, 0x55edd2ed},
    {"psanet18_small", "PSANet on ResNet-18 cut short, collect and distribute", 113, 161, 0x4c44f8b7, 0xdc89c0a3},
    {"psanet18_small_collect", "PSANet on ResNet-18 cut short, collect only", 113, 161, 0xe93639fe, 0xeab5372b},
    {"psanet18_small_collect_compact", "PSANet on ResNet-18 cut short, collect only, compact", 113, 161, 0xe58df159,
     0x66d2f9ad},
    {"psanet18_small_compact", "PSANet on ResNet-18 cut short, collect and distribute, compact", 113, 161, 0xaa9625bf,
     0xf7577714},
    {"psanet18_small_distribute", "PSANet on ResNet-18 cut short, distribute only", 113, 161, 0xa8046b6d, 0xadd06352},
    {"psanet50", "PSANet on ResNet-50, collect and distribute", 465, 465, 0x3a7f097d, 0x4102c48c},
    {"psanet50_caffe", "PSANet on ResNet-50 as in the Caffe release", 465, 465, 0x15c9871c, 0x132c1a4d},
    {"psanet50_caffe_voc", "PSANet on ResNet-50 as in the Caffe release for VOC 2012, truncated mask", 465, 465,
     0x9908794c, 0x0738ff3d},
    {"psanet50_caffe_voc_compact", "PSANet on ResNet-50 as in the Caffe release for VOC 2012, compact", 465, 465,
     0x6a962bc2, 0xf4595e0b},
    {"psanet50_collect", "PSANet on ResNet-50, collect only", 465, 465, 0xed7d6123, 0x7e90a34b},
    {"psanet50_collect_compact", "PSANet on ResNet-50, collect only, compact", 465, 465, 0xcd352a24, 0x2d99020e},
    {"psanet50_compact", "PSANet on ResNet-50, collect and distribute, compact", 465, 465, 0x250d9a8a, 0x060c3ce9},
    {"psanet50_distribute", "PSANet on ResNet-50, distribute only", 465, 465, 0x7d8a7702, 0xcd540071},
    {"psanet50_mmseg", "PSANet on ResNet-50 as in mmsegmentation, 769 pixels", 769, 769, 0x4bf2d095, 0x4029fb12},
    {"psanet50_mmseg_ade", "PSANet on ResNet-50 as in mmsegmentation, 512 pixels", 512, 512, 0x1d6bf521, 0xa9f33fb7},
    {"pspnet101", "PSPNet on ResNet-101", 473, 473, 0xb28d5842, 0x10b9a892},
    {"pspnet18", "PSPNet on ResNet-18", 473, 473, 0xd6bdf335, 0xbfb39045},
    {"pspnet18_small", "PSPNet on ResNet-18 cut short", 113, 161, 0x13c831aa, 0xabc4f4d7},
    {"pspnet50", "PSPNet on ResNet-50", 473, 473, 0xf88063c2, 0x11ec6f13}};

uint32_t checksum(const Graph& graph) {
  const std::string text = describe(graph).dump(1);
  return crc32c(text.data(), text.size());
}

}  // namespace

TEST_CASE("families: the names that users type are those that they were") {
  std::vector<std::string> names;
  for (const Known& known : kModels) names.push_back(known.name);
  CHECK(our_models() == names);
}

TEST_CASE("families: every name is the same network as before") {
  for (const Known& known : kModels) {
    DYNAMIC_SECTION(known.name) {
      const Model model = read_model(known.name);
      CHECK(model.about == known.about);
      CHECK(model.crop_h == known.crop_h);
      CHECK(model.crop_w == known.crop_w);
      CHECK(checksum(model.build({Mode::train, 2})) == known.train);
      CHECK(checksum(model.build({Mode::eval, 1})) == known.eval);
    }
  }
}

TEST_CASE("families: a name is found with its ending and in our folder and the file as it stands is a model too") {
  const auto same = [](const std::string& name, const std::string& as) {
    return read_model(name).about == read_model(as).about;
  };
  CHECK(same("psanet50_collect.json", "psanet50_collect"));
  CHECK(same((models_dir() / "psanet50_collect.json").string(), "psanet50_collect"));
  CHECK(same((models_dir() / "psanet50_collect").string(), "psanet50_collect"));
  CHECK(read_model((models_dir() / "fcn.json").string()).about == "Dilated FCN on a ResNet");
  check_message(message_of([] { read_model("psanet"); }),
                {"psanet: no such model file", "want a path or one of aspp101"});
  check_message(message_of([] { read_model("fcn"); }), {"fcn: no such model file; want a path or one of"});
  check_message(message_of([] { read_model("nowhere/psanet50"); }), {"nowhere/psanet50: no such model file, did you"});
}

TEST_CASE("families: the values that a name chooses can be set") {
  const auto checksum_with = [](const char* name, const json& settings) {
    return checksum(read_model(name, settings).build({Mode::eval, 1}));
  };
  CHECK(checksum_with("psanet50", {{"resnet", "resnet101"}}) == checksum_with("psanet101", json::object()));
  CHECK(checksum_with("psanet50", {{"branches", "collect"}}) == checksum_with("psanet50_collect", json::object()));
  check_message(message_of([] {
                  read_model("psanet50", {{"resnet", "resnet51"}});
                }),
                {"psanet.json: use[1]: no file \"blocks/resnet51.json\""});
  check_message(message_of([] {
                  read_model("psanet50", {{"resnet", 50}});
                }),
                {"psanet.json: use[1]: \"blocks/$resnet.json\": $resnet is 50, want a string of letters"});
  check_message(message_of([] {
                  read_model("psanet50", {{"resnet", "../x"}});
                }),
                {"$resnet is \"../x\", want a string"});
}

TEST_CASE("families: a file with names says what is wrong with them") {
  const TemporaryFolder folder;
  const std::string file = (folder / "m.json").string();
  const auto said = [&](const std::string& names, const std::string& use) {
    std::ofstream(file) << "{\"let\": {\"classes\": 2, \"crop_h\": 9, \"crop_w\": 9, \"net\": \"a\"}, \"names\": "
                        << names << ", \"use\": [" << use
                        << "], \"graph\": [{\"op\": \"conv2d\", \"name\": \"c\", \"out_channels\": 2}], "
                           "\"outputs\": {\"logits\": \"c\"}}";
    return message_of([&] { read_model(file).build({}); });
  };
  CHECK(said("{}", "") == "no error");
  CHECK(said("{\"x\": {\"let\": {\"net\": \"b\"}}}", "") == "no error");
  check_message(said("[]", ""), {"m.json: names: found [], want an object"});
  check_message(said("{\"x\": 1}", ""), {"m.json: names.x: found 1, want an object"});
  check_message(said("{\"x\": {\"lets\": {}}}", ""), {"m.json: names.x: unknown key \"lets\", did you mean \"let\"?"});
  check_message(said("{}", "\"$nett.json\""),
                {"m.json: use[0]: \"$nett.json\": there is no let \"nett\"", "did you mean \"net\"?"});
  check_message(said("{}", "\"$.json\""), {"m.json: use[0]: \"$.json\": there is no let \"\""});
  check_message(said("{}", "\"$crop_h.json\""), {"$crop_h is 9, want a string"});
  check_message(said("{}", "\"$net.json\""), {"m.json: use[0]: no file \"a.json\""});
}
