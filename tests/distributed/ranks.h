// Ranks as threads of the test: each with its own device, joined over loopback.
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "engine/distributed/gloo_communicator.h"
#include "engine/distributed/store_server.h"

namespace psanet::tests {

/// What an E that f() throws says.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// body(communicator) on `world` threads; rethrows the first rank's exception, when all are done.
inline void on_ranks(int world, const std::function<void(std::shared_ptr<HostCommunicator>)>& body,
                     std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  const StoreServer server("127.0.0.1", 0, "test");
  std::vector<std::exception_ptr> errors(static_cast<size_t>(world));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        auto store = std::make_shared<StoreClient>("127.0.0.1", server.port(), "test", rank, limit);
        body(make_gloo_communicator(store, rank, world, limit));
      } catch (...) {
        errors[static_cast<size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace psanet::tests
