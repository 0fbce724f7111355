#include "apps/submission.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <set>

#include "data/codec.h"
#include "data/error.h"
#include "data/image_formats.h"
#include "engine/error.h"

namespace psanet::apps {

namespace {

using data::ArchiveFormat;
using data::DataError;

const std::vector<SubmissionFormat>& formats() {
  static const std::vector<SubmissionFormat> all = {
      {"ade20k", ArchiveFormat::zip, "", "", ".png", false, 0, 0},
      {"voc2012", ArchiveFormat::tar_gz, "results/VOC2012/Segmentation/comp6_test_cls/", "", ".png", true, 0, 0},
      {"cityscapes", ArchiveFormat::zip, "", "_leftImg8bit", "_pred_labelIds.png", false, 1024, 2048},
  };
  return all;
}

/// File values of the classes, and whether a byte is one of them.
struct Values {
  explicit Values(const data::Dataset& dataset) {
    for (int c = 0; c < dataset.class_count(); ++c) {
      of_class.push_back(dataset.file_value(c));
      known[of_class.back()] = true;
    }
  }
  std::vector<std::uint8_t> of_class;
  std::array<bool, 256> known{};
};

/// The palette padded with black, as encode_label_png() writes it.
bool same_palette(std::vector<data::Rgb> a, std::vector<data::Rgb> b) {
  a.resize(256);
  b.resize(256);
  return a == b;
}

struct Checker {
  const SubmissionFormat& format;
  const data::Dataset& dataset;
  std::string shown;  // the archive, in messages
  std::map<std::string, const data::Sample*> wanted;
  std::set<std::string> found;
  Values values;
  std::vector<data::Rgb> palette;

  Checker(const SubmissionFormat& f, const data::Dataset& d, const std::vector<data::Sample>& samples,
          const std::string& name)
      : format(f), dataset(d), shown(name), values(d), palette(d.palette()) {
    for (const data::Sample& sample : samples) wanted[f.entry_of(sample.image)] = &sample;
  }

  void entry(const std::string& name, std::span<const std::uint8_t> bytes) {
    const auto it = wanted.find(name);
    if (it == wanted.end()) {
      throw DataError(
          fmt::format("{}: {} belongs to no image of the list; want names as {}", shown, name, wanted.begin()->first));
    }
    if (!found.insert(name).second) throw DataError(fmt::format("{}: {} is there twice; want it once", shown, name));
    const std::string where = shown + ": " + name;
    const data::LabelPng png = data::decode_label_png(bytes, where);
    check_size(where, png.label, *it->second);
    if (format.palette ? !same_palette(png.palette, palette) : !png.palette.empty()) {
      throw DataError(fmt::format("{}: {}; want {}; write it again with --submit {}", where,
                                  png.palette.empty() ? "it has no palette" : "it has another palette",
                                  format.palette ? "that of " + dataset.name : "one grey channel", format.name));
    }
    for (size_t i = 0; i < png.label.labels.size(); ++i) {
      const int value = png.label.labels[i];
      if (values.known[size_t(value)]) continue;
      const auto w = size_t(png.label.width);
      throw DataError(
          fmt::format("{}: value {} at x={} y={} stands for no class of {}; want {}..{} as label files have "
                      "them",
                      where, value, i % w, i / w, dataset.name, values.of_class.front(), values.of_class.back()));
    }
  }

  void check_size(const std::string& where, const data::LabelMap& label, const data::Sample& sample) const {
    int height = format.height, width = format.width;
    if (height == 0) {
      const data::Image image = data::read_image(sample.image);
      height = image.height;
      width = image.width;
    }
    if (label.height == height && label.width == width) return;
    throw DataError(fmt::format("{}: {} x {} pixels (width x height), want {} x {}{}; predict at the image's own size",
                                where, label.width, label.height, width, height,
                                format.height == 0 ? " as " + sample.image.string() : ", the server's size"));
  }
};

}  // namespace

std::string SubmissionFormat::entry_of(const std::filesystem::path& image) const {
  std::string stem = image.stem().string();
  if (stem.size() > strip.size() && stem.ends_with(strip)) stem.resize(stem.size() - strip.size());
  return folder + stem + append;
}

SubmissionFormat submission_format(const std::string& name) {
  for (const SubmissionFormat& format : formats()) {
    if (format.name == name) return format;
  }
  throw ConfigError(fmt::format("--submit: found \"{}\", want ade20k, voc2012 or cityscapes", name));
}

void check_submission(const SubmissionFormat& format, const data::Dataset& dataset,
                      const std::vector<data::Sample>& samples, const std::filesystem::path& archive,
                      const std::string& shown) {
  Checker checker(format, dataset, samples, shown.empty() ? archive.string() : shown);
  data::for_each_archived(
      archive, [&](const std::string& name, std::span<const std::uint8_t> bytes) { checker.entry(name, bytes); });
  for (const auto& [name, sample] : checker.wanted) {
    if (checker.found.contains(name)) continue;
    throw DataError(fmt::format("{}: {} is missing (of {} images of the list {} are there); predict {} too",
                                checker.shown, name, checker.wanted.size(), checker.found.size(),
                                sample->image.string()));
  }
}

SubmissionWriter::SubmissionWriter(SubmissionFormat format, const data::Dataset& dataset,
                                   std::vector<data::Sample> samples, const std::filesystem::path& archive)
    : format_(std::move(format)),
      dataset_(dataset),
      samples_(std::move(samples)),
      archive_(archive, format_.archive),
      path_(archive) {
  if (dataset.name != format_.name) {
    throw ConfigError(fmt::format("--submit {}: the network predicts classes of {}, want those of {}", format_.name,
                                  dataset.name, format_.name));
  }
  if (format_.palette) palette_ = dataset.palette();
}

void SubmissionWriter::add(const data::Sample& sample, const data::LabelMap& prediction) {
  const std::string name = format_.entry_of(sample.image);
  if (format_.height > 0 && (prediction.height != format_.height || prediction.width != format_.width)) {
    throw DataError(fmt::format("{}: {} x {} pixels (width x height), want {} x {}: the server takes no other size",
                                sample.image.string(), prediction.width, prediction.height, format_.width,
                                format_.height));
  }
  const Values values(dataset_);
  data::LabelMap file = prediction;
  for (std::uint8_t& v : file.labels) v = values.of_class.at(v);
  archive_.add(name, data::encode_label_png(file, palette_, path_.string() + ": " + name));
}

void SubmissionWriter::finish() {
  archive_.close();
  check_submission(format_, dataset_, samples_, archive_.temporary(), path_.string());
  archive_.commit();
}

}  // namespace psanet::apps
