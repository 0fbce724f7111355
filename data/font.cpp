#include "data/font.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace psanet::data {
namespace {

// A glyph is a width and some strokes on a grid where capitals go from y = 0 to 12, small letters start at 4 and tails
// end at
// 16. A letter is a coordinate: a = 0, b = 1, ... q = 16; a point is a pair (x, y). The sign before a stroke says what
// it is:
//   -  a polyline        ~  an open curve (it starts and ends at its outer points and bends towards the inner ones)
//   o  a closed curve    .  a dot
constexpr double kCapUnits = 12, kSpacingUnits = 3.4;

struct Glyph {
  char code;
  int width;
  const char* strokes;
};

constexpr Glyph kGlyphs[] = {
    {' ', 2, ""},
    {'!', 0, "-aaai .am"},
    {'"', 2, "-aaad -cacd"},
    {'#', 8, "-dabm -hafm -aeie -aiii"},
    {'%', 10, "oaadadfaf ohhkhkmhm -jabm"},
    {'&', 8, "~imcebagagfaiamfmii"},
    {'\'', 0, "-aaad"},
    {'(', 3, "~daagdn"},
    {')', 3, "~aadgan"},
    {'*', 6, "-dcdk -aegi -aige"},
    {'+', 6, "-aigi -dfdl"},
    {',', 1, "-blao"},
    {'-', 4, "-aheh"},
    {'.', 0, ".am"},
    {'/', 6, "-anga"},
    {'0', 7, "oaahahmam"},
    {'1', 3, "-acdadm"},
    {'2', 7, "~adaahahgam -amhm"},
    {'3', 7, "~acaahahgdg ~dghghmamak"},
    {'4', 7, "-fmfaaihi"},
    {'5', 7, "-gaaaaf ~afdehehmamak"},
    {'6', 7, "oafhfhmam ~gaaaai"},
    {'7', 7, "-aahacm"},
    {'8', 7, "obagaggbg oaghghmam"},
    {'9', 7, "oaahahhah ~hdhmbm"},
    {':', 0, ".af .am"},
    {';', 1, ".bf -blao"},
    {'<', 6, "-geaigm"},
    {'=', 6, "-aggg -akgk"},
    {'>', 6, "-aegiam"},
    {'?', 6, "~acaagagfdgdi .dm"},
    {'A', 8, "-ameaim -bihi"},
    {'B', 8, "-aaam ~aaeahahgegag ~agfgigimfmam"},
    {'C', 8, "~idhaaaamhmij"},
    {'D', 8, "-aaam ~aaeaiaimemam"},
    {'E', 7, "-haaaamhm -agfg"},
    {'F', 7, "-haaaam -agfg"},
    {'G', 8, "~idhaaaamimig -igfg"},
    {'H', 8, "-aaam -iaim -agig"},
    {'I', 0, "-aaam"},
    {'J', 6, "-gagh ~ghgmamaj"},
    {'K', 8, "-aaam -iaai -dfim"},
    {'L', 7, "-aaamhm"},
    {'M', 10, "-amaafjkakm"},
    {'N', 8, "-amaaimia"},
    {'O', 9, "oaajajmam"},
    {'P', 8, "-aaam ~aafaiaihfhah"},
    {'Q', 9, "oaajajmam -fijn"},
    {'R', 8, "-aaam ~aafaiaihfhah -ehim"},
    {'S', 8, "~idiaaaagigimamaj"},
    {'T', 8, "-aaia -eaem"},
    {'U', 8, "-aaah ~ahamimih -ihia"},
    {'V', 8, "-aaemia"},
    {'W', 12, "-aadmgcjmma"},
    {'X', 8, "-aaim -iaam"},
    {'Y', 8, "-aaegia -egem"},
    {'Z', 8, "-aaiaamim"},
    {'[', 2, "-caaaaoco"},
    {']', 2, "-aacacoao"},
    {'_', 6, "-angn"},
    {'a', 6, "oaegegmam -gegm"},
    {'b', 6, "-aaam oaegegmam"},
    {'c', 6, "~ggfeaeamfmgk"},
    {'d', 6, "-gagm oaegegmam"},
    {'e', 6, "-aigi ~gigeaeamfmgk"},
    {'f', 4, "~eacacd -cdcm -aeee"},
    {'g', 6, "oaegegmam -gegm ~gmgqaqap"},
    {'h', 6, "-aaam ~ahaegegi -gigm"},
    {'i', 0, "-aeam .ab"},
    {'j', 2, "-ceco ~cocqaq .cb"},
    {'k', 6, "-aaam -geaj -chgm"},
    {'l', 2, "-aaaj ~ajamcm"},
    {'m', 10, "-aeam ~ahaefefi -fifm ~fhfekeki -kikm"},
    {'n', 6, "-aeam ~ahaegegi -gigm"},
    {'o', 6, "oaegegmam"},
    {'p', 6, "-aeaq oaegegmam"},
    {'q', 6, "-gegq oaegegmam"},
    {'r', 4, "-aeam ~aiaeee"},
    {'s', 5, "~fgfeaeaififmamak"},
    {'t', 4, "-cbcj ~cjcmem -aeee"},
    {'u', 6, "-aeai ~aiamgmgi -gegm"},
    {'v', 6, "-aedmge"},
    {'w', 10, "-aedmffhmke"},
    {'x', 6, "-aegm -geam"},
    {'y', 6, "-aedm -gebq"},
    {'z', 6, "-aegeamgm"},
    {'|', 0, "-aaao"},
};
constexpr Glyph kUnknown = {0, 6, "-aagagmamaa"};

const Glyph& glyph_of(char code) {
  for (const Glyph& glyph : kGlyphs) {
    if (glyph.code == code) return glyph;
  }
  return kUnknown;
}

struct Point {
  double x, y;
};
struct Segment {
  Point from, to;
};

Point middle(Point a, Point b) {
  return {(a.x + b.x) / 2, (a.y + b.y) / 2};
}

/// A quadratic Bezier curve as short lines.
void add_curve(Point from, Point towards, Point to, std::vector<Segment>& out) {
  constexpr int kSteps = 6;
  Point last = from;
  for (int i = 1; i <= kSteps; ++i) {
    const double t = double(i) / kSteps, s = 1 - t;
    const Point next{s * s * from.x + 2 * s * t * towards.x + t * t * to.x,
                     s * s * from.y + 2 * s * t * towards.y + t * t * to.y};
    out.push_back({last, next});
    last = next;
  }
}

void add_stroke(char kind, const std::vector<Point>& p, std::vector<Segment>& out) {
  const std::size_t n = p.size();
  switch (kind) {
    case '.':
      out.push_back({p[0], p[0]});
      break;
    case '~':
      for (std::size_t i = 1; i + 1 < n; ++i) {
        add_curve(i == 1 ? p[0] : middle(p[i - 1], p[i]), p[i], i + 2 == n ? p[n - 1] : middle(p[i], p[i + 1]), out);
      }
      break;
    case 'o':
      for (std::size_t i = 0; i < n; ++i)
        add_curve(middle(p[(i + n - 1) % n], p[i]), p[i], middle(p[i], p[(i + 1) % n]), out);
      break;
    default:
      for (std::size_t i = 0; i + 1 < n; ++i) out.push_back({p[i], p[i + 1]});
  }
}

/// The glyph's lines, placed and scaled.
std::vector<Segment> outline(const Glyph& glyph, double x, double y, double scale) {
  std::vector<Segment> segments;
  for (std::string_view rest = glyph.strokes; !rest.empty();) {
    const std::string_view stroke = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(stroke.size() + 1, rest.size()));
    std::vector<Point> points;
    for (std::size_t i = 1; i + 1 < stroke.size(); i += 2) {
      points.push_back({x + (stroke[i] - 'a') * scale, y + (stroke[i + 1] - 'a') * scale});
    }
    add_stroke(stroke[0], points, segments);
  }
  return segments;
}

