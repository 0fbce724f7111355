#include "engine/distributed/store_client.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <thread>

#include "engine/error.h"

namespace psanet {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// For the way of a request and its answer, besides the time that the server itself may take.
constexpr seconds kWay{2}, kSet_limit{60};
/// An address that does not answer must not keep the others from being tried.
constexpr seconds kConnect_limit{5};
constexpr size_t kWhy_bytes = 1000;

double in_seconds(milliseconds limit) {
  return std::chrono::duration<double>(limit).count();
}

}  // namespace

StoreClient::StoreClient(const std::string& host, int port, const std::string& token, int rank, milliseconds limit)
    : where_(fmt::format("{}:{}", host, port)) {
  const auto end = steady_clock::now() + limit;
  std::string why;
  for (;;) {
    for (const Address& address : resolve(host, port, why)) {  // anew each time: a machine may get its name later
      socket_ = Socket::connected(address, std::min(end, steady_clock::now() + kConnect_limit), why);
      if (socket_) break;
    }
    if (socket_) break;
    if (steady_clock::now() >= end) {
      throw DeviceError(
          fmt::format("rank {}: no rendezvous at {} within {} s: {}", rank, where_, in_seconds(limit), why));
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  own_address_ = socket_.own_end().text();
  keeper_ = ask(FrameKind::hello, std::to_string(rank), token, limit, end);
}

StoreClient::~StoreClient() {
  leave();
}

void StoreClient::close(const std::string& why) {
  socket_.close();
  closed_ = why;
  throw DeviceError(fmt::format("rendezvous at {}: {}", where_, why));
}

void StoreClient::send(std::string bytes, Deadline until) {
  for (;;) {
    if (!socket_.write(bytes)) return;  // receive() finds out, behind what the store has said before
    if (bytes.empty()) return;
    if (!socket_.wait(POLLOUT, until)) close("it takes no request in time; the connection has been closed");
  }
}

std::optional<Frame> StoreClient::receive(Deadline until) {
  for (;;) {
    std::optional<Frame> frame;
    try {
      frame = take_frame(in_);
    } catch (const ProtocolError& e) {
      close(e.what());
    }
    if (frame && frame->kind == FrameKind::ended && failure_.empty()) failure_ = frame->value;
    if (frame) return frame;
    if (!socket_.wait(POLLIN, until)) return std::nullopt;
    if (socket_.read(in_) != Socket::Got::end) continue;
    if (failure_.empty()) failure_ = fmt::format("{} is gone", keeper_.empty() ? "the store's process" : keeper_);
    close("the connection broke");
  }
}

std::string StoreClient::ask(FrameKind kind, const std::string& key, const std::string& value, milliseconds limit,
                             Deadline until) {
  if (key.size() > kStoreKey_bytes || value.size() > kStoreValue_bytes) {
    throw std::logic_error(fmt::format("rendezvous: \"{}\" is longer than is allowed", key.substr(0, 40)));
  }
  const std::lock_guard lock(mutex_);
  if (!socket_) close(closed_);
  const uint32_t id = ++last_id_;
  send(encode({kind, id, key, value, limit}), until);
  std::optional<Frame> answer = receive(until);
  while (answer && answer->kind == FrameKind::ended) answer = receive(until);
  if (!answer) close("no answer in time; the connection has been closed");
  if (answer->id != id || (answer->kind != FrameKind::yes && answer->kind != FrameKind::no)) {
    close("an answer to another request; the connection has been closed");
  }
  if (answer->kind == FrameKind::yes) return answer->value;
  throw DeviceError(
      fmt::format("rendezvous at {}: {}", where_,
                  !answer->value.empty()
                      ? answer->value
                      : fmt::format("nobody gave \"{}\" within {} s: are all ranks started?", key, in_seconds(limit))));
}

void StoreClient::set(const std::string& key, const std::string& value) {
  ask(FrameKind::set, key, value, {}, steady_clock::now() + kSet_limit);
}

std::string StoreClient::get(const std::string& key, milliseconds limit) {
  return ask(FrameKind::get, key, "", limit, steady_clock::now() + limit + kWay);
}

std::string StoreClient::failure(milliseconds limit) {
  const std::lock_guard lock(mutex_);
  const auto until = steady_clock::now() + limit;
  try {
    if (socket_ && failure_.empty() && receive(until) && failure_.empty()) {
      close("an answer to no request; the connection has been closed");
    }
  } catch (const DeviceError&) {
    // who is gone stands in failure_; else later calls say what is wrong
  }
  return failure_;
}

void StoreClient::fail(const std::string& why) noexcept {
  try {
    std::string line = why.substr(0, kWhy_bytes);
    std::replace(line.begin(), line.end(), '\n', ' ');
    ask(FrameKind::failed, "", line.empty() ? "an error" : line, {}, steady_clock::now() + kWay);
  } catch (const std::exception&) {
    // the connection has been closed, so this rank counts as gone
  }
}

void StoreClient::leave() noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (socket_) send(encode({FrameKind::bye, 0, "", ""}), steady_clock::now());
    socket_.close();
    closed_ = "this rank has left";
  } catch (const std::exception&) {
    // as above
  }
}

}  // namespace psanet
