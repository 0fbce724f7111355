#include "apps/app.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <CLI/CLI.hpp>
#include <filesystem>
#include <new>
#include <set>

#include "apps/loss_watch.h"
#include "apps/stop_signals.h"
#include "data/error.h"
#include "engine/communicator.h"
#include "engine/error.h"
#include "engine/json/text.h"

namespace psanet::apps {

struct App::Impl {
  std::shared_ptr<CLI::App> cli;
  std::function<void()> body;  // of a sub-command
  std::vector<std::unique_ptr<App>> commands = {};
  std::set<std::string> assignments = {};

  /// The command that the command line names; null if there is none.
  const Impl* chosen() const {
    for (const auto& command : commands) {
      if (command->impl_->cli->parsed()) return command->impl_.get();
    }
    return nullptr;
  }
};

namespace {

bool is_assignment(const std::string& text) {
  return !text.starts_with('-') && text.find('=') != std::string::npos;
}

/// "--set a=1 b=2 name" as "--set a=1 --set b=2 name".
std::vector<std::string> one_value_each(const std::vector<std::string>& arguments,
                                        const std::set<std::string>& options) {
  std::vector<std::string> result;
  std::string open;  // the option that takes assignments, once it has its first value
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool has_first = i > 0 && options.count(arguments[i - 1]) > 0;
    if (has_first) open = arguments[i - 1];
    if (!open.empty() && !has_first) {
      is_assignment(arguments[i]) ? result.push_back(open) : open.clear();
    }
    result.push_back(arguments[i]);
  }
  return result;
}

}  // namespace

App::App(const std::string& name, const std::string& about, std::function<void()> body)
    : impl_(new Impl{std::make_shared<CLI::App>(about, name), std::move(body)}) {
  impl_->cli->footer(
      "Exit codes: 0 ok, 1 internal error, 2 wrong usage, recipe or model, 3 wrong data, 4 wrong weights, 5 device, "
      "memory or another rank, 6 a file cannot be written, 7 the loss is not finite, 8 NCCL hangs and cannot be "
      "stopped, 75 stopped by a signal with everything saved (go on with --resume).\n"
      "Documentation: README.md and docs/.");
  impl_->cli->get_formatter()->column_width(34);
}
App::~App() = default;

App& App::command(const std::string& name, const std::string& about, std::function<void()> body) {
  App& command = *impl_->commands.emplace_back(std::make_unique<App>(name, about, std::move(body)));
  impl_->cli->add_subcommand(command.impl_->cli);
  return command;
}

void App::option(const std::string& name, std::string& value, const std::string& help) {
  CLI::Option* option = impl_->cli->add_option(name, value, help);
  if (!value.empty()) option->capture_default_str();
}
void App::option(const std::string& name, std::filesystem::path& value, const std::string& help) {
  impl_->cli->add_option(name, value, help);
}
void App::option(const std::string& name, std::string& value, const std::string& alone, const std::string& help) {
  const auto set = [&value, alone](const std::string& text) {
    value = text.empty() || text == "true" ? alone : text;  // which of the two depends on CLI11's version
  };
  impl_->cli->add_option_function<std::string>(name, set, help)->expected(0, 1)->type_name("[TEXT]");
}
void App::option(const std::string& name, int64_t& value, const std::string& help, int64_t at_least) {
  CLI::Option* option = impl_->cli->add_option(name, value, help);
  option->check([at_least](const std::string& text) {
    int64_t number = 0;
    const bool good = CLI::detail::lexical_cast(text, number) && number >= at_least;
    return good ? std::string() : fmt::format("found {}, want an integer of at least {}", text, at_least);
  });
  if (value >= at_least) option->capture_default_str();
  option->type_name("INT");
}
void App::option(const std::string& name, double& value, const std::string& help) {
  impl_->cli->add_option(name, value, help)->capture_default_str();
}
void App::option(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  impl_->cli->add_option(name, values, help)->take_all();
}
void App::assignments(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  repeated_option(name, values, help);
  impl_->assignments.insert(name);
}
void App::repeated_option(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  impl_->cli->add_option(name, values, help)->take_all()->allow_extra_args(false);
}
void App::option(const std::string& name, std::vector<double>& values, const std::string& help) {
  impl_->cli->add_option(name, values, help)->delimiter(',')->allow_extra_args(false);
}
void App::flag(const std::string& name, bool& value, const std::string& help) {
  impl_->cli->add_flag(name, value, help);
}

