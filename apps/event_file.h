// TensorBoard's event files: scalars, pictures and texts over the iterations of a run.
//
// An event file is a sequence of records (length, CRC-32C of the length, bytes, CRC-32C of the bytes; the checksums
// rotated and offset as TensorFlow's record format wants), each an `Event` message in Protocol Buffers' wire format.
// The few messages needed are written out by hand here: a dependency on protobuf would be larger than all of psanet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace psanet::apps {

/// A Protocol Buffers message under construction: fields in the order they are added.
class WireMessage {
 public:
  WireMessage& varint(int field, uint64_t value);
  WireMessage& float32(int field, float value);
  WireMessage& float64(int field, double value);
  WireMessage& bytes(int field, std::string_view value);
  WireMessage& message(int field, const WireMessage& value) { return bytes(field, value.data_); }
  const std::string& data() const { return data_; }

 private:
  void key(int field, int wire_type);
  std::string data_;
};

/// The record that holds `payload`, as it stands in the file.
std::string event_record(std::string_view payload);

class EventFile {
 public:
  /// Creates `<folder>/events.out.tfevents.<seconds>.<host>.<process>` (each start of a run has its own file;
  /// TensorBoard joins them). With `first_step` above 0 the file says that steps from there on are made again, so that
  /// what a killed run logged after its last checkpoint disappears from the curves. std::runtime_error if it cannot be
  /// created.
  EventFile(const std::filesystem::path& folder, int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(const std::string& tag, int64_t step, double value);
  /// `png`: the bytes of a PNG file of that size.
  void image(const std::string& tag, int64_t step, int height, int width, std::span<const uint8_t> png);
  /// Shown as Markdown.
  void text(const std::string& tag, int64_t step, std::string_view markdown);

  const std::filesystem::path& path() const { return path_; }

 private:
  void summary(int64_t step, const WireMessage& value);
  void write(const WireMessage& event);

  std::filesystem::path path_;
  int file_ = -1;
  bool broken_ = false;  // a write failed: said once, then nothing more is written
};

}  // namespace psanet::apps
