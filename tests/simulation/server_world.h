#pragma once
// A whole server in one thread on virtual time, from one seed: engine, runtime, timers, dispatch, events with
// their deliveries, approvals, and the SQLite store on a simulated disk. Around it a world that starts
// executions, sends events, answers task tokens, decides approvals, redrives what has failed and reads
// histories, and that never gives up: what is not acknowledged is asked again. Executions start others and
// wait for them, distributed Maps read their items from the input or from an object; mailboxes are small
// enough that callers are throttled.
//
// What fails: the disk in all its ways and the power (fault_plan.h); the process is killed, alone or with the
// store's unsynced writes surviving; it is paused for longer than its lease or loses it just before or behind
// a commit, another one takes over under a new epoch, and the first one goes on as if nothing had happened
// (what nodes on a shared store do to each other); commits are slow; workers die; the clock jumps both ways;
// results come late, twice, or never.
//
// What must hold, whatever fails: everything acknowledged is there and ends; outputs, errors and histories
// are the reference interpreter's; an execution starts exactly one other, a map run one for each item; each
// redrive that was acknowledged took place once; the audit finds nothing stuck; a result that was
// acknowledged is never asked for again; nothing leaves before it is durable; nobody ever sees a history that
// later reads contradict; an event starts exactly one execution; the decision that people were told is the
// one that the execution went on with, and stands once in the audit trail; the invariants of runtime and
// store hold after every start.
//
// `run` answers what did not hold, and never stops the test itself: a failing run is run again, smaller.
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fault_plan.h"

namespace sortie::simulation {

struct RunOptions {
  std::uint64_t seed = 1;
  std::set<std::size_t> clients;   // Which of the clients there are; empty: all.
  std::set<std::uint64_t> faults;  // Which draws of the fault plan strike; empty: all that the seed says.
  bool without_faults = false;
};

struct RunReport {
  std::vector<std::string> problems;  // What does not hold; empty: all does.
  std::vector<FaultPlan::Injected> faults;
  std::uint64_t executions = 0, events = 0, decisions = 0, starts = 0, steps = 0;
  std::uint64_t redrives = 0, map_runs = 0, shards_moved = 0;
  std::uint64_t writes_torn = 0, sectors_lost = 0;  // By losses of power, each of which is one fault.
};

inline constexpr std::size_t kClients = 10;

RunReport run_server(const RunOptions& options, FaultTally& tally);

}  // namespace sortie::simulation
