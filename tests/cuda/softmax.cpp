#include "kernels/softmax.h"

#include "tests/cuda/support.h"

namespace psanet::tests {
namespace {

using kernels::SoftmaxDims;
using Values = std::vector<float>;

// One case at least for each kernel: 8 threads for a row, a warp, a block, each with wide and with scalar accesses, and
// rows that do not fill the last block.
const SoftmaxDims kShapes[] = {{1, 1},  {70, 2},   {33, 19},  {5, 32},   {9, 33},
                               {3, 64}, {11, 150}, {2, 1024}, {3, 1025}, {2, 2056}};

double allowed(bool wide) {
  return wide ? 6e-3 : 4e-6;
}

template <class T>
void check_softmax() {
  constexpr bool kBf16 = std::is_same_v<T, bf16>;
  for (const SoftmaxDims& dims : kShapes) {
    INFO(fmt::format("{} rows, {} columns", dims.rows, dims.columns));
    const int64_t n = dims.rows * dims.columns;
    Values spread = random_values(n, 1);
    for (float& v : spread) v = 4 * v + 30;
    const Values x = through<T>(spread), gradient = through<T>(random_values(n, 2));
    Values wanted(x.size()), d_x(x.size());
    kernels::softmax_forward(cpu(), dims, x.data(), wanted.data());
    const Values y = through<T>(wanted);
    kernels::softmax_backward(cpu(), dims, y.data(), gradient.data(), d_x.data());

    const Array<T> in(stored<T>(x)), out(n), of_y(stored<T>(y)), d_y(stored<T>(gradient)), of_x(n);
    SameBits<T> same_forward, same_backward;
    for_each_schedule([&] {
      out.poison();
      kernels::softmax_forward(cuda(), dims, in.data(), out.data());
      check_close(as_floats(out.get()), wanted, allowed(kBf16), "softmax");
      same_forward(out.get());
      of_x.poison();
      kernels::softmax_backward(cuda(), dims, of_y.data(), d_y.data(), of_x.data());
      check_close(as_floats(of_x.get()), d_x, allowed(kBf16), "softmax's gradient");
      same_backward(of_x.get());

      out.set(stored<T>(x));
      kernels::softmax_forward(cuda(), dims, out.data(), out.data());
      same_forward(out.get());
      of_x.set(stored<T>(gradient));
      kernels::softmax_backward(cuda(), dims, of_y.data(), of_x.data(), of_x.data());
      same_backward(of_x.get());
    });
  }
}

TEST_CASE("softmax: forward and backward over rows of any length and in place") {
  check_softmax<float>();
  check_softmax<bf16>();
}

TEST_CASE("softmax: large values do not overflow and rows add up to 1") {
  for (int64_t columns : {7, 40, 1030}) {
    Values x = random_values(columns, 3);
    for (float& v : x) v *= 3e4f;
    x[static_cast<size_t>(columns) / 2] = -std::numeric_limits<float>::infinity();
    const Array<float> in(x), out(columns);
    kernels::softmax_forward(cuda(), {1, columns}, in.data(), out.data());
    double sum = 0;
    for (float v : out.get()) sum += v;
    CHECK(std::fabs(sum - 1) < 1e-6);
    CHECK(out.get()[static_cast<size_t>(columns) / 2] == 0);
  }
}

TEST_CASE("softmax: NaN shows in its row alone") {
  for (int64_t columns : {7, 40, 1030}) {
    Values x(static_cast<size_t>(2 * columns), 1.0f);
    x[3] = NAN;
    const Array<float> in(x), out(2 * columns);
    kernels::softmax_forward(cuda(), {2, columns}, in.data(), out.data());
    const Values y = out.get();
    for (size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i < y.size() / 2));
  }
}

TEST_CASE("softmax: nothing to do without rows or columns") {
  const Array<float> nothing(0);
  kernels::softmax_forward(cuda(), {0, 5}, nothing.data(), nothing.data());
  kernels::softmax_backward(cuda(), {5, 0}, nothing.data(), nothing.data(), nothing.data());
  kernels::synchronize(cuda());
}

}  // namespace
}  // namespace psanet::tests
