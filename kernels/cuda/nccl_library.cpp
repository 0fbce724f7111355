#include "kernels/cuda/nccl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "kernels/error.h"
#include "kernels/nccl.h"

namespace psanet::kernels {

namespace cuda::nccl {

namespace {

std::string chosen(const std::string& file) {
  if (!file.empty()) return file;
  const char* named = std::getenv("PSANET_NCCL");
  return named != nullptr && *named != '\0' ? named : "libnccl.so.2";
}

template <class Function>
void find(void* handle, const std::string& file, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  if (function == nullptr) {
    throw DeviceError(fmt::format("NCCL: {} has no {}; want NCCL {} or newer", file, name, version_text(kOldest)));
  }
}

}  // namespace

std::string version_text(int version) {
  const int major = version < 10000 ? 1000 : 10000;  // how it was counted up to 2.8
  return fmt::format("{}.{}.{}", version / major, version % major / 100, version % 100);
}

std::string Library::words(Result result, Communicator* communicator) const {
  const char* details = GetLastError(communicator);
  return fmt::format("{}{}{}", GetErrorString(result), details == nullptr || *details == '\0' ? "" : ": ",
                     details == nullptr ? "" : details);
}

std::shared_ptr<const Library> load(const std::string& wanted) {
  auto library = std::make_shared<Library>();
  const std::string file = library->file = chosen(wanted);
  // Never closed: the library has threads of its own.
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw DeviceError(
        fmt::format("NCCL cannot be loaded: {}; install NVIDIA's libnccl2, or name the file in the environment "
                    "variable PSANET_NCCL",
                    dlerror()));
  }
  find(handle, file, "ncclGetVersion", library->GetVersion);
  if (library->GetVersion(&library->version) != success || library->version < kOldest) {
    throw DeviceError(fmt::format("NCCL: {} is version {}; want {} or newer", file, version_text(library->version),
                                  version_text(kOldest)));
  }
  find(handle, file, "ncclGetErrorString", library->GetErrorString);
  find(handle, file, "ncclGetLastError", library->GetLastError);
  find(handle, file, "ncclGetUniqueId", library->GetUniqueId);
  find(handle, file, "ncclCommInitRankConfig", library->CommInitRankConfig);
  find(handle, file, "ncclCommGetAsyncError", library->CommGetAsyncError);
  find(handle, file, "ncclCommFinalize", library->CommFinalize);
  find(handle, file, "ncclCommDestroy", library->CommDestroy);
  find(handle, file, "ncclCommAbort", library->CommAbort);
  find(handle, file, "ncclAllReduce", library->AllReduce);
  find(handle, file, "ncclBroadcast", library->Broadcast);
  find(handle, file, "ncclAllGather", library->AllGather);
  return library;
}

}  // namespace cuda::nccl

NcclId make_nccl_id(const NcclOptions& options) {
  const auto library = cuda::nccl::load(options.library);
  cuda::nccl::UniqueId made{};
  const auto result = library->GetUniqueId(&made);
  if (result != cuda::nccl::success) {
    throw DeviceError("NCCL: making an id for a communicator: " + library->words(result, nullptr));
  }
  NcclId id;
  static_assert(sizeof id == sizeof made.internal);
  std::copy(std::begin(made.internal), std::end(made.internal), id.begin());
  return id;
}

std::string describe_nccl(const NcclOptions& options) {
  const auto library = cuda::nccl::load(options.library);
  return fmt::format("NCCL {} ({})", cuda::nccl::version_text(library->version), library->file);
}

}  // namespace psanet::kernels
