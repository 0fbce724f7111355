#include "layers/collective.h"

#include <cstring>
#include <utility>

#include "engine/communicator.h"
#include "engine/graph.h"
#include "layers/check.h"

namespace psanet::layers {

namespace {

/// f(buffers), on processors: collectives on GPUs need NCCL, which this version does not call yet.
template <class F>
Launch on_processor(Lowering& l, F f, int64_t workspace_bytes = 0) {
  return l.prepare([&]<class Ctx>(Ctx&) -> Launch {
    if constexpr (kHostMemory<Ctx>) {
      return {[f](const Buffers& b) { f(b); }, workspace_bytes};
    } else {
      throw ConfigError(fmt::format("{}: several ranks run on processors only; give --device cpu", l.node().name));
    }
  });
}

int64_t elements(const Types& types) {
  int64_t sum = 0;
  for (const Type& type : types) sum += type.elements();
  return sum;
}

}  // namespace

Launch AllReduce::lower(Lowering& l) const {
  for (const Type& type : l.in()) {
    require(type.dtype == DType::i64 || type.dtype == DType::f32, "sums of {}, want f32 or i64", to_string(type));
  }
  return on_processor(l, [&ranks = l.communicator(), name = l.node().name, types = l.in()](const Buffers& b) {
    for (size_t i = 0; i < types.size(); ++i) {
      std::memcpy(b.outputs[i], b.inputs[i], static_cast<size_t>(types[i].bytes()));
      const auto count = static_cast<size_t>(types[i].elements());
      if (types[i].dtype == DType::i64) {
        ranks.all_reduce(name, std::span(b.out<int64_t>(i), count));
      } else {
        ranks.all_reduce(name, std::span(b.out(i), count));
      }
    }
  });
}

void MergeMoments::fields(Fields& f) {
  f("rows", rows, "values behind each mean on this rank");
  f("total_rows", total_rows, "over all ranks");
}

Types MergeMoments::infer(const Types& in) const {
  require_inputs(in, 2);
  require_same(in[0], in[1], "mean and variance");
  return in;
}

Launch MergeMoments::lower(Lowering& l) const {
  const auto channels = static_cast<size_t>(l.in(0)[0]), message = 2 * channels + 1;
  Communicator& ranks = l.communicator();
  const auto world = static_cast<size_t>(ranks.world());
  const auto own_rows = static_cast<double>(rows), all_rows = static_cast<double>(total_rows);
  const auto merge = [=, &ranks, name = l.node().name](const Buffers& b) {
    auto* mine = static_cast<double*>(b.workspace);
    double* all = mine + message;
    mine[0] = own_rows;
    for (size_t c = 0; c < channels; ++c) {
      mine[1 + c] = static_cast<double>(b.in(0)[c]);
      mine[1 + channels + c] = static_cast<double>(b.in(1)[c]) * own_rows;
    }
    ranks.all_gather(name, {mine, message}, {all, world * message});
    double seen = 0;
    double *mean = mine + 1, *squares = mean + channels;
    for (size_t r = 0; r < world; ++r) {
      const double *of = all + r * message, count = of[0];
      const double total = seen + count, share = total > 0 ? count / total : 0;
      for (size_t c = 0; c < channels; ++c) {
        const double m = r == 0 ? 0 : mean[c], s = r == 0 ? 0 : squares[c], distance = of[1 + c] - m;
        mean[c] = m + distance * share;
        squares[c] = s + of[1 + channels + c] + distance * distance * seen * share;
      }
      seen = total;
    }
    if (seen != all_rows) {
      throw std::logic_error(fmt::format("{}: the ranks have {} rows together, expected {}", name, seen, all_rows));
    }
    for (size_t c = 0; c < channels; ++c) {
      b.out(0)[c] = static_cast<float>(mean[c]);
      b.out(1)[c] = static_cast<float>(squares[c] / seen);
    }
  };
  return on_processor(l, merge, static_cast<int64_t>((world + 1) * message * sizeof(double)));
}

Types StartBucket::infer(const Types& in) const {
  for (const Type& type : in) require(type.dtype == DType::f32, "a gradient is {}, want f32", to_string(type));
  return {f32({elements(in)})};
}

Launch StartBucket::lower(Lowering& l) const {
  return on_processor(l, [&ranks = l.communicator(), name = l.node().name, types = l.in()](const Buffers& b) {
    float* to = b.out(0);
    for (size_t i = 0; i < types.size(); ++i) {
      std::memcpy(to, b.inputs[i], static_cast<size_t>(types[i].bytes()));
      to += types[i].elements();
    }
    ranks.start_all_reduce(name, {b.out(0), to});
  });
}

Types WaitBucket::infer(const Types& in) const {
  require_inputs(in, 1);
  require(in[0].elements() == elements(types), "the bucket is {}, its parts have {} values", to_string(in[0]),
          elements(types));
  return types;
}

Launch WaitBucket::lower(Lowering& l) const {
  return on_processor(l, [&ranks = l.communicator(), parts = types](const Buffers& b) {
    ranks.wait();
    const float* from = b.in(0);
    for (size_t i = 0; i < parts.size(); ++i) {
      std::memcpy(b.outputs[i], from, static_cast<size_t>(parts[i].bytes()));
      from += parts[i].elements();
    }
  });
}

}  // namespace psanet::layers
