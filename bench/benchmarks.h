// What there is to measure; each file registers its own.
#pragma once

namespace psanet::bench {

/// What the device does at most: a copy, a large matrix product.
void register_ceilings();
void register_psa();
void register_dense_crf();
void register_layers();
void register_models();

}  // namespace psanet::bench
