// Compares our declarations of NCCL with NVIDIA's, where those are. Nothing here is run.
#include "kernels/cuda/nccl_library.h"

#if __has_include(<nccl.h>)
#include <nccl.h>

#include <type_traits>

namespace psanet::kernels::cuda::nccl {

namespace {

/// Are two functions called the same way: as many parameters, of the same sizes, pointers where pointers are?
template <class Ours, class Theirs>
inline constexpr bool kSame_call = false;
template <class R, class... P, class S, class... Q>
inline constexpr bool kSame_call<R (*)(P...), S (*)(Q...)> = sizeof(R) == sizeof(S) &&
                                                             ((sizeof(P) == sizeof(Q) && alignof(P) == alignof(Q) &&
                                                               std::is_pointer_v<P> == std::is_pointer_v<Q>)&&...);

#define PSANET_SAME_CALL(name) static_assert(kSame_call<decltype(Library::name), decltype(&nccl##name)>)
PSANET_SAME_CALL(GetVersion);
PSANET_SAME_CALL(GetErrorString);
PSANET_SAME_CALL(GetLastError);
PSANET_SAME_CALL(GetUniqueId);
PSANET_SAME_CALL(CommInitRankConfig);
PSANET_SAME_CALL(CommGetAsyncError);
PSANET_SAME_CALL(CommFinalize);
PSANET_SAME_CALL(CommDestroy);
PSANET_SAME_CALL(CommAbort);
PSANET_SAME_CALL(AllReduce);
PSANET_SAME_CALL(Broadcast);
PSANET_SAME_CALL(AllGather);
#undef PSANET_SAME_CALL

#define PSANET_SAME_VALUE(ours, theirs) static_assert(static_cast<int>(ours) == static_cast<int>(theirs))
PSANET_SAME_VALUE(success, ncclSuccess);
PSANET_SAME_VALUE(system_error, ncclSystemError);
PSANET_SAME_VALUE(internal_error, ncclInternalError);
PSANET_SAME_VALUE(remote_error, ncclRemoteError);
PSANET_SAME_VALUE(in_progress, ncclInProgress);
PSANET_SAME_VALUE(int8, ncclInt8);
PSANET_SAME_VALUE(int64, ncclInt64);
PSANET_SAME_VALUE(float32, ncclFloat32);
PSANET_SAME_VALUE(float64, ncclFloat64);
PSANET_SAME_VALUE(sum, ncclSum);
#undef PSANET_SAME_VALUE

static_assert(sizeof(UniqueId) == NCCL_UNIQUE_ID_BYTES);
static_assert(offsetof(Config, size) == offsetof(ncclConfig_t, size));
static_assert(offsetof(Config, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(Config, version) == offsetof(ncclConfig_t, version));
static_assert(offsetof(Config, blocking) == offsetof(ncclConfig_t, blocking));
static_assert(NCCL_VERSION(2, 14, 0) == kOldest);

}  // namespace

}  // namespace psanet::kernels::cuda::nccl

#endif
