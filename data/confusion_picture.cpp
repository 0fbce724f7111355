#include "data/confusion_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "data/drawing.h"
#include "data/font.h"

namespace psanet::data {

namespace {

constexpr Rgb kDark{40, 40, 44}, kWhite{255, 255, 255}, kNothing{222, 222, 222}, kLine{200, 200, 200};
constexpr int kMargin = 20, kGap = 8, kBarWidth = 22;
constexpr double kTitleCaps = 13, kNameCaps = 9, kCaptionCaps = 8;

/// From paper over yellow-green and blue to nearly black: dark is much, in grey too.
Rgb heat(double share) {
  static constexpr std::array<std::array<double, 3>, 6> kStops = {
      {{255, 255, 250}, {214, 238, 186}, {127, 205, 187}, {44, 140, 190}, {32, 72, 148}, {10, 20, 62}}};
  const double at = std::sqrt(std::clamp(share, 0.0, 1.0)) * double(kStops.size() - 1);
  const std::size_t low = std::min(std::size_t(at), kStops.size() - 2);
  const double t = at - double(low);
  const auto mix = [&](std::size_t c) {
    return std::uint8_t(std::lround((1 - t) * kStops[low][c] + t * kStops[low + 1][c]));
  };
  return {mix(0), mix(1), mix(2)};
}

/// Text that runs upwards from (y, x), its baseline to the right.
void draw_upwards(Image& image, int y, int x, const std::string& text, double caps) {
  Image line(int(caps * 1.7) + 2, int(text_width(text, caps)) + 3, kPaper);
  draw_text(line, 1, 1, text, caps, kDark);
  for (int v = 0; v < line.height; ++v) {
    for (int u = 0; u < line.width; ++u) {
      const int row = y - u, column = x + v;
      if (row >= 0 && row < image.height && column >= 0 && column < image.width) {
        std::copy_n(line.at(v, u), 3, image.at(row, column));
      }
    }
  }
}

/// Pixels of a cell: large for few classes, so that names and numbers fit.
int cell_size(int classes) {
  if (classes <= 12) return 52;
  if (classes <= 40) return 30;
  return std::max(4, 1050 / classes);
}

struct Layout {
  int cell = 0, side = 0, left = 0, top = 0;
  bool names = false, numbers = false;
};

void draw_axes(Image& out, const Layout& at, std::span<const std::string> labels) {
  for (int c = 0; c < int(labels.size()); ++c) {
    const std::string& label = labels[std::size_t(c)];
    if (label.empty()) continue;
    const int middle = c * at.cell + at.cell / 2;
    draw_text(out, at.left - kGap - text_width(label, kNameCaps), at.top + middle - kNameCaps / 2, label, kNameCaps,
              kDark);
    draw_upwards(out, at.top - kGap, at.left + middle - int(kNameCaps) / 2 - 1, label, kNameCaps);
    if (!at.names) {  // short marks show which row is meant
      fill_rectangle(out, {at.top + middle, at.left - 5, 1, 4}, kDark);
      fill_rectangle(out, {at.top - 5, at.left + middle, 4, 1}, kDark);
    }
  }
}

void draw_cells(Image& out, const Layout& at, const ConfusionMatrix& scores) {
  const int n = scores.classes();
  for (int truth = 0; truth < n; ++truth) {
    const auto total = double(scores.target(truth));
    for (int predicted = 0; predicted < n; ++predicted) {
      const double share = total > 0 ? double(scores.counts()[std::size_t(truth * n + predicted)]) / total : 0;
      const int top = at.top + truth * at.cell, left = at.left + predicted * at.cell;
      const int inner = at.cell >= 12 ? at.cell - 1 : at.cell;  // thin lines between large cells
      fill_rectangle(out, {top, left, inner, inner}, total > 0 ? heat(share) : kNothing);
      const double percent = 100 * share;
      if (!at.numbers || percent < 0.5) continue;
      const std::string text = fmt::format("{:.0f}", percent);
      const double caps = at.cell >= 48 ? 10 : 7;
      draw_text(out, left + (inner - text_width(text, caps)) / 2, top + (inner - caps) / 2, text, caps,
                share > 0.2 ? kWhite : kDark);
    }
  }
}

void draw_bar(Image& out, const Layout& at, int left, int height) {
  for (int y = 0; y < height; ++y) {
    const double root = 1 - double(y) / double(height - 1);
    fill_rectangle(out, {at.top + y, left, 1, kBarWidth}, heat(root * root));
  }
  for (const int percent : {100, 75, 50, 25, 10, 5, 1, 0}) {
    const int y = at.top + int(std::lround((1 - std::sqrt(percent / 100.0)) * (height - 1)));
    fill_rectangle(out, {y, left + kBarWidth, 1, 5}, kDark);
    draw_text(out, left + kBarWidth + 9, y - kNameCaps / 2, fmt::format("{} %", percent), kNameCaps, kDark);
  }
}

/// `text` in lines of at most `width` pixels, broken between words.
std::vector<std::string> wrapped(const std::string& text, double caps, int width) {
  std::vector<std::string> lines(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    std::string& last = lines.back();
    if (!last.empty() && text_width(last + " " + word, caps) > width) {
      lines.push_back(word);
    } else {
      last += (last.empty() ? "" : " ") + word;
    }
    at = end + 1;
  }
  return lines;
}

}  // namespace

Image draw_confusion(const ConfusionMatrix& scores, std::span<const std::string> names, const std::string& title,
                     const std::string& caption) {
  const int n = scores.classes();
  Layout at;
  at.cell = cell_size(n);
  at.side = n * at.cell;
  at.names = at.cell >= 14;
  at.numbers = at.cell >= 26;
  std::vector<std::string> labels;
  for (int c = 0; c < n; ++c) {
    labels.push_back(at.names ? names[std::size_t(c)] : c % 10 == 0 ? fmt::format("{}", c) : std::string());
  }
  double longest = 0;
  for (const std::string& label : labels) longest = std::max(longest, text_width(label, kNameCaps));
  at.left = kMargin + int(longest) + 2 * kGap;
  const int width = std::max(at.side, 260);  // of what stands above and below
  const int title_height = title.empty() ? 0 : int(kTitleCaps) + 14;
  at.top = kMargin + title_height + int(kNameCaps) + kGap + int(longest) + 2 * kGap;
  const int bar_left = at.left + at.side + 2 * kGap;
  const int image_width = std::max(bar_left + kBarWidth + 50, at.left + width) + kMargin;
  const auto lines =
      caption.empty() ? std::vector<std::string>() : wrapped(caption, kCaptionCaps, image_width - 2 * kMargin);
  const int bar_height = std::max(at.side, 120);
  const int caption_top = at.top + bar_height + 2 * kGap;
  Image out(caption_top + int(lines.size()) * 15 + kMargin, image_width, kPaper);

  if (!title.empty()) draw_text(out, kMargin, kMargin, title, kTitleCaps, kDark);
  draw_text(out, at.left, kMargin + title_height, "rows: truth (100 % each)   columns: prediction", kNameCaps, kDark);
  fill_rectangle(out, {at.top - 1, at.left - 1, at.side + 2, at.side + 2}, kLine);
  draw_axes(out, at, labels);
  draw_cells(out, at, scores);
  draw_bar(out, at, bar_left, bar_height);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    draw_text(out, kMargin, caption_top + int(i) * 15, lines[i], kCaptionCaps, kDark);
  }
  return out;
}

}  // namespace psanet::data
