// How processes stand in for GPUs that talk to each other: memory that all ranks of a communicator share.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace psanet::tests {

/// One rank's end. Every rank calls the same exchanges in the same order.
class RankExchange {
 public:
  /// Joins the ranks that give the same name (letters and digits), and does not wait for them. std::runtime_error if
  /// there is no shared memory.
  RankExchange(const std::string& name, int rank, int world);
  ~RankExchange();
  RankExchange(const RankExchange&) = delete;
  RankExchange& operator=(const RankExchange&) = delete;

  int rank() const { return rank_; }
  int world() const { return world_; }
  bool all_have_joined() const;

  /// Shows every rank's `mine` [bytes] to every rank, a piece at a time: take(offset, bytes, pieces [world]). Waits for
  /// the others, or until given_up(): false then.
  bool exchange(const void* mine, size_t bytes,
                const std::function<void(size_t offset, size_t bytes, const char* const* pieces)>& take,
                const std::function<bool()>& given_up);

 private:
  struct Shared;
  bool meet(const std::function<bool()>& given_up);
  char* slot(int rank) const;

  std::string name_;
  int rank_, world_;
  size_t bytes_;
  Shared* shared_ = nullptr;
};

}  // namespace psanet::tests
