// What surrounds a network at test time (SPEC 6): a picture becomes the plane that windows are cut from, their scores
// are added up, and the sum goes back to the picture's size. Everything is added in a fixed order.
#pragma once

#include "kernels/context.h"

namespace psanet::kernels {

/// Where the values of a resized axis come from: output i is the sum over k of weight[i * taps + k] *
/// in[index[i * taps + k]], in the order of k. Both arrays [out, taps] in device memory.
struct AxisTaps {
  int64_t out = 0, taps = 0;
  const int32_t* index = nullptr;
  const float* weight = nullptr;
};

/// The plane [height, width, 3] is the network's input for the resized picture, rows.out x columns.out pixels with
/// their corner at (top, left), and 0 (the mean colour) around it.
struct InputPlaneDims {
  int64_t picture_w = 0;
  int64_t height = 0, width = 0, top = 0, left = 0;
  AxisTaps rows, columns;
  bool round_to_bytes = false;             // after each axis, as software that resizes 8-bit pictures does
  float mean[3] = {}, std[3] = {1, 1, 1};  // R, G, B
  bool bgr = false;                        // the plane's channels are B, G, R
};

/// plane = (resized picture - mean) / std. picture [H, W, 3] RGB, 0..255; resized rows first, then columns.
void make_input_plane(CpuContext& ctx, const InputPlaneDims& dims, const float* picture, float* plane);
void make_input_plane(CudaContext& ctx, const InputPlaneDims& dims, const float* picture, float* plane);

/// The window [rows, columns, channels] of a plane [*, plane_w, channels] with its corner at (top, left); mirrored:
/// its columns run from right to left.
struct WindowDims {
  int64_t plane_w = 0, rows = 0, columns = 0, channels = 0, top = 0, left = 0;
  bool mirrored = false;
};

/// window = that part of the plane.
void cut_window(CpuContext& ctx, const WindowDims& dims, const float* plane, float* window);
void cut_window(CudaContext& ctx, const WindowDims& dims, const float* plane, float* window);
/// That part of the plane += window.
void add_window(CpuContext& ctx, const WindowDims& dims, const float* window, float* plane);
void add_window(CudaContext& ctx, const WindowDims& dims, const float* window, float* plane);

/// What becomes of the scores of a pixel after they have been resized.
enum class ScoreFinish : uint8_t {
  none,
  normalise,  // divided by their sum
  softmax
};

inline constexpr int64_t kMostScores = 256;

struct ScoreDims {
  int64_t plane_w = 0, channels = 0;  // channels <= kMostScores
  AxisTaps rows, columns;             // the weights may hold shares of visits, too
  ScoreFinish finish = ScoreFinish::none;
  float weight = 1;
};

/// sum [rows.out, columns.out, C] += weight * finish(resized plane). plane [*, plane_w, C]; every pixel is resized over
/// its rows first, then over columns.
void add_resized_scores(CpuContext& ctx, const ScoreDims& dims, const float* plane, float* sum);
void add_resized_scores(CudaContext& ctx, const ScoreDims& dims, const float* plane, float* sum);

}  // namespace psanet::kernels
