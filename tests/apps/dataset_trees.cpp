#include "tests/apps/dataset_trees.h"

#include <fmt/format.h>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/file_bytes.h"
#include "tests/support/mat_writer.h"

namespace psanet::tests {
namespace {

namespace fs = std::filesystem;

constexpr int kHeight = 36, kWidth = 40;

void write_image(const fs::path& file) {
  data::make_folder(file.parent_path());
  data::Image image(kHeight, kWidth);
  std::size_t seed = std::hash<std::string>()(file.filename().string());
  for (auto& p : image.pixels) p = std::uint8_t((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
  if (file.extension() == ".png") {
    data::write_png(file, image);
  } else {
    data::write_jpeg(file, image);
  }
}

/// Stripes of the values first..last, and a border of another value.
data::LabelMap stripes(int first, int last, int border) {
  data::LabelMap label(kHeight, kWidth);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const bool edge = y == 0 || x == 0 || y == kHeight - 1 || x == kWidth - 1;
      label.at(y, x) = std::uint8_t(edge ? border : first + (y * kWidth + x) % (last - first + 1));
    }
  }
  return label;
}

void write_label(const fs::path& file, const data::LabelMap& label, std::span<const data::Rgb> palette = {}) {
  data::make_folder(file.parent_path());
  data::write_label_png(file, label, palette);
}

void make_camvid(const fs::path& root, const std::string& image_folder, const std::string& label_folder) {
  const std::pair<const char*, int> splits[] = {{"train", 3}, {"val", 2}, {"test", 2}};
  for (const auto& [split, count] : splits) {
    for (int i = 0; i < count; ++i) {
      const std::string name = fmt::format("0001TP_{}_{:06}.png", split, i);
      write_image(root / fmt::format(fmt::runtime(image_folder), split) / name);
      write_label(root / fmt::format(fmt::runtime(label_folder), split) / name, stripes(0, 10, 11));
    }
  }
}

}  // namespace

void make_ade20k(const fs::path& root) {
  const std::tuple<const char*, const char*, int> splits[] = {{"training", "train", 3}, {"validation", "val", 2}};
  for (const auto& [folder, short_name, count] : splits) {
    for (int i = 1; i <= count; ++i) {
      const std::string name = fmt::format("ADE_{}_{:08}", short_name, i);
      write_image(root / "ADEChallengeData2016/images" / folder / (name + ".jpg"));
      write_label(root / "ADEChallengeData2016/annotations" / folder / (name + ".png"), stripes(1, 150, 0));
    }
  }
}

void make_voc2012(const fs::path& root) {
  const fs::path base = root / "VOCdevkit/VOC2012", sets = base / "ImageSets/Segmentation";
  const auto palette = data::load_dataset("voc2012").file_palette();
  for (const char* name : {"2007_000001", "2007_000002", "2007_000003", "2007_000004", "2007_000005", "2008_000011",
                           "2008_000012", "2008_000013", "2009_000021"}) {
    write_image(base / "JPEGImages" / (std::string(name) + ".jpg"));
  }
  for (int i = 1; i <= 4; ++i)
    write_label(base / fmt::format("SegmentationClass/2007_00000{}.png", i), stripes(0, 20, 255), palette);
  data::make_folder(sets);
  data::write_file_text(sets / "train.txt", "2007_000001\n2007_000002\n");
  data::write_file_text(sets / "val.txt", "2007_000003\n2007_000004\n");
  data::write_file_text(sets / "test.txt", "2007_000005\n");
}

void make_sbd(const fs::path& root) {
  const fs::path base = root / "benchmark_RELEASE/dataset";
  data::make_folder(base / "cls");
  bool compressed = false;
  for (const char* name : {"2007_000001", "2007_000003", "2008_000011", "2008_000012", "2008_000013"}) {
    const data::LabelMap label = stripes(0, 20, 0);
    data::write_file_bytes(base / "cls" / (std::string(name) + ".mat"),
                           MatWriter().sbd(kHeight, kWidth, label.labels, compressed));
    compressed = !compressed;
  }
  data::write_file_text(base / "train.txt", "2007_000001\n2008_000011\n2008_000012\n");
  data::write_file_text(base / "val.txt", "2007_000003\n2008_000013\n");
}

void make_cityscapes(const fs::path& root) {
  for (const char* name :
       {"train/bonn/bonn_000000_000019", "train/bonn/bonn_000001_000019", "train/ulm/ulm_000000_000019",
        "val/lindau/lindau_000000_000019", "val/lindau/lindau_000001_000019", "test/berlin/berlin_000000_000019"}) {
    const std::string text = name;
    write_image(root / "leftImg8bit" / (text + "_leftImg8bit.png"));
    write_label(root / "gtFine" / (text + "_gtFine_labelIds.png"), stripes(0, 33, 3));
    write_image(root / "gtFine" / (text + "_gtFine_color.png"));  // also there, and not wanted
  }
}

void make_camvid_segnet(const fs::path& root) {
  make_camvid(root, "{}", "{}annot");
}

void make_camvid_folders(const fs::path& root) {
  make_camvid(root, "images/{}", "labels/{}");
}

}  // namespace psanet::tests
