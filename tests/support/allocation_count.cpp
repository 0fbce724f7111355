// The program's own malloc family and operator new stand in front of the libraries': everything loaded finds them
// first. The work is left to the C library; only a counter is added.
#include "tests/support/allocation_count.h"

#include <link.h>
#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PSANET_COUNTS_ALLOCATIONS 0
#elif defined(__GLIBC__)
#define PSANET_COUNTS_ALLOCATIONS 1
#else
#define PSANET_COUNTS_ALLOCATIONS 0
#endif

namespace {
// Constant-initialised: malloc is called before any constructor runs.
std::atomic<int64_t> count{0}, live_bytes{0}, peak_bytes{0};
}  // namespace

#if PSANET_COUNTS_ALLOCATIONS

namespace {

/// Where a library's code lies.
struct Library {
  const char* name;
  std::atomic<uintptr_t> begin{0}, end{0};
  bool contains(uintptr_t place) const {
    return place >= begin.load(std::memory_order_relaxed) && place < end.load(std::memory_order_relaxed);
  }
};
Library onednn{"libdnnl"}, openmp{"libgomp"}, loader{"ld-linux"};  // the loader makes room for each thread's variables

int find_libraries(dl_phdr_info* info, size_t, void*) {
  for (Library* library : {&onednn, &openmp, &loader}) {
    if (info->dlpi_name == nullptr || std::strstr(info->dlpi_name, library->name) == nullptr) continue;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const auto& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      library->begin = info->dlpi_addr + segment.p_vaddr;
      library->end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    }
  }
  return 0;
}

void note(const void* caller, size_t bytes) {
  constexpr size_t kSmall_bytes = 16384;
  const auto place = reinterpret_cast<uintptr_t>(caller);
  // Without AVX-512 oneDNN makes some convolutions of matrix products, which pack their operands into memory of their
  // own, of any size.
  if (onednn.contains(place) && !__builtin_cpu_supports("avx512bw")) return;
  if (bytes < kSmall_bytes && (onednn.contains(place) || openmp.contains(place) || loader.contains(place))) return;
  count.fetch_add(1, std::memory_order_relaxed);
}

void* entered(void* memory) {
  const int64_t now = live_bytes += static_cast<int64_t>(malloc_usable_size(memory));
  int64_t peak = peak_bytes.load(std::memory_order_relaxed);
  while (peak < now && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
  return memory;
}
void left(void* memory) {
  live_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
}

}  // namespace

extern "C" {

void __libc_free(void* memory) noexcept;
void* __libc_malloc(size_t bytes) noexcept;
void* __libc_calloc(size_t items, size_t bytes) noexcept;
void* __libc_realloc(void* memory, size_t bytes) noexcept;
void* __libc_memalign(size_t alignment, size_t bytes) noexcept;

void* malloc(size_t bytes) noexcept {
  note(__builtin_return_address(0), bytes);
  return entered(__libc_malloc(bytes));
}
void* calloc(size_t items, size_t bytes) noexcept {
  note(__builtin_return_address(0), items * bytes);
  return entered(__libc_calloc(items, bytes));
}
void* realloc(void* memory, size_t bytes) noexcept {
  note(__builtin_return_address(0), bytes);
  left(memory);
  void* moved = __libc_realloc(memory, bytes);
  if (moved == nullptr && bytes > 0) entered(memory);  // it failed: the block is still there
  return entered(moved);
}
void* memalign(size_t alignment, size_t bytes) noexcept {
  note(__builtin_return_address(0), bytes);
  return entered(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  note(__builtin_return_address(0), bytes);
  return entered(__libc_memalign(alignment, bytes));
}
void free(void* memory) noexcept {
  left(memory);
  __libc_free(memory);
}
int posix_memalign(void** result, size_t alignment, size_t bytes) noexcept {
  if (alignment == 0 || alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  note(__builtin_return_address(0), bytes);
  void* memory = __libc_memalign(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *result = entered(memory);
  return 0;
}

}  // extern "C"

namespace {
void* allocated(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return entered(memory);
}
}  // namespace

// The standard's other forms of new call these; its delete calls free.
void* operator new(size_t bytes) {
  note(__builtin_return_address(0), bytes);
  return allocated(__libc_malloc(bytes));
}
void* operator new[](size_t bytes) {
  note(__builtin_return_address(0), bytes);
  return allocated(__libc_malloc(bytes));
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  note(__builtin_return_address(0), bytes);
  return allocated(__libc_memalign(static_cast<size_t>(alignment), bytes));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  note(__builtin_return_address(0), bytes);
  return allocated(__libc_memalign(static_cast<size_t>(alignment), bytes));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

#endif

namespace psanet::tests {

bool allocations_are_counted() {
  return PSANET_COUNTS_ALLOCATIONS != 0;
}

int64_t allocations() {
#if PSANET_COUNTS_ALLOCATIONS
  if (onednn.end.load(std::memory_order_relaxed) == 0) dl_iterate_phdr(&find_libraries, nullptr);
#endif
  return count.load(std::memory_order_relaxed);
}

int64_t peak_bytes_of(const std::function<void()>& body) {
  const int64_t begin = live_bytes;
  peak_bytes = begin;
  body();
  return peak_bytes - begin;
}

}  // namespace psanet::tests
