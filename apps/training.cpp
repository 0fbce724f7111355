#include "apps/training.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "apps/evaluation.h"
#include "apps/loss_watch.h"
#include "apps/prediction_pictures.h"
#include "apps/progress.h"
#include "apps/rank_agreement.h"
#include "apps/run_lock.h"
#include "apps/run_log.h"
#include "apps/run_state.h"
#include "apps/step_options.h"
#include "apps/stop_signals.h"
#include "apps/trace.h"
#include "apps/training_scores.h"
#include "data/codec.h"
#include "data/label_subsampling.h"
#include "data/loader.h"
#include "data/picture.h"
#include "engine/atomic_file.h"
#include "engine/distributed/nccl_ranks.h"
#include "engine/error.h"
#include "layers/passes/data_parallel.h"
#include "models/parameter_groups.h"
#include "models/pretrained.h"
#include "models/training_step.h"
#include "models/weights_file.h"

namespace psanet::apps {

namespace {

constexpr const char* kScoreNames[] = {"mIoU_val", "mAcc_val", "allAcc_val"};

/// The ranks of the run, joined by their devices before programs are made for those.
std::shared_ptr<Communicator> joined(Device& device, const TrainingOptions& options) {
  if (!options.ranks) return std::make_shared<Communicator>();
  join_devices(device, options.ranks, options.collective_limit);
  return options.ranks;
}

data::LoaderConfig loader_config(const Recipe& recipe, const models::Model& model, const layers::BatchPart& part) {
  data::LoaderConfig config;
  config.augment = recipe.augment_config(model);
  config.batch = static_cast<int>(recipe.batch);
  config.first = static_cast<int>(part.first);
  config.count = static_cast<int>(part.count);
  config.workers = static_cast<int>(recipe.workers);
  config.seed = static_cast<uint64_t>(recipe.seed);
  config.cache_bytes = static_cast<size_t>(recipe.cache_mb) << 20;
  return config;
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
        iterations_(recipe.updates(static_cast<int64_t>(train_samples_.size()))),
        device_(options.device.open()),
        host_(joined(device_, options)),
        ranks_(*host_),
        part_(layers::BatchPart::of_rank(recipe.batch, ranks_.rank(), ranks_.world())),
        parameters_(device_),
        forward_(model_.build({layers::Mode::train, part_.count})),
        step_options_(step_options(recipe, model_, forward_, device_.target())),
        own_step_(models::training_step(forward_, step_options_)),
        step_(device_, of_ranks(own_step_), parameters_, static_cast<uint64_t>(recipe.seed)),
        loader_(dataset_, train_samples_, loader_config(recipe, model_, part_)),
        checkpoints_(checkpoint_options()) {
    if (recipe_.accumulate > 1) {
      update_.emplace(device_, of_ranks(models::accumulated_update(own_step_, step_options_)), parameters_);
    }
    const auto known = std::find(std::begin(kScoreNames), std::end(kScoreNames), recipe_.save_best);
    if (!recipe_.save_best.empty() && known == std::end(kScoreNames)) {
      throw ConfigError(fmt::format("save_best: found \"{}\", want one of {} (or \"\")", recipe_.save_best,
                                    fmt::join(kScoreNames, ", ")));
    }
  }

  std::optional<data::ConfusionMatrix> run() {
    std::optional<RunLock> lock;
    if (writes()) lock.emplace(options_.run_folder);
    load();
    check_timeline();
    check_agreement(ranks_, start_, state(start_), may_differ_between_ranks(), parameters_);
    announce();
    loader_.next();  // bad data shows before anything is written
    loader_.seek(start_ * recipe_.accumulate);
    if (writes()) {
      create_folder(options_.run_folder);
      lock.reset();  // it may have been made just now
      lock.emplace(options_.run_folder);
      write_text_atomically(options_.run_folder / "recipe.json", recipe_.to_json().dump(2) + "\n");
      log_.emplace(options_.run_folder, start_, checkpoints_.has_scores(start_), recipe_.to_json().dump(2));
    }
    signals_.emplace();
    if (start_ > 0 && score_due(start_) && !checkpoints_.has_scores(start_)) score(start_, nullptr);
    if (!stopping_) iterate();
    if (stopping_) stop();
    if (writes()) checkpoints_.save(parameters_, done_);
    if (done_ == iterations_ && !scores_ && !val_samples_.empty()) score(done_, nullptr);
    if (stopping_) stop();
    return scores_;
  }

 private:
  /// A step for this rank's part of the batch, taking part in the step for the whole batch.
  Graph of_ranks(const Graph& step) const {
    return layers::data_parallel(step, part_, ranks_.world(), {.mean_of_ranks = recipe_.mean_of_ranks});
  }

  /// Rank 0 alone writes files.
  bool writes() const { return ranks_.rank() == 0; }

  nlohmann::ordered_json state(int64_t iterations) {
    return run_state(recipe_, dataset_, model_, train_samples_, device_, ranks_.world(), iterations);
  }

  RunCheckpoints::Options checkpoint_options() {
    RunCheckpoints::Options options;
    options.run_folder = options_.run_folder;
    options.retention = {recipe_.keep_last, recipe_.save_best};
    options.files = options_.files;
    options.state = [this](int64_t iterations) { return state(iterations); };
    options.defaults = {{"recipe", Recipe{}.to_json()}, {"made_by", {{"ranks", 1}}}, {"ranks_averaged", 1}};
    options.may_differ = may_change_on_resume();
    options.note_differences = {"made_by"};
    options.say = [this](const std::string& line) {
      if (writes()) fmt::print(stderr, "{}\n", line);
    };
    return options;
  }

  void load() {
    if (const std::optional<int64_t> done = checkpoints_.resume(options_.resume, parameters_)) {
      start_ = *done;
      fmt::print("going on at iteration {}\n", start_);
    } else if (checkpoints_.holds_run()) {
      throw ConfigError(fmt::format("{}: holds a run already; go on with --resume, or name another --output",
                                    options_.run_folder.string()));
    } else if (recipe_.weights.empty() && recipe_.drop_classifier) {
      throw ConfigError("drop_classifier: there are no weights to drop one from; --weights names their file");
    } else if (!recipe_.weights.empty()) {
      models::PretrainedOptions pretrained;
      pretrained.drop_classifier = recipe_.drop_classifier;
      pretrained.classifier = models::parameter_groups(forward_).classifier;
      pretrained.in_backbone = [this](const std::string& name) { return model_.in_backbone(name); };
      const models::LoadReport report =
          models::load_pretrained(parameters_, read_safetensors(recipe_.weights), recipe_.weights, pretrained);
      fmt::print("{}: {}\n", recipe_.weights, models::describe(report));
    }
    done_ = start_;
    loader_.seek(start_ * recipe_.accumulate);
  }

  /// Where a run ends that is not stopped.
  int64_t end() const { return options_.stop_after > 0 ? std::min(options_.stop_after, iterations_) : iterations_; }

  void check_timeline() const {
    if (options_.timeline.empty()) return;
    const std::filesystem::path folder = options_.timeline.parent_path();
    if (!folder.empty() && !std::filesystem::is_directory(folder)) {
      throw ConfigError(
          fmt::format("--timeline {}: there is no folder {}", options_.timeline.string(), folder.string()));
    }
    if (end() - start_ < 3) {
      throw ConfigError(fmt::format("--timeline: shows the third step of a run, this one makes {}", end() - start_));
    }
  }

  void announce() {
    int64_t trained = 0;
    for (const Parameters::Entry& entry : parameters_.entries()) {
      if (entry.source.kind == Source::Kind::parameter) trained += entry.tensor.type().elements();
    }
    fmt::print("{}: {} classes, crop {}x{}, batch {}; {} train, {} {} images; {}\n", recipe_.model, model_.classes,
               model_.crop_h, model_.crop_w, recipe_.batch, train_samples_.size(), val_samples_.size(),
               recipe_.val_split, device_.describe());
    if (recipe_.accumulate > 1 || recipe_.epochs > 0) {
      fmt::print("{} updates, each of {} x {} images\n", iterations_, recipe_.accumulate, recipe_.batch);
    }
    fmt::print("{:.2f} M parameters, {:.1f} GFLOP a step, {} launches, peak memory {:.0f} MiB\n",
               static_cast<double>(trained) / 1e6, step_.flops() / 1e9, step_.launches(),
               static_cast<double>(step_.memory().peak_bytes()) / 1048576.0);
    std::fflush(stdout);
  }

  void iterate() {
    // A GPU is kept busy: the losses of a step are looked at when the next step is under way. Two readers, in turn.
    const int64_t behind = device_.is_cpu() ? 0 : 1;
    std::unique_ptr<kernels::Readback> loss[2], main[2];
    for (int i : {0, 1}) {
      loss[i] = updating().output("loss").readback();
      main[i] = updating().output("loss.main").readback();
    }
    if (recipe_.train_scores) training_scores_.emplace(step_, dataset_.class_count(), recipe_.accumulate);
    Progress progress("train", iterations_);
    double smooth = 0, waited_seconds = 0;
    // Images a second are counted from behind the first steps: in these libraries are loaded and algorithms measured.
    constexpr int64_t kWarmUp = 10;
    int64_t counted_from = 0;
    double counted_from_seconds = 0;
    const auto look_at = [&](int64_t i) {
      const float value = *static_cast<const float*>(loss[i % 2]->wait());
      const float main_value = *static_cast<const float*>(main[i % 2]->wait());
      device_.communicator().check();
      done_ = i + 1;
      if (!watch_.see(value)) stop_diverged(i);
      if (!watch_.good()) {
        if (writes())
          fmt::print(stderr, "warning: the loss of iteration {} is {}: that step changes nothing\n", i, value);
        return;
      }
      if (training_scores_) training_scores_->take(i);
      smooth = smooth == 0 ? value : 0.95 * smooth + 0.05 * value;
      const int64_t steps = i - start_ + 1;
      const double per_second = static_cast<double>((steps - counted_from) * recipe_.batch * recipe_.accumulate) /
                                (progress.seconds() - counted_from_seconds);
      if (steps == kWarmUp) {
        counted_from = steps;
        counted_from_seconds = progress.seconds();
      }
      progress.update(i + 1, fmt::format("loss {:.4f}  lr {:.5f}  {:.1f} images/s  data wait {:.0f} %", smooth,
                                         rate_of(i), per_second, 100 * waited_seconds / progress.seconds()));
      log_step(i, {{"loss", value},
                   {"loss.smooth", smooth},
                   {"loss.main", main_value},
                   {"lr", rate_of(i)},
                   {"images_per_second", per_second},
                   {"data_wait_seconds", waited_seconds},
                   {"seconds", progress.seconds()}});
    };
    bool save_due = false;
    for (int64_t i = start_; i < end(); ++i) {
      ranks_.set_step(i + 1);
      device_.communicator().set_step(i + 1);
      for (int64_t part = 0; part < recipe_.accumulate; ++part) {
        const auto before_data = std::chrono::steady_clock::now();
        const data::Batch batch = loader_.next();
        waited_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - before_data).count();
        set_inputs(batch, i, part);
        run(step_, i, options_.trace && i == start_ && part == 0);
        if (training_scores_) training_scores_->request(i, part);
      }
      if (update_) run(*update_, i, false);
      loss[i % 2]->request();
      main[i % 2]->request();
      save_due = save_due || ((i + 1) % recipe_.save_every == 0 && i + 1 < iterations_);
      const bool score_now = score_due(i + 1);
      stopping_ = signalled();
      const int64_t looked_at = save_due || score_now || stopping_ || i + 1 == end() ? i + 1 : i + 1 - behind;
      while (done_ < looked_at) look_at(done_);
      if (save_due && watch_.good() && i + 1 < iterations_) {
        const int64_t next = std::min((done_ / recipe_.save_every + 1) * recipe_.save_every, iterations_);
        if (writes()) checkpoints_.try_save(parameters_, done_, fmt::format("at iteration {}", next));
        save_due = false;
      }
      if (score_now && watch_.good() && !stopping_) score(done_, &progress);
      if (stopping_) return;
    }
  }

