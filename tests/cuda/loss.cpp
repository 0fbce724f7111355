#include "kernels/loss.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::ResizeDims;

constexpr int kIgnore = 255;

struct Wanted {
  float loss = 0, valid = 0;
  std::vector<float> d_logits;
};

Wanted on_cpu(const ResizeDims& dims, const std::vector<float>& logits, const std::vector<uint8_t>& label) {
  Wanted w;
  w.d_logits.resize(logits.size());
  std::vector<uint8_t> workspace(static_cast<size_t>(kernels::resize_cross_entropy_workspace_bytes(cpu(), dims)));
  kernels::resize_cross_entropy(cpu(), dims, kIgnore, logits.data(), label.data(), &w.loss, &w.valid, w.d_logits.data(),
                                workspace.data());
  return w;
}

/// Patches of classes, some of them ignored, some of them wrong.
std::vector<uint8_t> some_labels(const ResizeDims& dims, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<uint8_t> label(static_cast<size_t>(dims.batch * dims.out_h * dims.out_w));
  for (size_t i = 0; i < label.size(); ++i) {
    const uint32_t dice = generator() % 16;
    const int64_t wrong = dims.channels < 250 ? dims.channels + 1 : kIgnore;
    if (dice < 8 && i > 0) {
      label[i] = label[i - 1];
    } else if (dice < 10) {
      label[i] = kIgnore;
    } else if (dice == 10) {
      label[i] = static_cast<uint8_t>(wrong);
    } else {
      label[i] = static_cast<uint8_t>(generator() % static_cast<uint32_t>(std::min<int64_t>(dims.channels, 255)));
    }
  }
  return label;
}

template <class T>
void check_loss(const ResizeDims& dims, const std::vector<float>& values, const std::vector<uint8_t>& label) {
  INFO(dims.in_h << "x" << dims.in_w << "x" << dims.channels << " -> " << dims.out_h << "x" << dims.out_w
                 << (dims.align_corners ? " corners" : " centres"));
  const std::vector<float> logits = through<T>(values);
  const Wanted wanted = on_cpu(dims, logits, label);
  const Array<T> in(stored<T>(logits)), d_in(static_cast<int64_t>(logits.size()));
  const Array<uint8_t> truth(label), workspace(kernels::resize_cross_entropy_workspace_bytes(cuda(), dims));
  const Array<float> loss(1), valid(1);
  SameBits<T> same_bits;
  SameBits<float> same_loss;
  for_each_schedule([&] {
    loss.poison();
    valid.poison();
    d_in.poison();
    workspace.poison();
    kernels::resize_cross_entropy(cuda(), dims, kIgnore, in.data(), truth.data(), loss.data(), valid.data(),
                                  d_in.data(), workspace.data());
    check_close(loss.get(), {wanted.loss}, 4e-6, "loss");
    CHECK(valid.get()[0] == wanted.valid);
    // A gradient is a difference of probabilities and ones: what is left of 1 - 1 counts as rounding of 1.
    std::vector<float> gradient = as_floats(d_in.get()), wanted_gradient = wanted.d_logits;
    gradient.push_back(1);
    wanted_gradient.push_back(1);
    check_close(gradient, wanted_gradient, tolerance<T>(3), "gradient");
    same_bits(d_in.get());
    same_loss(loss.get());
    loss.poison();
    kernels::resize_cross_entropy(cuda(), dims, kIgnore, in.data(), truth.data(), loss.data(), valid.data(),
                                  static_cast<T*>(nullptr), workspace.data());
    same_loss(loss.get());
  });
}

template <class T>
void check_shapes() {
  // Enlarging (a warp for each cell) with cells of one and of several runs, by 2x2 and shrinking (a warp for each
  // pixel), equal sizes; every number of classes of a lane.
  for (bool align_corners : {true, false}) {
    for (ResizeDims dims : {ResizeDims{2, 3, 4, 21, 17, 25},
                            {1, 2, 2, 150, 9, 9},
                            {1, 1, 2, 3, 5, 80},
                            {1, 3, 2, 1, 7, 9},
                            {1, 2, 2, 200, 5, 7},
                            {1, 2, 2, 300, 5, 6},
                            {1, 4, 3, 19, 8, 6},
                            {2, 9, 7, 8, 4, 5},
                            {2, 5, 4, 21, 5, 4},
                            {1, 3, 3, 150, 3, 3},
                            {1, 1, 1, 8, 6, 7}}) {
      dims.align_corners = align_corners;
      std::vector<float> logits = random_values(dims.batch * dims.in_h * dims.in_w * dims.channels, 1);
      for (float& v : logits) v *= 6;
      check_loss<T>(dims, logits, some_labels(dims, 2));
    }
  }
}

