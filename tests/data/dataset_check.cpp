#include "data/dataset_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/codec.h"
#include "data/error.h"
#include "data/file_bytes.h"
#include "tests/data/made_up.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

/// A data root with good samples that tests then spoil.
struct Root {
  TemporaryFolder folder;
  Dataset dataset = made_up_dataset(3);

  explicit Root(int train = 3, int val = 2) {
    dataset.lists = {{"train", "train.txt"}, {"val", "val.txt"}, {"test", "test.txt"}};
    write_list("train", 0, train);
    write_list("val", train, train + val);
  }
  void write_list(const std::string& split, int first, int end) {
    std::string text;
    for (int i = first; i < end; ++i) {
      write_png(folder / fmt::format("{}.png", i), made_up_image(12, 15, i));
      write_label_png(folder / fmt::format("{}_label.png", i), made_up_label(12, 15, 3, i));
      text += fmt::format("{}.png {}_label.png\n", i, i);
    }
    write_file_text(folder / (split + ".txt"), text);
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  CheckReport check(int threads = 2, std::vector<std::string> splits = {}) const {
    return check_dataset(dataset, folder.path(), {.splits = std::move(splits), .threads = threads, .progress = {}});
  }
};

/// The texts of the problems of a kind.
std::vector<std::string> texts(const CheckReport& report, const std::string& kind) {
  std::vector<std::string> found;
  for (const Problem& p : report.problems) {
    if (p.kind == kind) found.push_back(p.text);
  }
  return found;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("check finds nothing in a good data set and counts what is in it") {
  const Root root;
  const CheckReport report = root.check();
  CHECK(report.problems.empty());
  REQUIRE(report.splits.size() == 2);  // there is no test.txt, and none is needed
  CHECK(report.splits[0].split == "train");
  CHECK(report.splits[0].samples == 3);
  CHECK(report.splits[0].good == 3);
  CHECK(report.splits[0].pixels == 3 * 12 * 15);
  std::int64_t sum = report.splits[0].ignored_pixels;
  for (const std::int64_t count : report.splits[0].class_pixels) sum += count;
  CHECK(sum == 3 * 12 * 15);
}

TEST_CASE("check lists every kind of spoilt file with its fix, not only the first") {
  Root root(9);
  std::filesystem::remove(root.path("0.png"));
  write_jpeg(root.path("0.jpg"), made_up_image(12, 15, 0));
  std::filesystem::remove(root.path("1_label.png"));
  auto bytes = read_file_bytes(root.path("2.png"));
  bytes.resize(bytes.size() / 2);
  write_file_bytes(root.path("2.png"), bytes);
  write_png(root.path("3_label.png"), made_up_image(12, 15));
  write_label_png(root.path("4_label.png"), made_up_label(12, 14, 3));
  LabelMap unknown = made_up_label(12, 15, 3);
  unknown.at(0, 0) = unknown.at(1, 1) = 7;
  unknown.at(2, 2) = 9;
  write_label_png(root.path("5_label.png"), unknown);
  write_label_png(root.path("6_label.png"), LabelMap(12, 15, 255));
  LabelMap mask(12, 15, 0);
  for (int x = 0; x < 15; ++x) mask.at(3, x) = std::uint8_t(x * 17);
  write_label_png(root.path("7_label.png"), mask);
  write_file_text(root.path("8_label.png"), "");

  const CheckReport report = root.check();
  CHECK(texts(report, "missing file") ==
        Texts{root.path("0.png") + ": no such file; there is 0.jpg: correct the list",
              root.path("1_label.png") + ": no such file; copy it there or take the line out of the list"});
  CHECK(texts(report, "unreadable image") ==
        Texts{root.path("2.png") + ": the PNG is truncated or damaged (it ends too early); copy or download it again"});
  CHECK(texts(report, "unreadable label") ==
        Texts{root.path("3_label.png") +
                  ": the label PNG is RGB, wanted class indices; convert it to one 8-bit grey channel (or a palette) "
                  "whose values are the class indices",
              root.path("8_label.png") + ": the file is empty; copy it again"});
  CHECK(texts(report, "different sizes") ==
        Texts{root.path("4_label.png") + ": the label is 14 x 12 pixels (width x height), its image " +
              root.path("4.png") + " is 15 x 12; make them equal (labels by nearest neighbour)"});
  CHECK(texts(report, "unknown label value") ==
        Texts{root.path("5_label.png") +
                  ": values that made-up does not have: 7 (2 pixels), 9 (1 pixel) (it has 0..2, 255); correct the "
                  "label, or the label_map in made-up.json",
              root.path("7_label.png") +
                  ": values that made-up does not have: 17 (1 pixel), 34 (1 pixel), 51 (1 pixel), 68 (1 pixel), 85 "
                  "(1 pixel), 102 (1 pixel) and 8 more (it has 0..2, 255); these look like grey levels or colours, "
                  "not class indices: convert the label without scaling"});
  CHECK(texts(report, "label without a class") ==
        Texts{root.path("6_label.png") +
              ": not one pixel has a class; nothing is learnt from it: take it out of the list"});
  CHECK(report.count(Severity::error) == 8);
  CHECK(report.count(Severity::warning) == 1);
  CHECK(report.splits[0].good == 1);
  for (const Problem& p : report.problems) CHECK(p.line > 0);
}

TEST_CASE("check gives the same report for any number of threads") {
  Root root(12);
  for (const int i : {1, 4, 5, 9}) std::filesystem::remove(root.path(fmt::format("{}_label.png", i)));
  const CheckReport one = root.check(1), three = root.check(3);
  REQUIRE(one.problems.size() == 4);
  REQUIRE(three.problems.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(one.problems[i].text == three.problems[i].text);
  CHECK(one.splits[0].class_pixels == three.splits[0].class_pixels);
}

TEST_CASE("check finds images that stand twice in a list or in two splits, and equal pictures under other names") {
  Root root;
  write_file_text(root.path("train.txt"),
                  "0.png 0_label.png\n1.png 1_label.png\n\n0.png 0_label.png\n2.png 1_label.png\n");
  write_file_text(root.path("val.txt"), "./1.png 1_label.png\n4.png 4_label.png\n");
  std::filesystem::copy_file(root.path("2.png"), root.path("4.png"), std::filesystem::copy_options::overwrite_existing);
  const CheckReport report = root.check();
  const std::string train = root.path("train.txt");
  CHECK(texts(report, "duplicate line") ==
        Texts{root.path("0.png") + ": line 1 of " + train + " names it already; take one line out"});
  CHECK(texts(report, "image in two splits") ==
        Texts{root.path("./1.png") + ": line 2 of " + train +
              " (split train) names it, too; scores of one split would be no test: take it out of one of them"});
  CHECK(texts(report, "label used twice") == Texts{root.path("1_label.png") + ": line 2 of " + train +
                                                   " uses the same label for another image; correct one of the lines"});
  CHECK(texts(report, "equal pictures") ==
        Texts{root.path("4.png") + ": the same pixels as " + root.path("2.png") + " (train); keep one of them"});
  CHECK(report.problems[0].line == 4);
}

TEST_CASE("check finds lists that are missing, empty or malformed, and goes on") {
  Root root;
  write_file_text(root.path("train.txt"), "0.png\n1.png 1_label.png\na b c\n");
  std::filesystem::remove(root.path("val.txt"));
  write_file_text(root.path("test.txt"), "3.png\n");
  const CheckReport report = root.check();
  CHECK(texts(report, "malformed line") ==
        Texts{root.path("train.txt") + ": line 1: found 1 names, wanted \"image label\"",
              root.path("train.txt") +
                  ": line 3: found 3 names, wanted \"image label\" (use a tab between names that hold spaces)"});
  CHECK(texts(report, "missing list") ==
        Texts{root.path("val.txt") +
              ": no such list; psanet-data prepare made-up writes it, or write one \"image label\" "
              "pair a line"});
  REQUIRE(report.splits.size() == 3);
  CHECK(report.splits[0].good == 1);
  CHECK(report.splits[2].good == 1);
  write_file_text(root.path("train.txt"), "\n");
  CHECK(texts(root.check(2, {"train"}), "empty list").size() == 1);
  CHECK(message_of<DataError>([&] { root.check(1, {"trian"}); }) ==
        "made-up.json: no list for the split \"trian\"; did you mean \"train\"?");
}

TEST_CASE("check names classes that never occur") {
  Root root;
  for (int i = 0; i < 3; ++i) write_label_png(root.path(fmt::format("{}_label.png", i)), LabelMap(12, 15, 1));
  const CheckReport report = root.check();
  CHECK(texts(report, "class never occurs") ==
        Texts{root.path("train.txt") + ": 2 of 3 classes never occur: class 0, class 2; a network cannot learn them"});
  CHECK(report.count(Severity::error) == 0);
}

TEST_CASE("check sees trainIds where Cityscapes wants labelIds, though every value is known") {
  Root root;
  root.dataset = load_dataset("cityscapes");
  root.dataset.lists = {{"train", "train.txt"}};
  for (int i = 0; i < 3; ++i) write_label_png(root.path(fmt::format("{}_label.png", i)), made_up_label(12, 15, 19, i));
  CHECK(
      texts(root.check(), "other coding") ==
      Texts{root.path("train.txt") +
            ": all labels hold 0..18 and 255 only: these look like class indices (trainIds) where file values (such as "
            "33 for bicycle) are wanted; use the original label files, they are mapped while reading"});
  LabelMap ids = made_up_label(12, 15, 19);
  for (auto& v : ids.labels) v = v == kIgnore ? std::uint8_t(0) : root.dataset.file_value(v);
  write_label_png(root.path("0_label.png"), ids);
  CHECK(texts(root.check(), "other coding").empty());
}

TEST_CASE("check says of converted ADE20K labels that the originals are wanted") {
  Root root;
  root.dataset = load_dataset("ade20k");
  root.dataset.lists = {{"train", "train.txt"}};
  const auto found = texts(root.check(), "unknown label value");
  REQUIRE(found.size() == 1);
  CHECK(
      found[0].find("values that ade20k does not have: 255 (1 pixel) (it has 0..150); pixels without a class are 0 in "
                    "ade20k: the label was converted already; use the original files") != std::string::npos);
}
