// A tensor in host memory, every value a double: what reference loops compute with.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor.h"
#include "engine/type.h"

namespace psanet::tests {

struct HostTensor {
  Type type;
  std::vector<double> values;

  HostTensor() = default;
  /// All zeros.
  explicit HostTensor(Type t) : type(std::move(t)), values(static_cast<size_t>(type.elements()), 0.0) {}
  HostTensor(Type t, std::vector<double> v) : type(std::move(t)), values(std::move(v)) {}

  int64_t operator[](int axis) const { return type[axis]; }
  double& at(int64_t i) { return values[static_cast<size_t>(i)]; }
  double at(int64_t i) const { return values[static_cast<size_t>(i)]; }
  /// Value [n,y,x,c] of an image.
  double& at(int64_t n, int64_t y, int64_t x, int64_t c) { return at(((n * type[1] + y) * type[2] + x) * type[3] + c); }
  double at(int64_t n, int64_t y, int64_t x, int64_t c) const {
    return at(((n * type[1] + y) * type[2] + x) * type[3] + c);
  }
};

using HostTensors = std::vector<HostTensor>;

/// Copies the values to `tensor`, converted to its dtype.
void write_values(Tensor tensor, const HostTensor& values);
HostTensor read_values(const Tensor& tensor);

/// The tensor's memory, for comparisons bit by bit.
std::vector<std::byte> read_bits(const Tensor& tensor);

/// How values may differ: |found - wanted| <= absolute + relative * |wanted|.
struct Tolerance {
  double absolute = 0, relative = 0;
};

/// "" if `found` is close to `wanted`, else one line about the worst value. NaN is close to NaN alone.
std::string difference(const HostTensor& found, const HostTensor& wanted, Tolerance tolerance);

/// sqrt of the sum of squares; with `minus` of the difference.
double norm(const std::vector<double>& a);
double distance(const std::vector<double>& a, const std::vector<double>& b);
double largest(const std::vector<double>& a);

}  // namespace psanet::tests
