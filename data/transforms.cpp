#include "data/transforms.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace psanet::data {
namespace {

constexpr int kPositionBits = 10;  // OpenCV's warp keeps source positions in 1/1024 pixels
constexpr int kFractionBits = 5;   // and interpolates at 1/32 pixel
constexpr int kLinearRound = 1 << (kPositionBits - kFractionBits - 1);
constexpr int kNearestRound = 1 << (kPositionBits - 1);

int reflect_101(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

/// Pixel pointer in a patch by full-image coordinates that lie in its window.
template <typename T>
const T* pixel(const Patch<T>& patch, int y, int x, int channels) {
  const auto row = std::size_t(y - patch.window.top), column = std::size_t(x - patch.window.left);
  return patch.values.data() + (row * std::size_t(patch.window.width) + column) * std::size_t(channels);
}

}  // namespace

Rotation::Rotation(int height, int width, double degrees) : height_(height), width_(width) {
  const double angle = degrees * std::numbers::pi / 180;
  const double a = std::cos(angle), b = std::sin(angle);
  const double cx = width / 2.0, cy = height / 2.0;
  const double forward[2][3] = {{a, b, (1 - a) * cx - b * cy}, {-b, a, b * cx + (1 - a) * cy}};
  const double scale = 1 / (forward[0][0] * forward[1][1] - forward[0][1] * forward[1][0]);
  inverse_[0][0] = forward[1][1] * scale;
  inverse_[0][1] = -forward[0][1] * scale;
  inverse_[1][0] = -forward[1][0] * scale;
  inverse_[1][1] = forward[0][0] * scale;
  for (auto& row : inverse_) row[2] = -row[0] * forward[0][2] - row[1] * forward[1][2];
}

int Rotation::along_x(int axis, int x) const {
  return int(std::lrint(inverse_[axis][0] * x * (1 << kPositionBits)));
}

int Rotation::along_y(int axis, int y) const {
  return int(std::lrint((inverse_[axis][1] * y + inverse_[axis][2]) * (1 << kPositionBits)));
}

Window Rotation::source_of(const Window& out) const {
  // Rounded positions still grow or fall steadily along x and along y, so the corners are the extremes.
  int low_x = INT32_MAX, high_x = INT32_MIN, low_y = INT32_MAX, high_y = INT32_MIN;
  for (const int x : {out.left, out.left + out.width - 1}) {
    for (const int y : {out.top, out.top + out.height - 1}) {
      low_x = std::min(low_x, x_at(x, y));
      high_x = std::max(high_x, x_at(x, y));
      low_y = std::min(low_y, y_at(x, y));
      high_y = std::max(high_y, y_at(x, y));
    }
  }
  const auto first = [](int position) { return position >> kPositionBits; };
  const auto last = [](int position) { return ((position + kNearestRound) >> kPositionBits) + 1; };
  const int left = std::clamp(first(low_x), 0, width_), right = std::clamp(last(high_x) + 1, 0, width_);
  const int top = std::clamp(first(low_y), 0, height_), bottom = std::clamp(last(high_y) + 1, 0, height_);
  return {top, left, std::max(bottom - top, 0), std::max(right - left, 0)};
}

void rotate_linear(const Rotation& rotation, const ImagePatch& in, const Color& fill, ImagePatch& out) {
  constexpr int kSteps = 1 << kFractionBits;
  const int height = in.full_h, width = in.full_w;
  std::vector<int> dx(std::size_t(out.window.width)), dy(dx.size());
  for (int x = 0; x < out.window.width; ++x) {
    dx[std::size_t(x)] = rotation.along_x(0, out.window.left + x);
    dy[std::size_t(x)] = rotation.along_x(1, out.window.left + x);
  }
  float* target = out.values.data();
  for (int y = 0; y < out.window.height; ++y) {
    const int x0 = rotation.along_y(0, out.window.top + y) + kLinearRound;
    const int y0 = rotation.along_y(1, out.window.top + y) + kLinearRound;
    for (std::size_t x = 0; x < dx.size(); ++x, target += 3) {
      const int px = (x0 + dx[x]) >> (kPositionBits - kFractionBits),
                py = (y0 + dy[x]) >> (kPositionBits - kFractionBits);
      const int sx = px >> kFractionBits, sy = py >> kFractionBits;
      const float tx = float(px & (kSteps - 1)) / kSteps, ty = float(py & (kSteps - 1)) / kSteps;
      const float weight[4] = {(1 - ty) * (1 - tx), (1 - ty) * tx, ty * (1 - tx), ty * tx};
      const float* tap[4];
      if (sx >= 0 && sx + 1 < width && sy >= 0 && sy + 1 < height) {
        tap[0] = pixel(in, sy, sx, 3);
        tap[1] = tap[0] + 3;
        tap[2] = tap[0] + std::ptrdiff_t(in.window.width) * 3;
        tap[3] = tap[2] + 3;
      } else {
        for (int k = 0; k < 4; ++k) {
          const int qx = sx + (k & 1), qy = sy + (k >> 1);
          tap[k] = qx >= 0 && qx < width && qy >= 0 && qy < height ? pixel(in, qy, qx, 3) : fill.data();
        }
      }
      for (int c = 0; c < 3; ++c) {
        target[c] = tap[0][c] * weight[0] + tap[1][c] * weight[1] + tap[2][c] * weight[2] + tap[3][c] * weight[3];
      }
    }
  }
}

void rotate_nearest(const Rotation& rotation, const LabelPatch& in, std::uint8_t fill, LabelPatch& out) {
  std::vector<int> dx(std::size_t(out.window.width)), dy(dx.size());
  for (int x = 0; x < out.window.width; ++x) {
    dx[std::size_t(x)] = rotation.along_x(0, out.window.left + x);
    dy[std::size_t(x)] = rotation.along_x(1, out.window.left + x);
  }
  std::uint8_t* target = out.values.data();
  for (int y = 0; y < out.window.height; ++y) {
    const int x0 = rotation.along_y(0, out.window.top + y) + kNearestRound;
    const int y0 = rotation.along_y(1, out.window.top + y) + kNearestRound;
    for (std::size_t x = 0; x < dx.size(); ++x) {
      const int sx = (x0 + dx[x]) >> kPositionBits, sy = (y0 + dy[x]) >> kPositionBits;
      const bool inside = sx >= 0 && sx < in.full_w && sy >= 0 && sy < in.full_h;
      *target++ = inside ? *pixel(in, sy, sx, 1) : fill;
    }
  }
}

Window blur_source_of(int full_h, int full_w, const Window& out) {
  const int top = std::max(out.top - 2, 0), left = std::max(out.left - 2, 0);
  return {top, left, std::min(out.top + out.height + 2, full_h) - top,
          std::min(out.left + out.width + 2, full_w) - left};
}

void blur(const ImagePatch& in, ImagePatch& out, std::vector<float>& rows) {
  constexpr float k0 = 6.0F / 16, k1 = 4.0F / 16, k2 = 1.0F / 16;
  const std::size_t row_size = std::size_t(out.window.width) * 3;
  rows.resize(std::size_t(in.window.height) * row_size);
  for (int y = 0; y < in.window.height; ++y) {
    const float* row = pixel(in, in.window.top + y, in.window.left, 3);
    float* target = rows.data() + std::size_t(y) * row_size;
    for (int x = 0; x < out.window.width; ++x) {
      const int column = out.window.left + x;
      const float* tap[5];
      for (int k = 0; k < 5; ++k) {
        const int from = column + k - 2;
        tap[k] =
            row +
            std::ptrdiff_t((from >= 0 && from < in.full_w ? from : reflect_101(from, in.full_w)) - in.window.left) * 3;
      }
      for (int c = 0; c < 3; ++c)
        *target++ = tap[2][c] * k0 + (tap[1][c] + tap[3][c]) * k1 + (tap[0][c] + tap[4][c]) * k2;
    }
  }
  for (int y = 0; y < out.window.height; ++y) {
    const float* tap[5];
    for (int k = 0; k < 5; ++k) {
      tap[k] = rows.data() + std::size_t(reflect_101(out.window.top + y + k - 2, in.full_h) - in.window.top) * row_size;
    }
    float* target = out.values.data() + std::size_t(y) * row_size;
    for (std::size_t i = 0; i < row_size; ++i)
      target[i] = tap[2][i] * k0 + (tap[1][i] + tap[3][i]) * k1 + (tap[0][i] + tap[4][i]) * k2;
  }
}

CropPlace place_crop(int height, int width, int crop_h, int crop_w) {
  const int pad_h = std::max(crop_h - height, 0), pad_w = std::max(crop_w - width, 0);
  return {pad_h / 2, pad_w / 2, std::max(height - crop_h, 0), std::max(width - crop_w, 0)};
}

}  // namespace psanet::data
