#include "models/attention_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"
#include "layers/passes/passes.h"
#include "layers/resize.h"
#include "models/axis_taps.h"

namespace psanet::models {

namespace {

/// score[from -> to] of SPEC 1: 0 outside the mask.
float score(const kernels::PsaDims& d, const float* logits, int64_t from, int64_t to) {
  const float* scores = logits + from * d.logit_channels();
  if (d.compact) return scores[to];
  const int64_t row = (d.mask_h - 1) / 2 + to / d.width - from / d.width;
  const int64_t column = (d.mask_w - 1) / 2 + to % d.width - from % d.width;
  if (row < 0 || row >= d.mask_h || column < 0 || column >= d.mask_w) return 0;
  return scores[row * d.mask_w + column];
}

Graph logits_graph(const Graph& evaluation, Target target) {
  Graph graph = evaluation;
  graph.clear_outputs();
  for (const Node& node : evaluation.nodes()) {
    if (node.as<layers::Psa>() != nullptr) graph.output(node.name, node.inputs[1]);
  }
  if (graph.outputs().empty()) {
    throw ConfigError(
        "the model has no point-wise spatial attention to show; want a PSANet (psanet-info MODEL lists the ops)");
  }
  return layers::optimize_for_evaluation(graph, target);
}

/// The crop's first row (or column) that puts `at` nearest to the middle; negative: padding before the image.
double window_start(int64_t size, int64_t crop, double at) {
  if (size <= crop) return -static_cast<double>((crop - size) / 2);
  return std::clamp<double>(std::round(at) - static_cast<double>(crop / 2), 0, static_cast<double>(size - crop));
}

/// What a branch does: its mode. But that of the compact form says only how its scores are laid out, in which public
/// weights differ (SPEC 3), and nothing else in the graph tells the two directions apart: so there, for these pictures
/// alone, a branch that is called collect or distribute is one.
kernels::PsaMode direction_of(const std::string& name, const kernels::PsaDims& dims) {
  const std::string last = name.substr(name.rfind('.') + 1);
  if (dims.compact && last == "collect") return kernels::PsaMode::collect;
  return dims.compact && last == "distribute" ? kernels::PsaMode::distribute : dims.mode;
}

/// The image [height, width, 3] resized as the test protocol does.
std::vector<float> resized(const FloatImageView& image, PlaneSize size) {
  HostTaps rows, columns;
  rows.bilinear(image.height, size.height);
  columns.bilinear(image.width, size.width);
  std::vector<float> out(static_cast<size_t>(size.height * size.width * 3), 0.0f);
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      float* to = out.data() + (y * size.width + x) * 3;
      for (int64_t r = y * rows.taps; r < (y + 1) * rows.taps; ++r) {
        for (int64_t c = x * columns.taps; c < (x + 1) * columns.taps; ++c) {
          const float weight = rows.weight[static_cast<size_t>(r)] * columns.weight[static_cast<size_t>(c)];
          const float* from =
              image.pixels +
              (rows.index[static_cast<size_t>(r)] * image.width + columns.index[static_cast<size_t>(c)]) * 3;
          for (int k = 0; k < 3; ++k) to[k] += weight * from[k];
        }
      }
    }
  }
  return out;
}

/// A pixel of the image as a position of a map of `size`.
double map_coordinate(const AxisPlacement& axis, int64_t pixel, int64_t size, bool align_corners) {
  const double at = axis.in_crop(pixel), crop = static_cast<double>(axis.crop);
  if (!align_corners) return (at + 0.5) * static_cast<double>(size) / crop - 0.5;
  return axis.crop > 1 ? at * static_cast<double>(size - 1) / (crop - 1) : 0;
}

/// A place between two positions of an axis: the second one's share.
struct Between {
  bool shown = false;  // by the crop
  int64_t first = 0, second = 0;
  double share = 0;
};

Between between(const AxisPlacement& axis, int64_t pixel, int64_t size, bool align_corners) {
  const double in_crop = axis.in_crop(pixel);
  if (in_crop < -0.5 || in_crop > static_cast<double>(axis.crop) - 0.5) return {};
  const double at =
      std::clamp<double>(map_coordinate(axis, pixel, size, align_corners), 0, static_cast<double>(size - 1));
  const auto first = static_cast<int64_t>(at);
  return {true, first, std::min(first + 1, size - 1), at - static_cast<double>(first)};
}

/// How the map that an attention works on was made of a larger one.
bool aligned_corners(const Graph& graph, Value map) {
  const auto* resize = graph.node(map).as<layers::Resize>();
  return resize == nullptr || resize->align_corners;
}

}  // namespace

std::vector<float> attention_matrix(const kernels::PsaDims& d, const float* logits) {
  const int64_t positions = d.positions();
  std::vector<float> matrix(static_cast<size_t>(positions * positions));
  for (int64_t i = 0; i < positions; ++i) {
    float* row = matrix.data() + i * positions;
    for (int64_t j = 0; j < positions; ++j) {
      row[j] = d.mode == kernels::PsaMode::collect ? score(d, logits, i, j) : score(d, logits, j, i);
    }
    double sum = 1;
    if (d.softmax) {
      const float highest = *std::max_element(row, row + positions);
      sum = 0;
      for (int64_t j = 0; j < positions; ++j) sum += row[j] = std::exp(row[j] - highest);
    }
    for (int64_t j = 0; j < positions; ++j) row[j] = static_cast<float>(row[j] / sum) * d.scale;
  }
  return matrix;
}

