// Small things that tests build graphs with.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/graph.h"
#include "layers/language.h"

namespace psanet::tests {

/// Adds a word of the model language, as a model file would.
Value add_word(const layers::Building& at, const std::string& word, const nlohmann::json& attributes, const Values& in);

/// sum of a * b [1], same shapes: its gradient with respect to a is b, exactly.
Value dot(Graph& graph, const std::string& name, Value a, Value b);

/// Differentiates `loss` with respect to the values; the gradients become the outputs "grad.<name of the value's
/// node>".
void add_gradients(Graph& graph, Value loss, const Values& wanted);

}  // namespace psanet::tests
