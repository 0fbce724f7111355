// Batched matrix product.
#pragma once

#include "engine/autodiff.h"
#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// c = scale * op(a) op(b) for each of the N matrices. a [N,...,K] and b [N,...,J] are read as matrices [rows, last
/// axis] (the middle axes are rows); op transposes where the flag says so. c is [N, rows of op(a), columns of
/// op(b)], or, when a is not transposed, a's shape with its last axis replaced.
struct Matmul {
  static constexpr const char* kName = "matmul";
  bool transpose_a = false, transpose_b = false;
  double scale = 1;
  void fields(Fields& f) {
    f("transpose_a", transpose_a, "transposes the first matrix");
    f("transpose_b", transpose_b, "transposes the second matrix");
    f("scale", scale, "multiplies the product");
  }
  Types infer(const Types& in) const;
  Values grad(Gradient& g) const;
  Launch lower(Lowering& l) const;
  double flops(const Types& in, const Types& out) const;
};

}  // namespace psanet::layers
