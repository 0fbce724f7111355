// What every kernel, copy and clear of a program took on the GPU, also inside a recorded step: a library that the CUDA
// driver loads into any program (docs/gpu.md).
//
//   CUDA_INJECTION64_PATH=libpsanet_kernel_times.so PSANET_KERNEL_TIMES=kernels.tsv psanet-bench ...
//
// One line for each, tabs between: kernel|copy|clear, begin and end in ns, stream, correlation (the same for all of one
// launch of a graph), graph (0: launched by itself), graph node, bytes, name. In the order in which CUPTI gives them.
#include <cupti.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace {

constexpr size_t kBuffer_bytes = 8 << 20, kAlignment_bytes = 8;

std::FILE* file = nullptr;
std::mutex mutex;
bool complained = false;

void complain(const char* what, CUptiResult result) {
  if (complained || result == CUPTI_SUCCESS) return;
  complained = true;
  const char* words = "";
  cuptiGetResultString(result, &words);
  std::fprintf(stderr, "psanet_kernel_times: error: %s: %s\n", what, words);
}

void line(const char* kind, uint64_t begin, uint64_t end, uint32_t stream, uint32_t correlation, uint32_t graph,
          uint64_t node, uint64_t bytes, const char* name) {
  std::fprintf(file, "%s\t%llu\t%llu\t%u\t%u\t%u\t%llu\t%llu\t%s\n", kind, static_cast<unsigned long long>(begin),
               static_cast<unsigned long long>(end), stream, correlation, graph, static_cast<unsigned long long>(node),
               static_cast<unsigned long long>(bytes), name == nullptr ? "" : name);
}

void write(const CUpti_Activity* record) {
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto* k = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      line("kernel", k->start, k->end, k->streamId, k->correlationId, k->graphId, k->graphNodeId, 0, k->name);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto* c = reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
      line("copy", c->start, c->end, c->streamId, c->correlationId, c->graphId, c->graphNodeId, c->bytes, "copy");
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto* m = reinterpret_cast<const CUpti_ActivityMemset4*>(record);
      line("clear", m->start, m->end, m->streamId, m->correlationId, m->graphId, m->graphNodeId, m->bytes, "clear");
      break;
    }
    default:
      break;
  }
}

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* bytes, size_t* most_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(kAlignment_bytes, kBuffer_bytes));
  *bytes = *buffer == nullptr ? 0 : kBuffer_bytes;
  *most_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext context, uint32_t stream, uint8_t* buffer, size_t, size_t valid_bytes) {
  const std::lock_guard lock(mutex);
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid_bytes, &record) == CUPTI_SUCCESS) write(record);
  size_t dropped = 0;
  if (cuptiActivityGetNumDroppedRecords(context, stream, &dropped) == CUPTI_SUCCESS && dropped > 0) {
    std::fprintf(stderr, "psanet_kernel_times: error: %zu records were lost\n", dropped);
  }
  std::free(buffer);
}

void finish() {
  complain("taking the last records", cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED));
  const std::lock_guard lock(mutex);
  if (std::fclose(file) != 0) std::fprintf(stderr, "psanet_kernel_times: error: the file could not be written whole\n");
}

}  // namespace

/// The driver calls this before the program's first call of CUDA.
extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  const char* name = std::getenv("PSANET_KERNEL_TIMES");
  if (name == nullptr) return 1;
  file = std::fopen(name, "w");
  if (file == nullptr) {
    std::fprintf(stderr, "psanet_kernel_times: error: %s cannot be written\n", name);
    return 1;
  }
  complain("starting", cuptiActivityRegisterCallbacks(give_buffer, take_buffer));
  for (const CUpti_ActivityKind kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET}) {
    complain("asking for records", cuptiActivityEnable(kind));
  }
  std::atexit(finish);
  return 1;
}
