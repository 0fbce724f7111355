#include "apps/attention_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/html.h"
#include "data/codec.h"
#include "data/heat_map.h"

namespace psanet::apps {

namespace {

constexpr std::string_view kStyle = R"(
body { max-width: 90rem; }
.choices { display: flex; flex-wrap: wrap; gap: .4rem; margin: 1rem 0; }
.choices img { height: 3.5rem; cursor: pointer; border: 3px solid transparent; border-radius: 4px; }
.choices img.chosen { border-color: var(--accent); }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { color: var(--soft); } canvas { width: 100%; display: block; cursor: crosshair; }
.bar { height: .8rem; margin-top: .3rem; } .ends { display: flex; justify-content: space-between; font-size: 12px; }
)";

constexpr std::string_view kScript = R"(
const panels = document.querySelector('.panels'), choices = document.querySelector('.choices');
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
let shown = null, point = null, pinned = false;

// Pixel p of the image is at (p + 0.5) * scale - 0.5 + offset in the crop. A map's corners are the crop's corners,
// or its cells are equal shares of the crop.
const to_crop = (p, axis) => (p + 0.5) * axis.scale - 0.5 + axis.offset;
const from_crop = (c, axis) => (c - axis.offset + 0.5) / axis.scale - 0.5;
const cell_size = (axis, size, aligned) => aligned && size > 1 ? (axis.crop - 1) / (size - 1) : axis.crop / size;
// The left edge of the first cell.
const first_cell = (axis, size, aligned) => aligned ? -cell_size(axis, size, aligned) / 2 : -0.5;
const cell_at = (p, axis, size, aligned) => Math.min(size - 1, Math.max(0,
  Math.floor((to_crop(p, axis) - first_cell(axis, size, aligned)) / cell_size(axis, size, aligned))));

function panel(title) {
  const figure = document.createElement('figure'), canvas = document.createElement('canvas');
  const caption = document.createElement('figcaption');
  caption.textContent = title;
  canvas.width = shown.width;
  canvas.height = shown.height;
  figure.append(caption, canvas);
  panels.append(figure);
  const at = event => {
    const box = canvas.getBoundingClientRect();
    const clip = (v, most) => Math.min(most - 1, Math.max(0, Math.floor(v)));
    return {x: clip((event.clientX - box.left) / box.width * shown.width, shown.width),
            y: clip((event.clientY - box.top) / box.height * shown.height, shown.height)};
  };
  canvas.addEventListener('pointermove', event => { if (!pinned) draw(at(event)); });
  canvas.addEventListener('click', event => { pinned = !pinned; draw(at(event)); });
  return {figure, canvas, context: canvas.getContext('2d')};
}

function mark(context) {
  const radius = Math.max(3, shown.width / 60);
  for (const [color, width] of [['#000', radius / 1.5], ['#fff', radius / 3]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.arc(point.x + 0.5, point.y + 0.5, radius, 0, 7);
    context.stroke();
  }
}

function draw(where) {
  point = where;
  const {y: rows, x: columns} = shown.placement;
  const first = shown.panels[0].context;
  first.drawImage(shown.picture, 0, 0);
  mark(first);
  document.querySelector('.readout').textContent =
    `${shown.name}: x ${point.x}, y ${point.y}` + (pinned ? ' (held; click to let go)' : ' (click to hold)');
  shown.attentions.forEach((attention, a) => {
    const {context, ends} = shown.panels[a + 1], {height, width} = attention, cells = height * width;
    const aligned = attention.aligned;
    const position = cell_at(point.y, rows, height, aligned) * width + cell_at(point.x, columns, width, aligned);
    const small = new OffscreenCanvas(width, height), pixels = new ImageData(width, height);
    for (let k = 0; k < cells; ++k) {
      const color = colors[attention.bytes[position * cells + k]];
      pixels.data.set([color >> 16, color >> 8 & 255, color & 255, 255], 4 * k);
    }
    small.getContext('2d').putImageData(pixels, 0, 0);
    context.globalAlpha = 1;
    context.filter = 'grayscale(1)';
    context.drawImage(shown.picture, 0, 0);
    context.filter = 'none';
    context.globalAlpha = 0.7;
    const h = cell_size(rows, height, aligned), w = cell_size(columns, width, aligned);
    const left = from_crop(first_cell(columns, width, aligned), columns);
    const top = from_crop(first_cell(rows, height, aligned), rows);
    context.drawImage(small, left + 0.5, top + 0.5, width * w / columns.scale, height * h / rows.scale);
    context.globalAlpha = 1;
    mark(context);
    const {low, high} = attention;
    ends.replaceChildren(...[low[position], (low[position] + high[position]) / 2, high[position]].map(v => {
      const span = document.createElement('span');
      span.textContent = Number(v.toPrecision(3));
      return span;
    }));
  });
}

async function show(index, where) {
  const entry = images[index];
  if (!entry.picture) {
    entry.picture = new Image();
    entry.picture.src = entry.url;
    await entry.picture.decode();
    for (const attention of entry.attentions) attention.bytes = bytes(attention.maps);
  }
  [...choices.children].forEach((c, i) => c.classList.toggle('chosen', i === index));
  shown = entry;
  panels.replaceChildren();
  shown.panels = [panel('image')];
  for (const attention of shown.attentions) {
    const p = panel(attention.title);
    const bar = document.createElement('div');
    bar.className = 'bar';
    bar.style.background = 'linear-gradient(90deg,' + colors.filter((c, i) => i % 15 === 0)
      .map(c => '#' + c.toString(16).padStart(6, '0')).join() + ')';
    p.ends = document.createElement('div');
    p.ends.className = 'ends';
    p.figure.append(bar, p.ends);
    shown.panels.push(p);
  }
  draw(where || {x: shown.width >> 1, y: shown.height >> 1});
}

images.forEach((entry, i) => {
  const thumbnail = new Image();
  thumbnail.src = entry.url;
  thumbnail.alt = thumbnail.title = entry.name;
  thumbnail.addEventListener('click', () => { pinned = false; show(i); });
  choices.append(thumbnail);
});
function follow_address() {
  const wanted = new URLSearchParams(location.hash.slice(1)), index = Number(wanted.get('image') || 0);
  const has_point = wanted.has('x') && wanted.has('y');
  pinned = has_point;
  show(images[index] ? index : 0, has_point ? {x: Number(wanted.get('x')), y: Number(wanted.get('y'))} : null);
}
window.addEventListener('hashchange', follow_address);
follow_address();
)";

/// All maps of an attention, one after the other, each between its own ends.
nlohmann::json encoded(const models::Attention& attention) {
  const int64_t positions = attention.height * attention.width;
  std::vector<uint8_t> shares;
  std::vector<float> lows, highs;
  for (int64_t p = 0; p < positions; ++p) {
    const std::vector<float> map = attention.map_of(p);
    const float low = std::min(0.0f, *std::min_element(map.begin(), map.end()));
    const float high = std::max(0.0f, *std::max_element(map.begin(), map.end()));
    lows.push_back(low);
    highs.push_back(high);
    for (const float v : map) {
      shares.push_back(static_cast<uint8_t>(high > low ? std::lround(255 * (v - low) / (high - low)) : 0));
    }
  }
  return {{"title", attention.title()},
          {"height", attention.height},
          {"width", attention.width},
          {"low", lows},
          {"high", highs},
          {"maps", base64(shares)}};
}

}  // namespace