double distance(Point p, const Segment& s) {
  const double dx = s.to.x - s.from.x, dy = s.to.y - s.from.y;
  const double length2 = dx * dx + dy * dy;
  const double t = length2 > 0 ? std::clamp(((p.x - s.from.x) * dx + (p.y - s.from.y) * dy) / length2, 0.0, 1.0) : 0.0;
  const double ex = p.x - s.from.x - t * dx, ey = p.y - s.from.y - t * dy;
  return std::sqrt(ex * ex + ey * ey);
}

void draw_segments(Image& image, const std::vector<Segment>& segments, double radius, Rgb color) {
  if (segments.empty()) return;
  double left = 1e9, right = -1e9, top = 1e9, bottom = -1e9;
  for (const Segment& s : segments) {
    left = std::min({left, s.from.x, s.to.x});
    right = std::max({right, s.from.x, s.to.x});
    top = std::min({top, s.from.y, s.to.y});
    bottom = std::max({bottom, s.from.y, s.to.y});
  }
  const int y0 = std::max(0, int(std::floor(top - radius - 1))),
            y1 = std::min(image.height - 1, int(std::ceil(bottom + radius + 1)));
  const int x0 = std::max(0, int(std::floor(left - radius - 1))),
            x1 = std::min(image.width - 1, int(std::ceil(right + radius + 1)));
  for (int y = y0; y <= y1; ++y) {
    for (int x = x0; x <= x1; ++x) {
      double nearest = 1e9;
      for (const Segment& s : segments) nearest = std::min(nearest, distance({x + 0.5, y + 0.5}, s));
      const double cover = std::clamp(radius + 0.5 - nearest, 0.0, 1.0);
      std::uint8_t* p = image.at(y, x);
      p[0] = std::uint8_t(std::lround(p[0] + (color.r - p[0]) * cover));
      p[1] = std::uint8_t(std::lround(p[1] + (color.g - p[1]) * cover));
      p[2] = std::uint8_t(std::lround(p[2] + (color.b - p[2]) * cover));
    }
  }
}

}  // namespace

double text_width(std::string_view text, double cap_height) {
  double units = 0;
  for (const char c : text) units += glyph_of(c).width + kSpacingUnits;
  return units * cap_height / kCapUnits;
}

void draw_text(Image& image, double x, double y, std::string_view text, double cap_height, Rgb color) {
  const double scale = cap_height / kCapUnits;
  const double radius = std::max(0.55, cap_height * 0.062);
  x += kSpacingUnits / 2 * scale;
  for (const char c : text) {
    const Glyph& glyph = glyph_of(c);
    draw_segments(image, outline(glyph, x, y, scale), radius, color);
    x += (glyph.width + kSpacingUnits) * scale;
  }
}

}  // namespace psanet::data
