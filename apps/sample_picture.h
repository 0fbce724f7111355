// One labelled image as a network sees it.
#pragma once

#include "data/dataset.h"
#include "data/samples.h"

namespace psanet::apps {

/// A sheet: the image, its truth if it has one, the prediction, the legend of what occurs. DataError if a file of the
/// sample cannot be read.
data::Image sample_picture(const data::Dataset& dataset, const data::Sample& sample, const data::LabelMap& prediction);

}  // namespace psanet::apps
