// Catch2 2.13 and 3 behind one include.
#pragma once
#if PSANET_CATCH_VERSION == 3
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
