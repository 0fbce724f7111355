#include "layers/collective.h"

#include <utility>

#include "engine/communicator.h"
#include "engine/graph.h"
#include "kernels/batch_norm.h"
#include "kernels/memory.h"
#include "layers/check.h"

namespace psanet::layers {

namespace {

/// f(context, buffers), which calls the communicator: between recordings, not in one.
template <class F>
Launch collective(Lowering& l, F f, int64_t workspace_bytes = 0) {
  return l.prepare([&](auto& ctx) -> Launch {
    Launch launch{[&ctx, f](const Buffers& b) { f(ctx, b); }, workspace_bytes};
    launch.recordable = false;
    return launch;
  });
}

int64_t elements(const Types& types) {
  int64_t sum = 0;
  for (const Type& type : types) sum += type.elements();
  return sum;
}

/// Parts one after the other into a bucket, and back.
template <class Ctx>
void pack(Ctx& ctx, const Types& types, const std::vector<void*>& parts, float* bucket) {
  for (size_t i = 0; i < types.size(); ++i) {
    kernels::copy_on_device(ctx, bucket, parts[i], types[i].bytes());
    bucket += types[i].elements();
  }
}
template <class Ctx>
void unpack(Ctx& ctx, const Types& types, const float* bucket, const std::vector<void*>& parts) {
  for (size_t i = 0; i < types.size(); ++i) {
    kernels::copy_on_device(ctx, parts[i], bucket, types[i].bytes());
    bucket += types[i].elements();
  }
}

}  // namespace

Launch AllReduce::lower(Lowering& l) const {
  Communicator& ranks = l.communicator();
  const Types types = l.in();
  if (types.size() == 1 && types[0].dtype == DType::i64) {
    const auto count = static_cast<size_t>(types[0].elements());
    return collective(l, [=, &ranks, name = l.node().name](auto& ctx, const Buffers& b) {
      kernels::copy_on_device(ctx, b.outputs[0], b.inputs[0], types[0].bytes());
      ranks.all_reduce(name, std::span(b.template out<int64_t>(0), count));
    });
  }
  for (const Type& type : types) require(type.dtype == DType::f32, "sums of {}, want f32", to_string(type));
  const auto count = static_cast<size_t>(elements(types));
  const auto sum = [=, &ranks, name = l.node().name](auto& ctx, const Buffers& b) {
    auto* bucket = static_cast<float*>(b.workspace);
    pack(ctx, types, b.inputs, bucket);
    ranks.all_reduce(name, std::span(bucket, count));
    unpack(ctx, types, bucket, b.outputs);
  };
  return collective(l, sum, static_cast<int64_t>(count * sizeof(float)));
}

Types MergeMoments::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "mean and variance");
  return in;
}

Launch MergeMoments::lower(Lowering& l) const {
  Communicator& ranks = l.communicator();
  const int64_t channels = l.in(0)[0];
  const auto message = static_cast<size_t>(1 + 2 * channels), world = static_cast<size_t>(ranks.world());
  const auto own_rows = static_cast<double>(rows);
  const auto merge = [=, &ranks, name = l.node().name](auto& ctx, const Buffers& b) {
    auto* mine = static_cast<double*>(b.workspace);
    double* all = mine + message;
    kernels::batch_norm_pack_moments(ctx, channels, own_rows, b.in(0), b.in(1), mine);
    ranks.all_gather(name, {mine, message}, {all, world * message});
    kernels::batch_norm_merge_moments(ctx, channels, ranks.world(), all, b.out(0), b.out(1));
  };
  return collective(l, merge, static_cast<int64_t>((world + 1) * message * sizeof(double)));
}

Types StartBucket::infer(const Types& in) const {
  for (const Type& type : in) require(type.dtype == DType::f32, "a gradient is {}, want f32", to_string(type));
  return {f32({elements(in)})};
}

Launch StartBucket::lower(Lowering& l) const {
  const auto count = static_cast<size_t>(elements(l.in()));
  return collective(l,
                    [=, &ranks = l.communicator(), name = l.node().name, types = l.in()](auto& ctx, const Buffers& b) {
                      pack(ctx, types, b.inputs, b.out(0));
                      ranks.start_all_reduce(name, {b.out(0), count});
                    });
}

Types WaitBucket::infer(const Types& in) const {
  require_inputs(in, 1);
  require(in[0].elements() == elements(types), "the bucket is {}, its parts have {} values", to_string(in[0]),
          elements(types));
  return types;
}

Launch WaitBucket::lower(Lowering& l) const {
  return collective(l, [&ranks = l.communicator(), parts = types](auto& ctx, const Buffers& b) {
    ranks.wait();
    unpack(ctx, parts, b.in(0), b.outputs);
  });
}

}  // namespace psanet::layers
