// The test programs' main; compiled once (Catch2 3 brings its own).
#if PSANET_CATCH_VERSION == 2
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
