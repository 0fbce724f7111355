#include "tests/support/references.h"

#include <nlohmann/json.hpp>

#include "tests/support/references/families.h"

namespace psanet::tests {

void references::read_attributes(const Op& op, const FieldsFunction& visit) {
  read_fields(nlohmann::json(write_fields([&](Fields& f) { op.fields(f); })), op.name(), visit);
}

Reference find_reference(const std::string& op) {
  static const references::References kAll = [] {
    references::References all;
    for (const auto family :
         {references::pointwise, references::arrangement, references::convolution, references::normalisation,
          references::pooling, references::resizing, references::attention}) {
      all.merge(family());
    }
    return all;
  }();
  const auto found = kAll.find(op);
  return found == kAll.end() ? nullptr : found->second;
}

}  // namespace psanet::tests
