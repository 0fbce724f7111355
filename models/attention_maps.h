// What a network's point-wise spatial attention looks at (SPEC 1, Figure 6 of the paper).
#pragma once

#include <string>
#include <vector>

#include "engine/program.h"
#include "layers/psa.h"
#include "models/prediction.h"

namespace psanet::models {

/// The attention matrix [H*W, H*W] of one image, rows = targets, columns = sources: z[i] = sum over j of matrix[i, j] *
/// x[j], so the op's scale is part of it. logits [H, W, logit_channels]. Written after SPEC 1 to be read, not to be
/// fast.
std::vector<float> attention_matrix(const kernels::PsaDims& dims, const float* logits);

/// One attention op of a network, on one image.
struct Attention {
  std::string name;                                   // of the graph's node
  kernels::PsaMode mode = kernels::PsaMode::collect;  // what it does for a position, whatever its scores' layout
  int64_t height = 0, width = 0;                      // of the map that it works on
  std::vector<float> matrix;                          // see attention_matrix()
  /// The map's corners lie on the crop's; else each of its cells stands for an equal share of the crop.
  bool align_corners = true;

  /// "collect" or "distribute".
  std::string title() const;
  /// What a position attends to. Collect: the row of target `position`, how much it reads from every source.
  /// Distribute: the column of source `position`, how much every target reads from it. [H, W]
  std::vector<float> map_of(int64_t position) const;
};

/// Where an image lies in the network's input, along an axis.
struct AxisPlacement {
  double scale = 1, offset = 0;
  int64_t crop = 0;  // pixels
  /// The place of the image's pixel in the crop.
  double in_crop(int64_t pixel) const { return (static_cast<double>(pixel) + 0.5) * scale - 0.5 + offset; }
};
struct Placement {
  AxisPlacement y, x;
};

/// The map's position nearest to a pixel of the image.
int64_t position_of(const Placement& placement, const Attention& attention, int64_t y, int64_t x);

/// A map [H, W] of `attention` for every pixel of an image [height, width], bilinear; NaN where the crop does not show
/// the image.
std::vector<float> over_image(const Placement& placement, const Attention& attention, const std::vector<float>& map,
                              int64_t height, int64_t width);

/// Runs a network up to its attention.
class AttentionReader {
 public:
  /// `evaluation`: a graph with the input "image" [1, crop_h, crop_w, 3]. ConfigError if it has no point-wise spatial
  /// attention.
  AttentionReader(Device& device, const Graph& evaluation, Parameters& parameters, ProtocolOptions options);

  /// The image as the test protocol shows it at scale 1: resized and padded; of an image larger than the crop, the
  /// window (of the crop's size) with the pixel y, x nearest to its middle.
  Placement place(const FloatImageView& image, int64_t y, int64_t x) const;
  /// All attention ops of the network, in graph order.
  std::vector<Attention> read(const FloatImageView& image, const Placement& placement);

 private:
  struct Branch {
    std::string name;
    kernels::PsaDims dims;
    bool align_corners = true;
  };
  std::vector<Branch> branches_;
  Program program_;
  ProtocolOptions options_;
  int64_t crop_h_ = 0, crop_w_ = 0;
};

}  // namespace psanet::models
