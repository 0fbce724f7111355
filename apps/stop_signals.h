// SIGTERM, SIGINT and SIGUSR1 ask a run to stop; one more, later, ends it at once.
#pragma once

#include <chrono>
#include <csignal>
#include <string>

namespace psanet::apps {

/// Thrown when a run was stopped by a signal with everything saved. Exit code 75 (sysexits' EX_TEMPFAIL: try again).
struct StoppedBySignal {
  std::string message;
};

/// Signals within this time of the first mean the same as it: timeout sends SIGTERM twice, and Ctrl-C under torchrun
/// comes from the terminal and from torchrun.
inline constexpr std::chrono::milliseconds kSame_request{1000};

/// While one lives, the first of these signals only sets a flag; one that comes kSame_request after it kills (a shell
/// sees 130, 143 or 138). The handler touches nothing else, so it does not matter which thread gets the signal or what
/// that is doing. At most one at a time (std::logic_error).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that came, or 0.
  int received() const;

 private:
  struct sigaction before_[3];
};

/// "SIGTERM"; of 0 (none here): "a signal to another rank"
std::string signal_name(int signal);

}  // namespace psanet::apps
