// The scheduler. When kernels are built with -fsanitize=thread this file is built without it, and with
// PSANET_EMULATOR_TSAN: the race detector must see the kernels' memory accesses and the barriers, not the scheduler's
// own bookkeeping.
#include "tests/emulation/cuda_emulator.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define WITH_ASAN(...) __VA_ARGS__
#else
#define WITH_ASAN(...)
#endif

#ifdef PSANET_EMULATOR_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
}
#define WITH_TSAN(...) __VA_ARGS__
#else
#define WITH_TSAN(...)
#endif

// Saves the callee-saved registers and the stack pointer, and takes up another stack where it left off. A tenth of the
// cost of swapcontext, which makes a system call for the signal mask.
extern "C" void psanet_switch_stack(void** save, void* load);
asm(R"(.text
.type psanet_switch_stack,@function
psanet_switch_stack:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size psanet_switch_stack,.-psanet_switch_stack
)");

namespace cuda_emulator {

Coordinates coordinates;

namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr size_t kStack_bytes = 128 << 10, kGuard_bytes = 4096;
constexpr size_t kSharedMost_bytes = 227 << 10, kStaticSharedMost_bytes = 48 << 10;
constexpr size_t kRedZone_bytes = 64, kArena_bytes = kSharedMost_bytes + (64 << 10);
constexpr int kExitStatus = 66;

/// A stack; it runs one CUDA thread at a time.
struct Fiber {
  char* stack = nullptr;
  void *stack_pointer = nullptr, *fake_stack = nullptr, *tsan = nullptr;
};

enum class State : uint8_t { fresh, ready, at_barrier, in_warp_operation, done };

struct Thread {
  Fiber* fiber = nullptr;
  unsigned index = 0;
  uint3 coordinates{};
  State state = State::fresh;
  int line = 0;
  uint32_t mask = 0;
  std::vector<PendingCopy> copies;
  int copy_group = 0;
};

/// A warp operation in flight.
struct WarpOperation {
  uint32_t mask = 0, arrived = 0;
  int line = 0, still_to_leave = 0;
  uint64_t values[32] = {};
  char tag = 0;
};

struct SharedVariable {
  const void* key;
  char* memory;
};

struct Scheduler {
  Order order = Order::random;
  std::mt19937_64 random{1};

  unsigned threads = 0, done = 0, waiting = 0, next = 0, ready_head = 0;
  std::vector<Thread> thread = std::vector<Thread>(kMaxThreads);
  std::vector<Fiber> fiber = std::vector<Fiber>(kMaxThreads);
  std::vector<Fiber*> idle;
  std::vector<unsigned> start_order, ready;
  Thread* current = nullptr;
  Fiber host;
  const void* host_stack = nullptr;
  size_t host_stack_bytes = 0;
  const std::function<void()>* body = nullptr;
  const char* name = "";

  WarpOperation warp[kMaxThreads / 32][4];
  char *arena = nullptr, *dynamic = nullptr;
  size_t arena_used_bytes = 0, shared_bytes = 0, dynamic_bytes = 0;
  std::vector<SharedVariable> variables;

  // What the race detector is told: a grid's beginning, its barriers (two tags in turn: a fast thread's arrival at the
  // next barrier must not count for this one) and its end.
  char begin_tag = 0, barrier_tag[2] = {}, end_tag = 0;
  unsigned phase = 0, fiber_shift = 0;
};

Scheduler& scheduler() {
  static Scheduler s;
  return s;
}

void jump(Fiber* from, Fiber* to) {
  [[maybe_unused]] Scheduler& s = scheduler();
  WITH_ASAN(__sanitizer_start_switch_fiber(&from->fake_stack, to == &s.host ? s.host_stack : to->stack,
                                           to == &s.host ? s.host_stack_bytes : kStack_bytes);)
  WITH_TSAN(__tsan_switch_to_fiber(to->tsan, 1 /* a switch orders nothing */);)
  psanet_switch_stack(&from->stack_pointer, to->stack_pointer);
  WITH_ASAN(__sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);)
}

/// Runnable threads first, then fresh ones, then the block barrier opens; anything else is a deadlock.
Thread* pick() {
  Scheduler& s = scheduler();
  for (;;) {
    if (const size_t left = s.ready.size() - s.ready_head; left > 0) {
      if (s.order == Order::random) std::swap(s.ready[s.ready_head], s.ready[s.ready_head + s.random() % left]);
      return &s.thread[s.ready[s.ready_head++]];
    }
    s.ready.clear();
    s.ready_head = 0;
    if (s.next < s.threads) return &s.thread[s.start_order[s.next++]];
    if (s.done == s.threads) return nullptr;
    if (s.waiting != s.threads) {
      fail(s.waiting + s.done == s.threads ? "some threads left the kernel while others wait at __syncthreads()"
                                           : "deadlock: lanes named in a warp operation's mask never arrive");
    }
    for (unsigned i = 1; i < s.threads; ++i) {
      if (s.thread[i].line != s.thread[0].line) fail("divergent barrier: threads wait at different __syncthreads()");
    }
    s.waiting = 0;
    s.phase++;
    for (unsigned i : s.start_order) {  // not an assignment of the vector: the race detector would see its memmove
      s.ready.push_back(i);
      s.thread[i].state = State::ready;
    }
  }
}

