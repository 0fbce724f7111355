// oneDNN 2.6 and 3 behind one set of names: everything that differs between the two versions is here and in onednn.cpp.
#pragma once

#include <initializer_list>
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

/// An argument of a primitive.
struct Argument {
  int id;  // DNNL_ARG_*
  dnnl::memory::desc desc;
  bool used = true;
};

/// A primitive together with its table of arguments, so that a run only stores addresses.
class Execution {
 public:
  Execution(const CpuContext& ctx, const dnnl::primitive& primitive, const std::vector<Argument>& arguments);
  /// data: where the arguments are, in their order; those that are not used are not looked at.
  void run(const char* doing, std::initializer_list<const void*> data);

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

/// Convolution: dnnl::convolution_forward, or one of its gradients with `forward`, the forward description of the same
/// sizes (without bias), which oneDNN takes as a hint.
template <class Convolution, class... Forward>
typename Convolution::primitive_desc describe(const OneDnn& onednn, const ConvolutionDesc& c,
                                              const dnnl::primitive_attr& attr, const Forward&... forward) {
  const auto make = [&](const auto&... own) -> typename Convolution::primitive_desc {
#if DNNL_VERSION_MAJOR >= 3
    return {onednn.engine, own..., c.strides, c.dilations, c.padding, c.padding, forward..., attr};
#else
    const typename Convolution::desc desc(own..., c.strides, c.dilations, c.padding, c.padding);
    return {desc, attr, onednn.engine, forward...};
#endif
  };
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  if constexpr (sizeof...(Forward) == 0) {
    return make(dnnl::prop_kind::forward_training, kDirect, c.x, c.w, c.bias, c.y);
  } else {
    return make(kDirect, c.x, c.w, c.y);
  }
}

void append_relu(dnnl::post_ops& ops);

/// Scratch memory is ours to give: nothing is allocated while running.
dnnl::primitive_attr attributes(const dnnl::post_ops& ops = {});

/// Version and instruction set in use, for reports.
std::string describe_onednn();

}  // namespace psanet::kernels::cpu
