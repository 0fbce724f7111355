#include "apps/prediction_page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/html.h"
#include "data/codec.h"
#include "data/picture.h"

namespace psanet::apps {

namespace {

constexpr std::string_view kStyle = R"(
body { max-width: 110rem; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: .6rem; margin-bottom: 1.4rem; }
figure { margin: 0; } figcaption { color: var(--soft); min-height: 1.5em; }
.stack { position: relative; } .stack img { width: 100%; display: block; image-rendering: pixelated; }
.stack img + img { position: absolute; inset: 0; height: 100%; opacity: var(--blend); }
.tools { position: sticky; top: 0; background: var(--paper); padding: .5rem 0; z-index: 1; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; } .legend i { width: 1.4em; height: .9em; margin-right: .4em;
  display: inline-block; border: 1px solid var(--line); vertical-align: -1px; }
)";

// The class under the pointer is told by its colour in the map, whatever the slider shows.
constexpr std::string_view kScript = R"(
const slider = document.querySelector('input[type=range]');
function blend() { document.documentElement.style.setProperty('--blend', slider.value / 100); }
slider.addEventListener('input', blend);
const wanted = new URLSearchParams(location.hash.slice(1)).get('blend');
if (wanted !== null) slider.value = wanted;
blend();

const pixels = new Map();
function colors_of(map) {
  if (!pixels.has(map)) {
    const canvas = new OffscreenCanvas(map.naturalWidth, map.naturalHeight), context = canvas.getContext('2d');
    context.drawImage(map, 0, 0);
    pixels.set(map, context.getImageData(0, 0, canvas.width, canvas.height));
  }
  return pixels.get(map);
}
for (const row of document.querySelectorAll('.row')) {
  const figures = [...row.querySelectorAll('figure')];
  const titles = figures.map(f => f.querySelector('figcaption').textContent);
  row.addEventListener('pointermove', event => {
    const stack = event.target.closest('.stack');
    if (!stack) return;
    const box = stack.getBoundingClientRect();
    figures.forEach((figure, i) => {
      const map = figure.querySelector('.stack img + img');
      if (!map) return;
      const data = colors_of(map);
      const clip = (share, size) => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
      const x = clip((event.clientX - box.left) / box.width, data.width);
      const y = clip((event.clientY - box.top) / box.height, data.height);
      const at = 4 * (y * data.width + x), d = data.data;
      const name = names[(d[at] << 16) + (d[at + 1] << 8) + d[at + 2]] || 'ignored';
      figure.querySelector('figcaption').textContent = `${titles[i]}: ${name}`;
    });
  });
  row.addEventListener('pointerleave', () => {
    figures.forEach((f, i) => { f.querySelector('figcaption').textContent = titles[i]; });
  });
}
)";

std::string figure(const std::string& title, const std::string& image_url, const std::string& map_url) {
  const std::string map = map_url.empty() ? "" : fmt::format("<img alt=\"\" src=\"{}\">", map_url);
  return fmt::format(
      "<figure><figcaption>{}</figcaption><div class=\"stack\"><img alt=\"\" src=\"{}\">{}</div></figure>\n",
      html_text(title), image_url, map);
}

uint32_t number_of(data::Rgb c) {
  return static_cast<uint32_t>(c.r) << 16 | static_cast<uint32_t>(c.g) << 8 | c.b;
}

}  // namespace

void PredictionPage::add(const std::string& name, const data::Image& image, const std::vector<std::string>& titles,
                         const std::vector<data::LabelMap>& maps) {
  const std::string photograph = data_url("image/jpeg", data::jpeg_bytes(image, 85));
  rows_ += fmt::format("<h2>{}</h2>\n<div class=\"row\">\n{}", html_text(name), figure("image", photograph, ""));
  for (size_t m = 0; m < maps.size(); ++m) {
    const std::string map = data_url("image/png", data::png_bytes(data::colourise(maps[m], dataset_)));
    rows_ += figure(titles[m], photograph, map);
  }
  rows_ += "</div>\n";
}

std::string PredictionPage::html() const {
  nlohmann::json names = nlohmann::json::object();
  std::string legend;
  for (const data::ClassInfo& c : dataset_.classes) {
    const std::string key = std::to_string(number_of(c.color));  // some data sets give two classes one colour
    names[key] = names.contains(key) ? names[key].get<std::string>() + " or " + c.name : c.name;
    legend += fmt::format("<span><i style=\"background:#{:06x}\"></i>{}</span>", number_of(c.color), html_text(c.name));
  }
  const std::string body = fmt::format(
      "<h1>{}</h1>\n<div class=\"tools\"><label>image <input type=\"range\" min=\"0\" max=\"100\" value=\"60\"> "
      "classes</label></div>\n{}<div class=\"legend\">{}</div>\n<script>\nconst names = {};\n{}</script>",
      html_text(title_), rows_, legend, json_in_html(names.dump()), kScript);
  return html_page(title_, kStyle, body);
}

}  // namespace psanet::apps
