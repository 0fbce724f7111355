// psanet-data: prepares, checks and describes data sets, and scores label files.
#include "apps/app.h"
#include "apps/data_commands.h"

int main(int argc, char** argv) {
  using namespace psanet;
  apps::App app("psanet-data", "Prepares, checks and describes data sets, and scores label files (docs/data.md).");
  const apps::DataCommands commands(app);
  return app.run(argc, argv);
}
