#include "data/dataset.h"

#include <nlohmann/json.hpp>
#include <set>

#include "data/codec.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "data/samples.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;
using nlohmann::json;

namespace {

json small_description() {
  return json::parse(
      R"({"name": "small", "classes": [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [4, 5, 6]}],
                         "lists": {"train": "train.txt"}})");
}

std::string complaint(const json& document) {
  return message_of<DataError>([&] { dataset_from_json(document, "small.json"); });
}

}  // namespace

TEST_CASE("the datasets that come with psanet have their classes, colours and label maps") {
  const Dataset ade = load_dataset("ade20k");
  CHECK(ade.class_count() == 150);
  CHECK(ade.classes[0].name == "wall");
  CHECK(ade.classes[149].name == "flag");
  CHECK(ade.class_of[0] == kIgnore);
  CHECK(ade.class_of[1] == 0);
  CHECK(ade.class_of[150] == 149);
  CHECK(ade.class_of[151] == -1);
  CHECK(ade.file_value(149) == 150);

  const Dataset voc = load_dataset("voc2012");
  CHECK(voc.class_count() == 21);
  CHECK(voc.classes[15].name == "person");
  CHECK(voc.classes[15].color == Rgb{192, 128, 128});
  CHECK(voc.class_of[20] == 20);
  CHECK(voc.class_of[21] == -1);
  CHECK(voc.class_of[255] == kIgnore);

  const Dataset cityscapes = load_dataset("cityscapes");
  CHECK(cityscapes.class_count() == 19);
  const int ids[19] = {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33};
  for (int c = 0; c < 19; ++c) CHECK(cityscapes.file_value(c) == ids[c]);
  int ignored = 0;
  for (int v = 0; v < 34; ++v) ignored += cityscapes.class_of[std::size_t(v)] == kIgnore;
  CHECK(ignored == 34 - 19);
  CHECK(cityscapes.class_of[34] == -1);

  const Dataset camvid = load_dataset("camvid");
  CHECK(camvid.class_count() == 11);
  CHECK(camvid.class_of[10] == 10);
  CHECK(camvid.class_of[11] == kIgnore);
  CHECK(camvid.class_of[12] == -1);
}

TEST_CASE("the palette of label files has the colours of file values") {
  const auto city = load_dataset("cityscapes").file_palette();
  REQUIRE(city.size() == 256);
  CHECK(city[7] == Rgb{128, 64, 128});
  CHECK(city[33] == Rgb{119, 11, 32});
  CHECK(city[0] == Rgb{});
  CHECK(load_dataset("voc2012").file_palette()[255] == Rgb{224, 224, 192});
}

TEST_CASE("every description that comes with psanet can be read and names its splits") {
  const auto names = known_datasets();
  CHECK(names.size() >= 4);
  for (const std::string& name : names) {
    INFO(name);
    const Dataset dataset = load_dataset(name);
    CHECK(dataset.name == name);
    CHECK(dataset.lists.count("train") == 1);
    CHECK(dataset.lists.count("val") == 1);
    const auto classes = dataset.names();
    CHECK(std::set<std::string>(classes.begin(), classes.end()).size() == classes.size());
    CHECK(dataset.palette().size() == classes.size());
  }
}

TEST_CASE("a mistake in a dataset.json is named with its JSON path") {
  CHECK(dataset_from_json(small_description(), "small.json").class_count() == 2);
  auto document = small_description();
  document["clases"] = 1;
  contains(complaint(document), "did you mean \"classes\"");

  document = small_description();
  document["classes"][1]["colour"] = 1;
  contains(complaint(document), "/classes/1");

  document = small_description();
  document["classes"][1]["color"] = {1, 2, 300};
  contains(complaint(document), "/classes/1/color");

  document = small_description();
  document["classes"][1]["name"] = "a";
  contains(complaint(document), "second class named \"a\"");

  document = small_description();
  document["label_map"] = {{"0-1", "0-2"}};
  contains(complaint(document), "/label_map/0-1");
  document["label_map"] = {{"0", 0}, {"1", 2}};
  contains(complaint(document), "/label_map/1");
  document["label_map"] = {{"0-3", "ignore"}, {"2", 0}};
  contains(complaint(document), "mapped twice");
  document["label_map"] = {{"0", 0}};
  contains(complaint(document), "no file value stands for class 1");
  document["label_map"] = {{"x", 0}};
  contains(complaint(document), "wanted a file value");

  document = small_description();
  document.erase("lists");
  contains(complaint(document), "\"lists\" is missing");
  contains(complaint(json::array()), "wanted an object");
}

TEST_CASE("numbers of a dataset.json are not cut to what fits and lists not read as numbers") {
  const auto said = [](const char* key, const json& value) {
    auto document = small_description();
    document[key] = value;
    return complaint(document);
  };
  for (const json& number :
       {json(4294967296), json(-1), json(2), json(18446744073709551615u), json(0.5), json(1e300)}) {
    INFO(number);
    contains(said("label_map", {{"0", number}, {"1", 1}}), "small.json: at /label_map/0: found");
    contains(said("ignore_color", {number == json(2) ? json(256) : number, 0, 0}),
             "small.json: at /ignore_color/0: found");
  }
  contains(said("label_map", {{"0", json::array()}}), "/label_map/0: found []");
  contains(said("label_map", {{"0", "0-4294967296"}}), "/label_map/0");
  contains(said("label_map", {{"4294967296", 0}}), "wanted a file value");
  contains(said("label_map", json::object()), "/label_map: found {}, wanted an object of file value: class");
  contains(said("classes", std::vector<int>(256)), "256 classes");
  contains(said("classes", {1}), "/classes/0: found 1, wanted an object");
  contains(said("lists", json::array()), "/lists: found [], wanted an object of split");
  contains(said("lists", {{"train", 3}}), "/lists/train: found 3, wanted a string");
  contains(said("name", ""), "/name: found \"\", wanted a text");
}

