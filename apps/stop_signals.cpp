#include "apps/stop_signals.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <stdexcept>

namespace psanet::apps {

namespace {

constexpr std::array<int, 3> kSignals = {SIGTERM, SIGINT, SIGUSR1};

// A handler gets nothing but the number: what it writes has to be found by name.
std::atomic<int> received_signal{0};
std::atomic<bool> watched{false};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler must not take a lock");

extern "C" void note_signal(int signal) {
  received_signal.store(signal);
  struct sigaction kill = {};
  kill.sa_handler = SIG_DFL;
  for (int each : kSignals) ::sigaction(each, &kill, nullptr);  // may be called in a handler (POSIX)
}

}  // namespace

StopSignals::StopSignals() {
  if (watched.exchange(true)) throw std::logic_error("StopSignals: there is one already");
  received_signal.store(0);
  struct sigaction note = {};
  note.sa_handler = note_signal;
  note.sa_flags = SA_RESTART;  // reads and writes under way are none the wiser
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &note, &before_[i]);
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  watched.store(false);
}

int StopSignals::received() const {
  return received_signal.load();
}

std::string signal_name(int signal) {
  switch (signal) {
    case 0:
      return "a signal to another rank";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return fmt::format("signal {}", signal);
  }
}

}  // namespace psanet::apps