TEST_CASE("loss: resize and cross entropy and gradient over shapes in float") {
  check_shapes<float>();
}

TEST_CASE("loss: resize and cross entropy and gradient over shapes in bf16") {
  check_shapes<bf16>();
}

TEST_CASE("loss: the size of training") {
  if (emulated()) return;  // minutes
  ResizeDims dims{2, 59, 59, 150, 465, 465};
  dims.align_corners = true;
  std::vector<float> logits = random_values(dims.batch * dims.in_h * dims.in_w * dims.channels, 1);
  for (float& v : logits) v *= 6;
  const std::vector<uint8_t> label = some_labels(dims, 2);
  check_loss<float>(dims, logits, label);
  check_loss<bf16>(dims, logits, label);
}

TEST_CASE("loss: nothing to count gives zeros") {
  for (const ResizeDims& dims : {ResizeDims{1, 3, 2, 21, 17, 9}, {1, 3, 3, 5, 3, 3}, {1, 5, 5, 4, 3, 3}}) {
    const std::vector<float> logits = random_values(dims.in_h * dims.in_w * dims.channels, 1);
    check_loss<float>(dims, logits, std::vector<uint8_t>(static_cast<size_t>(dims.out_h * dims.out_w), kIgnore));
    check_loss<float>(dims, logits, std::vector<uint8_t>(static_cast<size_t>(dims.out_h * dims.out_w), 77));
  }
}

TEST_CASE("loss: neighbours that are sure of different classes") {
  // Between such places every interpolated logit is far below the bound that the corners give.
  for (float sure : {30.0f, 100.0f, 1000.0f}) {
    const ResizeDims dims{1, 3, 3, 37, 17, 17};
    std::vector<float> logits(static_cast<size_t>(dims.in_h * dims.in_w * dims.channels), -sure);
    for (int64_t place = 0; place < 9; ++place) logits[static_cast<size_t>(place * dims.channels + 4 * place)] = sure;
    check_loss<float>(dims, logits, some_labels(dims, 5));
  }
}

TEST_CASE("loss: too many classes for the registers are refused") {
  const ResizeDims dims{1, 1, 1, 513, 1, 1};
  const Array<float> in(513), sums(2);
  const Array<uint8_t> label(1);
  CHECK_THROWS_AS(kernels::resize_cross_entropy(cuda(), dims, kIgnore, in.data(), label.data(), sums.data(),
                                                sums.data() + 1, static_cast<float*>(nullptr), nullptr),
                  std::invalid_argument);
}

TEST_CASE("loss: confusion counts are added to") {
  for (auto [pixels, classes] : {std::pair<int64_t, int64_t>{1, 2}, {15, 3}, {16, 21}, {5003, 19}, {4099, 200}}) {
    const ResizeDims dims{1, 1, 1, classes, 1, pixels};
    const std::vector<uint8_t> truth = some_labels(dims, 3), prediction = some_labels(dims, 4);
    std::vector<int64_t> start(static_cast<size_t>(classes * classes), int64_t{1} << 40), wanted = start;
    kernels::confusion_counts(cpu(), pixels, classes, kIgnore, prediction.data(), truth.data(), wanted.data());
    const Array<uint8_t> p(prediction), t(truth);
    const Array<int64_t> counts(start);
    for_each_schedule([&] {
      counts.set(start);
      kernels::confusion_counts(cuda(), pixels, classes, kIgnore, p.data(), t.data(), counts.data());
      CHECK(counts.get() == wanted);
    });
  }
}

TEST_CASE("loss: confusion counts of pixels that do not begin at a multiple of 16 bytes") {
  const int64_t pixels = 100, classes = 5;
  const ResizeDims dims{1, 1, 1, classes, 1, pixels + 1};
  const std::vector<uint8_t> truth = some_labels(dims, 6), prediction = some_labels(dims, 7);
  std::vector<int64_t> wanted(25);
  kernels::confusion_counts(cpu(), pixels, classes, kIgnore, prediction.data() + 1, truth.data() + 1, wanted.data());
  const Array<uint8_t> p(prediction), t(truth);
  const Array<int64_t> counts(std::vector<int64_t>(25, 0));
  kernels::confusion_counts(cuda(), pixels, classes, kIgnore, p.data() + 1, t.data() + 1, counts.data());
  CHECK(counts.get() == wanted);
}

}  // namespace
}  // namespace psanet::tests