TEST_CASE("a hostile dataset.json is one line: nesting and the same key twice and what is no file") {
  const TemporaryFolder folder;
  const auto said = [&](const std::string& text) {
    write_file_text(folder / "dataset.json", text);
    const std::string message = message_of<DataError>([&] { load_dataset(folder.path().string()); });
    CHECK(message.find('\n') == std::string::npos);
    return message;
  };
  contains(said(std::string(200000, '[')), "deeper than 64");
  contains(said("{\"name\": " + std::string(200000, '[')), "deeper than 64");
  contains(said("{\"name\": \"a\",\n\"name\": \"b\"}"),
           "the key \"name\" stands twice in one object, want it once (line 2");
  contains(said("{\"name\": 1e999}"), "number overflow");
  contains(said("{\"name\": \"\xff\"}"), "not JSON");
  contains(message_of<DataError>([] { load_dataset("/dev/zero"); }), "cannot read this file");
}

TEST_CASE("a dataset is found by name or path, an unknown name gets a suggestion") {
  contains(message_of<DataError>([] { load_dataset("ade20"); }), "did you mean \"ade20k\"");
  contains(message_of<DataError>([] { load_dataset("no/such/dataset.json"); }), "no such file");
  const TemporaryFolder folder;
  write_file_text(folder / "dataset.json", small_description().dump());
  CHECK(load_dataset(folder.path().string()).name == "small");
  CHECK(load_dataset((folder / "dataset.json").string()).name == "small");
  write_file_text(folder / "dataset.json", "{\n\"name\": \n}");
  contains(message_of<DataError>([&] { load_dataset(folder.path().string()); }), "line 3");
}

TEST_CASE("list files: pairs, blank lines, CRLF, tabs, and images alone where no labels are needed") {
  const TemporaryFolder folder;
  for (const char* name : {"a.png", "b.png", "with space.png"}) write_file_text(folder / name, "x");
  const Dataset dataset = made_up_dataset(2);
  write_file_text(folder / "train.txt", "a.png b.png\r\n\nwith space.png\tb.png\n  b.png   a.png");
  const auto samples = read_list(dataset, folder.path(), "train");
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].image == folder / "a.png");
  CHECK(samples[0].label == folder / "b.png");
  CHECK(samples[1].image == folder / "with space.png");
  CHECK(samples[2].image == folder / "b.png");
  write_file_text(folder / "test.txt", "a.png\nb.png\n");
  CHECK(read_list(dataset, folder.path(), "test").at(1).label.empty());
}

TEST_CASE("bad lists are errors that name list, line and the missing files") {
  const TemporaryFolder folder;
  const Dataset dataset = made_up_dataset(2);
  const auto complaint_of = [&](const std::string& split) {
    return message_of<DataError>([&] { read_list(dataset, folder.path(), split); });
  };
  contains(complaint_of("train"), "train.txt");
  contains(complaint_of("tran"), "did you mean \"train\"");
  write_file_text(folder / "train.txt", "\n\n");
  contains(complaint_of("train"), "list is empty");
  write_file_text(folder / "a.png", "x");
  write_file_text(folder / "train.txt", "a.png a.png\na.png\n");
  contains(complaint_of("train"), "line 2");
  write_file_text(folder / "train.txt", "a.png a.png a.png\n");
  contains(complaint_of("train"), "line 1: found 3 names");
  write_file_text(folder / "train.txt", "a.png p.png\nq.png r.png\ns.png a.png\n");
  const std::string missing = complaint_of("train");
  contains(missing, "4 of the listed files");
  contains(missing, "p.png");
  contains(missing, ", ...");
  contains(message_of<DataError>([&] { read_list(dataset, folder / "nowhere", "train"); }), "is not a folder");
}

TEST_CASE("a label value outside the map is an error that names value, file and place") {
  const TemporaryFolder folder;
  LabelMap label(4, 6, 1);
  label.at(2, 3) = 9;
  write_label_png(folder / "l.png", label);
  const std::string text = message_of<DataError>([&] { load_label(made_up_dataset(3), folder / "l.png"); });
  contains(text, "label value 9 at x=3 y=2");
  contains(text, "l.png");
}

TEST_CASE("an image and its label must have one size") {
  const TemporaryFolder folder;
  write_png(folder / "i.png", Image(4, 6));
  write_label_png(folder / "l.png", LabelMap(4, 5));
  const std::string text = message_of<DataError>([&] {
    load_sample(made_up_dataset(3), {folder / "i.png", folder / "l.png"});
  });
  contains(text, "5 x 4");
  contains(text, "6 x 4");
}

TEST_CASE("the ADE20K label map shifts file values by one") {
  const TemporaryFolder folder;
  LabelMap label(1, 3);
  label.labels = {0, 1, 150};
  write_label_png(folder / "l.png", label);
  CHECK(load_label(load_dataset("ade20k"), folder / "l.png").labels == std::vector<std::uint8_t>{255, 0, 149});
}