void enter(Thread* t) {
  Scheduler& s = scheduler();
#ifdef PSANET_EMULATOR_TSAN
  // To the race detector every CUDA thread is a thread of its own, and so is the same lane of another block.
  t->fiber = &s.fiber[(t->index + s.fiber_shift) % kMaxThreads];
#else
  if (!t->fiber) {
    t->fiber = s.idle.back();
    s.idle.pop_back();
  }
#endif
  t->state = State::ready;
  s.current = t;
  coordinates.thread_index = t->coordinates;
}

void wait_here(State state, int line, uint32_t mask) {
  Thread* me = scheduler().current;
  me->state = state;
  me->line = line;
  me->mask = mask;
  Thread* next = pick();
  enter(next);
  if (next != me) jump(me->fiber, next->fiber);
}

#ifdef PSANET_EMULATOR_TSAN
/// Those that the next block takes: a millisecond each, so only those. By the host, or the new one would be ordered
/// after everything that its creator has done.
void create_tsan_fibers() {
  Scheduler& s = scheduler();
  for (unsigned t = 0; t < s.threads; ++t) {
    void*& tsan = s.fiber[(t + s.fiber_shift) % kMaxThreads].tsan;
    if (!tsan) tsan = __tsan_create_fiber(0);
  }
}
#endif

void fiber_main() {
  WITH_ASAN(__sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);)
  Scheduler& s = scheduler();
  for (;;) {
    Thread* t = s.current;
    Fiber* own = t->fiber;
    WITH_TSAN(__tsan_acquire(&s.begin_tag);)
    (*s.body)();
    WITH_TSAN(__tsan_release(&s.end_tag);)
    if (!t->copies.empty()) fail("a thread ends before it has waited for its asynchronous copies");
    t->state = State::done;
    t->fiber = nullptr;
    s.done++;
    s.idle.push_back(own);
    Thread* next = pick();
    if (next) enter(next);  // a fresh thread goes on on this very stack: a kernel without barriers never switches
    if (!next || next->fiber != own) jump(own, next ? next->fiber : &s.host);
  }
}

/// One arena a block: every variable lies between poisoned red zones and is filled with 0xff (NaN).
char* take_shared(size_t bytes, size_t alignment) {
  Scheduler& s = scheduler();
  const size_t at = (s.arena_used_bytes + kRedZone_bytes + alignment - 1) / alignment * alignment;
  s.shared_bytes += bytes;
  if (s.shared_bytes > kSharedMost_bytes || at + bytes + kRedZone_bytes > kArena_bytes) {
    fail("shared memory over 227 KiB");
  }
  s.arena_used_bytes = at + bytes;
  char* memory = s.arena + at;
  WITH_ASAN(ASAN_UNPOISON_MEMORY_REGION(memory, bytes);)
  // Not memset: the race detector would take that for an access by this thread.
  for (size_t i = 0; i < bytes; ++i) static_cast<volatile char*>(memory)[i] = static_cast<char>(0xff);
  return memory;
}

template <class F>
auto warp_operation(uint32_t mask, uint64_t mine, int line, [[maybe_unused]] bool orders_memory, F result) {
  Scheduler& s = scheduler();
  const unsigned l = s.current->index & 31, w = s.current->index >> 5, lanes = s.threads - w * 32;
  if (!(mask >> l & 1)) fail("warp operation: the calling lane is not in its own mask");
  if (lanes < 32) mask &= (1u << lanes) - 1;  // lanes beyond the block's end do not exist
  WarpOperation *op = nullptr, *spare = nullptr;
  for (WarpOperation& o : s.warp[w]) {
    if (o.still_to_leave && o.mask == mask && !(o.arrived >> l & 1)) op = &o;
    if (!o.still_to_leave) spare = &o;
  }
  if (!op) {
    if (!spare) fail("too many warp operations in flight");
    op = spare;
    op->mask = mask;
    op->arrived = 0;
    op->line = line;
    op->still_to_leave = __builtin_popcount(mask);
  }
  if (op->line != line) fail("warp operation: lanes of one mask meet at different source lines");
  op->values[l] = mine;
  op->arrived |= 1u << l;
  WITH_TSAN(if (orders_memory) __tsan_release(&op->tag);)
  if (op->arrived != mask) {
    wait_here(State::in_warp_operation, line, mask);
  } else {
    if (s.ready_head == s.ready.size()) s.ready_head = 0, s.ready.clear();
    for (unsigned i = 0; i < 32; ++i) {
      if (!(mask >> i & 1) || i == l) continue;
      s.thread[w * 32 + i].state = State::ready;
      s.ready.push_back(w * 32 + i);
    }
  }
  WITH_TSAN(if (orders_memory) __tsan_acquire(&op->tag);)
  auto value = result(*op);
  op->still_to_leave--;
  return value;
}