void AttentionPage::add(const std::string& name, const data::Image& image, const models::Placement& placement,
                        const std::vector<models::Attention>& attentions) {
  const auto axis = [](const models::AxisPlacement& a) -> nlohmann::json {
    return {{"scale", a.scale}, {"offset", a.offset}, {"crop", a.crop}};
  };
  nlohmann::json entry = {
      {"name", name},
      {"width", image.width},
      {"height", image.height},
      {"url", data_url("image/jpeg", data::jpeg_bytes(image, 85))},
      {"placement", {{"y", axis(placement.y)}, {"x", axis(placement.x)}}},
      {"attentions", nlohmann::json::array()},
  };
  for (const models::Attention& attention : attentions) entry["attentions"].push_back(encoded(attention));
  entries_.push_back(json_in_html(entry.dump()));
}

std::string AttentionPage::html() const {
  std::vector<uint32_t> colors;
  for (int i = 0; i < 256; ++i) {
    const data::Rgb c = data::heat_color(i / 255.0);
    colors.push_back(static_cast<uint32_t>(c.r) << 16 | static_cast<uint32_t>(c.g) << 8 | c.b);
  }
  const std::string body = fmt::format(
      "<h1>{}</h1>\n<p>Point at an image: the second and third picture show what the attention of that place collects "
      "from, and whom it reaches. Colours run between the numbers below each picture.</p>\n"
      "<p class=\"soft readout\"></p>\n<div class=\"panels\"></div>\n<div class=\"choices\"></div>\n"
      "<script>\nconst colors = [{}];\nconst images = [{}];\n{}</script>",
      html_text(title_), fmt::join(colors, ","), fmt::join(entries_, ",\n"), kScript);
  return html_page(title_, kStyle, body);
}

}  // namespace psanet::apps
