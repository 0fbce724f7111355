// One value or two in, one value out: each formula is written once, here, and every backend has a loop for it.
//
// A new function is a struct and its name in one of the two lists at the end.
#pragma once

#include <cmath>

#include "kernels/context.h"

namespace psanet::kernels {

/// max(x, 0)
struct Relu {
  PSANET_EVERYWHERE float operator()(float x) const { return x < 0.0f ? 0.0f : x; }  // so written, NaN stays NaN
};
/// The gradient at 0 is 0.
struct ReluGradient {
  PSANET_EVERYWHERE float operator()(float y, float d_y) const { return y > 0.0f ? d_y : 0.0f; }
};
/// 1 / (1 + exp(-x))
struct Sigmoid {
  PSANET_EVERYWHERE float operator()(float x) const {
    const float e = std::exp(-std::abs(x));  // at most 1, so that nothing overflows
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
  }
};
struct SigmoidGradient {
  PSANET_EVERYWHERE float operator()(float y, float d_y) const { return d_y * y * (1.0f - y); }
};
struct Times {
  float factor;
  PSANET_EVERYWHERE float operator()(float x) const { return factor * x; }
};
struct Sum {
  PSANET_EVERYWHERE float operator()(float a, float b) const { return a + b; }
};
/// a / b, 0 where b is 0
struct QuotientOrZero {
  PSANET_EVERYWHERE float operator()(float a, float b) const { return b == 0.0f ? 0.0f : a / b; }
};

/// y = f(x), element by element; y may be x.
template <class F>
void map(CpuContext& ctx, int64_t elements, const F& f, const float* x, float* y);
template <class F, class T>
void map(CudaContext& ctx, int64_t elements, const F& f, const T* x, T* y);
/// y = f(a, b), element by element; y may be a or b.
template <class F>
void map(CpuContext& ctx, int64_t elements, const F& f, const float* a, const float* b, float* y);
template <class F, class T>
void map(CudaContext& ctx, int64_t elements, const F& f, const T* a, const T* b, T* y);

/// y = factor[0] * x with the factor in device memory; y may be x.
void scale_by(CpuContext& ctx, int64_t elements, const float* factor, const float* x, float* y);
template <class T>
void scale_by(CudaContext& ctx, int64_t elements, const float* factor, const T* x, T* y);

}  // namespace psanet::kernels

/// The functions that map() is compiled for.
#define PSANET_FUNCTIONS_OF_ONE(X) X(Relu) X(Sigmoid) X(Times)
#define PSANET_FUNCTIONS_OF_TWO(X) X(ReluGradient) X(SigmoidGradient) X(Sum) X(QuotientOrZero)
