// psanet-eval: scores a trained network on a split, and makes and checks what test servers want.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apps/app.h"
#include "apps/evaluation.h"
#include "apps/network_source.h"
#include "apps/rank_options.h"
#include "apps/submission.h"
#include "data/codec.h"
#include "engine/error.h"

namespace psanet::apps {
namespace {

struct EvalOptions {
  NetworkOptions network;
  std::string split, submit;
  std::filesystem::path folder, submission, check;
  bool save_predictions = false;
};

/// An archive that is there already, without a network.
void check_archive(const EvalOptions& o) {
  const std::string name = !o.submit.empty() ? o.submit : o.network.dataset;
  if (name.empty() || o.network.data_root.empty()) {
    throw ConfigError("--check-submission needs --data-root and --submit (ade20k, voc2012 or cityscapes)");
  }
  const data::Dataset dataset = data::load_dataset(name);
  const auto samples = data::read_list(dataset, o.network.data_root, o.split.empty() ? "test" : o.split);
  check_submission(submission_format(dataset.name), dataset, samples, o.check);
  fmt::print("{}: all {} images are there, with names, sizes and values as the server of {} wants them\n",
             o.check.string(), samples.size(), dataset.name);
}

std::filesystem::path default_archive(const EvalOptions& o, const SubmissionFormat& format) {
  const std::string file = o.submit + (format.archive == data::ArchiveFormat::zip ? ".zip" : ".tar.gz");
  return o.folder.empty() ? std::filesystem::path(file) : o.folder / file;
}

void evaluate_split(EvalOptions o, const DeviceChoice& choice, Communicator& ranks) {
  std::optional<SubmissionFormat> format;
  if (!o.submit.empty()) format = submission_format(o.submit);  // wrong names are found before anything is read
  Network network(o.network, choice);
  const data::Dataset& dataset = network.dataset;
  if (o.split.empty()) o.split = format ? "test" : network.recipe.val_split;
  const auto samples = data::read_list(dataset, network.recipe.data_root, o.split);
  if (o.folder.empty() && !o.network.run_folder.empty()) {
    o.folder = std::filesystem::path(o.network.run_folder) / "evaluation";
  }
  if (o.save_predictions && o.folder.empty()) throw ConfigError("--save-predictions needs --output");
  const bool labelled = std::any_of(samples.begin(), samples.end(), [](const auto& s) { return !s.label.empty(); });
  if (!labelled && !format && !o.save_predictions) {
    throw ConfigError(
        fmt::format("the split {} has no labels, so there is nothing to score; want --submit or "
                    "--save-predictions",
                    o.split));
  }
  const bool writes = ranks.rank() == 0;
  if (!o.folder.empty() && writes) std::filesystem::create_directories(o.folder);
  const std::filesystem::path predictions = o.folder / "predictions";
  if (o.save_predictions && writes) std::filesystem::create_directories(predictions);
  std::optional<SubmissionWriter> writer;
  if (format) {
    if (o.submission.empty()) o.submission = default_archive(o, *format);
    if (writes) writer.emplace(*format, dataset, samples, o.submission);
  }
  const std::vector<data::Rgb> palette = dataset.palette();
  EvaluationHooks hooks;
  if (network.crf) hooks.labels = [&](const data::Image& image) { return network.labels(image); };
  if (o.save_predictions || format) {
    hooks.sink = [&](const data::Sample& sample, const data::LabelMap& prediction) {
      if (o.save_predictions) {
        data::write_label_png(predictions / (sample.image.stem().string() + ".png"), prediction, palette);
      }
      if (writer) writer->add(sample, prediction);
    };
  }

  const std::string protocol = network.describe();
  hooks.before_each = [&, image = int64_t{0}]() mutable {
    ranks.set_step(++image);
    ranks.barrier("next image");
  };
  const Evaluation evaluation = evaluate(network.predictor, dataset, samples, o.split, hooks, ranks);
  if (!writes) return;
  if (evaluation.scored) {
    fmt::print("{}{}\n", class_table(dataset, evaluation.scores), protocol);
    if (!o.folder.empty()) write_scores(o.folder, dataset, evaluation.scores, protocol);
  } else {
    fmt::print("{}: no labels, nothing scored; {}\n", o.split, protocol);
  }
  fmt::print("{}\n", evaluation.pace());
  if (writer) {
    writer->finish();
    fmt::print("{}: {} images for the server of {}, written and checked\n", o.submission.string(), samples.size(),
               o.submit);
  }
  if (!o.folder.empty()) fmt::print("written to {}\n", o.folder.string());
}

}  // namespace
}  // namespace psanet::apps

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app(
      "psanet-eval",
      "Scores a trained network: mIoU, mean accuracy, pixel accuracy, a table of classes, the confusion matrix; writes "
      "and checks submissions to test servers.");
  apps::EvalOptions options;
  options.network.add_to(app);
  app.option("--split", options.split, "split to predict (default: the recipe's val_split; test with --submit)");
  app.option("--output", options.folder,
             "folder for metrics.json, classes.csv, confusion.csv, confusion.png (default: <run>/evaluation)");
  app.flag("--save-predictions", options.save_predictions, "also writes the label maps into <output>/predictions");
  app.option("--submit", options.submit, "writes the archive for a test server: ade20k, voc2012 or cityscapes");
  app.option("--submission", options.submission, "its file (default: <output>/<server>.zip or .tar.gz)");
  app.option("--check-submission", options.check, "only checks an archive; with --submit, --data-root and --split");
  apps::RankOptions ranks;
  ranks.add_to(app);
  int code = 0;
  const int own_code = app.run(argc, argv, [&] {
    if (!options.check.empty()) return apps::check_archive(options);
    apps::DeviceChoice device = app.device();
    const apps::RankStart start = apps::start_ranks(ranks, device, argv);
    code = start.launched.value_or(0);
    if (start.launched) return;
    Communicator alone;
    start.run([&] { apps::evaluate_split(options, device, start.joined ? *start.joined : alone); });
  });
  return own_code != 0 ? own_code : code;
}
