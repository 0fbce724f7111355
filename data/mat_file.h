// Numbers out of MATLAB files (the "Level 5 MAT-file format" of MATLAB 5 to 7.2): enough for the annotations of SBD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/image_formats.h"

namespace psanet::data {

struct MatMatrix {
  int rows = 0, columns = 0;
  std::vector<double> values;  ///< [rows, columns], row after row (the file has column after column)
};

/// The real matrix `variable` of a MAT file, or, if `field` is not empty, that field of the 1 x 1 struct `variable`
/// (GTcls.Segmentation). Elements may be compressed or not, of either byte order, numbers of any type but 64-bit
/// integers. DataError for files that are damaged, of another format (MATLAB 7.3 writes HDF5), or lack the matrix;
/// `name` is the file that it speaks of.
MatMatrix decode_mat_matrix(Bytes bytes, const std::string& name, std::string_view variable,
                            std::string_view field = {});

}  // namespace psanet::data
