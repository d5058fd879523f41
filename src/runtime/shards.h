#pragma once
// Shards is the set of shards that this process owns: one where a node has the store to itself, some of many
// where nodes share it. What goes to another node stays here as an empty shell, because the store may still
// have something to tell it.
#include <functional>
#include <memory>
#include <vector>

#include "runtime/shard.h"

namespace sortie::runtime {

// What all nodes of a store share.
struct Identity {
  std::string token_key, store_id;
  ShardMap map;
};
// It is made once, where `made` is given: then what is new is added there. Else the error "NotReady".
Result<Identity> read_identity(store::Store& store, Random& random, bool is_shared, store::Batch* made);

class Shards {
 public:
  Shards(Shard::Parts parts, ShardMap map);

  const ShardMap& map() const { return map_; }
  const std::string& store_id() const { return parts_.store_id; }
  // The shard of this number, or of this execution; null: it is not ours.
  Shard* at(store::ShardNo no) const { return shards_[no].get(); }
  Shard* of(store::ExecutionNo execution) const { return shards_[map_.of(execution)].get(); }

  store::ExecutionNo next_no(store::ShardNo no) { return numbers_.next(map_, no); }
  Status own(store::ShardNo no, store::Epoch epoch);
  void give_up(store::ShardNo no, std::function<void()> done);
  void read_inbox();
  void drain(std::function<void()> done);
  Runtime::Figures figures() const;

 private:
  bool read_page(std::string_view after, std::string_view prefix);

  Shard::Parts parts_;
  const ShardMap map_;
  ExecutionNumbers numbers_;
  std::vector<std::unique_ptr<Shard>> shards_;  // By number; null: not ours.
  std::vector<std::unique_ptr<Shard>> shells_;
};

}  // namespace sortie::runtime
