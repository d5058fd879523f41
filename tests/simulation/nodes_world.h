#pragma once
// Several nodes on one store, in one thread on virtual time, from one seed: runtimes that share shards
// (runtime/cluster.h) over the SQLite store on a simulated disk, with what cli/fleet.h does between nodes
// played by the world: leases, who leads, how shards are spread, notes, orders to the leader and news of
// changes.
//
// What fails: the disk in all its ways and the power, which takes all nodes with it; a node is killed, its
// lease runs out and the others take its shards; it is paused for longer than its lease and goes on as if
// nothing had happened; a shard is taken just before or behind a commit; notes, orders and their
// acknowledgements are late, come twice, or never; results are late or come twice; the clock jumps.
//
// What must hold: everything that was accepted ends, once, with the reference interpreter's outcome and
// history, wherever it ran; an execution starts exactly one other; each redrive that was acknowledged took
// place once; no node's audit finds anything stuck; the invariants of runtime and store hold after every
// start and at the end.
#include <cstdint>
#include <string>
#include <vector>

#include "fault_plan.h"
#include "server_world.h"

namespace sortie::simulation {

// `options.clients` is not looked at.
RunReport run_nodes(const RunOptions& options, FaultTally& tally);

}  // namespace sortie::simulation