void App::require(const std::string& name) {
  impl_->cli->get_option(name)->required();
}

Device DeviceChoice::open() const {
  if (device == "auto") {  // who wants the processor does not wait for CUDA to start
    if (const std::string why = Device::why_gpu_is_not_used(); !why.empty()) {
      fmt::print(stderr, "warning: no GPU is used, the processor does the work: {}\n", why);
    }
  }
  return Device::named(device, precision.empty() ? Precision::fp32 : precision_named(precision),
                       static_cast<int>(threads));
}

void App::add_device(const std::string& default_device) {
  device_.device = default_device;
  option("--device", device_.device, "auto (a GPU if there is one), cpu, cuda or cuda:N");
  option("--precision", device_.precision, "fp32, tf32 or bf16 (the last two on GPUs; default: the recipe's, or fp32)");
  option("--threads", device_.threads, "processor threads (0: all that the process may use)");
}

namespace {

constexpr size_t kMostMessage = 8000;  // bytes

template <class... Kinds>
bool is_any_of(const std::exception& e) {
  return (dynamic_cast<const Kinds*>(&e) || ...);
}

ExitCode code_of(const std::exception& e) {
  if (is_any_of<ConfigError, std::invalid_argument>(e)) return kUsage;
  if (is_any_of<data::DataError>(e)) return kData;
  if (is_any_of<WeightsError>(e)) return kWeights;
  if (is_any_of<DeviceError, CommunicationError>(e)) return kDevice;
  if (is_any_of<FileError>(e)) return kFiles;
  return is_any_of<TrainingDiverged>(e) ? kDiverged : kInternal;
}

int fail(const CLI::App& app, const std::string& message, ExitCode code) {
  fmt::print(stderr, "{}: error: {}\n", app.get_name(), printed(message, kMostMessage));  // one line, whatever is in it
  return code;
}

}  // namespace

int App::run(int argc, char** argv, const std::function<void()>& body) {
  CLI::App& app = *impl_->cli;
  app.set_version_flag("--version", std::string("psanet ") + PSANET_VERSION);
  std::vector<std::string> names;
  for (const auto& command : impl_->commands) names.push_back(command->impl_->cli->get_name());
  try {
    std::vector<std::string> arguments =
        one_value_each(std::vector<std::string>(argv + 1, argv + argc), impl_->assignments);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    app.parse(std::move(arguments));
    if (!names.empty() && !impl_->chosen()) throw CLI::RequiredError("A command");
  } catch (const CLI::Success& done) {  // --help, --version
    return app.exit(done);
  } catch (const CLI::ParseError& e) {
    std::string help = app.get_name(), hint;
    if (const auto* chosen = impl_->chosen()) {
      help += " " + chosen->cli->get_name();
    } else if (!names.empty()) {
      const std::string given = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
      hint = given.empty() ? fmt::format("; commands are: {}", fmt::join(names, ", "))
                           : fmt::format("; no command \"{}\", {}", given, suggestion(given, names));
    }
    return fail(app, fmt::format("{}{} (see {} --help)", e.what(), hint, help), kUsage);
  }
  try {
    const Impl* chosen = impl_->chosen();
    (chosen ? chosen->body : body)();
    return kOk;
  } catch (const StoppedBySignal& stop) {
    fmt::print("{}\n", stop.message);
    return kStopped;
  } catch (const std::filesystem::filesystem_error& e) {  // a name that is too long, a folder that may not be read
    return fail(app, fmt::format("{}: {}", e.path1().string(), e.code().message()), kData);
  } catch (const std::bad_alloc&) {
    return fail(app, "out of memory; use a smaller crop or batch", kDevice);
  } catch (const std::exception& e) {
    const ExitCode code = code_of(e);
    return fail(app, code == kInternal ? fmt::format("internal error: {}", e.what()) : e.what(), code);
  }
}

}  // namespace psanet::apps
