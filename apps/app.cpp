#include "apps/app.h"

#include <fmt/format.h>

#include <new>

#include "data/error.h"
#include "engine/error.h"

namespace psanet::apps {

namespace {

int fail(const CLI::App& app, const std::string& message, ExitCode code) {
  fmt::print(stderr, "{}: error: {}\n", app.get_name(), message);
  return code;
}

}  // namespace

int run_app(CLI::App& app, int argc, char** argv, const std::function<void()>& body) {
  app.footer(
      "Exit codes: 0 ok, 1 internal error, 2 wrong usage, recipe or model, 3 wrong data, 4 wrong weights, 5 device or "
      "memory.\n"
      "Documentation: README.md and docs/.");
  app.set_version_flag("--version", std::string("psanet ") + PSANET_VERSION);
  app.get_formatter()->column_width(34);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {  // --help, --version
    return app.exit(done);
  } catch (const CLI::ParseError& e) {
    return fail(app, fmt::format("{} (see {} --help)", e.what(), app.get_name()), kUsage);
  }
  try {
    body();
    return kOk;
  } catch (const ConfigError& e) {
    return fail(app, e.what(), kUsage);
  } catch (const std::invalid_argument& e) {
    return fail(app, e.what(), kUsage);
  } catch (const data::DataError& e) {
    return fail(app, e.what(), kData);
  } catch (const WeightsError& e) {
    return fail(app, e.what(), kWeights);
  } catch (const DeviceError& e) {
    return fail(app, e.what(), kDevice);
  } catch (const std::bad_alloc&) {
    return fail(app, "out of memory; use a smaller crop or batch", kDevice);
  } catch (const std::exception& e) {
    return fail(app, fmt::format("internal error: {}", e.what()), kInternal);
  }
}

void DeviceOptions::add_to(CLI::App& app) {
  app.add_option("--threads", threads, "processor threads (0: all that the process may use)")
      ->check(CLI::NonNegativeNumber);
}

}  // namespace psanet::apps