  /// The third step is one like those that follow: libraries have loaded what they load when first used.
  void run(Program& program, int64_t i, bool trace) {
    if (trace) {
      run_and_print_trace(program);
    } else if (!options_.timeline.empty() && i == start_ + 2 && &program == &updating()) {
      const Timeline timeline = program.run_timed();
      if (!writes()) return;
      write_timeline(options_.timeline, timeline);
      fmt::print("iteration {}: {}\n", i + 1, describe(timeline));
    } else {
      program.run();
    }
  }

  /// A line every ten iterations and at the end; scores of the training batches at the end of an epoch, too. All ranks
  /// come here.
  void log_step(int64_t i, const nlohmann::ordered_json& numbers) {
    const bool last = i + 1 == iterations_;
    nlohmann::ordered_json line = {{"iteration", i + 1}};
    if ((i + 1) % 10 == 0 || last) {
      line.update(numbers);
      if (training_scores_) add_scores(line, training_scores_->of_update(ranks_), "_train_batch");
    }
    const int64_t updates_of_epoch = std::max<int64_t>(1, loader_.iterations_per_epoch() / recipe_.accumulate);
    if (training_scores_ && ((i + 1) % updates_of_epoch == 0 || last)) {
      add_scores(line, training_scores_->since_last_call(ranks_), "_train");
    }
    if (log_ && line.size() > 1) log_->add(line);
  }

