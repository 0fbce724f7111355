#include "tests/support/host_tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

namespace psanet::tests {

namespace {

template <class T>
T stored(double v) {
  if constexpr (std::is_same_v<T, kernels::bf16>) {
    return kernels::to_bf16(static_cast<float>(v));
  } else {
    return static_cast<T>(v);
  }
}

template <class T>
void write_as(Tensor& tensor, const HostTensor& values) {
  std::vector<T> host;
  host.reserve(values.values.size());
  for (double v : values.values) host.push_back(stored<T>(v));
  tensor.set(host);
}

template <class T>
std::vector<double> read_as(const Tensor& tensor) {
  const std::vector<T> host = tensor.get<T>();
  std::vector<double> values;
  values.reserve(host.size());
  for (T v : host) {
    if constexpr (std::is_same_v<T, kernels::bf16>) {
      values.push_back(kernels::to_float(v));
    } else {
      values.push_back(static_cast<double>(v));
    }
  }
  return values;
}

template <class T>
std::vector<std::byte> bits_as(const Tensor& tensor) {
  const std::vector<T> host = tensor.get<T>();
  std::vector<std::byte> bits(host.size() * sizeof(T));
  if (!bits.empty()) std::memcpy(bits.data(), host.data(), bits.size());
  return bits;
}

}  // namespace

void write_values(Tensor tensor, const HostTensor& values) {
  switch (tensor.type().dtype) {
    case DType::f32:
      return write_as<float>(tensor, values);
    case DType::bf16:
      return write_as<kernels::bf16>(tensor, values);
    case DType::i32:
      return write_as<int32_t>(tensor, values);
    case DType::i64:
      return write_as<int64_t>(tensor, values);
    case DType::u8:
      return write_as<uint8_t>(tensor, values);
  }
}

HostTensor read_values(const Tensor& tensor) {
  switch (tensor.type().dtype) {
    case DType::f32:
      return {tensor.type(), read_as<float>(tensor)};
    case DType::bf16:
      return {tensor.type(), read_as<kernels::bf16>(tensor)};
    case DType::i32:
      return {tensor.type(), read_as<int32_t>(tensor)};
    case DType::i64:
      return {tensor.type(), read_as<int64_t>(tensor)};
    case DType::u8:
      return {tensor.type(), read_as<uint8_t>(tensor)};
  }
  throw std::logic_error("a dtype that tests do not know");
}

std::vector<std::byte> read_bits(const Tensor& tensor) {
  switch (tensor.type().dtype) {
    case DType::f32:
      return bits_as<float>(tensor);
    case DType::bf16:
      return bits_as<kernels::bf16>(tensor);
    case DType::i32:
      return bits_as<int32_t>(tensor);
    case DType::i64:
      return bits_as<int64_t>(tensor);
    case DType::u8:
      return bits_as<uint8_t>(tensor);
  }
  throw std::logic_error("a dtype that tests do not know");
}

std::string difference(const HostTensor& found, const HostTensor& wanted, Tolerance tolerance) {
  if (found.values.size() != wanted.values.size()) {
    return fmt::format("{} has {} values, {} has {}", to_string(found.type), found.values.size(),
                       to_string(wanted.type), wanted.values.size());
  }
  double worst = 0;
  size_t worst_at = 0, beyond = 0;
  for (size_t i = 0; i < found.values.size(); ++i) {
    const double allowed = tolerance.absolute + tolerance.relative * std::abs(wanted.values[i]);
    const double error = std::abs(found.values[i] - wanted.values[i]);
    const bool both_nan = std::isnan(found.values[i]) && std::isnan(wanted.values[i]);
    if (found.values[i] == wanted.values[i] || error <= allowed || both_nan) continue;
    ++beyond;
    const double severity = std::isfinite(error) ? error / std::max(allowed, 1e-300) : HUGE_VAL;
    if (severity > worst) {
      worst = severity;
      worst_at = i;
    }
  }
  if (beyond == 0) return "";
  return fmt::format("{} of {} values of {} are off; value {} is {:.9g}, want {:.9g} (tolerance {:g} + {:g} relative)",
                     beyond, found.values.size(), to_string(found.type), worst_at, found.values[worst_at],
                     wanted.values[worst_at], tolerance.absolute, tolerance.relative);
}

double norm(const std::vector<double>& a) {
  double sum = 0;
  for (double v : a) sum += v * v;
  return std::sqrt(sum);
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

double largest(const std::vector<double>& a) {
  double most = 0;
  for (double v : a) most = std::max(most, std::abs(v));
  return most;
}

}  // namespace psanet::tests
