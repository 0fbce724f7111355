// Post-processing by a fully connected conditional random field (Krähenbühl & Koltun 2011; SPEC 4, "+ DenseCRF").
#pragma once

#include <string>

#include "kernels/context.h"

namespace psanet::kernels {

struct DenseCrfDims {
  int64_t height = 0, width = 0, classes = 0;
};

/// The two Gaussian kernels over pixels, and how often the mean field is updated. A weight of 0 switches a kernel off.
struct DenseCrfParameters {
  double bi_w = 3.5;        // weight of the bilateral kernel (position and colour)
  double bi_xy_std = 55;    // its standard deviation in pixels
  double bi_rgb_std = 3;    // ... and in colour values of 0..255
  double pos_w = 2;         // weight of the kernel of position alone
  double pos_xy_std = 1;    // its standard deviation in pixels
  int64_t iterations = 10;  // of the mean field; 0: softmax(-unary)
};

/// "bi_rgb_std: found 0, want ..."; empty if the parameters suit maps of this size.
std::string dense_crf_problem(const DenseCrfDims& dims, const DenseCrfParameters& parameters);

/// The most memory that dense_crf allocates, in bytes, whatever the picture (docs/dense-crf.md derives it).
int64_t dense_crf_peak_bytes(const DenseCrfDims& dims);

/// Mean field inference with Potts compatibility and symmetrically normalised kernels. `image` [H,W,3] RGB, `unary`
/// [H,W,C] energies (-log p), `probabilities` [H,W,C], which must not overlap them. The same bits for any number of
/// threads. std::invalid_argument with dense_crf_problem's words.
void dense_crf(CpuContext& ctx, const DenseCrfDims& dims, const DenseCrfParameters& parameters, const uint8_t* image,
               const float* unary, float* probabilities);

/// The same on a processor context of its own, for callers that work on another device.
void dense_crf_on_processor(int threads, const DenseCrfDims& dims, const DenseCrfParameters& parameters,
                            const uint8_t* image, const float* unary, float* probabilities);

}  // namespace psanet::kernels