  /// kScoreNames, of the split `of`.
  static void add_scores(nlohmann::ordered_json& line, const data::ConfusionMatrix& scores, const std::string& of) {
    line["mIoU" + of] = scores.mean_iou();
    line["mAcc" + of] = scores.mean_accuracy();
    line["allAcc" + of] = scores.pixel_accuracy();
  }

  /// The program whose losses are those of the update, and that takes the rate.
  Program& updating() { return update_ ? *update_ : step_; }

  /// Batch `part` of update i.
  void set_inputs(const data::Batch& batch, int64_t i, int64_t part) {
    Tensor image = step_.input("image"), label = step_.input("label");
    image.set(std::span<const float>(batch.images, static_cast<size_t>(image.type().elements())));
    const data::LabelSize full{model_.crop_h, model_.crop_w}, wanted{label.type()[1], label.type()[2]};
    if (wanted == full) {
      label.set(std::span<const uint8_t>(batch.labels, static_cast<size_t>(label.type().elements())));
    } else {
      small_labels_.resize(static_cast<size_t>(label.type().elements()));
      data::subsample_labels(part_.count, full, batch.labels, wanted, small_labels_.data());
      label.set(small_labels_);
    }
    updating().input("rate").set(std::vector<float>{rate_of(i)});
    if (step_.has_input("counter")) {
      step_.input("counter").set(std::vector<int64_t>{recipe_.seed, i * recipe_.accumulate + part});
    }
  }

