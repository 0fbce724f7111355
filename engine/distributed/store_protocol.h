// What the store and its clients say to each other: frames of a header, a key and a value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace psanet {

/// Nothing longer is taken or given. A rank's addresses take about 140 bytes for each rank of the run.
inline constexpr uint32_t kStoreKey_bytes = 256, kStoreValue_bytes = 256u << 10;

/// The other end says what no frame is, or answers what was not asked.
struct ProtocolError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class FrameKind : uint32_t {
  // requests
  hello = 'H',   // key: the rank, value: the token
  set = 'S',     // key and value
  get = 'G',     // key; answered when somebody has set it, or after `limit`
  failed = 'F',  // value: why this rank ends by an error
  bye = 'B',     // this rank ends on purpose; has no answer
  // answers
  yes = 'Y',  // value: what was asked for
  no = 'N',   // value: why not; empty: `limit` is over
  // news, unasked (id 0)
  ended = 'E',  // value: which rank has ended by an error, in words
};

/// An answer has the id of its request; ids of a connection's requests count from 1.
struct Frame {
  FrameKind kind{};
  uint32_t id = 0;
  std::string key, value;
  std::chrono::milliseconds limit{0};
};

std::string encode(const Frame& frame);
/// Takes the first frame from the front of `bytes`; none if it is not whole yet. ProtocolError if they do not begin
/// with a header, or with one of a value longer than `most_value_bytes`.
std::optional<Frame> take_frame(std::string& bytes, uint32_t most_value_bytes = kStoreValue_bytes);

}  // namespace psanet
