// CRC-32C (Castagnoli), the checksum of checkpoints and of event files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace psanet {

/// The checksum of `count` bytes that follow bytes whose checksum is `before` (0: of none). Polynomial 0x1EDC6F41,
/// reflected, as in iSCSI (RFC 3720, appendix B.4) and in TensorFlow's records.
uint32_t crc32c(const void* bytes, size_t count, uint32_t before = 0);

}  // namespace psanet
