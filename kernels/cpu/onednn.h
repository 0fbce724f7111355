// oneDNN 2.6 and 3 behind one set of names: everything that differs between the two versions is in onednn.cpp.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/context.h"
#include "kernels/error.h"

namespace psanet::kernels::cpu {

struct OneDnn {
  dnnl::engine engine;
  dnnl::stream stream;
};

/// f(), with oneDNN's exceptions turned into a DeviceError that says what was being done. `doing` is a string or a
/// function that makes one.
template <class F, class Doing>
auto onednn_call(const Doing& doing, F&& f) {
  try {
    return f();
  } catch (const dnnl::error& e) {
    if constexpr (std::is_invocable_v<Doing>) {
      throw DeviceError(std::string(doing()) + ": oneDNN: " + e.what());
    } else {
      throw DeviceError(std::string(doing) + ": oneDNN: " + e.what());
    }
  }
}

/// oneDNN asks OpenMP for the number of threads, both when a primitive is made and when it runs (the two must agree):
/// while this object lives, the answer on the calling thread is `threads`.
class ThreadCount {
 public:
  explicit ThreadCount(int threads);
  ~ThreadCount();
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

/// A primitive together with its table of arguments, so that a run only stores addresses.
class Execution {
 public:
  Execution(const CpuContext& ctx, const dnnl::primitive& primitive);
  /// Adds an argument (DNNL_ARG_*) and returns its place for set().
  size_t add(int argument, const dnnl::memory::desc& desc);
  void set(size_t place, const void* data);
  void run(const char* doing);

 private:
  std::shared_ptr<OneDnn> onednn_;
  int threads_;
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

/// float32 memory of the given logical sizes, laid out as the tag says.
dnnl::memory::desc float_desc(const dnnl::memory::dims& dims, dnnl::memory::format_tag tag);

/// A convolution in the library's terms: dilation 0 is dense; bias may be the empty description.
struct ConvolutionDesc {
  dnnl::memory::desc x, w, bias, y;
  dnnl::memory::dims strides, dilations, padding;
};

dnnl::convolution_forward::primitive_desc describe_forward(const OneDnn& onednn, const ConvolutionDesc& conv,
                                                           const dnnl::primitive_attr& attr);
/// `forward` is the forward description of the same sizes (without bias), which oneDNN takes as a hint.
dnnl::convolution_backward_data::primitive_desc describe_backward_data(
    const OneDnn& onednn, const ConvolutionDesc& conv, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& forward);
dnnl::convolution_backward_weights::primitive_desc describe_backward_weights(
    const OneDnn& onednn, const ConvolutionDesc& conv, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& forward);

void append_relu(dnnl::post_ops& ops);

/// Scratch memory is ours to give: nothing is allocated while running.
dnnl::primitive_attr attributes(const dnnl::post_ops& ops = {});

/// Version and instruction set in use, for reports.
std::string describe_onednn();

}  // namespace psanet::kernels::cpu
