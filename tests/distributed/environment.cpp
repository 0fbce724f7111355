// Who starts ranks says so in variables of its own.
#include <map>

#include "apps/rank_environment.h"
#include "engine/error.h"
#include "tests/support/catch.h"

namespace psanet::tests {
namespace {

using Variables = std::map<std::string, std::string>;

std::optional<apps::RankPlace> place_of(const Variables& variables, int64_t ranks = 0) {
  return apps::read_rank_environment(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      ranks);
}

std::string refusal(const Variables& variables, int64_t ranks = 0) {
  try {
    place_of(variables, ranks);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST_CASE("environment: torchrun and Slurm and OpenMPI and our launcher") {
  CHECK_FALSE(place_of({}));
  CHECK_FALSE(place_of({}, 4));
  CHECK_FALSE(place_of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}, 4));  // a batch script

  const auto torchrun = place_of({{"RANK", "3"},
                                  {"WORLD_SIZE", "8"},
                                  {"MASTER_ADDR", "node1"},
                                  {"MASTER_PORT", "29500"},
                                  {"TORCHELASTIC_RUN_ID", "job"}});
  REQUIRE(torchrun);
  CHECK(torchrun->rank == 3);
  CHECK(torchrun->world == 8);
  CHECK(torchrun->host == "node1");
  CHECK(torchrun->port == 29501);
  CHECK(torchrun->token == "job");
  CHECK(torchrun->rank_0_keeps_store);
  CHECK(torchrun->local_rank == 3);  // it did not say

  const auto slurm = place_of({{"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "6"}, {"SLURM_JOB_ID", "42"}});
  REQUIRE(slurm);
  CHECK(slurm->rank == 5);
  CHECK(slurm->token == "42");
  CHECK(slurm->host == "127.0.0.1");

  const auto mpi = place_of({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"PSANET_JOB_TOKEN", "t"}});
  REQUIRE(mpi);
  CHECK(mpi->from == "OpenMPI");
  CHECK(mpi->token == "t");

  const auto ours = place_of({{"PSANET_RANK", "1"},
                              {"PSANET_WORLD", "2"},
                              {"PSANET_STORE_PORT", "1234"},
                              {"SLURM_PROCID", "0"},
                              {"SLURM_NTASKS", "4"}},
                             2);  // --ranks within one task of a job
  REQUIRE(ours);
  CHECK(ours->world == 2);
  CHECK(ours->port == 1234);
  CHECK_FALSE(ours->rank_0_keeps_store);
}

TEST_CASE("environment: a rank knows its place on its machine and takes the GPU of that place") {
  CHECK(place_of({{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}})->local_rank == 1);
  CHECK(place_of({{"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "2"}})->local_rank == 2);
  CHECK(place_of({{"OMPI_COMM_WORLD_RANK", "5"}, {"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "3"}})
            ->local_rank == 3);

  apps::RankPlace place;
  place.world = 8;
  place.rank = 5;
  place.local_rank = 1;
  CHECK(apps::device_of_rank("cuda", place, 4) == "cuda:1");
  CHECK(apps::device_of_rank("auto", place, 4) == "cuda:1");
  CHECK(apps::device_of_rank("cuda", place, 1) == "cuda:0");  // a GPU for each task
  CHECK(apps::device_of_rank("auto", place, 0) == "cpu");
  CHECK(apps::device_of_rank("cpu", place, 4) == "cpu");
  place.local_rank = 4;
  CHECK_THROWS_WITH(apps::device_of_rank("cuda", place, 4),
                    "--device cuda: rank 5 is number 4 of this machine, which has GPUs 0 to 3");
  CHECK_THROWS_WITH(apps::device_of_rank("cuda:1", place, 4),
                    "--device cuda:1: found with 8 ranks, want cuda: every rank takes a GPU of its own");
}

TEST_CASE("environment: contradictions are one line") {
  CHECK(refusal({{"RANK", "1"}, {"WORLD_SIZE", "2"}}, 4) ==
        "4 ranks are asked for, but torchrun has started 2; leave --ranks and --gpus out");
  CHECK(refusal({{"RANK", "2"}, {"WORLD_SIZE", "2"}}) == "environment: RANK=2 of WORLD_SIZE=2");
  CHECK(refusal({{"WORLD_SIZE", "2"}}) == "environment: WORLD_SIZE=2 without RANK");
  CHECK(refusal({{"RANK", "x"}, {"WORLD_SIZE", "2"}}) == "environment: RANK=x, want an integer of 0 to 65536");
  CHECK(refusal({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}}) ==
        "environment: torchrun says rank 0 of 2, OpenMPI says rank 1 of 2; unset one of them");
  CHECK(refusal({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "0"}}) ==
        "environment: MASTER_PORT=0, want an integer of 1 to 65534");
}

}  // namespace
}  // namespace psanet::tests
