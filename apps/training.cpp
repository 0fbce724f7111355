#include "apps/training.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "apps/evaluation.h"
#include "apps/progress.h"
#include "apps/trace.h"
#include "data/loader.h"
#include "engine/atomic_file.h"
#include "engine/error.h"
#include "models/training_step.h"
#include "models/weights_file.h"

namespace psanet::apps {

using nlohmann::ordered_json;

namespace {

constexpr char kCheckpoint[] = "checkpoint.safetensors";
constexpr char kWeights[] = "weights.safetensors";

data::LoaderConfig loader_config(const Recipe& recipe, const models::Model& model) {
  data::LoaderConfig config;
  config.augment = recipe.augment_config(model);
  config.batch = static_cast<int>(recipe.batch);
  config.workers = static_cast<int>(recipe.workers);
  config.seed = static_cast<uint64_t>(recipe.seed);
  config.cache_bytes = static_cast<size_t>(recipe.cache_mb) << 20;
  return config;
}

models::TrainingOptions step_options(const Recipe& recipe, const models::Model& model, Target target) {
  models::TrainingOptions options;
  options.target = target;
  options.aux_weight = model.aux_weight;
  options.ignore = data::kIgnore;
  options.momentum = recipe.momentum;
  options.weight_decay = recipe.weight_decay;
  const double head = recipe.head_rate_factor;
  options.rate_factor = [&model, head](const std::string& name) { return model.in_backbone(name) ? 1.0 : head; };
  return options;
}

/// A new run must not overwrite what an old one trained. A folder where a run failed before its first save is free.
void refuse_old_run(const std::filesystem::path& folder) {
  for (const char* file : {kWeights, kCheckpoint}) {
    if (std::filesystem::exists(folder / file)) {
      throw ConfigError(
          fmt::format("{}: holds a run already; go on with --resume, or name another --output", folder.string()));
    }
  }
}

void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw ConfigError(fmt::format("{}: cannot be created: {}", folder.string(), error.message()));
}

class Run {
 public:
  Run(const Recipe& recipe, const TrainingOptions& options)
      : recipe_(recipe),
        options_(options),
        dataset_(data::load_dataset(recipe.dataset)),
        model_(read_recipe_model(recipe, dataset_)),
        train_samples_(data::read_list(dataset_, recipe.data_root, recipe.train_split)),
        val_samples_(recipe.val_split.empty() ? std::vector<data::Sample>{}
                                              : data::read_list(dataset_, recipe.data_root, recipe.val_split)),
        device_(options.device.open()),
        parameters_(device_),
        step_(device_,
              models::training_step(model_.build({layers::Mode::train, recipe.batch}),
                                    step_options(recipe, model_, device_.target())),
              parameters_, static_cast<uint64_t>(recipe.seed)),
        loader_(dataset_, train_samples_, loader_config(recipe, model_)) {}

  std::optional<data::ConfusionMatrix> run() {
    if (!options_.resume) refuse_old_run(options_.run_folder);
    load();
    announce();
    loader_.next();  // bad data shows before anything is written
    loader_.seek(start_);
    create_folder(options_.run_folder);
    write_text_atomically(options_.run_folder / "recipe.json", recipe_.to_json().dump(2) + "\n");
    log_.open(options_.run_folder / "metrics.jsonl", options_.resume ? std::ios::app : std::ios::trunc);
    iterate();
    save();
    if (done_ < recipe_.iterations) return std::nullopt;
    if (!scores_ && !val_samples_.empty()) score(recipe_.iterations, nullptr);
    return scores_;
  }

 private:
  void load() {
    if (options_.resume) {
      const std::filesystem::path file = options_.run_folder / kCheckpoint;
      const Safetensors checkpoint = read_safetensors(file);
      load_weights(parameters_, checkpoint, file.string(), true);
      start_ = std::stoll(checkpoint.metadata.at("iterations"));
      fmt::print("going on at iteration {}\n", start_);
    } else if (!recipe_.weights.empty()) {
      const LoadReport report = load_weights(parameters_, read_safetensors(recipe_.weights), recipe_.weights, false);
      fmt::print("{}: {}\n", recipe_.weights, models::describe(report));
    }
    loader_.seek(start_);
  }

  void announce() {
    int64_t trained = 0;
    for (const Parameters::Entry& entry : parameters_.entries()) {
      if (entry.source.kind == Source::Kind::parameter) trained += entry.tensor.type().elements();
    }
    fmt::print("{}: {} classes, crop {}x{}, batch {}; {} train, {} {} images; {}\n", recipe_.model, model_.classes,
               model_.crop_h, model_.crop_w, recipe_.batch, train_samples_.size(), val_samples_.size(),
               recipe_.val_split, device_.describe());
    fmt::print("{:.2f} M parameters, {:.1f} GFLOP a step, {} launches, peak memory {:.0f} MiB\n",
               static_cast<double>(trained) / 1e6, step_.flops() / 1e9, step_.launches(),
               static_cast<double>(step_.memory().peak_bytes()) / 1048576.0);
    std::fflush(stdout);
  }