  bool score_due(int64_t done) const {
    const int64_t every = recipe_.evaluation.every;
    return every > 0 && done % every == 0 && !val_samples_.empty();
  }

  /// Has a signal come to any of the ranks? All call it.
  bool signalled() {
    int64_t count = signals_->received() != 0 ? 1 : 0;
    ranks_.all_reduce("stop", std::span(&count, 1));
    return count > 0;
  }

  /// A signal came: everything up to here is saved, and the program ends.
  [[noreturn]] void stop() {
    std::string saved = fmt::format("the newest checkpoint is of iteration {}", checkpoints_.newest());
    if (writes() && watch_.good() && done_ != checkpoints_.newest()) {
      checkpoints_.save(parameters_, done_);
      saved = "saved";
    }
    ranks_.barrier("saved");  // what started the ranks may kill those that are left when the first ends
    if (log_) log_->flush();
    throw StoppedBySignal{fmt::format("stopped by {} after iteration {}, {}; --resume goes on",
                                      signal_name(signals_->received()), done_, saved)};
  }

  float rate_of(int64_t i) const {
    return static_cast<float>(models::poly_rate(recipe_.base_rate, i, iterations_, recipe_.power));
  }

  /// The last steps changed nothing, so the step of iteration `last` can be made again to see where it goes wrong. (On
  /// a GPU the one behind it was under way already, and has changed the parameters if its loss was finite.)
  [[noreturn]] void stop_diverged(int64_t last) {
    loader_.seek(last * recipe_.accumulate);
    std::string where;
    for (int64_t part = 0; part < recipe_.accumulate; ++part) {  // all of them: every rank makes the same collectives
      const data::Batch batch = loader_.next();
      set_inputs(batch, last, part);
      const int64_t pixels = step_.input("image").type().elements();
      if (std::any_of(batch.images, batch.images + pixels, [](float x) { return !std::isfinite(x); }) &&
          where.empty()) {
        where = "the images of the batch";
      }
      for (const Parameters::Entry& entry : parameters_.entries()) {
        const std::vector<float> values = entry.tensor.get<float>();
        const bool good = std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
        if (!good && where.empty()) where = entry.name;
      }
      step_.run_traced([&](const TraceEntry& entry) {
        if (entry.non_finite_output >= 0 && where.empty()) where = entry.node.name;
      });
    }
    throw TrainingDiverged(
        fmt::format("the losses of iterations {} to {} are not finite: the first non-finite value is in {}; nothing "
                    "was saved since; the newest checkpoint is of iteration {}; a smaller base_rate may help",
                    last + 1 - watch_.in_a_row(), last, where.empty() ? "no tensor when the step is made again" : where,
                    checkpoints_.newest() < 0 ? "none" : std::to_string(checkpoints_.newest())));
  }

