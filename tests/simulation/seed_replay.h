#pragma once
// Runs a world from a seed. A seed that fails is made smaller, one client and as few faults as still make it
// fail, and told together with how to replay it.
//
// Which seeds, and in how many processes: seed_runner.h.
//
//   SORTIE_SIM_CLIENTS=1,4   only these clients       SORTIE_SIM_FAULTS=7,12   only these draws strike
#include <gtest/gtest.h>

#include <cstdlib>

#include "seed_runner.h"
#include "server_world.h"

namespace sortie::simulation {
namespace seed_replay {

inline constexpr int kRerunsMax = 40;

template <typename T>
std::set<T> list_from(const char* name) {
  std::set<T> out;
  const char* text = std::getenv(name);
  while (text != nullptr && *text != '\0') {
    char* end = nullptr;
    out.insert(static_cast<T>(std::strtoull(text, &end, 10)));
    text = *end == ',' ? end + 1 : nullptr;
  }
  return out;
}

template <typename T>
std::string join(const std::set<T>& all) {
  std::string out;
  for (const T& each : all) out += (out.empty() ? "" : ",") + std::to_string(each);
  return out;
}

// A world that a seed makes, and what `make sim` needs besides the seed to replay it.
struct World {
  RunReport (*run)(const RunOptions& options, FaultTally& tally) = nullptr;
  const char* replayed_with = "";
};

inline std::string describe(const World& world, const RunOptions& options, const RunReport& report) {
  std::string out = "seed " + std::to_string(options.seed) + ":\n";
  for (const std::string& problem : report.problems) out += "  " + problem + "\n";
  out += "faults:";
  for (const FaultPlan::Injected& each : report.faults)
    out += " " + std::to_string(each.draw) + " " + each.kind + ";";
  out += "\nreplay it with: make sim SEED=" + std::to_string(options.seed) + world.replayed_with;
  if (!options.clients.empty()) out += " CLIENTS=" + join(options.clients);
  if (!options.faults.empty()) out += " FAULTS=" + join(options.faults);
  return out;
}

// Smaller as long as it fails: one client instead of all, then half of the faults, a quarter, one.
inline std::string smallest(const World& world, RunOptions options, RunReport report) {
  FaultTally ignored;
  int left = kRerunsMax;
  const auto fails = [&](const RunOptions& smaller) {
    if (--left < 0) return false;
    RunReport again = world.run(smaller, ignored);
    if (again.problems.empty()) return false;
    options = smaller;
    report = std::move(again);
    return true;
  };
  for (std::size_t client = 0; client < kClients && options.clients.empty(); ++client) {
    RunOptions smaller = options;
    smaller.clients = {client};
    if (fails(smaller)) break;
  }
  for (std::size_t part = report.faults.size() / 2; part > 0 && left > 0; part /= 2) {
    for (std::size_t from = 0; from < report.faults.size() && left > 0;) {
      RunOptions smaller = options;
      smaller.faults.clear();
      for (std::size_t i = 0; i < report.faults.size(); ++i) {
        if (i < from || i >= from + part) smaller.faults.insert(report.faults[i].draw);
      }
      smaller.without_faults = smaller.faults.empty();
      if (!fails(smaller)) from += part;
    }
  }
  return describe(world, options, report);
}

inline std::string run_one(const World& world, std::uint64_t seed, FaultTally& tally, FaultTally& sums) {
  RunOptions options;
  options.seed = seed;
  options.clients = list_from<std::size_t>("SORTIE_SIM_CLIENTS");
  options.faults = list_from<std::uint64_t>("SORTIE_SIM_FAULTS");
  const RunReport report = world.run(options, tally);
  sums["starts"] += report.starts;
  sums["executions"] += report.executions;
  sums["events"] += report.events;
  sums["decisions"] += report.decisions;
  sums["redrives"] += report.redrives;
  sums["map runs"] += report.map_runs;
  sums["shards moved"] += report.shards_moved;
  sums["writes torn"] += report.writes_torn;
  sums["sectors lost"] += report.sectors_lost;
  sums["steps"] += report.steps;
  if (report.problems.empty()) return "";
  return describe(world, options, report) + "\nsmaller:\n" + smallest(world, options, report);
}

}  // namespace seed_replay

inline RunSeed seed_runs(seed_replay::World world) {
  return [world](std::uint64_t seed, FaultTally& tally, FaultTally& sums) {
    return seed_replay::run_one(world, seed, tally, sums);
  };
}

}  // namespace sortie::simulation
