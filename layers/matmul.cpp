#include "layers/matmul.h"

#include "kernels/matmul.h"
#include "layers/check.h"
#include "layers/concat.h"
#include "layers/registry.h"

namespace psanet::layers {

namespace {

int64_t matrix_rows(const Type& type) {
  return type.elements() / (type[0] * type[-1]);
}

kernels::MatmulDims dims_of(const Matmul& op, const Type& a, const Type& b) {
  return {.batch = a[0],
          .m = op.transpose_a ? a[-1] : matrix_rows(a),
          .n = op.transpose_b ? matrix_rows(b) : b[-1],
          .k = op.transpose_a ? matrix_rows(a) : a[-1],
          .transpose_a = op.transpose_a,
          .transpose_b = op.transpose_b,
          .scale = static_cast<float>(op.scale),
          .scalar = scalar_of(a.dtype)};
}

}  // namespace

Types Matmul::infer(const Types& in) const {
  require_inputs(in, 2);
  require(in[0].rank() >= 3 && in[1].rank() >= 3, "operands {} and {}, want at least 3 axes", to_string(in[0]),
          to_string(in[1]));
  require(in[0].elements() > 0 && in[1].elements() > 0, "operands {} and {}, want values", to_string(in[0]),
          to_string(in[1]));
  require(in[0][0] == in[1][0], "{} matrices on the left, {} on the right", in[0][0], in[1][0]);
  require(is_float(in[0].dtype) && in[0].dtype == in[1].dtype, "operands {} and {}, want f32 twice or bf16 twice",
          to_string(in[0]), to_string(in[1]));
  const auto d = dims_of(*this, in[0], in[1]);
  const int64_t k_of_b = transpose_b ? in[1][-1] : matrix_rows(in[1]);
  require(d.k == k_of_b, "{} columns on the left, {} rows on the right", d.k, k_of_b);
  if (transpose_a) return {{in[0].dtype, {d.batch, d.m, d.n}}};
  Type out = in[0];
  out.shape.back() = d.n;
  return {out};
}

Values Matmul::grad(Gradient& g) const {
  const Value a = g.in(0), b = g.in(1), d = g.d_out(0);
  const auto shaped = [&](const char* what, Value v, Value like) {
    return g.type(v) == g.type(like) ? v : g.add(what, Reshape{g.type(like).shape}, {v});
  };
  // op(a) = A: dA = d op(b)^T; where a is A^T, its gradient is op(b) d^T. The same for b.
  Value d_a, d_b;
  if (g.needs(0)) {
    d_a = transpose_a ? g.add("d_a", Matmul{transpose_b, true, scale}, {b, d})
                      : g.add("d_a", Matmul{false, !transpose_b, scale}, {d, b});
    d_a = shaped("d_a_shaped", d_a, a);
  }
  if (g.needs(1)) {
    d_b = transpose_b ? g.add("d_b", Matmul{true, transpose_a, scale}, {d, a})
                      : g.add("d_b", Matmul{!transpose_a, false, scale}, {a, d});
    d_b = shaped("d_b_shaped", d_b, b);
  }
  return {d_a, d_b};
}

Launch Matmul::lower(Lowering& l) const {
  const auto dims = dims_of(*this, l.in(0), l.in(1));
  return l.prepare([&](auto& ctx) -> Launch {
    auto product = kernels::prepare_matmul(ctx, dims);
    return {[=](const Buffers& b) { product->run(b.raw(0), b.raw(1), b.outputs[0], b.workspace); },
            product->workspace_bytes()};
  });
}

double Matmul::flops(const Types& in, const Types&) const {
  return dims_of(*this, in[0], in[1]).flops();
}

void matmul_ops(Tables& tables) {
  tables.ops<Matmul>();
  tables.word<Matmul>("Batched matrix product of two inputs.", 2, 2);
}

}  // namespace psanet::layers
