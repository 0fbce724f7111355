#include "engine/distributed/store_protocol.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace psanet {

namespace {

/// Both ends are the same program, and machines of one byte order.
struct Header {
  char magic[4] = {'P', 'S', 'A', '2'};
  uint32_t kind = 0, id = 0, key_bytes = 0, value_bytes = 0, limit_ms = 0;
};

}  // namespace

std::string encode(const Frame& frame) {
  Header header;
  header.kind = static_cast<uint32_t>(frame.kind);
  header.id = frame.id;
  header.key_bytes = static_cast<uint32_t>(frame.key.size());
  header.value_bytes = static_cast<uint32_t>(frame.value.size());
  header.limit_ms =
      static_cast<uint32_t>(std::clamp<int64_t>(frame.limit.count(), 0, std::numeric_limits<uint32_t>::max()));
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + frame.key + frame.value;
}

std::optional<Frame> take_frame(std::string& bytes, uint32_t most_value_bytes) {
  Header header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, Header{}.magic, sizeof header.magic) != 0) {
    throw ProtocolError("it does not speak this program's language");
  }
  if (header.key_bytes > kStoreKey_bytes || header.value_bytes > most_value_bytes) {
    throw ProtocolError("it says more at once than is allowed");
  }
  const size_t all = sizeof header + header.key_bytes + header.value_bytes;
  if (bytes.size() < all) return std::nullopt;
  Frame frame{static_cast<FrameKind>(header.kind), header.id, bytes.substr(sizeof header, header.key_bytes),
              bytes.substr(sizeof header + header.key_bytes, header.value_bytes),
              std::chrono::milliseconds(header.limit_ms)};
  bytes.erase(0, all);
  return frame;
}

}  // namespace psanet
