// Ops in which the ranks of a data-parallel run take part together; data_parallel() puts them in. They are not in the
// registry: what they compute depends on other ranks, so tests/distributed has their tests.
#pragma once

#include "engine/lowering.h"
#include "engine/op.h"

namespace psanet::layers {

/// Each output is the sum over all ranks of its input: f32, any number of them in one message, or one i64.
struct AllReduce {
  static constexpr const char* kName = "all_reduce";
  void fields(Fields&) {}
  Types infer(const Types& in) const { return in; }
  Launch lower(Lowering& l) const;
};

/// mean [C] and biased variance [C] over the rows of all ranks, from those of each rank's `rows`; Chan, Golub and
/// LeVeque's merging of (count, mean, sum of squares) in double, in the order of ranks. Inputs mean, variance [C].
struct MergeMoments {
  static constexpr const char* kName = "merge_moments";
  int64_t rows = 0;
  void fields(Fields& f) { f("rows", rows, "number of samples averaged on this rank"); }
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// Copies its inputs (f32) one after the other into a bucket [elements] and starts the sum over all ranks; the program
/// goes on meanwhile. The bucket is to be read by a WaitBucket only; buckets are waited for in the order of their
/// start.
struct StartBucket {
  static constexpr const char* kName = "start_bucket";
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

/// The sums, once they are there: outputs of the types of the StartBucket's inputs.
struct WaitBucket {
  static constexpr const char* kName = "wait_bucket";
  Types types;
  void fields(Fields&) {}
  Types infer(const Types& in) const;
  Launch lower(Lowering& l) const;
};

}  // namespace psanet::layers
