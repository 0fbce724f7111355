// The reference part of docs/model-json.md, written from the code and the block files themselves.
#pragma once

#include <string>

namespace psanet::models {

/// Markdown: every op with its attributes, every shared block with its arguments, every model of ours.
std::string document_language();

}  // namespace psanet::models
