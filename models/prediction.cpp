#include "models/prediction.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/error.h"
#include "kernels/loss.h"
#include "kernels/softmax.h"
#include "layers/passes/passes.h"
#include "layers/resize.h"
#include "layers/softmax.h"

namespace psanet::models {

namespace {

/// The first values of a buffer.
template <class T>
void read(Device& device, const GrowingBuffer& buffer, std::vector<T>& values) {
  device.visit([&](auto& ctx) {
    kernels::copy_to_host(ctx, values.data(), buffer.values<T>(), static_cast<int64_t>(values.size() * sizeof(T)));
  });
}

/// Windows that cover each place of an axis.
void count_visits(const std::vector<int64_t>& starts, int64_t window, int64_t size, std::vector<int32_t>& visits) {
  visits.assign(static_cast<size_t>(size), 0);
  for (int64_t start : starts) {
    for (int64_t i = start; i < start + window; ++i) ++visits[static_cast<size_t>(i)];
  }
}

}  // namespace

Graph prediction_graph(const Graph& evaluation, Target target, bool softmax) {
  Graph graph = evaluation;
  Value scores = graph.output("logits");
  if (!scores) throw ConfigError("the model has no output \"logits\"");
  const Type crop = graph.type(graph.find_input("image"));
  if (graph.type(scores)[1] != crop[1] || graph.type(scores)[2] != crop[2]) {
    scores = graph.add("prediction.resize", layers::Resize{crop[1], crop[2], true}, {scores});
  }
  if (softmax) scores = graph.add("prediction.softmax", layers::Softmax{}, {scores});
  graph.clear_outputs();
  graph.output(softmax ? "probabilities" : "logits", scores);
  return layers::optimize_for_evaluation(graph, target);
}

Predictor::Predictor(Device& device, const Graph& evaluation, Parameters& parameters, ProtocolOptions options,
                     std::optional<ResizableNetwork> resizable, int64_t programs_bytes)
    : device_(device),
      options_(std::move(options)),
      rules_(rules_of(options_.protocol)),
      resizable_(std::move(resizable)),
      programs_(
          device, parameters,
          [this, evaluation](PlaneSize size) {
            const Graph graph = size == crop_ ? evaluation : resizable_->graph(batch_, size);
            return prediction_graph(graph, device_.target(), rules_.averaged == Averaged::probabilities);
          },
          programs_bytes) {
  options_.check();
  const Type image = evaluation.type(evaluation.find_input("image"));
  batch_ = image[0];
  crop_ = {image[1], image[2]};
  if (rules_.whole && !resizable_) {
    throw ConfigError("the protocol whole needs a network that can be built for other sizes");
  }
  if (const int64_t most = std::min(crop_.height, crop_.width); options_.stride > most) {
    throw ConfigError(fmt::format("stride: found {}, which leaves gaps between windows of {}x{}; want at most {}",
                                  options_.stride, crop_.height, crop_.width, most));
  }
  // Parameters are there, and errors come, before the first image.
  const Graph& graph = programs_.of(crop_).program().graph();
  classes_ = graph.type(graph.outputs().begin()->second)[3];
  if (classes_ > 255) throw ConfigError(fmt::format("found {} classes, want at most 255: labels are bytes", classes_));
  clear_confusion();
}

const std::vector<float>& Predictor::probabilities(const FloatImageView& image) {
  predict(image);
  probabilities_.resize(static_cast<size_t>(image.height * image.width * classes_));
  read(device_, sum_, probabilities_);
  return probabilities_;
}

std::vector<uint8_t> Predictor::labels(const FloatImageView& image) {
  predict_labels(image);
  return last_labels();
}

void Predictor::score(const FloatImageView& image, std::span<const uint8_t> truth) {
  predict_labels(image);
  const int64_t pixels = image.height * image.width;
  if (static_cast<int64_t>(truth.size()) != pixels) {
    throw std::logic_error(fmt::format("a truth of {} pixels for an image of {}", truth.size(), pixels));
  }
  count(labels_.values<uint8_t>(), truth);
}

void Predictor::count(std::span<const uint8_t> labels, std::span<const uint8_t> truth) {
  if (labels.size() != truth.size()) throw std::logic_error("labels and truth of different sizes");
  count(labels_.hold(labels), truth);
}

void Predictor::count(const uint8_t* labels, std::span<const uint8_t> truth) {
  const uint8_t* on_device = truth_.hold(truth);
  device_.visit([&](auto& ctx) {
    kernels::confusion_counts(ctx, static_cast<int64_t>(truth.size()), classes_, 255, labels, on_device,
                              counts_.values<int64_t>());
  });
}

std::vector<uint8_t> Predictor::last_labels() const {
  std::vector<uint8_t> labels(static_cast<size_t>(image_size_.height * image_size_.width));
  read(device_, labels_, labels);
  return labels;
}

std::vector<int64_t> Predictor::confusion() const {
  std::vector<int64_t> counts(static_cast<size_t>(classes_ * classes_));
  read(device_, counts_, counts);
  return counts;
}

void Predictor::clear_confusion() {
  auto* counts = counts_.room_for<int64_t>(classes_ * classes_);
  device_.visit([&](auto& ctx) { kernels::fill_zero(ctx, counts, classes_ * classes_ * size_bytes(DType::i64)); });
}

int64_t Predictor::buffer_bytes() const {
  int64_t sum = 0;
  for (const GrowingBuffer* buffer : {&picture_, &plane_, &accumulated_, &pair_, &sum_, &labels_, &truth_, &counts_,
                                      &row_index_, &row_weight_, &column_index_, &column_weight_}) {
    sum += buffer->bytes();
  }
  return sum;
}

void Predictor::predict(const FloatImageView& image) {
  image_size_ = {image.height, image.width};
  const int64_t pixels = image.height * image.width;
  picture_.hold(std::span<const float>(image.pixels, static_cast<size_t>(pixels * 3)));
  auto* sum = sum_.room_for<float>(pixels * classes_);
  device_.visit([&](auto& ctx) { kernels::fill_zero(ctx, sum, pixels * classes_ * size_bytes(DType::f32)); });
  for (double scale : options_.scales) add_scale(image, scale);
}

void Predictor::predict_labels(const FloatImageView& image) {
  predict(image);
  auto* labels = labels_.room_for<uint8_t>(image.height * image.width);
  const kernels::ResizeDims as_it_is{1, image.height, image.width, classes_, image.height, image.width, true};
  device_.visit([&](auto& ctx) { kernels::resize_argmax(ctx, as_it_is, sum_.values<float>(), labels); });
}

kernels::AxisTaps Predictor::on_device(const HostTaps& taps, GrowingBuffer& index, GrowingBuffer& weight) {
  return {taps.out, taps.taps, index.hold(std::span<const int32_t>(taps.index)),
          weight.hold(std::span<const float>(taps.weight))};
}

void Predictor::add_scale(const FloatImageView& image, double scale) {
  const auto resize = [&](HostTaps& taps, int64_t in, int64_t out) {
    rules_.matlab ? taps.imresize(in, out) : taps.bilinear(in, out);
  };
  const PlaneSize size = scaled_size({image.height, image.width}, scale, options_);
  const PlaneSize window = rules_.whole ? resizable_->fit(size) : crop_;
  SizedProgram& program = programs_.of(window);
  const PlaneSize plane{std::max(size.height, window.height), std::max(size.width, window.width)};
  // Evenly around the picture, the odd pixel at the bottom and the right; or all of it there.
  const int64_t top = rules_.centred ? (plane.height - size.height) / 2 : 0;
  const int64_t left = rules_.centred ? (plane.width - size.width) / 2 : 0;

  resize(rows_, image.height, size.height);
  resize(columns_, image.width, size.width);
  kernels::InputPlaneDims input;
  input.picture_w = image.width;
  input.height = plane.height;
  input.width = plane.width;
  input.top = top;
  input.left = left;
  input.rows = on_device(rows_, row_index_, row_weight_);
  input.columns = on_device(columns_, column_index_, column_weight_);
  input.round_to_bytes = rules_.matlab;
  std::copy_n(options_.input.mean.begin(), 3, input.mean);
  std::copy_n(options_.input.std.begin(), 3, input.std);
  input.bgr = options_.input.bgr;
  auto* pixels = plane_.room_for<float>(plane.height * plane.width * 3);
  device_.visit([&](auto& ctx) { kernels::make_input_plane(ctx, input, picture_.values<float>(), pixels); });

  // Back to the image's size: the places of the plane that are read hold sums over the windows that cover them.
  window_starts(plane.height, window.height, options_.stride, tops_);
  window_starts(plane.width, window.width, options_.stride, lefts_);
  count_visits(tops_, window.height, plane.height, row_visits_);
  count_visits(lefts_, window.width, plane.width, column_visits_);
  resize(rows_, size.height, image.height);
  resize(columns_, size.width, image.width);
  rows_.average(row_visits_, top);
  columns_.average(column_visits_, left);
  const bool apart = rules_.averaged == Averaged::scores && options_.mirror;  // mirror images are a pass of their own
  const bool both = rules_.averaged == Averaged::probabilities && options_.mirror;  // each place is visited twice
  kernels::ScoreDims back;
  back.plane_w = plane.width;
  back.channels = classes_;
  back.rows = on_device(rows_, row_index_, row_weight_);
  back.columns = on_device(columns_, column_index_, column_weight_);
  back.finish = rules_.finish;
  back.weight = 1.0f / static_cast<float>(static_cast<int64_t>(options_.scales.size()) * (apart || both ? 2 : 1));

  auto* accumulated = accumulated_.room_for<float>(plane.height * plane.width * classes_);
  for (int pass = 0; pass < (apart ? 2 : 1); ++pass) {
    list_windows(pass == 0, apart ? pass == 1 : options_.mirror);
    device_.visit([&](auto& ctx) {
      kernels::fill_zero(ctx, accumulated, plane.height * plane.width * classes_ * size_bytes(DType::f32));
    });
    run_windows(program, window, plane.width);
    device_.visit([&](auto& ctx) { kernels::add_resized_scores(ctx, back, accumulated, sum_.values<float>()); });
  }
}

void Predictor::list_windows(bool plain, bool mirrored) {
  windows_.clear();
  for (int64_t top : tops_) {
    for (int64_t left : lefts_) {
      if (plain) windows_.push_back({top, left, false});
      if (mirrored) windows_.push_back({top, left, true});
    }
  }
}

void Predictor::run_windows(SizedProgram& program, PlaneSize size, int64_t plane_w) {
  float* images = program.images();
  const int64_t window_pixels = size.height * size.width;
  const auto windows = static_cast<int64_t>(windows_.size());
  for (int64_t first = 0; first < windows; first += batch_) {
    const int64_t count = std::min(batch_, windows - first);
    for (int64_t b = 0; b < count; ++b) {
      const Window& w = windows_[static_cast<size_t>(first + b)];
      const kernels::WindowDims dims{plane_w, size.height, size.width, 3, w.top, w.left, w.mirrored};
      device_.visit(
          [&](auto& ctx) { kernels::cut_window(ctx, dims, plane_.values<float>(), images + b * window_pixels * 3); });
    }
    program.program().run();
    const float* scores = program.scores();
    for (int64_t b = 0; b < count; ++b) {
      gather(windows_[static_cast<size_t>(first + b)], size, plane_w, scores + b * window_pixels * classes_);
    }
  }
}

/// Windows come one after the other in the order of the list, whatever the batch: so do the additions.
void Predictor::gather(const Window& w, PlaneSize size, int64_t plane_w, const float* scores) {
  auto* accumulated = accumulated_.values<float>();
  const kernels::WindowDims place{plane_w, size.height, size.width, classes_, w.top, w.left, w.mirrored};
  if (rules_.averaged != Averaged::pairs) {
    device_.visit([&](auto& ctx) { kernels::add_window(ctx, place, scores, accumulated); });
    return;
  }
  const int64_t values = size.height * size.width * classes_;
  auto* pair = pair_.room_for<float>(values);
  kernels::WindowDims alone = place, upright = place;
  alone.plane_w = size.width;
  alone.top = alone.left = 0;
  upright.mirrored = false;
  device_.visit([&](auto& ctx) {
    if (!w.mirrored) kernels::fill_zero(ctx, pair, values * size_bytes(DType::f32));
    kernels::add_window(ctx, alone, scores, pair);
    if (options_.mirror && !w.mirrored) return;  // its mirror image comes next
    kernels::softmax_forward(ctx, {size.height * size.width, classes_}, pair, pair);
    kernels::add_window(ctx, upright, pair, accumulated);
  });
}

}  // namespace psanet::models
