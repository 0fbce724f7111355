// Parameters as files: official names and layouts, so that official weights load here and ours load there.
#pragma once

#include "engine/parameters.h"

namespace psanet::models {

/// Everything a state_dict has: parameters, running statistics, and num_batches_tracked (i64 scalar, = iterations) for
/// every batch norm. With `optimizer` also the momentum buffers, so that training can go on. Names are the official
/// ones, "momentum.<parameter>" for momentum (with a ' behind it where the model has a tensor of that name itself);
/// what is no parameter is said in the metadata "roles".
Safetensors to_file(const Parameters& parameters, int64_t iterations, bool optimizer);

/// What the tensors of a file are to `model`: by the file's "roles", or, in files without (PyTorch's, and ours of
/// earlier versions), by their names. There "module." in front of a name that the model does not have goes, and
/// momentum is what is called "momentum.<parameter of the model>". Counters of batches are nothing to us and left out.
/// What the model has not is a parameter of that name. WeightsError (naming `where`) for roles that make no sense.
std::map<SourceKey, const FileTensor*> tensors_of(const Safetensors& file, const Parameters& model,
                                                  const std::string& where);

/// What became of the tensors when weights were loaded.
struct LoadReport {
  std::vector<std::string> loaded, missing, unused;  // missing: in the model, not in the file; unused: the reverse
};

/// Loads tensors_of(file). With `strict` a missing or unused tensor is a WeightsError that lists the first few.
/// Momentum that the file does not have is never missing.
LoadReport load_weights(Parameters& parameters, const Safetensors& file, const std::string& file_name, bool strict);
/// The same, of tensors that were found already.
LoadReport load_weights(Parameters& parameters, const std::map<SourceKey, const FileTensor*>& tensors,
                        const std::string& file_name);

/// "tensors 321 loaded; 2 of the model not in the file: ...; 4 of the file unused: ..."
std::string describe(const LoadReport& report);

}  // namespace psanet::models
