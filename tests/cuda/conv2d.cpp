#include <filesystem>
#include <fstream>

#include "tests/cuda/conv2d_checks.h"
#include "tests/support/temporary_folder.h"

namespace psanet::tests {
namespace {

TEST_CASE("conv2d: forward pass of every kind of convolution") {
  for (const Conv2dDims& dims : all_shapes()) {
    INFO(words(dims));
    check_forward<float>(dims, {});
    check_forward<bf16>(dims, {});
  }
}

TEST_CASE("conv2d: gradients of every kind of convolution") {
  for (const Conv2dDims& dims : all_shapes()) {
    INFO(words(dims));
    check_gradients<float>(dims);
    check_gradients<bf16>(dims);
  }
}

TEST_CASE("conv2d: bias and residual and ReLU in all combinations") {
  const Conv2dDims shapes[] = {
      convolution(2, 5, 6, 8, 16, 1, 1, 0, 1),
      convolution(1, 5, 6, 8, 21, 1, 1, 0, 1),
      convolution(2, 5, 6, 4, 8, 3, 1, 1, 1),
      convolution(1, 7, 6, 4, 5, 3, 2, 1, 1),
      convolution(2, 4, 5, 4, 6, 3, 1, 1, 1),
      convolution(1, 6, 7, 5, 12, 3, 1, 2, 2),  // in bf16 the emulated library has no plan at all for 5 channels
  };
  for (const Conv2dDims& dims : shapes) {
    for (unsigned bits = 1; bits < 8; ++bits) {
      const Conv2dEpilogue epilogue{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      INFO(words(dims) << ", epilogue " << bits);
      check_forward<float>(dims, epilogue);
      check_forward<bf16>(dims, epilogue);
    }
  }
}

TEST_CASE("conv2d: a batch of nothing is no error and gives zero gradients") {
  Conv2dDims dims = convolution(0, 5, 5, 3, 4, 3, 1, 1, 1);
  const auto forward = kernels::prepare_conv2d_forward(cuda(), dims, {});
  forward->run(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  const auto weights = kernels::prepare_conv2d_backward_weights(cuda(), dims);
  const Array<float> d_w(w_values(dims));
  weights->run(nullptr, nullptr, d_w.data(), nullptr);
  CHECK(d_w.get() == std::vector<float>(static_cast<size_t>(w_values(dims)), 0.0f));
}

TEST_CASE("conv2d: what was measured is remembered and chosen again") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "algorithms.txt";
  const auto lines = [&] {
    std::ifstream stream(file);
    std::vector<std::string> found;
    for (std::string line; std::getline(stream, line);) found.push_back(line);
    return found;
  };
  const OursOnly not_ours(false);
  const auto before = kernels::cuda::algorithms();
  const Conv2dDims dims = convolution(2, 9, 8, 8, 16, 3, 1, 1, 1);
  kernels::cuda::use_algorithms(std::make_shared<kernels::cuda::AlgorithmStore>(file));
  check_forward<float>(dims, {true, true, true});
  check_gradients<bf16>(dims);
  const auto measured = lines();
  CHECK(measured.size() == 4);  // a header and three choices
  kernels::cuda::use_algorithms(std::make_shared<kernels::cuda::AlgorithmStore>(file));
  check_forward<float>(dims, {true, true, true});
  check_gradients<bf16>(dims);
  CHECK(lines() == measured);
  kernels::cuda::use_algorithms(before);
}

}  // namespace
}  // namespace psanet::tests
