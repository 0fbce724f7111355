// The lowering of ops that are one function of one value or two, element by element (kernels/pointwise.h).
#pragma once

#include "engine/lowering.h"
#include "kernels/pointwise.h"

namespace psanet::layers {

/// Output 0 = f(input 0), or f(input 0, input 1).
template <class F>
Launch pointwise(Lowering& l, const F& f) {
  const int64_t n = l.in(0).elements();
  return l.launch_as(l.in(0).dtype, [=]<class T>(auto& ctx, const Buffers& b) {
    if constexpr (std::is_invocable_v<F, float>) {
      kernels::map(ctx, n, f, b.in<T>(0), b.out<T>(0));
    } else {
      kernels::map(ctx, n, f, b.in<T>(0), b.in<T>(1), b.out<T>(0));
    }
  });
}

}  // namespace psanet::layers
