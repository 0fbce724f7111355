// PASCAL VOC 2012 with the augmented training set "train_aug": VOC's own segmentations of its training images, and
// SBD's of all other images that are not in VOC's validation set (10582 together). SBD's become palette PNGs in
// SegmentationClassAug/; a ready folder of that name is used as it is.
#include <fmt/format.h>

#include <set>

#include "data/error.h"
#include "data/list_file.h"
#include "data/prepare/layout.h"
#include "data/prepare/sbd.h"

namespace psanet::data {
namespace {

namespace fs = std::filesystem;

std::set<std::string> names_of(const fs::path& base, const std::string& list) {
  const fs::path file = base / "ImageSets" / "Segmentation" / list;
  std::set<std::string> names;
  for (const ListLine& line : read_list_lines(file)) names.insert(line.names[0]);
  return names;
}

std::set<std::string> without(std::set<std::string> names, const std::set<std::string>& others) {
  for (const std::string& name : others) names.erase(name);
  return names;
}

/// The folder with the SBD annotations, or "" if they are not needed because a ready SegmentationClassAug is there.
fs::path need_sbd(const PrepareOptions& options, const fs::path& base) {
  if (!options.sbd.empty()) {
    const fs::path sbd = find_sbd(options.sbd);
    if (!sbd.empty()) return sbd;
    throw DataError(
        fmt::format("voc2012: no folder {}; --sbd wants the unpacked SBD (benchmark_RELEASE), whose "
                    "dataset/cls holds *.mat",
                    (options.sbd / "dataset" / "cls").string()));
  }
  for (const fs::path& place : {options.root, base}) {
    if (const fs::path sbd = find_sbd(place); !sbd.empty()) return sbd;
  }
  const fs::path folder = base / "SegmentationClassAug";
  if (is_folder(folder)) return {};
  throw DataError(
      fmt::format("voc2012: no folder {} and no SBD below {}; unpack SBD (benchmark.tgz: benchmark_RELEASE) there, "
                  "give --sbd DIR, or copy a ready SegmentationClassAug folder",
                  folder.string(), options.root.string()));
}

/// Names whose annotation is still to be converted: in SBD, not in `done`.
std::set<std::string> names_to_convert(const fs::path& sbd, const std::set<std::string>& done,
                                       const PrepareOptions& options, std::vector<std::string>& remarks) {
  const std::set<std::string> wanted = without(sbd_names(sbd), done);
  std::set<std::string> missing;
  for (const std::string& name : wanted) {
    if (!is_there(sbd / "cls" / (name + ".mat"))) missing.insert(name);
  }
  if (missing.empty()) return wanted;
  if (!options.partial) {
    throw DataError(
        fmt::format("voc2012: {} of {} SBD annotations are missing (no {}); unpack SBD again, or give "
                    "--partial to do without",
                    missing.size(), wanted.size(), (sbd / "cls" / (*missing.begin() + ".mat")).string()));
  }
  remarks.push_back(fmt::format("{} of {} SBD annotations are missing", missing.size(), wanted.size()));
  return without(wanted, missing);
}

}  // namespace

FoundDataset find_voc2012(const Dataset& dataset, const PrepareOptions& options) {
  const fs::path base =
      find_base("voc2012", options.root,
                {"", "VOCdevkit/VOC2012", "VOC2012", "VOCtrainval_11-May-2012/VOCdevkit/VOC2012"}, "JPEGImages");
  const std::string fix = "unpack VOCtrainval_11-May-2012.tar (VOCdevkit/VOC2012) below --root";
  const fs::path images = need_folder("voc2012", base / "JPEGImages", fix),
                 own_labels = need_folder("voc2012", base / "SegmentationClass", fix);
  need_folder("voc2012", base / "ImageSets" / "Segmentation", fix);
  const std::set<std::string> train = names_of(base, "train.txt"), val = names_of(base, "val.txt");
  std::set<std::string> own = train;
  own.insert(val.begin(), val.end());

  FoundDataset found;
  const fs::path augmented = base / "SegmentationClassAug";
  std::set<std::string> done;
  if (is_folder(augmented)) {
    for (const fs::path& file : files_ending(augmented, ".png")) done.insert(file.stem().string());
  }
  std::set<std::string> to_convert;
  if (const fs::path sbd = need_sbd(options, base); !sbd.empty()) {
    std::set<std::string> known = own;
    known.insert(done.begin(), done.end());
    to_convert = names_to_convert(sbd, known, options, found.remarks);
    if (!to_convert.empty()) {
      found.remarks.push_back(
          fmt::format("{} annotations of SBD converted into {}", to_convert.size(), augmented.string()));
      found.finish = [=] { convert_sbd(sbd, to_convert, augmented, dataset, options); };
    }
  }

  const auto collect = [&](const std::string& split, std::size_t official, const std::set<std::string>& names) {
    // Asked for by name, so that the folder's other images do not count as images without a label.
    std::vector<fs::path> image_files, label_files;
    const auto label_of = [&](const fs::path& image) {
      const std::string name = image.stem().string();
      return (own.count(name) ? own_labels : augmented) / (name + ".png");
    };
    for (const std::string& name : names) {
      const fs::path image = images / (name + ".jpg"), label = label_of(image);
      if (is_there(image)) image_files.push_back(image);
      if (to_convert.count(name) || is_there(label)) label_files.push_back(label);
    }
    found.splits.push_back(
        pair_files("voc2012", split, official, image_files, label_files, label_of, options.partial, found.remarks));
  };
  std::set<std::string> train_aug = train;
  train_aug.insert(done.begin(), done.end());
  train_aug.insert(to_convert.begin(), to_convert.end());
  collect("train", 10582, without(train_aug, val));
  collect("val", 1449, val);

  // The test images come in an archive of their own.
  if (!is_there(base / "ImageSets" / "Segmentation" / "test.txt")) {
    found.remarks.push_back("no ImageSets/Segmentation/test.txt (VOC2012test.tar), so no list for the split test");
    return found;
  }
  std::vector<fs::path> test_images;
  for (const std::string& name : names_of(base, "test.txt")) {
    if (is_there(images / (name + ".jpg"))) test_images.push_back(images / (name + ".jpg"));
  }
  found.splits.push_back(images_only("test", 1456, test_images));
  return found;
}

}  // namespace psanet::data
