// Small images, labels and datasets of our own making.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/dataset.h"
#include "data/image.h"
#include "tests/support/catch.h"

namespace psanet::tests {

/// Smooth colours with some texture; differs with `seed`.
data::Image made_up_image(int height, int width, int seed = 0);
/// Blocks of classes 0..classes-1 with a few pixels at 255.
data::LabelMap made_up_label(int height, int width, int classes, int seed = 0);
/// A dataset of `classes` classes whose files hold the class indices.
data::Dataset made_up_dataset(int classes);

/// The message of the exception of type E that `act` throws; a failed check if it throws none.
template <typename E, typename Act>
std::string message_of(Act&& act) {
  try {
    act();
  } catch (const E& error) {
    return error.what();
  }
  FAIL_CHECK("nothing was thrown");
  return {};
}

/// True if the text has the part; the text is shown when a check fails.
bool contains(const std::string& text, const std::string& part);

}  // namespace psanet::tests