  void score(int64_t iteration, Progress* progress) {
    if (!predictor_) {
      predictor_.emplace(device_, model_.build({layers::Mode::eval, recipe_.evaluation.batch}), parameters_,
                         recipe_.evaluation.protocol(model_.input), resizable_recipe_model(recipe_, dataset_));
    }
    struct Interrupted {};
    data::ConfusionMatrix scores(dataset_.class_count());
    try {
      EvaluationHooks hooks;
      hooks.before_each = [&] {
        if (signalled()) throw Interrupted{};
      };
      hooks.sink_most = static_cast<size_t>(recipe_.evaluation.samples);
      hooks.sink = [&](const data::Sample& sample, const data::LabelMap& prediction) {
        show(iteration, sample, prediction);
      };
      scores = evaluate(*predictor_, dataset_, val_samples_, recipe_.val_split, hooks, ranks_).scores;
    } catch (const Interrupted&) {
      stopping_ = true;  // a resumed run makes it anew
      return;
    }
    const std::string line = fmt::format("iteration {}, {}: {}", iteration, recipe_.val_split, summary(scores));
    progress ? progress->print_line(line) : (void)fmt::print("{}\n", line);
    if (iteration == iterations_) scores_ = scores;
    if (!writes()) return;
    const std::string protocol = predictor_->options().describe();
    nlohmann::ordered_json logged = {{"iteration", iteration}};
    add_scores(logged, scores, "_val");
    std::map<std::string, double> by_name;
    for (const char* name : kScoreNames) by_name[name] = logged.at(name);
    logged["protocol"] = protocol;
    log_->add(logged);
    try {
      write_scores(options_.run_folder / "evaluation", dataset_, scores, protocol);
    } catch (const FileError& e) {
      fmt::print(stderr, "warning: {}; training goes on\n", e.what());
    }
    // Last: a checkpoint without scores has its evaluation made anew when a run goes on from it.
    checkpoints_.add_scores(parameters_, iteration, by_name);
  }

  /// What the network makes of a sample, in the run folder and in TensorBoard.
  void show(int64_t iteration, const data::Sample& sample, const data::LabelMap& prediction) {
    const std::string name = sample.image.stem().string();
    TitledMaps shown(dataset_, sample);
    shown.add("prediction", prediction);
    const data::Image picture = data::label_sheet(dataset_, shown.image, shown.titles, shown.maps);
    log_->picture("prediction/" + name, iteration, picture);
    try {
      create_folder(options_.run_folder / "samples");
      data::write_png(options_.run_folder / "samples" / (name + ".png"), picture);
    } catch (const std::runtime_error& e) {
      fmt::print(stderr, "warning: {}; training goes on\n", e.what());
    }
  }

  Recipe recipe_;
  TrainingOptions options_;
  data::Dataset dataset_;
  models::Model model_;
  std::vector<data::Sample> train_samples_, val_samples_;
  int64_t iterations_;  // updates of the whole run
  Device device_;
  std::shared_ptr<Communicator> host_;
  Communicator& ranks_;     // what the ranks agree by; their programs use the device's communicator
  layers::BatchPart part_;  // of every batch
  Parameters parameters_;
  Graph forward_;
  models::TrainingOptions step_options_;
  Graph own_step_;                 // on this rank's part of the batch, without the others
  Program step_;                   // a batch, with its update unless the recipe accumulates
  std::optional<Program> update_;  // from the sums of several batches
  std::vector<uint8_t> small_labels_;
  data::Loader loader_;
  std::optional<models::Predictor> predictor_;
  std::optional<data::ConfusionMatrix> scores_;  // of the last iteration
  RunCheckpoints checkpoints_;
  LossWatch watch_;
  std::optional<TrainingScores> training_scores_;
  std::optional<StopSignals> signals_;  // since steps are made
  bool stopping_ = false;
  std::optional<RunLog> log_;
  int64_t start_ = 0, done_ = 0;
};

}  // namespace

std::optional<data::ConfusionMatrix> train(const Recipe& recipe, const TrainingOptions& options) {
  return Run(recipe, options).run();
}

}  // namespace psanet::apps
