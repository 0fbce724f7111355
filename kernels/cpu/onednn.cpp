#include "kernels/cpu/onednn.h"

#include <fmt/format.h>
#include <omp.h>

namespace psanet::kernels::cpu {

using dnnl::algorithm;
using dnnl::prop_kind;

ThreadCount::ThreadCount(int threads) : before_(omp_get_max_threads()) {
  omp_set_num_threads(threads);
}

ThreadCount::~ThreadCount() {
  omp_set_num_threads(before_);
}

Execution::Execution(const CpuContext& ctx, const dnnl::primitive& primitive)
    : onednn_(ctx.onednn), threads_(ctx.threads), primitive_(primitive) {}

size_t Execution::add(int argument, const dnnl::memory::desc& desc) {
  memories_.emplace_back(desc, onednn_->engine, nullptr);
  arguments_.push_back({argument, memories_.back().get()});
  return memories_.size() - 1;
}

void Execution::set(size_t place, const void* data) {
  // oneDNN has no type for memory that is only read.
  memories_[place].set_data_handle(const_cast<void*>(data));
}

void Execution::run(const char* doing) {
  const ThreadCount scope(threads_);
  onednn_call(doing, [&] {
    // The C call takes the table as it is; the C++ one would build it anew every time.
    dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), onednn_->stream.get(),
                                                   static_cast<int>(arguments_.size()), arguments_.data()),
                            "could not execute a primitive");
    onednn_->stream.wait();
  });
}

dnnl::memory::desc float_desc(const dnnl::memory::dims& dims, dnnl::memory::format_tag tag) {
  return {dims, dnnl::memory::data_type::f32, tag};
}

dnnl::primitive_attr attributes(const dnnl::post_ops& ops) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(ops);
  return attr;
}

namespace {
const char* isa_name(dnnl::cpu_isa isa) {
  switch (isa) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2 VNNI";
    case dnnl::cpu_isa::avx512_core:
      return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX-512 VNNI";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX-512 bf16";
    default:
      break;
  }
  return static_cast<int>(isa) == 0 ? "portable" : "AVX-512 and newer";
}
}  // namespace

std::string describe_onednn() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{} ({})", version->major, version->minor, version->patch,
                     isa_name(dnnl::get_effective_cpu_isa()));
}

#if DNNL_VERSION_MAJOR >= 3

dnnl::convolution_forward::primitive_desc describe_forward(const OneDnn& onednn, const ConvolutionDesc& conv,
                                                           const dnnl::primitive_attr& attr) {
  return {onednn.engine,
          prop_kind::forward_training,
          algorithm::convolution_direct,
          conv.x,
          conv.w,
          conv.bias,
          conv.y,
          conv.strides,
          conv.dilations,
          conv.padding,
          conv.padding,
          attr};
}

dnnl::convolution_backward_data::primitive_desc describe_backward_data(
    const OneDnn& onednn, const ConvolutionDesc& conv, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& forward) {
  return {onednn.engine,
          algorithm::convolution_direct,
          conv.x,
          conv.w,
          conv.y,
          conv.strides,
          conv.dilations,
          conv.padding,
          conv.padding,
          forward,
          attr};
}

dnnl::convolution_backward_weights::primitive_desc describe_backward_weights(
    const OneDnn& onednn, const ConvolutionDesc& conv, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& forward) {
  return {onednn.engine,
          algorithm::convolution_direct,
          conv.x,
          conv.w,
          conv.y,
          conv.strides,
          conv.dilations,
          conv.padding,
          conv.padding,
          forward,
          attr};
}

void append_relu(dnnl::post_ops& ops) {
  ops.append_eltwise(algorithm::eltwise_relu, 0.0f, 0.0f);
}

#else

dnnl::convolution_forward::primitive_desc describe_forward(const OneDnn& onednn, const ConvolutionDesc& conv,
                                                           const dnnl::primitive_attr& attr) {
  const dnnl::convolution_forward::desc desc(prop_kind::forward_training, algorithm::convolution_direct, conv.x, conv.w,
                                             conv.bias, conv.y, conv.strides, conv.dilations, conv.padding,
                                             conv.padding);
  return {desc, attr, onednn.engine};
}

dnnl::convolution_backward_data::primitive_desc describe_backward_data(
    const OneDnn& onednn, const ConvolutionDesc& conv, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& forward) {
  const dnnl::convolution_backward_data::desc desc(algorithm::convolution_direct, conv.x, conv.w, conv.y, conv.strides,
                                                   conv.dilations, conv.padding, conv.padding);
  return {desc, attr, onednn.engine, forward};
}

dnnl::convolution_backward_weights::primitive_desc describe_backward_weights(
    const OneDnn& onednn, const ConvolutionDesc& conv, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& forward) {
  const dnnl::convolution_backward_weights::desc desc(algorithm::convolution_direct, conv.x, conv.w, conv.y,
                                                      conv.strides, conv.dilations, conv.padding, conv.padding);
  return {desc, attr, onednn.engine, forward};
}

void append_relu(dnnl::post_ops& ops) {
  ops.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
}

#endif

}  // namespace psanet::kernels::cpu
