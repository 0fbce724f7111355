#include "kernels/cpu/onednn.h"

#include <fmt/format.h>
#include <omp.h>

namespace psanet::kernels::cpu {

ThreadCount::ThreadCount(int threads) : before_(omp_get_max_threads()) {
  omp_set_num_threads(threads);
}

ThreadCount::~ThreadCount() {
  omp_set_num_threads(before_);
}

Execution::Execution(const CpuContext& ctx, const dnnl::primitive& primitive, const std::vector<Argument>& arguments)
    : onednn_(ctx.onednn), threads_(ctx.threads), primitive_(primitive) {
  for (const Argument& argument : arguments) {
    memories_.emplace_back();
    if (!argument.used) continue;
    memories_.back() = dnnl::memory(argument.desc, onednn_->engine, nullptr);
    arguments_.push_back({argument.id, memories_.back().get()});
  }
}

void Execution::run(const char* doing, std::initializer_list<const void*> data) {
  const ThreadCount scope(threads_);
  onednn_call(doing, [&] {
    auto memory = memories_.begin();
    for (const void* address : data) {
      // oneDNN has no type for memory that is only read.
      if (*memory) memory->set_data_handle(const_cast<void*>(address));
      ++memory;
    }
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
  using dnnl::cpu_isa;
  constexpr std::pair<cpu_isa, const char*> kNames[] = {{cpu_isa::sse41, "SSE4.1"},
                                                        {cpu_isa::avx, "AVX"},
                                                        {cpu_isa::avx2, "AVX2"},
                                                        {cpu_isa::avx2_vnni, "AVX2 VNNI"},
                                                        {cpu_isa::avx512_core, "AVX-512"},
                                                        {cpu_isa::avx512_core_vnni, "AVX-512 VNNI"},
                                                        {cpu_isa::avx512_core_bf16, "AVX-512 bf16"}};
  for (const auto& [known, name] : kNames) {
    if (known == isa) return name;
  }
  return static_cast<int>(isa) == 0 ? "portable" : "AVX-512 and newer";
}
}  // namespace

std::string describe_onednn() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{} ({})", version->major, version->minor, version->patch,
                     isa_name(dnnl::get_effective_cpu_isa()));
}

void append_relu(dnnl::post_ops& ops) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#else
  ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
}

}  // namespace psanet::kernels::cpu
