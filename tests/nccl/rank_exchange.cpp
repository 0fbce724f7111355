#include "tests/nccl/rank_exchange.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

namespace psanet::tests {

namespace {
constexpr size_t kPiece_bytes = size_t{256} << 10;
}

/// Zeros when it is made.
struct RankExchange::Shared {
  std::atomic<int> joined, arrived;
  std::atomic<uint32_t> meetings;  // that have ended
  // [world] pieces follow, from the next page on
};

namespace {
constexpr size_t kHeader_bytes = 4096;
}

RankExchange::RankExchange(const std::string& name, int rank, int world)
    : name_("/" + name), rank_(rank), world_(world), bytes_(kHeader_bytes + static_cast<size_t>(world) * kPiece_bytes) {
  const int file = ::shm_open(name_.c_str(), O_CREAT | O_RDWR, 0600);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes_)) != 0) {
    throw std::runtime_error("shared memory " + name_ + ": " + std::strerror(errno));
  }
  void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) throw std::runtime_error("shared memory " + name_ + ": " + std::strerror(errno));
  shared_ = static_cast<Shared*>(memory);
  if (++shared_->joined == world_) ::shm_unlink(name_.c_str());
}

RankExchange::~RankExchange() {
  if (!all_have_joined()) ::shm_unlink(name_.c_str());
  ::munmap(shared_, bytes_);
}

bool RankExchange::all_have_joined() const {
  return shared_->joined >= world_;
}

char* RankExchange::slot(int rank) const {
  return reinterpret_cast<char*>(shared_) + kHeader_bytes + static_cast<size_t>(rank) * kPiece_bytes;
}

bool RankExchange::meet(const std::function<bool()>& given_up) {
  const uint32_t meeting = shared_->meetings;
  if (++shared_->arrived == world_) {
    shared_->arrived = 0;
    ++shared_->meetings;
    return true;
  }
  while (shared_->meetings == meeting) {
    if (given_up()) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return true;
}

bool RankExchange::exchange(const void* mine, size_t bytes,
                            const std::function<void(size_t, size_t, const char* const*)>& take,
                            const std::function<bool()>& given_up) {
  std::vector<const char*> pieces;
  for (int r = 0; r < world_; ++r) pieces.push_back(slot(r));
  for (size_t offset = 0; offset < bytes; offset += kPiece_bytes) {
    const size_t piece = std::min(kPiece_bytes, bytes - offset);
    std::memcpy(slot(rank_), static_cast<const char*>(mine) + offset, piece);
    if (!meet(given_up)) return false;
    take(offset, piece, pieces.data());
    if (!meet(given_up)) return false;  // nobody writes the next piece before all have taken this one
  }
  return true;
}

}  // namespace psanet::tests
