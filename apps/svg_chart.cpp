#include "apps/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "apps/html.h"

namespace psanet::apps {

namespace {

constexpr double kWidth = 640, kHeight = 260, kLeft = 56, kRight = 12, kTop = 30, kBottom = 34;
// Told apart by people who see colours differently too (blue, orange, green, purple, grey).
constexpr std::string_view kColors[] = {"#2f6fd6", "#e07b1a", "#2c9c69", "#9457c8", "#808893"};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
};

bool usable(const Curve& curve, size_t i) {
  return std::isfinite(curve.x[i]) && std::isfinite(curve.y[i]);
}

/// At most this many points are drawn of a curve, the smallest and the largest of every slice among them, so that a run
/// of 150000 iterations makes a small page and still shows its spikes.
constexpr size_t kMostPoints = 1200;

std::vector<size_t> drawn_points(const Curve& curve) {
  std::vector<size_t> all;
  for (size_t i = 0; i < curve.x.size(); ++i) {
    if (usable(curve, i)) all.push_back(i);
  }
  if (all.size() <= kMostPoints) return all;
  std::vector<size_t> chosen;
  const size_t slices = kMostPoints / 2;
  for (size_t s = 0; s < slices; ++s) {
    const auto first = all.begin() + static_cast<long>(s * all.size() / slices);
    const auto last = all.begin() + static_cast<long>((s + 1) * all.size() / slices);
    const auto lower = [&](size_t a, size_t b) { return curve.y[a] < curve.y[b]; };
    size_t low = *std::min_element(first, last, lower), high = *std::max_element(first, last, lower);
    if (low > high) std::swap(low, high);
    chosen.push_back(low);
    if (high != low) chosen.push_back(high);
  }
  return chosen;
}

std::string number(double v) {
  return fmt::format("{:.6g}", v);
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int most) {
  if (low > high) std::swap(low, high);
  if (high - low < 1e-12 * std::max(1.0, std::abs(high))) {
    const double around = std::max(std::abs(high) * 0.5, 0.5);
    low -= around;
    high += around;
  }
  double step = std::pow(10.0, std::floor(std::log10((high - low) / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    const double wide = step * factor;
    if (std::ceil(high / wide - 1e-9) - std::floor(low / wide + 1e-9) <= most) {
      step = wide;
      break;
    }
  }
  std::vector<double> ticks;
  const auto first = static_cast<int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<int64_t>(std::ceil(high / step - 1e-9));
  for (int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string svg_chart(const Chart& chart) {
  Range x, y;
  for (const Curve& curve : chart.curves) {
    for (size_t i = 0; i < curve.x.size(); ++i) {
      if (!usable(curve, i)) continue;
      x.add(curve.x[i]);
      y.add(curve.y[i]);
    }
  }
  if (x.low > x.high) return "";
  if (chart.from_zero) y.add(0);
  const std::vector<double> y_ticks = axis_ticks(y.low, y.high, 5);
  std::vector<double> x_ticks = axis_ticks(x.low, x.high, 8);
  if (x.low == x.high) x = {x_ticks.front(), x_ticks.back()};
  y = {y_ticks.front(), y_ticks.back()};
  const auto at_x = [&](double v) { return kLeft + (v - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight); };
  const auto at_y = [&](double v) {
    return kHeight - kBottom - (v - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom);
  };

  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n<text class=\"title\" x=\"{}\" "
      "y=\"16\">{}</text>\n",
      kWidth, kHeight, html_text(chart.title), kLeft, html_text(chart.title));
  for (const double tick : y_ticks) {
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text class=\"tick\" x=\"{}\" "
        "y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
        kLeft, kWidth - kRight, at_y(tick), at_y(tick), kLeft - 6, at_y(tick) + 4, number(tick));
  }
  for (const double tick : x_ticks) {
    if (tick < x.low || tick > x.high) continue;
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", at_x(tick),
                       kHeight - kBottom + 16, number(tick));
  }
  svg += fmt::format("<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">iteration</text>\n", kWidth - kRight,
                     kHeight - 4);

  double legend_x = kWidth - kRight;
  for (size_t c = chart.curves.size(); c-- > 0 && chart.curves.size() > 1;) {  // from the right edge inwards
    legend_x -= 22 + 6.6 * static_cast<double>(chart.curves[c].name.size());
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{}\"/><text class=\"tick\" x=\"{:.1f}\" "
        "y=\"17\">{}</text>\n",
        legend_x, kColors[c % std::size(kColors)], legend_x + 14, html_text(chart.curves[c].name));
  }
  for (size_t c = 0; c < chart.curves.size(); ++c) {
    const Curve& curve = chart.curves[c];
    const std::vector<size_t> points = drawn_points(curve);
    const std::string_view color = kColors[c % std::size(kColors)];
    // The script reads the values back from data-*; the path alone is in pixels.
    std::string path, xs, ys;
    for (const size_t i : points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at_x(curve.x[i]), at_y(curve.y[i]));
      xs += fmt::format("{}{}", xs.empty() ? "" : " ", number(curve.x[i]));
      ys += fmt::format("{}{}", ys.empty() ? "" : " ", number(curve.y[i]));
    }
    svg += fmt::format("<path class=\"curve\" stroke=\"{}\" d=\"{}\" data-name=\"{}\" data-x=\"{}\" data-y=\"{}\"/>\n",
                       color, path, html_text(curve.name), xs, ys);
    if (points.size() <= 40) {
      for (const size_t i : points)
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>", at_x(curve.x[i]),
                           at_y(curve.y[i]), color);
      svg += "\n";
    }
  }
  svg += fmt::format(
      "<line class=\"cursor\" y1=\"{}\" y2=\"{}\" data-left=\"{}\" data-right=\"{}\" data-low=\"{}\" data-high=\"{}\"/>"
      "<text class=\"readout\" x=\"{}\" y=\"{}\"></text>\n</svg>\n",
      kTop, kHeight - kBottom, kLeft, kWidth - kRight, x.low, x.high, kLeft + 6, kTop + 12);
  return svg;
}

std::string chart_script() {
  return R"(<script>
// The values at the x nearest to the pointer.
for (const svg of document.querySelectorAll('svg.chart')) {
  const cursor = svg.querySelector('.cursor'), readout = svg.querySelector('.readout');
  const curves = [...svg.querySelectorAll('.curve')].map(c => ({name: c.dataset.name,
    x: c.dataset.x.split(' ').map(Number), y: c.dataset.y.split(' ').map(Number)}));
  const d = cursor.dataset, left = +d.left, right = +d.right, low = +d.low, high = +d.high;
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const x = low + (at - left) / (right - left) * (high - low);
    let nearest = null;
    for (const v of curves.flatMap(c => c.x)) {
      if (nearest === null || Math.abs(v - x) < Math.abs(nearest - x)) nearest = v;
    }
    if (nearest === null) return;
    const pixel = left + (nearest - low) / (high - low) * (right - left);
    cursor.setAttribute('x1', pixel); cursor.setAttribute('x2', pixel);
    readout.textContent = nearest + ':  ' + curves.map(c => {
      const i = c.x.indexOf(nearest);
      return i < 0 ? null : (curves.length > 1 ? c.name + ' ' : '') + c.y[i];
    }).filter(t => t !== null).join('   ');
    svg.classList.add('read');
  });
  svg.addEventListener('pointerleave', () => { svg.classList.remove('read'); readout.textContent = ''; });
}
</script>
)";
}

}  // namespace psanet::apps
