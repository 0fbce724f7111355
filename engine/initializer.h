// How a parameter or state tensor begins, and how a file stores it.
#pragma once

#include <cstdint>

namespace psanet {

struct Initializer {
  enum class Kind { constant, uniform, normal };
  Kind kind = Kind::constant;
  double value = 0;  // constant: the value; uniform: values in [-value, value); normal: standard deviation around 0

  static Initializer constant(double v) { return {Kind::constant, v}; }
  static Initializer uniform(double bound) { return {Kind::uniform, bound}; }
  static Initializer normal(double deviation) { return {Kind::normal, deviation}; }
};

/// Files keep PyTorch's order, we keep channels last.
enum class FileLayout {
  same,
  conv_weight  // [O,kh,kw,I] here, [O,I,kh,kw] in files
};

}  // namespace psanet
