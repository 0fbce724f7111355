#include "apps/step_board.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/error.h"

namespace psanet::apps {

namespace {

size_t bytes_of(int64_t ranks) {
  static_assert(sizeof(std::atomic<int64_t>) == sizeof(int64_t) && std::atomic<int64_t>::is_always_lock_free);
  return static_cast<size_t>(ranks) * sizeof(int64_t);
}

}  // namespace

StepBoard::StepBoard(int file, int64_t ranks) : file_(file), ranks_(ranks) {}

StepBoard::StepBoard(int64_t ranks) : StepBoard(::memfd_create("psanet steps", 0), ranks) {
  if (file_ < 0 || ::ftruncate(file_, static_cast<off_t>(bytes_of(ranks))) != 0 || !map()) {
    throw DeviceError(fmt::format("--ranks: no memory to share with them: {}", std::strerror(errno)));
  }
}

std::unique_ptr<StepBoard> StepBoard::inherited(const char* file) {
  const int number = file ? std::atoi(file) : -1;
  struct stat status {};
  if (number <= 2 || ::fstat(number, &status) != 0) return nullptr;
  std::unique_ptr<StepBoard> board(new StepBoard(number, status.st_size / static_cast<int64_t>(sizeof(int64_t))));
  if (!board->map()) return nullptr;
  return board;
}

bool StepBoard::map() {
  void* memory = ::mmap(nullptr, bytes_of(ranks_), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED) return false;
  steps_ = static_cast<std::atomic<int64_t>*>(memory);
  return true;
}

StepBoard::~StepBoard() {
  if (steps_) ::munmap(steps_, bytes_of(ranks_));
  if (file_ >= 0) ::close(file_);
}

void StepBoard::set(int64_t rank, int64_t step) {
  if (rank < ranks_) steps_[rank] = step;
}

int64_t StepBoard::step(int64_t rank) const {
  return steps_[rank];
}

}  // namespace psanet::apps
