#include "apps/stop_signals.h"

#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <stdexcept>

namespace psanet::apps {

namespace {

struct Signal {
  int number;
  const char* name;
};
constexpr std::array<Signal, 3> kSignals = {{{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGUSR1, "SIGUSR1"}}};

// A handler gets nothing but the number: what it writes has to be found by name.
std::atomic<int> received_signal{0};
std::atomic<int64_t> received_ms{0};  // 0: never
std::atomic<bool> watched{false};
static_assert(std::atomic<int64_t>::is_always_lock_free, "a signal handler must not take a lock");

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // may be called in a handler (POSIX), as what follows
  return now.tv_sec * int64_t{1000} + now.tv_nsec / 1'000'000;
}

extern "C" void note_signal(int signal) {
  int64_t never = 0;
  const int64_t now = now_ms();
  if (received_ms.compare_exchange_strong(never, now)) {
    received_signal.store(signal);
  } else if (now - received_ms.load() >= kSame_request.count()) {
    struct sigaction kill = {};
    kill.sa_handler = SIG_DFL;
    ::sigaction(signal, &kill, nullptr);
    ::raise(signal);  // takes effect when this handler is left
  }
}

}  // namespace

StopSignals::StopSignals() {
  if (watched.exchange(true)) throw std::logic_error("StopSignals: there is one already");
  received_signal.store(0);
  received_ms.store(0);
  struct sigaction note = {};
  note.sa_handler = note_signal;
  note.sa_flags = SA_RESTART;  // reads and writes under way are none the wiser
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i].number, &note, &before_[i]);
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i].number, &before_[i], nullptr);
  watched.store(false);
}

int StopSignals::received() const {
  return received_signal.load();
}

std::string signal_name(int signal) {
  for (const Signal& known : kSignals) {
    if (known.number == signal) return known.name;
  }
  return "a signal to another rank";
}

}  // namespace psanet::apps
