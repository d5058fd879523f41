#pragma once
// Cluster is what a Runtime that shares its store with other nodes' can do besides: own shards, take what
// lies in their inboxes, and carry out for another node what only the leader can.
//
// The leader owns shard 0, takes every call and starts everything. An execution that another node owns is
// written by the leader together with a row in the inbox of its shard (inbox.h); the owner takes the row in
// the transaction of the decision that it causes, under its own epoch. Stops, redrives, the results of what
// the leader carries out for others, answers to task tokens and who took an activity's task go the same way.
// So what was accepted is durable whoever dies, and nothing happens twice.
//
// Everything runs on the loop's thread.
#include <functional>
#include <string>

#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::runtime {

class Cluster {
 public:
  virtual ~Cluster() = default;

  // As a node without shard 0. Error "NotReady" until the store's first leader has written what nodes share.
  virtual Status join() = 0;
  // From now on this node is the leader; recover() comes next.
  virtual void lead(store::Epoch epoch) = 0;
  // The shard was acquired: goes on with its executions.
  virtual Status own(store::ShardNo shard, store::Epoch epoch) = 0;
  // Takes no more work for the shard, lets the calls under way end for a moment, and forgets it; `done` when
  // nothing of it is uncommitted, so that it can be released.
  virtual void give_up(store::ShardNo shard, std::function<void()> done) = 0;
  virtual bool owns(store::ShardNo shard) const = 0;

  // Looks for rows in the inboxes of the shards that are ours. Often, and when another node says that there
  // is something.
  virtual void read_inbox() = 0;
  // The leader only: a little further with what waits for other nodes' work. Often.
  virtual void look_around() = 0;
  // The leader only: something changed about an execution that another node owns.
  virtual void hear(const ExecutionChange& change) = 0;
  // The leader only: dispatches an attempt of an execution that another node owns. An attempt that nobody
  // waits for is ignored; an error means that the store could not be read.
  virtual Status carry_out(const AttemptKey& key) = 0;
  // The leader only: nobody waits for the attempt any more.
  virtual void call_off(const AttemptKey& key) = 0;
  // Whether an answer to this attempt waits for the owner of its execution. What an earlier leader accepted
  // may still be decided after the next one has read everything.
  virtual bool is_being_answered(const AttemptKey& key) = 0;
};

}  // namespace sortie::runtime
