#include "tests/support/build.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/autodiff.h"
#include "engine/fields_json.h"
#include "layers/arithmetic.h"
#include "layers/concat.h"
#include "layers/matmul.h"

namespace psanet::tests {

Value add_word(const layers::Building& at, const std::string& word, const nlohmann::json& attributes,
               const Values& in) {
  const layers::Word* found = layers::find_word(word);
  if (found == nullptr) throw std::runtime_error("no word " + word);
  const auto layer = found->make();
  read_fields(attributes, at.path, [&](Fields& f) { layer->fields(f); });
  return layer->build(at, in);
}

Value dot(Graph& graph, const std::string& name, Value a, Value b) {
  const int64_t count = graph.type(a).elements();
  const Value row = graph.add(name + ".row", layers::Reshape{{1, 1, count}}, {a});
  const Value column = graph.add(name + ".column", layers::Reshape{{1, count, 1}}, {b});
  const Value product = graph.add(name + ".product", layers::Matmul{}, {row, column});
  return graph.add(name, layers::Reshape{{1}}, {product});
}

void add_gradients(Graph& graph, Value loss, const Values& wanted) {
  const Values gradients = differentiate(graph, loss, wanted, layers::Add{});
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (gradients[i]) graph.output("grad." + graph.node(wanted[i]).name, gradients[i]);
  }
}

}  // namespace psanet::tests
