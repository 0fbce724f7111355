#include "apps/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "engine/crc32c.h"

namespace psanet::apps {

namespace {

// Field numbers of TensorFlow's event.proto, summary.proto and tensor.proto.
namespace event {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace value {
constexpr int kTag = 1, kSimpleValue = 2, kImage = 4, kTensor = 8, kMetadata = 9;
}
namespace image {
constexpr int kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class T>
void append_little_endian(std::string& out, T number) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(number >> (8 * i) & 0xFF);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
void append_varint(std::string& out, uint64_t number) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
  out += static_cast<char>(number);
}

uint32_t masked(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "host";
  return name.data();
}

WireMessage at_step(int64_t step) {
  WireMessage message;
  message.float64(event::kWallTime, now_seconds());
  if (step != 0) message.varint(event::kStep, static_cast<uint64_t>(step));
  return message;
}

}  // namespace

void WireMessage::key(int field, int wire_type) {
  append_varint(data_, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
}

WireMessage& WireMessage::varint(int field, uint64_t number) {
  key(field, 0);
  append_varint(data_, number);
  return *this;
}

WireMessage& WireMessage::float32(int field, float number) {
  key(field, 5);
  append_little_endian(data_, std::bit_cast<uint32_t>(number));
  return *this;
}

WireMessage& WireMessage::float64(int field, double number) {
  key(field, 1);
  append_little_endian(data_, std::bit_cast<uint64_t>(number));
  return *this;
}

WireMessage& WireMessage::bytes(int field, std::string_view content) {
  key(field, 2);
  append_varint(data_, content.size());
  data_ += content;
  return *this;
}

std::string event_record(std::string_view payload) {
  std::string record;
  append_little_endian(record, static_cast<uint64_t>(payload.size()));
  append_little_endian(record, masked(crc32c(record.data(), record.size())));
  record += payload;
  append_little_endian(record, masked(crc32c(payload.data(), payload.size())));
  return record;
}

EventFile::EventFile(const std::filesystem::path& folder, int64_t first_step) {
  // Two starts within a second must not share a file: the process is part of the name, and a number if that is not
  // enough.
  const std::string name =
      fmt::format("events.out.tfevents.{:010d}.{}.{}", static_cast<int64_t>(now_seconds()), host_name(), ::getpid());
  for (int attempt = 0; file_ < 0; ++attempt) {
    path_ = folder / (attempt == 0 ? name : fmt::format("{}.{}", name, attempt));
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file_ < 0 && errno != EEXIST)
      throw std::runtime_error(fmt::format("{}: cannot be created: {}", path_.string(), std::strerror(errno)));
  }
  write(at_step(0).bytes(event::kFileVersion, "brain.Event:2"));
  if (first_step > 0) {
    constexpr int kStatus = 1, kStart = 1;
    write(at_step(first_step).message(event::kSessionLog, WireMessage().varint(kStatus, kStart)));
  }
}

EventFile::~EventFile() {
  ::close(file_);
}

void EventFile::scalar(const std::string& tag, int64_t step, double number) {
  summary(step, WireMessage().bytes(value::kTag, tag).float32(value::kSimpleValue, static_cast<float>(number)));
}

void EventFile::image(const std::string& tag, int64_t step, int height, int width, std::span<const uint8_t> png) {
  constexpr uint64_t kRgb = 3;
  WireMessage picture;
  picture.varint(image::kHeight, static_cast<uint64_t>(height))
      .varint(image::kWidth, static_cast<uint64_t>(width))
      .varint(image::kColorspace, kRgb)
      .bytes(image::kEncoded, {reinterpret_cast<const char*>(png.data()), png.size()});
  summary(step, WireMessage().bytes(value::kTag, tag).message(value::kImage, picture));
}

void EventFile::text(const std::string& tag, int64_t step, std::string_view markdown) {
  constexpr int kDtype = 1, kShape = 2, kStringValue = 8, kPluginData = 1, kPluginName = 1;
  constexpr uint64_t kString = 7;  // DT_STRING
  WireMessage tensor;
  tensor.varint(kDtype, kString).message(kShape, WireMessage()).bytes(kStringValue, markdown);
  const WireMessage metadata = WireMessage().message(kPluginData, WireMessage().bytes(kPluginName, "text"));
  summary(step,
          WireMessage().bytes(value::kTag, tag).message(value::kTensor, tensor).message(value::kMetadata, metadata));
}

void EventFile::summary(int64_t step, const WireMessage& one) {
  write(at_step(step).message(event::kSummary, WireMessage().message(1, one)));
}

void EventFile::write(const WireMessage& message) {
  if (broken_) return;
  // One write a record: a reader that follows the file sees whole records, or a cut last one that it knows to wait for.
  const std::string record = event_record(message.data());
  size_t done = 0;
  while (done < record.size()) {
    const ssize_t written = ::write(file_, record.data() + done, record.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {  // curves are not worth a run: training goes on
      broken_ = true;
      fmt::print(stderr, "warning: {}: cannot be written: {}; no more events are logged\n", path_.string(),
                 std::strerror(errno));
      return;
    }
    done += static_cast<size_t>(written);
  }
}

}  // namespace psanet::apps
