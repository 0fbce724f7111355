// A picture being painted: colour, class and distance per point.
#pragma once

#include <limits>
#include <vector>

#include "data/image.h"
#include "data/scenes/scene_config.h"
#include "data/scenes/street.h"

namespace psanet::data {

/// Painted with kSamples x kSamples points a pixel; positions are in pixels, points lie in the middles of their cells.
class Canvas {
 public:
  static constexpr int kSamples = 2;

  Canvas(int height, int width)
      : height_(height * kSamples), width_(width * kSamples), points_(std::size_t(height_) * std::size_t(width_)) {}

  /// Calls paint(x, y) for every point of the box [x0, x1) x [y0, y1); paint returns false or sets the point.
  /// A point is painted if nothing nearer than z_m is there yet.
  template <typename Paint>
  void fill(double x0, double y0, double x1, double y1, double z_m, std::uint8_t label, Paint&& paint) {
    const int left = first(x0), right = std::min(first(x1), width_), top = first(y0),
              bottom = std::min(first(y1), height_);
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) {
        Point& p = points_[std::size_t(y) * std::size_t(width_) + std::size_t(x)];
        Colour colour;
        if (p.z < z_m || !paint((x + 0.5) / kSamples, (y + 0.5) / kSamples, colour)) continue;
        p = {colour, z_m, label};
      }
    }
  }

  struct Point {
    Colour colour;
    double z = std::numeric_limits<double>::infinity();
    std::uint8_t label = 0;
  };
  int height() const { return height_; }  ///< points
  int width() const { return width_; }
  Point& at(int y, int x) { return points_[std::size_t(y) * std::size_t(width_) + std::size_t(x)]; }
  const Point& at(int y, int x) const { return points_[std::size_t(y) * std::size_t(width_) + std::size_t(x)]; }

 private:
  static int first(double position) { return std::max(0, int(position * kSamples + 0.5)); }

  int height_, width_;
  std::vector<Point> points_;
};

/// Sky, walls and ground: what fills the whole picture.
void paint_background(const Street& street, Canvas& canvas);
/// Trees, cars, gantry, mast and our own bonnet.
void paint_objects(const SceneConfig& config, const Street& street, Canvas& canvas);

/// Things far away take on the colour of the air.
Colour haze(const Street& street, Colour colour, double z_m);

}  // namespace psanet::data