void start() {
  Scheduler& s = scheduler();
  const size_t pitch = kStack_bytes + kGuard_bytes;
  auto* stacks = static_cast<char*>(
      mmap(nullptr, kMaxThreads * pitch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  s.arena = static_cast<char*>(mmap(nullptr, kArena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (stacks == MAP_FAILED || s.arena == MAP_FAILED) fail("no memory for the emulated threads");
  WITH_ASAN(ASAN_POISON_MEMORY_REGION(s.arena, kArena_bytes);)
  for (Fiber& f : s.fiber) {
    mprotect(stacks, kGuard_bytes, PROT_NONE);  // a stack overflow is a crash
    f.stack = stacks + kGuard_bytes;
    stacks += pitch;
    s.idle.push_back(&f);
    auto** top = reinterpret_cast<void**>(f.stack + kStack_bytes - 16);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(fiber_main);
    f.stack_pointer = top - 6;
  }
  // Nothing here allocates while a grid runs: the race detector takes an allocation for an access.
  s.ready.reserve(size_t{1} << 20);
  s.start_order.reserve(kMaxThreads);
  s.idle.reserve(kMaxThreads);
  s.variables.reserve(256);
  for (Thread& t : s.thread) t.copies.reserve(256);
  pthread_attr_t attributes;
  void* bottom = nullptr;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &bottom, &s.host_stack_bytes);
  s.host_stack = bottom;
  pthread_attr_destroy(&attributes);
  WITH_TSAN(s.host.tsan = __tsan_get_current_fiber();)
}

}  // namespace

void set_order(Order order, uint64_t seed) {
  scheduler().order = order;
  scheduler().random.seed(seed);
}

void fail(const char* what) {
  const Scheduler& s = scheduler();
  const Coordinates& c = coordinates;
  std::fprintf(stderr, "CUDA EMULATOR: %s\n  in %s\n  block (%u,%u,%u) thread (%u,%u,%u)", what, s.name,
               c.block_index.x, c.block_index.y, c.block_index.z, c.thread_index.x, c.thread_index.y, c.thread_index.z);
  unsigned count[5] = {};
  for (unsigned i = 0; i < s.threads; ++i) count[static_cast<int>(s.thread[i].state)]++;
  std::fprintf(stderr,
               "; threads: %u not started, %u runnable, %u at __syncthreads, %u in a warp operation, %u exited\n",
               count[0], count[1], count[2], count[3], count[4]);
  unsigned shown = 0;
  for (unsigned i = 0; i < s.threads && shown < 4; ++i) {
    const Thread& t = s.thread[i];
    if (t.state != State::at_barrier && t.state != State::in_warp_operation) continue;
    ++shown;
    std::fprintf(stderr, "  thread %u waits at line %d %s %08x\n", i, t.line,
                 t.state == State::at_barrier ? "(block barrier)" : "(warp operation) mask", t.mask);
  }
  std::fflush(stderr);
  std::_Exit(kExitStatus);
}

unsigned lane() {
  return scheduler().current->index & 31;
}

void* shared_variable(const void* key, size_t bytes, size_t alignment) {
  Scheduler& s = scheduler();
  for (const SharedVariable& v : s.variables) {
    if (v.key == key) return v.memory;
  }
  if (s.shared_bytes - s.dynamic_bytes + bytes > kStaticSharedMost_bytes) fail("static shared memory over 48 KiB");
  s.variables.push_back({key, take_shared(bytes, alignment)});
  return s.variables.back().memory;
}

void* dynamic_shared() {
  return scheduler().dynamic;
}

void block_barrier(int line) {
  Scheduler& s = scheduler();
  WITH_TSAN(void* tag = &s.barrier_tag[s.phase & 1]; __tsan_release(tag);)
  s.waiting++;
  wait_here(State::at_barrier, line, 0);
  WITH_TSAN(__tsan_acquire(tag);)
}

// Shuffles and votes exchange values but do not order memory; __syncwarp does.

uint64_t warp_shuffle(uint32_t mask, uint64_t mine, int source_lane, int line) {
  return warp_operation(mask, mine, line, false, [&](WarpOperation& op) {
    if (!(op.mask >> source_lane & 1)) fail("shuffle reads a lane outside the mask");
    return op.values[source_lane];
  });
}

uint32_t warp_ballot(uint32_t mask, bool predicate, int line) {
  return warp_operation(mask, predicate, line, false, [](WarpOperation& op) {
    uint32_t bits = 0;
    for (int i = 0; i < 32; ++i) {
      if ((op.mask >> i & 1) && op.values[i]) bits |= 1u << i;
    }
    return bits;
  });
}

void warp_barrier(uint32_t mask, int line) {
  warp_operation(mask, 0, line, true, [](WarpOperation&) { return 0; });
}

void warp_gather(uint64_t mine, int line, uint64_t* all32) {
  warp_operation(~0u, mine, line, true, [=](WarpOperation& op) {
    std::memcpy(all32, op.values, sizeof op.values);
    return 0;
  });
}

void queue_copy(void* to, const void* from, size_t bytes, size_t read) {
  Thread& t = *scheduler().current;
  t.copies.push_back({to, from, bytes, read, t.copy_group});
}

void copy_async_commit() {
  scheduler().current->copy_group++;
}

std::vector<PendingCopy> take_due_copies(int groups_left) {
  Thread& t = *scheduler().current;
  const int last = t.copy_group - groups_left;
  std::vector<PendingCopy> due;
  for (const PendingCopy& c : t.copies) {
    if (c.group < last) due.push_back(c);
  }
  std::erase_if(t.copies, [&](const PendingCopy& c) { return c.group < last; });
  return due;
}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body, const char* name) {
  Scheduler& s = scheduler();
  if (!s.arena) start();
  const size_t threads = static_cast<size_t>(block.x) * block.y * block.z;
  const size_t blocks = static_cast<size_t>(grid.x) * grid.y * grid.z;
  s.name = name;
  s.threads = 0;
  if (threads == 0 || threads > kMaxThreads || block.z > 64 || blocks == 0 || grid.x > 2147483647u || grid.y > 65535 ||
      grid.z > 65535 || shared_bytes > kSharedMost_bytes) {
    fail("illegal launch configuration");
  }
  coordinates.grid = grid;
  coordinates.block = block;
  s.threads = static_cast<unsigned>(threads);
  s.body = &body;
  s.start_order.resize(threads);
  for (unsigned i = 0; i < s.threads; ++i) {
    s.thread[i].index = i;
    s.thread[i].coordinates = {i % block.x, i / block.x % block.y, i / block.x / block.y};
    s.start_order[i] = s.order == Order::reverse ? s.threads - 1 - i : i;
  }
  // Random: block i goes at place (i * step + first) modulo their number.
  size_t step = 1, first = 0;
  if (s.order == Order::random && blocks > 1) {
    first = s.random() % blocks;
    do {
      step = 1 + s.random() % blocks;
    } while (std::gcd(step, blocks) != 1);
  }
  for (size_t i = 0; i < blocks; ++i) {
    const size_t k = s.order == Order::reverse
                         ? blocks - 1 - i
                         : static_cast<size_t>((static_cast<__uint128_t>(i) * step + first) % blocks);
    coordinates.block_index = {static_cast<unsigned>(k % grid.x), static_cast<unsigned>(k / grid.x % grid.y),
                               static_cast<unsigned>(k / grid.x / grid.y)};
    WITH_ASAN(ASAN_POISON_MEMORY_REGION(s.arena, s.arena_used_bytes);)
    // A fresh mapping resets the race detector's shadow, so that blocks stay unordered.
    WITH_TSAN(if (s.arena_used_bytes)
                  mmap(s.arena, kArena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);)
    s.arena_used_bytes = s.shared_bytes = 0;
    s.variables.clear();
    s.done = s.waiting = s.next = s.ready_head = 0;
    s.ready.clear();
    s.dynamic_bytes = shared_bytes;
    s.dynamic = shared_bytes ? take_shared(shared_bytes, 128) : nullptr;
    WITH_TSAN(__tsan_release(&s.begin_tag);)
    if (s.order == Order::random) std::shuffle(s.start_order.begin(), s.start_order.end(), s.random);
    for (unsigned t = 0; t < s.threads; ++t) {
      s.thread[t].state = State::fresh;
      s.thread[t].fiber = nullptr;
      s.thread[t].copy_group = 0;
    }
    WITH_TSAN(s.idle.clear(); s.fiber_shift = (s.fiber_shift + 331) % kMaxThreads; create_tsan_fibers();)
    Thread* t = pick();
    enter(t);
    jump(&s.host, t->fiber);
    for (unsigned w = 0; w < (s.threads + 31) / 32; ++w) {
      for (const WarpOperation& op : s.warp[w]) {
        if (op.still_to_leave) fail("unfinished warp operation");
      }
    }
  }
  WITH_TSAN(__tsan_acquire(&s.end_tag);)
}

}  // namespace cuda_emulator
