// Convolutions on the CUDA backend beside the processor's, for every way that one can go.
#pragma once

#include "kernels/conv2d.h"
#include "tests/cuda/support.h"
#include "tests/support/ours_only.h"

namespace psanet::tests {

using kernels::Conv2dDims;
using kernels::Conv2dEpilogue;

// batch, height, width, channels, out channels; kernel, stride, padding, dilation
inline Conv2dDims convolution(int64_t batch, int64_t h, int64_t w, int64_t in, int64_t out, int64_t kernel,
                              int64_t stride, int64_t pad, int64_t dilation) {
  return {batch, h, w, in, out, kernel, kernel, stride, stride, pad, pad, dilation, dilation};
}

inline std::vector<Conv2dDims> all_shapes() {
  std::vector<Conv2dDims> shapes = {
      convolution(2, 5, 7, 16, 8, 1, 1, 0, 1),    // a matrix product
      convolution(2, 5, 7, 5, 21, 1, 1, 0, 1),    // with odd channels
      convolution(2, 6, 7, 8, 12, 1, 2, 0, 1),    // not a matrix product: it leaves out pixels
      convolution(1, 4, 5, 3, 4, 1, 1, 1, 1),     // nor this: it has padding
      convolution(2, 9, 8, 8, 16, 3, 1, 1, 1),    // 3x3
      convolution(1, 9, 8, 3, 5, 3, 1, 1, 1),     // with odd channels
      convolution(2, 8, 9, 5, 8, 3, 2, 1, 1),     // stride 2
      convolution(1, 11, 10, 8, 6, 3, 1, 2, 2),   // dilated
      convolution(1, 12, 11, 6, 8, 3, 1, 4, 4),   // dilated so far that corners see little
      convolution(2, 17, 15, 3, 16, 7, 2, 3, 1),  // ResNet's stem
  };
  Conv2dDims uneven = convolution(2, 7, 9, 4, 7, 3, 1, 1, 1);
  uneven.kernel_w = 1;
  uneven.pad_w = 0;
  uneven.stride_w = 2;
  shapes.push_back(uneven);
  return shapes;
}

inline int64_t x_values(const Conv2dDims& d) {
  return d.batch * d.in_h * d.in_w * d.in_channels;
}
inline int64_t w_values(const Conv2dDims& d) {
  return d.out_channels * d.kernel_h * d.kernel_w * d.in_channels;
}
inline int64_t y_values(const Conv2dDims& d) {
  return d.batch * d.out_h() * d.out_w() * d.out_channels;
}

/// The processor's workspace and packed weights.
inline std::vector<float> host_memory(int64_t bytes) {
  return std::vector<float>(static_cast<size_t>(bytes / 4 + 64));
}

/// Another order of the sum, tf32 nowhere.
template <class T>
double allowed() {
  return tolerance<T>(std::is_same_v<T, bf16> ? 2 : 5);
}

template <class T>
void check_forward(Conv2dDims dims, const Conv2dEpilogue& epilogue, double tolerated = allowed<T>()) {
  const std::vector<float> x = through<T>(random_values(x_values(dims), 1));
  const std::vector<float> w = through<T>(random_values(w_values(dims), 2));
  const std::vector<float> residual = through<T>(random_values(y_values(dims), 3));
  const std::vector<float> bias = random_values(dims.out_channels, 4);
  std::vector<float> wanted(residual.size());
  const auto reference = kernels::prepare_conv2d_forward(cpu(), dims, epilogue);
  auto host_workspace = host_memory(reference->workspace_bytes());
  reference->run(x.data(), w.data(), bias.data(), residual.data(), wanted.data(), host_workspace.data());

  dims.scalar = kernels::kScalar<T>;
  const auto forward = kernels::prepare_conv2d_forward(cuda(), dims, epilogue);
  const Array<T> x_there(stored<T>(x)), w_there(stored<T>(w)), residual_there(stored<T>(residual)), y(y_values(dims));
  const Array<float> bias_there(bias);
  const Array<uint8_t> workspace(forward->workspace_bytes()), packed(forward->packed_bytes());
  // What the epilogue does not want may be null.
  const float* b = epilogue.bias ? bias_there.data() : nullptr;
  const T* r = epilogue.residual ? residual_there.data() : nullptr;
  SameBits<T> same_bits;
  for_each_schedule([&] {
    y.poison();
    workspace.poison();
    forward->run(x_there.data(), w_there.data(), b, r, y.data(), workspace.data());
    check_close(as_floats(y.get()), wanted, tolerated, "convolution");
    same_bits(y.get());
    y.poison();
    packed.poison();
    forward->pack(w_there.data(), packed.data());
    forward->run_packed(x_there.data(), packed.data(), b, r, y.data(), workspace.data());
    same_bits(y.get());
  });
}

template <class T>
void check_gradients(Conv2dDims dims, double tolerated = allowed<T>(), double tolerated_d_w = allowed<T>()) {
  const std::vector<float> x = through<T>(random_values(x_values(dims), 1));
  const std::vector<float> w = through<T>(random_values(w_values(dims), 2));
  const std::vector<float> d_y = through<T>(random_values(y_values(dims), 3));
  std::vector<float> wanted_d_x(x.size()), wanted_d_w(w.size());
  {
    const auto data = kernels::prepare_conv2d_backward_data(cpu(), dims);
    auto data_workspace = host_memory(data->workspace_bytes());
    data->run(d_y.data(), w.data(), wanted_d_x.data(), data_workspace.data());
    const auto weights = kernels::prepare_conv2d_backward_weights(cpu(), dims);
    auto weights_workspace = host_memory(weights->workspace_bytes());
    weights->run(x.data(), d_y.data(), wanted_d_w.data(), weights_workspace.data());
  }

  dims.scalar = kernels::kScalar<T>;
  const auto data = kernels::prepare_conv2d_backward_data(cuda(), dims);
  const auto weights = kernels::prepare_conv2d_backward_weights(cuda(), dims);
  const Array<T> x_there(stored<T>(x)), w_there(stored<T>(w)), d_y_there(stored<T>(d_y)), d_x(x_values(dims));
  const Array<float> d_w(w_values(dims));
  const Array<uint8_t> data_workspace(data->workspace_bytes()), weights_workspace(weights->workspace_bytes());
  SameBits<T> same_d_x;
  SameBits<float> same_d_w;
  for_each_schedule([&] {
    d_x.poison();
    d_w.poison();
    data_workspace.poison();
    weights_workspace.poison();
    data->run(d_y_there.data(), w_there.data(), d_x.data(), data_workspace.data());
    weights->run(x_there.data(), d_y_there.data(), d_w.data(), weights_workspace.data());
    check_close(as_floats(d_x.get()), wanted_d_x, tolerated, "gradient of the input");
    check_close(d_w.get(), wanted_d_w, tolerated_d_w, "gradient of the weights");
    same_d_x(d_x.get());
    same_d_w(d_w.get());
  });
}

inline std::string words(const Conv2dDims& d) {
  return fmt::format("[{},{},{},{}] to {}, kernel {}x{}, stride {}x{}, padding {}x{}, dilation {}x{}", d.batch, d.in_h,
                     d.in_w, d.in_channels, d.out_channels, d.kernel_h, d.kernel_w, d.stride_h, d.stride_w, d.pad_h,
                     d.pad_w, d.dilation_h, d.dilation_w);
}

}  // namespace psanet::tests
