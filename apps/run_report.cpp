#include "apps/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/html.h"
#include "apps/run_log.h"
#include "apps/svg_chart.h"
#include "data/file_bytes.h"
#include "engine/error.h"
#include "engine/json/reader.h"

namespace psanet::apps {

namespace {

using nlohmann::json;
using Log = std::map<std::string, LoggedSeries>;

constexpr std::string_view kStyle = R"(
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
svg.chart { width: 100%; background: color-mix(in srgb, var(--line) 20%, transparent); border-radius: 6px; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg text.title { font-size: 13px; fill: var(--ink); }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .curve { fill: none; stroke-width: 1.6; }
svg .cursor { stroke: var(--soft); stroke-dasharray: 3 3; visibility: hidden; }
svg.read .cursor { visibility: visible; }
svg text.readout { fill: var(--ink); }
.figures { display: flex; flex-wrap: wrap; gap: 2rem; margin: 1rem 0; }
.figures b { display: block; font-size: 1.5rem; }
.bar { display: inline-block; height: .7rem; background: var(--accent); border-radius: 2px; vertical-align: baseline; }
.samples img { display: block; margin: 0 0 1rem; }
)";

std::optional<json> read_json(const std::filesystem::path& file) {
  std::error_code none;
  if (!std::filesystem::exists(file, none)) return std::nullopt;
  return psanet::read_json(file, raise<ConfigError>);
}

std::string picture(const std::filesystem::path& file) {
  return fmt::format("<img alt=\"{}\" src=\"{}\">", html_text(file.stem().string()),
                     data_url("image/png", data::read_file_bytes(file)));
}

std::string figure(const std::string& name, const std::string& value) {
  return fmt::format("<div>{}<b>{}</b></div>", html_text(name), html_text(value));
}

/// The curves of `keys` that the run logged, each times `factor`, under the names behind them.
Chart chart_of(const Log& log, const std::string& title, const std::vector<std::pair<std::string, std::string>>& keys,
               double factor = 1) {
  Chart chart;
  chart.title = title;
  for (const auto& [key, name] : keys) {
    const auto found = log.find(key);
    if (found == log.end()) continue;
    Curve curve{name, found->second.iterations, found->second.values};
    for (double& v : curve.y) v *= factor;
    chart.curves.push_back(std::move(curve));
  }
  return chart;
}

/// Exponential mean over about `window` points, so that the trend of a noisy loss can be seen; the first points are
/// means of what there is.
Curve smoothed(const Curve& curve, double window) {
  Curve result{curve.name + " (smoothed)", curve.x, curve.y};
  const double keep = 1 - 1 / window;
  double sum = 0, weight = 0;
  for (double& y : result.y) {
    sum = keep * sum + y;
    weight = keep * weight + 1;
    y = sum / weight;
  }
  return result;
}

std::string curves(const Log& log) {
  Chart loss = chart_of(log, "training loss", {{"loss", "loss"}, {"loss.main", "main head"}});
  if (!loss.curves.empty() && loss.curves[0].y.size() >= 50) loss.curves.push_back(smoothed(loss.curves[0], 20));
  std::string out = svg_chart(loss);
  out += svg_chart(chart_of(log, "validation scores, %",
                            {{"mIoU_val", "mIoU"}, {"mAcc_val", "mAcc"}, {"allAcc_val", "pixel accuracy"}}, 100));
  out += svg_chart(chart_of(log, "scores of training batches, % (means over epochs)",
                            {{"mIoU_train", "mIoU"}, {"mAcc_train", "mAcc"}, {"allAcc_train", "pixel accuracy"}}, 100));
  out += svg_chart(chart_of(log, "learning rate", {{"lr", "lr"}}));
  Chart speed = chart_of(log, "images per second", {{"images_per_second", "images/s"}});
  speed.from_zero = true;
  out += svg_chart(speed);
  Chart wait = chart_of(log, "seconds spent waiting for data, in all", {{"data_wait_seconds", "seconds"}});
  wait.from_zero = true;
  out += svg_chart(wait);
  return fmt::format("<h2>Curves</h2>\n<div class=\"charts\">\n{}</div>\n", out);
}

/// A share that may be missing or null.
std::optional<double> share_of(const JsonReader& object, const std::string& key) {
  const auto share = object.find(key);
  return share && !share->value().is_null() ? std::optional(share->number()) : std::nullopt;
}

/// A string that may be missing or empty.
std::string text(const JsonReader& object, const std::string& key) {
  const auto member = object.find(key);
  return member ? member->text() : "";
}

std::string class_table(const JsonReader& metrics) {
  std::string rows;
  const auto cell = [](std::optional<double> share) {
    return share ? fmt::format("{:.1f}", 100 * *share) : std::string("n/a");
  };
  const auto classes = metrics.find("classes");
  for (const JsonReader& c : classes ? classes->items() : std::vector<JsonReader>()) {
    const std::optional<double> iou = share_of(c, "iou");
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"number\">{}</td><td><span class=\"bar\" style=\"width:{:.2f}rem\"></span></td>"
        "<td class=\"number\">{}</td></tr>\n",
        html_text(text(c, "name")), cell(iou), 12 * iou.value_or(0), cell(share_of(c, "accuracy")));
  }
  return fmt::format(
      "<h2>Class by class</h2>\n<table><tr><th>class</th><th class=\"number\">IoU %</th><th></th><th "
      "class=\"number\">accuracy %</th></tr>\n{}</table>\n",
      rows);
}

std::string samples(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".png") files.push_back(entry.path());
  }
  if (files.empty()) return "";
  std::sort(files.begin(), files.end());
  std::string out = "<h2>Sample predictions</h2>\n<div class=\"samples\">\n";
  for (const auto& file : files)
    out += fmt::format("<p class=\"soft\">{}</p>{}\n", html_text(file.stem().string()), picture(file));
  return out + "</div>\n";
}

}  // namespace

