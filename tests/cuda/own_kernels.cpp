// Our own convolution and matrix product, which do what the libraries cannot: forced here for every kind of problem,
// and as what is left when the emulated libraries decline.
#include "kernels/cuda/own_kernels.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "kernels/cuda/fallback.h"
#include "kernels/cuda/split_k.h"
#include "tests/cuda/conv2d_checks.h"
#include "tests/cuda/gemm_checks.h"

#ifdef PSANET_CUDA_EMULATED
#include <sys/mman.h>

#include "kernels/cuda/gemm_operands.h"
#endif

namespace psanet::tests {
namespace {

/// Rounded once, from a sum in float.
template <class T>
double rounded_once() {
  return std::is_same_v<T, bf16> ? 4e-3 : allowed<float>();
}

template <class T>
void check_own_forward(const Conv2dDims& dims, const Conv2dEpilogue& epilogue) {
  check_forward<T>(dims, epilogue, rounded_once<T>());
}

/// In blocks of 128 x 128, steps of 16 or 32.
std::vector<Conv2dDims> own_shapes() {
  std::vector<Conv2dDims> shapes = {
      convolution(2, 13, 12, 24, 150, 3, 1, 1, 1),  // blocks, and tails, in each dimension of each product
      convolution(1, 9, 10, 1, 1, 3, 1, 1, 1),      // single channels
      convolution(2, 17, 13, 21, 5, 3, 2, 1, 1),    // odd ones, stride 2
      convolution(1, 14, 15, 8, 8, 3, 1, 4, 4),     // dilated
      convolution(2, 30, 31, 5, 3, 3, 1, 1, 1),     // so many pixels that the sum over them is split
      convolution(1, 6, 7, 150, 9, 3, 1, 1, 1),     // so many channels that the others are
      convolution(1, 21, 23, 3, 16, 7, 2, 3, 1),    // ResNet's stem
      convolution(1, 9, 11, 4, 6, 3, 2, 2, 2),      // places that meet all taps, and places that meet none
      convolution(1, 11, 10, 2, 3, 4, 6, 3, 4),     // every third tap
  };
  Conv2dDims uneven = convolution(2, 11, 13, 6, 7, 1, 1, 1, 1);
  uneven.kernel_h = 2;
  uneven.kernel_w = 5;
  uneven.stride_h = 3;
  uneven.stride_w = 2;
  uneven.pad_w = 2;
  uneven.dilation_h = 2;
  shapes.push_back(uneven);
  Conv2dDims sparse = convolution(1, 5, 14, 3, 4, 1, 1, 0, 1);  // the stride leaves places out
  sparse.kernel_w = 3;
  sparse.stride_w = 5;
  sparse.pad_w = 1;
  shapes.push_back(sparse);
  return shapes;
}

std::vector<Conv2dDims> both(std::vector<Conv2dDims> shapes) {
  const std::vector<Conv2dDims> others = own_shapes();
  shapes.insert(shapes.end(), others.begin(), others.end());
  return shapes;
}

/// Kernels and clears of a run.
template <class F>
int64_t launches_of(const F& run) {
  REQUIRE(kernels::begin_recording(cuda()));
  run();
  return kernels::end_recording(cuda())->launches();
}

TEST_CASE("own kernels: forward pass of every kind of convolution") {
  const OursOnly ours;
  for (const Conv2dDims& dims : both(all_shapes())) {
    INFO(words(dims));
    check_own_forward<float>(dims, {});
    check_own_forward<bf16>(dims, {});
  }
}

TEST_CASE("own kernels: gradients of every kind of convolution, those of weights in float") {
  const OursOnly ours;
  for (const Conv2dDims& dims : both(all_shapes())) {
    INFO(words(dims));
    check_gradients<float>(dims);
    check_gradients<bf16>(dims, rounded_once<bf16>(), allowed<float>());
  }
}

TEST_CASE("own kernels: bias and residual and ReLU in all combinations") {
  const OursOnly ours;
  const Conv2dDims shapes[] = {
      convolution(1, 12, 11, 8, 134, 3, 1, 1, 1),  // several blocks
      convolution(1, 5, 6, 8, 21, 1, 1, 0, 1),     // odd rows
      convolution(1, 4, 5, 75, 6, 3, 1, 1, 1),     // a split sum, with the epilogue behind it
  };
  for (const Conv2dDims& dims : shapes) {
    for (unsigned bits = 1; bits < 8; ++bits) {
      const Conv2dEpilogue epilogue{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      INFO(words(dims) << ", epilogue " << bits);
      check_own_forward<float>(dims, epilogue);
      check_own_forward<bf16>(dims, epilogue);
    }
  }
}

TEST_CASE("own kernels: a batch of nothing is no error and gives zero gradients") {
  const OursOnly ours;
  const Conv2dDims dims = convolution(0, 5, 5, 3, 4, 3, 1, 1, 1);
  kernels::prepare_conv2d_forward(cuda(), dims, {})->run(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  kernels::prepare_conv2d_backward_data(cuda(), dims)->run(nullptr, nullptr, nullptr, nullptr);
  const Array<float> d_w(w_values(dims));
  kernels::prepare_conv2d_backward_weights(cuda(), dims)->run(nullptr, nullptr, d_w.data(), nullptr);
  CHECK(d_w.get() == std::vector<float>(static_cast<size_t>(w_values(dims)), 0.0f));
}

GemmDims dense(int64_t m, int64_t n, int64_t k, int64_t batch) {
  GemmDims d;
  d.m = m;
  d.n = n;
  d.k = k;
  d.batch = batch;
  d.ld_a = k;
  d.ld_b = d.ld_c = n;
  d.stride_a = m * k;
  d.stride_b = k * n;
  d.stride_c = m * n;
  return d;
}

TEST_CASE("own kernels: GEMMs of every kind") {
  const OursOnly ours;
  check_gemms_with_gaps();
  check_overlapping_gemms();
  check_narrow_gemms();
}

TEST_CASE("own kernels: GEMMs of several blocks and matrices in every order, in units of every width") {
  const OursOnly ours;
  for (unsigned bits = 0; bits < 4; ++bits) {
    for (int64_t gap : {0, 1, 2}) {  // rows begin at multiples of 16, of 2 and of 4 bytes
      INFO("order " << bits << ", gap " << gap);
      GemmDims d = dense(133, 132, 37, gap == 0 ? 2 : 1);
      d.transpose_a = (bits & 1) != 0;
      d.transpose_b = (bits & 2) != 0;
      d.ld_a = (d.transpose_a ? 136 : 40) + gap;
      d.ld_b = (d.transpose_b ? 40 : 136) + gap;
      d.ld_c = 132 + gap;
      d.stride_a = d.stride_b = 136 * 136;
      d.stride_c = 133 * d.ld_c + 2;
      if (gap == 1) d.beta = -2.0f;
      check_all_types(d);
    }
  }
}

TEST_CASE("own kernels: GEMMs whose sums are split") {
  const OursOnly ours;
  for (int64_t batch : {1, 3}) {
    GemmDims d = dense(9, 10, 1101, batch);
    d.scale = 0.25f;
    check_all_types(d);
    d.beta = 1.0f;
    d.transpose_a = true;
    d.ld_a = 9;
    d.ld_c = 13;
    d.stride_c = 200;
    check_all_types(d);
  }
}

TEST_CASE("own kernels: a GEMM without terms gives what is there times beta, or zeros") {
  const OursOnly ours;
  GemmDims d = dense(5, 6, 0, 1);
  d.ld_a = 8;
  check_all_types(d);
  d.beta = 3.0f;
  check_all_types(d);
}

TEST_CASE("own kernels: launches, and workspace for partial sums alone") {
  const OursOnly ours;
  const auto memory = [](int64_t values) { return Array<float>(std::vector<float>(static_cast<size_t>(values))); };
  const Conv2dDims dims = convolution(2, 30, 31, 5, 4, 3, 2, 1, 1);  // 15 x 16 pixels in each image
  const Array<float> x = memory(x_values(dims)), w = memory(w_values(dims)), y = memory(y_values(dims)),
                     bias = memory(4);
  const auto forward = kernels::prepare_conv2d_forward(cuda(), dims, {true, true, true});
  CHECK(forward->workspace_bytes() == 0);
  CHECK(launches_of([&] { forward->run(x.data(), w.data(), bias.data(), y.data(), y.data(), nullptr); }) == 1);
  const auto data = kernels::prepare_conv2d_backward_data(cuda(), dims);
  CHECK(data->workspace_bytes() == 0);
  CHECK(launches_of([&] { data->run(y.data(), w.data(), x.data(), nullptr); }) == 4);  // two rows, two columns
  const auto weights = kernels::prepare_conv2d_backward_weights(cuda(), dims);
  const int64_t sums_bytes = w_values(dims) * 4;
  CHECK(weights->workspace_bytes() >= 2 * sums_bytes);
  CHECK(weights->workspace_bytes() % sums_bytes == 0);
  const Array<uint8_t> workspace(weights->workspace_bytes());
  CHECK(launches_of([&] { weights->run(x.data(), y.data(), w.data(), workspace.data()); }) == 2);
}

TEST_CASE("own kernels: parts of a sum cover it, fill the GPU and are not too many") {
  for (int64_t multiprocessors : {1, 4, 108, 132}) {
    for (int64_t tiles : {1, 3, 36, 144, 1000}) {
      for (int64_t steps : {0, 1, 2, 9, 64, 900, 7056}) {
        const auto split = kernels::cuda::split_k(tiles, steps, tiles * 16384, static_cast<int>(multiprocessors));
        INFO(multiprocessors << " multiprocessors, " << tiles << " tiles, " << steps << " steps: " << split.count);
        CHECK(split.count >= 1);
        CHECK(int64_t{split.count} * split.steps >= steps);
        CHECK((split.count == 1 || int64_t{split.count - 1} * split.steps < steps));  // none is empty
        CHECK((split.count == 1 || tiles * split.count <= 4 * multiprocessors));
        CHECK(tiles * split.count * 16384 * 4 <= std::max<int64_t>(128 << 20, tiles * 16384 * 4));
      }
    }
  }
  // The gradient of a 3x3 convolution's weights, 64 -> 64 channels, 8 images of 119 x 119: 5 tiles for 264 places.
  const auto split = kernels::cuda::split_k(5, 3541, 64 * 576, 132);
  CHECK(split.count >= 40);
}

/// The lines that body makes.
template <class F>
std::vector<std::string> said_by(const F& body) {
  const size_t before = kernels::cuda::said_fallbacks().size();
  body();
  std::vector<std::string> lines = kernels::cuda::said_fallbacks();
  lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(before));
  return lines;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("own kernels: what the library declines they do, and it is said once for each shape") {
  if (!emulated()) return;  // the emulated libraries decline 11 and refuse 13 channels; which cuDNN declines differs
  const OursOnly not_ours(false);
  for (int64_t channels : {11, 22, 13}) {
    for (int64_t kernel : {1, 3}) {
      const Conv2dDims dims = convolution(1, 6, 7, 4, channels, kernel, 1, kernel / 2, 1);
      INFO(words(dims));
      const auto check_all = [&] {
        check_own_forward<float>(dims, {true, true, true});
        check_own_forward<bf16>(dims, {true, false, true});
        check_own_forward<bf16>(dims, {});
        check_gradients<bf16>(dims, rounded_once<bf16>(), kernel == 1 ? allowed<bf16>() : allowed<float>());
      };
      const auto lines = said_by(check_all);
      // A gradient of 1x1 weights and of their input is a product of which it is not the columns that are so many.
      REQUIRE(lines.size() == (kernel == 1 ? 2 : 4));
      CHECK(
          contains(lines[0], "psanet: loops in place of cuDNN has no plan for the convolution forward [1,6,7,4] to "));
      for (const std::string& line : lines) {
        CHECK(contains(line, "; using our own kernel"));
        CHECK(contains(line, "a refusal") == (channels == 13));
      }
      CHECK(said_by(check_all).empty());
    }
  }
}

TEST_CASE("own kernels: a product that the library declines is said once for each shape") {
  if (!emulated()) return;
  const OursOnly not_ours(false);
  for (int64_t n : {11, 13}) {
    const GemmDims d = dense(6, n, 5, 2);
    const auto lines = said_by([&] { check_all_types(d); });
    REQUIRE(lines.size() == 3);
    CHECK(contains(lines[0], "psanet: loops in place of cuBLASLt has no plan for the matrix product float [6,5] x "));
    for (const std::string& line : lines) CHECK(contains(line, "a refusal") == (n == 13));
    CHECK(said_by([&] { check_all_types(d); }).empty());
  }
}

TEST_CASE("own kernels: no library is asked when they are forced") {
  const OursOnly ours;
  CHECK(said_by([] {
          check_own_forward<bf16>(convolution(1, 5, 6, 4, 26, 3, 1, 1, 1), {true, true, true});
          check_gemm<bf16, float>(dense(7, 26, 5, 1));
        }).empty());
}

TEST_CASE("own kernels: PSANET_ALGORITHMS forces them in a process") {
  if (const char* expected = std::getenv("PSANET_TEST_EXPECTED")) {  // the process that is started below
    CHECK(kernels::cuda::ours_only() == (std::string(expected) == "ours"));
    CHECK(kernels::cuda::algorithms() == nullptr);
    return;
  }
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  for (const char* value : {"ours", "off"}) {
    const std::string command = fmt::format(
        "PSANET_ALGORITHMS={0} PSANET_TEST_EXPECTED={0} '{1}' 'own kernels: PSANET_ALGORITHMS forces*'", value, self);
    INFO(command);
    CHECK(std::system((command + " > /dev/null 2>&1").c_str()) == 0);
  }
}

TEST_CASE("own kernels: extents of 2^31 are refused in words") {
  GemmDims d = dense(int64_t{1} << 31, 1, 1, 1);
  CHECK_THROWS_WITH(kernels::cuda::own_gemm(cuda(), d), Catch::Contains("2^31"));
  d = dense(1 << 20, 1, 1, 1 << 11);
  CHECK_THROWS_WITH(kernels::cuda::own_gemm(cuda(), d), Catch::Contains("2^31"));
}

#ifdef PSANET_CUDA_EMULATED

TEST_CASE("own kernels: division by multiplication is exact up to 2^31") {
  using kernels::cuda::Divider;
  constexpr int64_t kEnd = int64_t{1} << 31;
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d < 600; ++d) divisors.push_back(d);
  for (int bit = 10; bit < 31; ++bit) {
    for (int64_t by : {-1, 0, 1, 12345}) divisors.push_back((int64_t{1} << bit) + by);
  }
  for (int64_t d : divisors) {
    if (d >= kEnd) continue;
    const Divider divider = Divider::of(static_cast<int>(d));
    int64_t wrong = 0;
    for (int64_t q : {int64_t{0}, int64_t{1}, int64_t{7}, (kEnd - 1) / d / 2, (kEnd - 1) / d - 1, (kEnd - 1) / d}) {
      for (int64_t n : {q * d - 1, q * d, q * d + 1, q * d + d - 1}) {
        if (n >= 0 && n < kEnd && divider.quotient(static_cast<int>(n)) != n / d) ++wrong;
      }
    }
    INFO(d);
    CHECK(wrong == 0);
  }
}

/// Address space of which only what is touched takes memory.
class Sparse {
 public:
  explicit Sparse(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Sparse() { munmap(memory_, bytes_); }
  Sparse(const Sparse&) = delete;
  Sparse& operator=(const Sparse&) = delete;
  bf16* get() const { return static_cast<bf16*>(memory_); }

 private:
  size_t bytes_;
  void* memory_;
};

TEST_CASE("own kernels: rows and matrices and pixels lie more than 2^31 values apart") {
  const OursOnly ours;
  constexpr int64_t kFar = int64_t{1} << 30;
  // c [3, 4] = a [3, 8] b [8, 4] of two matrices, rows 2^30 values apart, matrices 3 times that.
  const Sparse a(12 * kFar + 4096), c(12 * kFar + 4096), b(4096);
  GemmDims d = dense(3, 4, 8, 2);
  d.ld_a = d.ld_c = kFar;
  d.stride_a = d.stride_c = 3 * kFar;
  d.in = d.out = kernels::Scalar::bf16;
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t k = 0; k < 8; ++k) a.get()[i * kFar + k] = to_bf16(static_cast<float>(i + 1));
  }
  for (int64_t i = 0; i < 64; ++i) b.get()[i] = to_bf16(1.0f);
  kernels::cuda::prepare_gemm(cuda(), d)->run(a.get(), b.get(), c.get(), nullptr);
  kernels::synchronize(cuda());
  for (int64_t i = 0; i < 6; ++i) CHECK(to_float(c.get()[i * kFar + 3]) == static_cast<float>(8 * (i + 1)));

  // Two images of 2^20 pixels with 2048 channels, of which every 2^19th pixel is met.
  constexpr int64_t kChannels = 2048;
  Conv2dDims dims{2, 1, 1 << 20, kChannels, 3, 1, 1, 1, 1 << 19};
  dims.scalar = kernels::Scalar::bf16;
  const Sparse x(8 * kFar);
  for (int64_t p = 0; p < 4; ++p) {
    for (int64_t i = 0; i < kChannels; ++i) x.get()[p * kFar + i] = to_bf16(static_cast<float>(p + 1) * 0.25f);
  }
  const std::vector<float> ones(3 * kChannels, 0.5f);
  const Array<bf16> w(stored<bf16>(ones)), y(12), d_y(stored<bf16>({1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0}));
  const Array<float> d_w(3 * kChannels);
  const auto forward = kernels::prepare_conv2d_forward(cuda(), dims, {});
  const auto weights = kernels::prepare_conv2d_backward_weights(cuda(), dims);
  const Array<uint8_t> workspace(std::max(forward->workspace_bytes(), weights->workspace_bytes()));
  forward->run(x.get(), w.data(), nullptr, nullptr, y.data(), workspace.data());
  CHECK(as_floats(y.get()) == std::vector<float>{256, 256, 256, 512, 512, 512, 768, 768, 768, 1024, 1024, 1024});
  weights->run(x.get(), d_y.data(), d_w.data(), workspace.data());
  const std::vector<float> found = d_w.get();
  CHECK(found[5] == 1.25f);
  CHECK(found[kChannels + 5] == 0.5f);
  CHECK(found[2 * kChannels + 5] == 0.75f);
}

#endif

}  // namespace
}  // namespace psanet::tests