std::string Attention::title() const {
  return mode == kernels::PsaMode::collect ? "collect" : "distribute";
}

std::vector<float> Attention::map_of(int64_t position) const {
  const auto positions = static_cast<size_t>(height * width), at = static_cast<size_t>(position);
  std::vector<float> map(positions);
  for (size_t k = 0; k < positions; ++k) {
    map[k] = matrix[mode == kernels::PsaMode::collect ? at * positions + k : k * positions + at];
  }
  return map;
}

int64_t position_of(const Placement& p, const Attention& attention, int64_t y, int64_t x) {
  const auto nearest = [&](const AxisPlacement& axis, int64_t pixel, int64_t size) {
    return std::clamp<int64_t>(std::lround(map_coordinate(axis, pixel, size, attention.align_corners)), 0, size - 1);
  };
  return nearest(p.y, y, attention.height) * attention.width + nearest(p.x, x, attention.width);
}

std::vector<float> over_image(const Placement& p, const Attention& attention, const std::vector<float>& map,
                              int64_t height, int64_t width) {
  std::vector<float> out(static_cast<size_t>(height * width), std::numeric_limits<float>::quiet_NaN());
  std::vector<Between> columns;
  for (int64_t x = 0; x < width; ++x) {
    columns.push_back(between(p.x, x, attention.width, attention.align_corners));
  }
  const auto at = [&](int64_t r, int64_t c) { return map[static_cast<size_t>(r * attention.width + c)]; };
  for (int64_t y = 0; y < height; ++y) {
    const Between row = between(p.y, y, attention.height, attention.align_corners);
    for (int64_t x = 0; x < width; ++x) {
      const Between& column = columns[static_cast<size_t>(x)];
      if (!row.shown || !column.shown) continue;
      const auto across = [&](int64_t r) {
        return (1 - column.share) * at(r, column.first) + column.share * at(r, column.second);
      };
      out[static_cast<size_t>(y * width + x)] =
          static_cast<float>((1 - row.share) * across(row.first) + row.share * across(row.second));
    }
  }
  return out;
}

AttentionReader::AttentionReader(Device& device, const Graph& evaluation, Parameters& parameters,
                                 ProtocolOptions options)
    : program_(device, logits_graph(evaluation, device.target()), parameters), options_(std::move(options)) {
  for (const Node& node : evaluation.nodes()) {
    const auto* psa = node.as<layers::Psa>();
    if (psa == nullptr) continue;
    kernels::PsaDims dims = layers::dims_of(*psa, evaluation.type(node.inputs[0]));
    dims.batch = 1;
    branches_.push_back({node.name, dims, aligned_corners(evaluation, node.inputs[0])});
  }
  const Type image = evaluation.type(evaluation.find_input("image"));
  crop_h_ = image[1];
  crop_w_ = image[2];
}

Placement AttentionReader::place(const FloatImageView& image, int64_t y, int64_t x) const {
  const PlaneSize size = scaled_size({image.height, image.width}, 1.0, options_);
  const auto along = [](int64_t pixels, int64_t scaled, int64_t crop, int64_t at) {
    AxisPlacement axis{static_cast<double>(scaled) / static_cast<double>(pixels), 0, crop};
    axis.offset = -window_start(scaled, crop, axis.in_crop(at));
    return axis;
  };
  return {along(image.height, size.height, crop_h_, y), along(image.width, size.width, crop_w_, x)};
}

std::vector<Attention> AttentionReader::read(const FloatImageView& image, const Placement& placement) {
  const PlaneSize size = scaled_size({image.height, image.width}, 1.0, options_);
  const std::vector<float> scaled = resized(image, size);

  Tensor input = program_.input("image");
  std::vector<float> crop(static_cast<size_t>(input.type().elements()), 0.0f);  // the mean, normalised, is 0
  const auto top = static_cast<int64_t>(placement.y.offset), left = static_cast<int64_t>(placement.x.offset);
  for (int64_t y = std::max<int64_t>(0, top); y < std::min(crop_h_, size.height + top); ++y) {
    for (int64_t x = std::max<int64_t>(0, left); x < std::min(crop_w_, size.width + left); ++x) {
      const float* from = scaled.data() + ((y - top) * size.width + x - left) * 3;
      float* to = crop.data() + (y * crop_w_ + x) * 3;
      for (size_t c = 0; c < 3; ++c) {
        to[options_.input.bgr ? 2 - c : c] = (from[c] - options_.input.mean[c]) / options_.input.std[c];
      }
    }
  }
  input.set(crop);
  program_.run();

  std::vector<Attention> all;
  for (const Branch& branch : branches_) {
    const Tensor output = program_.output(branch.name);
    std::vector<float> logits(static_cast<size_t>(output.type().elements()));
    output.get(std::span<float>(logits));
    all.push_back({branch.name, direction_of(branch.name, branch.dims), branch.dims.height, branch.dims.width,
                   attention_matrix(branch.dims, logits.data()), branch.align_corners});
  }
  return all;
}

}  // namespace psanet::models
