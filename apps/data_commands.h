// The commands of psanet-data.
#pragma once

#include <memory>

#include "apps/app.h"

namespace psanet::apps {

/// Adds prepare, check, stats and score to a program, and holds their options.
class DataCommands {
 public:
  explicit DataCommands(App& app);
  ~DataCommands();

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace psanet::apps
