// DenseCRF as a post-processing step of the programs: --crf and --crf-set.
#pragma once

#include <string>
#include <vector>

#include "apps/app.h"
#include "data/image.h"
#include "kernels/dense_crf.h"

namespace psanet::apps {

struct CrfOptions {
  bool enabled = false;               // --crf
  std::vector<std::string> settings;  // --crf-set name=value[,name=value]; asks for the CRF too
  void add_to(App& app);

  bool wanted() const { return enabled || !settings.empty(); }
  /// The defaults (SPEC 4) with the settings applied. ConfigError for unknown names (with the nearest), for what is not
  /// a number and for values out of range.
  kernels::DenseCrfParameters parameters() const;
};

/// " + DenseCRF (bi_w 3.5, bi_xy_std 55, ...)": what is added to the line printed beside figures.
std::string describe(const kernels::DenseCrfParameters& parameters);

/// ConfigError if a model with so many classes has no probabilities for a CRF.
void check_crf_classes(const std::string& model, int64_t classes);

/// Classes after the CRF [H,W] from probabilities [H,W,C]; the unary energies are -log(max(p, 1e-5)). ConfigError if
/// there are fewer than two classes.
data::LabelMap crf_labels(int threads, const kernels::DenseCrfParameters& parameters, const data::Image& image,
                          const std::vector<float>& probabilities, int64_t classes);

}  // namespace psanet::apps