std::string run_report(const std::filesystem::path& run_folder) {
  const std::filesystem::path recipe_file = run_folder / "recipe.json",
                              scores_file = run_folder / "evaluation" / "metrics.json";
  const std::optional<json> recipe_json = read_json(recipe_file);
  if (!recipe_json) throw ConfigError(fmt::format("{}: no run folder (it has no recipe.json)", run_folder.string()));
  const JsonReader recipe = JsonReader::of_file(*recipe_json, recipe_file.string());
  recipe.members();
  const auto number = [](const JsonReader& object, const char* key) {
    const auto member = object.find(key);
    return member ? member->integer() : 0;
  };
  const Log log = read_run_log(run_folder / "metrics.jsonl");
  const std::optional<json> scores_json = read_json(scores_file);
  std::optional<JsonReader> metrics;
  if (scores_json) metrics = JsonReader::of_file(*scores_json, scores_file.string());
  if (metrics) metrics->members();

  const std::string name =
      run_folder.filename().empty() ? run_folder.parent_path().filename().string() : run_folder.filename().string();
  std::string body =
      fmt::format("<h1>{}</h1>\n<p>{}</p>\n<p class=\"soft\">{} on {}, batch {}</p>\n<div class=\"figures\">",
                  html_text(name), html_text(text(recipe, "about")), html_text(text(recipe, "model")),
                  html_text(text(recipe, "dataset")), number(recipe, "batch"));
  if (const auto loss = log.find("loss"); loss != log.end()) {
    body +=
        figure("iteration", fmt::format("{:.0f} of {}", loss->second.iterations.back(), number(recipe, "iterations")));
    body += figure("loss", fmt::format("{:.4f}", loss->second.values.back()));
  }
  if (metrics) {
    for (const auto& [key, title] : {std::pair{"mIoU", "mIoU"}, {"mAcc", "mAcc"}, {"pixel_accuracy", "pixel accuracy"}})
      body += figure(title, fmt::format("{:.2f} %", 100 * share_of(*metrics, key).value_or(0)));
  }
  body += "</div>\n";
  if (metrics) {
    body += fmt::format("<p class=\"soft\">{}. Means over all classes; one that never occurs counts as 0.</p>\n",
                        html_text(text(*metrics, "protocol")));
  }
  body += curves(log);
  if (metrics) body += class_table(*metrics);
  if (const auto confusion = run_folder / "evaluation" / "confusion.png"; std::filesystem::exists(confusion))
    body += "<h2>Confusion matrix</h2>\n" + picture(confusion) + "\n";
  body += samples(run_folder / "samples");
  body += fmt::format("<h2>Recipe</h2>\n<details><summary>recipe.json</summary><pre>{}</pre></details>\n{}",
                      html_text(recipe_json->dump(2)), chart_script());
  return html_page(name, kStyle, body);
}

}  // namespace psanet::apps
