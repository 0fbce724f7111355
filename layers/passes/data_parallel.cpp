#include "layers/passes/data_parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/rewrite.h"
#include "layers/arithmetic.h"
#include "layers/batch_norm.h"
#include "layers/check.h"
#include "layers/collective.h"
#include "layers/cross_entropy.h"
#include "layers/dropout2d.h"
#include "layers/sgd.h"

namespace psanet::layers {

namespace {

/// Gradients in the order they become ready, so many together as fill a bucket.
std::vector<Values> buckets_of(const Graph& graph, int64_t bucket_bytes) {
  std::set<Value> gradients;
  for (const Node& node : graph.nodes()) {
    const auto* sgd = node.as<Sgd>();
    if (!sgd) continue;
    for (size_t t = 0; t < sgd->rate_factor.size(); ++t) gradients.insert(node.inputs[sgd->first_tensor() + 3 * t + 2]);
  }
  for (const auto& [of, v] : graph.gradients()) {
    if (v) gradients.insert(v);
  }
  std::vector<Values> buckets;
  int64_t bytes = bucket_bytes;
  for (Value v : gradients) {  // in order of nodes
    if (bytes >= bucket_bytes) {
      buckets.emplace_back();
      bytes = 0;
    }
    buckets.back().push_back(v);
    bytes += graph.type(v).bytes();
  }
  return buckets;
}

class Pass {
 public:
  Pass(const Graph& graph, const BatchPart& part, int world, const DataParallelOptions& options)
      : from_(graph),
        part_(part),
        world_(world),
        mean_of_ranks_(options.mean_of_ranks),
        buckets_(buckets_of(graph, options.bucket_bytes)),
        started_(buckets_.size()) {
    for (size_t b = 0; b < buckets_.size(); ++b) complete_at_[buckets_[b].back().node].push_back(b);
  }

  Graph run() {
    Graph result = Rewriter(from_).run([this](Rewriter& r, int id) -> std::optional<Values> {
      const Node& node = r.from.node(id);
      if (!node.op()) return std::nullopt;
      Values values = replaced(r, node);
      const auto complete = complete_at_.find(id);
      if (complete == complete_at_.end()) return values;
      for (size_t bucket : complete->second) start(r, bucket, id, values);
      return values;
    });
    for (const auto& [of, v] : from_.gradients()) {
      if (!v) continue;
      wait(result);
      result.gradient(of, sums_.at(v));
    }
    return result;
  }

 private:
  /// The division of a loss's sum by its valid pixels.
  bool is_loss(const Node& node) const {
    return node.as<DivideOrZero>() && from_.node(node.inputs[0]).as<ResizeCrossEntropy>();
  }

  int64_t total(int64_t rows) const { return rows / part_.count * part_.total; }

  Values replaced(Rewriter& r, const Node& node) {
    Values in = r.mapped(node.inputs);
    if (const auto* dropout = node.as<DropoutFactors>()) {
      DropoutFactors op = *dropout;
      op.first_image = part_.first;
      return r.to.apply(node.name, op, in);
    }
    if (node.as<BatchNormStatistics>()) {
      const int64_t own = rows(r.to.type(in[0]));
      return r.to.apply(node.name + ".all_ranks", MergeMoments{own}, r.to.copy(node, in));
    }
    if (const auto* update = node.as<BatchNormUpdateRunning>()) {
      BatchNormUpdateRunning op = *update;
      op.rows = total(op.rows);
      return r.to.apply(node.name, op, in);
    }
    if (const auto* backward = node.as<BatchNormBackwardApply>(); backward && backward->forward.batch_statistics) {
      BatchNormBackwardApply op = *backward;
      op.total_rows = total(rows(r.to.type(in[0])));
      const Values sums = r.to.apply(node.name + ".all_reduce", AllReduce{}, {in[4], in[5]});
      in[4] = sums[0];
      in[5] = sums[1];
      return r.to.apply(node.name, op, in);
    }
    if (node.as<ResizeCrossEntropy>()) {
      const Values own = r.to.copy(node, in);
      if (mean_of_ranks_) {  // every division by the valid pixels, both ways, is one by `world` times as many
        return {own[0], r.to.add(node.name + ".valid", Scale{static_cast<double>(world_)}, {own[1]}), own[2]};
      }
      const Values all = r.to.apply(node.name + ".all_reduce", AllReduce{}, {own[0], own[1]});
      return {all[0], all[1], own[2]};
    }
    if (mean_of_ranks_ && is_loss(node)) {  // this rank's share of the mean
      return r.to.apply(node.name + ".all_reduce", AllReduce{}, r.to.copy(node, in));
    }
    if (const auto* sgd = node.as<Sgd>()) {
      wait(r.to);
      for (size_t t = 0; t < sgd->rate_factor.size(); ++t) {
        const size_t at = sgd->first_tensor() + 3 * t + 2;
        in[at] = sums_.at(node.inputs[at]);
      }
      return r.to.apply(node.name, *sgd, in);
    }
    return r.to.copy(node, in);
  }

  /// Behind the node `id`, whose new values are not known to the rewriter yet.
  void start(Rewriter& r, size_t bucket, int id, const Values& values) {
    Values gradients;
    for (Value v : buckets_[bucket]) {
      gradients.push_back(v.node == id ? values[static_cast<size_t>(v.output)] : r.mapped(v));
    }
    started_[bucket] = r.to.add(fmt::format("gradients.{}", bucket), StartBucket{}, gradients);
  }

  void wait(Graph& to) {
    if (waited_) return;
    waited_ = true;
    for (size_t b = 0; b < buckets_.size(); ++b) {
      const Values sums =
          to.apply(fmt::format("gradients.{}.wait", b), WaitBucket{from_.types(buckets_[b])}, {started_[b]});
      for (size_t i = 0; i < sums.size(); ++i) sums_[buckets_[b][i]] = sums[i];
    }
  }

  const Graph& from_;
  const BatchPart part_;
  const int world_;
  const bool mean_of_ranks_;
  const std::vector<Values> buckets_;               // of the old graph's values
  std::map<int, std::vector<size_t>> complete_at_;  // old node -> the buckets that it completes
  std::vector<Value> started_;                      // of the new graph
  std::map<Value, Value> sums_;                     // old gradient -> its sum in the new graph
  bool waited_ = false;
};

}  // namespace

BatchPart BatchPart::of_rank(int64_t batch, int rank, int world) {
  require(batch >= world, "batch: found {}, want at least one image for each of the {} ranks", batch, world);
  const int64_t each = batch / world, more = batch % world;
  return {rank * each + std::min<int64_t>(rank, more), each + (rank < more ? 1 : 0), batch};
}

Graph data_parallel(const Graph& graph, const BatchPart& part, int world, const DataParallelOptions& options) {
  require(part.count > 0 && part.first >= 0 && part.first + part.count <= part.total,
          "a rank works on {} samples from {} on, of {}", part.count, part.first, part.total);
  if (part.count == part.total) return graph;
  return Pass(graph, part, world, options).run();
}

}  // namespace psanet::layers