  void iterate() {
    Tensor image = step_.input("image"), label = step_.input("label"), rate = step_.input("rate");
    // A GPU is kept busy: the losses of a step are looked at when the next step is under way. Two readers, in turn.
    const int64_t behind = device_.is_cpu() ? 0 : 1;
    std::unique_ptr<kernels::Readback> loss[2], main[2];
    for (int i : {0, 1}) {
      loss[i] = step_.output("loss").readback();
      main[i] = step_.output("loss.main").readback();
    }
    Progress progress("train", recipe_.iterations);
    double smooth = 0, waited_seconds = 0;
    const int64_t end =
        options_.stop_after > 0 ? std::min(options_.stop_after, recipe_.iterations) : recipe_.iterations;
    const auto look_at = [&](int64_t i) {
      const float value = *static_cast<const float*>(loss[i % 2]->wait());
      const float main_value = *static_cast<const float*>(main[i % 2]->wait());
      if (!std::isfinite(value)) stop_at_non_finite(i, value);
      smooth = i == start_ ? value : 0.95 * smooth + 0.05 * value;
      const double per_second = static_cast<double>((i - start_ + 1) * recipe_.batch) / progress.seconds();
      progress.update(i + 1, fmt::format("loss {:.4f}  lr {:.5f}  {:.1f} images/s", smooth, rate_of(i), per_second));
      if ((i + 1) % 10 == 0 || i + 1 == recipe_.iterations) {
        log({{"iteration", i + 1},
             {"loss", value},
             {"loss.main", main_value},
             {"lr", rate_of(i)},
             {"images_per_second", per_second},
             {"data_wait_seconds", waited_seconds},
             {"seconds", progress.seconds()}});
      }
      done_ = i + 1;
    };
    done_ = start_;
    for (int64_t i = start_; i < end; ++i) {
      const auto before_data = std::chrono::steady_clock::now();
      const data::Batch batch = loader_.next();
      waited_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - before_data).count();
      image.set(std::span<const float>(batch.images, static_cast<size_t>(image.type().elements())));
      label.set(std::span<const uint8_t>(batch.labels, static_cast<size_t>(label.type().elements())));
      rate.set(std::vector<float>{rate_of(i)});
      if (step_.has_input("counter")) step_.input("counter").set(std::vector<int64_t>{recipe_.seed, i});
      if (options_.trace && i == start_) {
        run_and_print_trace(step_);
      } else {
        step_.run();
      }
      loss[i % 2]->request();
      main[i % 2]->request();
      const int64_t every = recipe_.evaluation.every;
      const bool save_now = (i + 1) % recipe_.save_every == 0 && i + 1 < recipe_.iterations;
      const bool score_now = every > 0 && (i + 1) % every == 0 && !val_samples_.empty();
      const int64_t looked_at = save_now || score_now || i + 1 == end ? i + 1 : i + 1 - behind;
      while (done_ < looked_at) look_at(done_);
      if (save_now) save();
      if (score_now) score(done_, &progress);
    }
  }

  float rate_of(int64_t i) const {
    return static_cast<float>(models::poly_rate(recipe_.base_rate, i, recipe_.iterations, recipe_.power));
  }

  [[noreturn]] void stop_at_non_finite(int64_t i, float value) {
    std::string where = "no single value is; the sum is";
    step_.run_traced([&](const TraceEntry& entry) {
      if (entry.non_finite_output >= 0 && where.rfind("no single", 0) == 0)
        where = fmt::format("the first non-finite value is in {}", entry.node.name);
    });
    throw std::runtime_error(
        fmt::format("the loss of iteration {} is {}: {}; a smaller base_rate may help", i, value, where));
  }

  void save() {
    Safetensors weights = models::to_file(parameters_, done_, false);
    weights.metadata["recipe"] = recipe_.to_json().dump();
    write_safetensors(options_.run_folder / kWeights, weights);
    write_safetensors(options_.run_folder / kCheckpoint, models::to_file(parameters_, done_, true));
  }

  void score(int64_t iteration, Progress* progress) {
    if (!predictor_) {
      predictor_.emplace(device_, model_.build({layers::Mode::eval, recipe_.evaluation.batch}), parameters_,
                         recipe_.evaluation.protocol(model_.input));
    }
    predictor_->refresh();
    const data::ConfusionMatrix scores = evaluate(*predictor_, dataset_, val_samples_, recipe_.val_split);
    const std::string line = fmt::format("iteration {}, {}: {}", iteration, recipe_.val_split, summary(scores));
    progress ? progress->print_line(line) : (void)fmt::print("{}\n", line);
    log({{"iteration", iteration},
         {"mIoU_val", scores.mean_iou()},
         {"mAcc_val", scores.mean_accuracy()},
         {"allAcc_val", scores.pixel_accuracy()},
         {"protocol", recipe_.evaluation.protocol(model_.input).describe()}});
    write_scores(options_.run_folder / "evaluation", dataset_, scores,
                 recipe_.evaluation.protocol(model_.input).describe());
    if (iteration == recipe_.iterations) scores_ = scores;
  }

  void log(const ordered_json& entry) { log_ << entry.dump() << std::endl; }

  Recipe recipe_;
  TrainingOptions options_;
  data::Dataset dataset_;
  models::Model model_;
  std::vector<data::Sample> train_samples_, val_samples_;
  Device device_;
  Parameters parameters_;
  Program step_;
  data::Loader loader_;
  std::optional<models::Predictor> predictor_;
  std::optional<data::ConfusionMatrix> scores_;  // of the last iteration
  std::ofstream log_;
  int64_t start_ = 0, done_ = 0;
};

}  // namespace

std::optional<data::ConfusionMatrix> train(const Recipe& recipe, const TrainingOptions& options) {
  return Run(recipe, options).run();
}

}  // namespace psanet::apps
