// A progress bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace psanet::apps {

class Progress {
 public:
  /// `title` stands in front; `total` steps. On a terminal the bar is redrawn at most 5 times a second; elsewhere a
  /// line is printed at most every 15 seconds, and one at the end.
  Progress(std::string title, int64_t total);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` steps are done; `text` is what there is to say (loss, rate).
  void update(int64_t done, const std::string& text);
  void finish();
  /// A line of its own, above the bar.
  void print_line(const std::string& line);

  double seconds() const;

 private:
  void draw(bool last);

  std::string title_, text_;
  int64_t total_, done_ = 0;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point start_, drawn_;
};

/// "1:02:03" or "2:05"
std::string clock_text(double seconds);

}  // namespace psanet::apps
