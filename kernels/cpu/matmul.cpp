#include "kernels/matmul.h"

#include <fmt/format.h>

#include "kernels/cpu/onednn.h"

namespace psanet::kernels {

namespace cpu {
namespace {

using tag = dnnl::memory::format_tag;

class OneDnnMatmul final : public Matmul {
 public:
  OneDnnMatmul(const CpuContext& ctx, const dnnl::matmul::primitive_desc& pd) : run_(ctx, dnnl::matmul(pd)) {
    a_ = run_.add(DNNL_ARG_SRC, pd.src_desc());
    b_ = run_.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
    c_ = run_.add(DNNL_ARG_DST, pd.dst_desc());
    scratch_ = run_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
    scratch_bytes_ = static_cast<int64_t>(pd.scratchpad_desc().get_size());
  }

  int64_t workspace_bytes() const override { return scratch_bytes_; }

  void run(const float* a, const float* b, float* c, void* workspace) override {
    run_.set(a_, a);
    run_.set(b_, b);
    run_.set(c_, c);
    run_.set(scratch_, workspace);
    run_.run("matrix product");
  }

 private:
  Execution run_;
  size_t a_ = 0, b_ = 0, c_ = 0, scratch_ = 0;
  int64_t scratch_bytes_ = 0;
};

}  // namespace
}  // namespace cpu

std::shared_ptr<cpu::Matmul> prepare_matmul(CpuContext& ctx, const MatmulDims& dims) {
  const cpu::ThreadCount scope(ctx.threads);
  const auto doing = [&] {
    return fmt::format("preparing {} matrix products [{},{}] x [{},{}]", dims.batch, dims.m, dims.k, dims.k, dims.n);
  };
  return cpu::onednn_call(doing, [&] {
    using cpu::float_desc;
    using cpu::tag;
    dnnl::post_ops ops;
    if (dims.scale != 1.0f) cpu::append_scale(ops, dims.scale);
    const auto a = float_desc({dims.batch, dims.m, dims.k}, dims.transpose_a ? tag::acb : tag::abc);
    const auto b = float_desc({dims.batch, dims.k, dims.n}, dims.transpose_b ? tag::acb : tag::abc);
    const auto c = float_desc({dims.batch, dims.m, dims.n}, tag::abc);
    return std::make_shared<cpu::OneDnnMatmul>(ctx, cpu::describe_matmul(*ctx.onednn, a, b, c, cpu::attributes(ops)));
  });
}

}  // namespace psanet::kernels
