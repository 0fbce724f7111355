#include "apps/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace psanet::apps {

namespace {
double since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}
}  // namespace

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

Progress::Progress(std::string title, int64_t total)
    : title_(std::move(title)),
      total_(std::max<int64_t>(total, 1)),
      terminal_(isatty(STDOUT_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      drawn_(start_) {}

double Progress::seconds() const {
  return since(start_);
}

void Progress::update(int64_t done, const std::string& text) {
  done_ = done;
  text_ = text;
  if (since(drawn_) >= (terminal_ ? 0.2 : 15)) draw(false);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (done_ > 0 || terminal_) draw(true);
}

void Progress::print_line(const std::string& line) {
  fmt::print("{}{}\n", terminal_ ? "\r\033[K" : "", line);
  std::fflush(stdout);
}

void Progress::draw(bool last) {
  drawn_ = std::chrono::steady_clock::now();
  const double elapsed = seconds();
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  const std::string time = last || done_ == 0
                               ? clock_text(elapsed)
                               : fmt::format("{} left {}", clock_text(elapsed), clock_text(elapsed / share - elapsed));
  if (terminal_) {
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(share * kWidth);
    fmt::print("\r\033[K{} [{}{}] {}/{}  {}  {}{}", title_, std::string(static_cast<size_t>(filled), '#'),
               std::string(static_cast<size_t>(kWidth - filled), '-'), done_, total_, text_, time, last ? "\n" : "");
  } else {
    fmt::print("{} {}/{}  {}  {}\n", title_, done_, total_, text_, time);
  }
  std::fflush(stdout);
}

}  // namespace psanet::apps
