// The reference loops by family: each file has a table of its own.
#pragma once

#include <map>

#include "engine/fields_json.h"
#include "tests/support/references.h"

namespace psanet::tests::references {

using References = std::map<std::string, Reference>;

References pointwise();
References arrangement();
References convolution();
References normalisation();
References pooling();
References resizing();
References attention();

/// Needed by those of another family, too.
HostTensors conv2d(const Op& op, const HostTensors& in);

/// The attributes of an op whose struct no header shows, as the T of the reference.
void read_attributes(const Op& op, const FieldsFunction& visit);
template <class T>
T attributes(const Op& op) {
  T result;
  read_attributes(op, [&](Fields& f) { result.fields(f); });
  return result;
}

}  // namespace psanet::tests::references
