#include "kernels/sliding_window.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using namespace kernels;

/// `taps` places of [0, in) for each of `out` outputs, with weights.
struct Axis {
  Axis(int64_t in, int64_t out_size, int64_t taps_each, unsigned seed) : out(out_size), taps(taps_each) {
    weight = random_values(out * taps, seed);
    for (int64_t i = 0; i < out * taps; ++i) index.push_back(static_cast<int32_t>(i * 7 % in));
    for (float& w : weight) w = 0.6f + 0.4f * w;
  }
  AxisTaps on_cpu() const { return {out, taps, index.data(), weight.data()}; }

  int64_t out, taps;
  std::vector<int32_t> index;
  std::vector<float> weight;
};

struct DeviceAxis {
  explicit DeviceAxis(const Axis& axis) : out(axis.out), taps(axis.taps), index(axis.index), weight(axis.weight) {}
  AxisTaps on_gpu() const { return {out, taps, index.data(), weight.data()}; }

  int64_t out, taps;
  Array<int32_t> index;
  Array<float> weight;
};

}  // namespace

TEST_CASE("input planes: resized, normalised and padded as on the processor") {
  const int64_t in_h = 9, in_w = 7;
  std::vector<float> picture = random_values(in_h * in_w * 3, 1);
  for (float& p : picture) p = 128 + 120 * p;
  for (int64_t taps : {1, 2, 6}) {
    for (bool bytes : {false, true}) {
      const Axis rows(in_h, 11, taps, 2), columns(in_w, 13, taps, 3);
      InputPlaneDims dims{in_w,      16,   21, 2, 5, rows.on_cpu(), columns.on_cpu(), bytes, {120, 110, 100},
                          {2, 3, 4}, bytes};
      std::vector<float> wanted(static_cast<size_t>(dims.height * dims.width * 3), 1e30f);
      make_input_plane(cpu(), dims, picture.data(), wanted.data());
      const DeviceAxis device_rows(rows), device_columns(columns);
      dims.rows = device_rows.on_gpu();
      dims.columns = device_columns.on_gpu();
      const Array<float> in(picture), plane(static_cast<int64_t>(wanted.size()));
      SameBits<float> same_bits;
      for_each_schedule([&] {
        plane.poison();
        make_input_plane(cuda(), dims, in.data(), plane.data());
        check_close(plane.get(), wanted, 2e-6, "input plane");
        same_bits(plane.get());
      });
    }
  }
}

TEST_CASE("windows are cut and added as on the processor") {
  for (bool mirrored : {false, true}) {
    for (int64_t channels : {3, 4, 19}) {
      const WindowDims dims{23, 6, 9, channels, 4, 11, mirrored};
      const std::vector<float> plane = random_values(12 * 23 * channels, 1),
                               scores = random_values(6 * 9 * channels, 2);
      std::vector<float> window(scores.size()), sum = plane;
      cut_window(cpu(), dims, plane.data(), window.data());
      add_window(cpu(), dims, scores.data(), sum.data());
      const Array<float> in(plane), out(static_cast<int64_t>(scores.size())), added(scores), total(plane);
      for_each_schedule([&] {
        out.poison();
        total.set(plane);
        cut_window(cuda(), dims, in.data(), out.data());
        add_window(cuda(), dims, added.data(), total.data());
        check_close(out.get(), window, 0, "a cut window");
        check_close(total.get(), sum, 0, "an added window");
      });
    }
  }
}

TEST_CASE("scores are resized, finished and added as on the processor") {
  for (ScoreFinish finish : {ScoreFinish::none, ScoreFinish::normalise, ScoreFinish::softmax}) {
    for (int64_t channels : {1, 11, 32, 150, 255}) {
      for (int64_t taps : {1, 2, 5}) {
        const int64_t in_h = 8, in_w = 6;
        const Axis rows(in_h, 5, taps, 2), columns(in_w, 7, taps, 3);
        std::vector<float> plane = random_values(in_h * in_w * channels, 4);
        for (float& p : plane) p = finish == ScoreFinish::softmax ? 4 * p : 1.1f + p;
        ScoreDims dims{in_w, channels, rows.on_cpu(), columns.on_cpu(), finish, 0.25f};
        const std::vector<float> before = random_values(5 * 7 * channels, 5);
        std::vector<float> wanted = before;
        add_resized_scores(cpu(), dims, plane.data(), wanted.data());
        const DeviceAxis device_rows(rows), device_columns(columns);
        dims.rows = device_rows.on_gpu();
        dims.columns = device_columns.on_gpu();
        const Array<float> in(plane), sum(before);
        SameBits<float> same_bits;
        for_each_schedule([&] {
          sum.set(before);
          add_resized_scores(cuda(), dims, in.data(), sum.data());
          check_close(sum.get(), wanted, 4e-6, "resized scores");
          same_bits(sum.get());
        });
      }
    }
  }
}

}  // namespace psanet::tests
