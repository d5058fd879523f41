#pragma once
// Sharing is what several nodes on one store need besides Store: who is there, who owns which shard, giving a
// shard back, and walking the frames of one shard only.
//
// An execution belongs to the shard that its number says: of `count` shards the one with the number modulo
// `count`, except that everything up to `above`, the last number given before there were several shards, is
// shard 0's. Owning is Store::acquire (it raises the epoch, so an earlier owner is shut out of every write)
// until release, the end of the process, or the end of the node's lease.
//
// Reads may come from any thread. Error codes as in store.h.
#include <memory>
#include <string>
#include <vector>

#include "store/store.h"

namespace sortie::store {

struct NodeStanding {
  std::int64_t id = 0;
  std::string address;
  bool is_this = false;
  bool works = false;  // It has said that it takes shards.
};

struct ShardStanding {
  ShardNo no = 0;
  Epoch epoch = 0;
  bool is_mine = false;  // Even where our lease has run out, as long as nobody took it.
  bool is_held = false;  // By a node whose lease has not run out.
  std::string address;   // Of whoever owns it, or did last.
};

// One moment of the store. A shard that nobody ever owned is not there.
struct Standing {
  std::vector<NodeStanding> nodes;  // Those with a lease, by id.
  std::vector<ShardStanding> shards;
};

class Sharing {
 public:
  virtual ~Sharing() = default;
  virtual Result<Standing> standing() = 0;
  // From now on this node counts as one that takes shards.
  virtual Status announce() = 0;
  // Nothing of the shard may be under way. Whoever acquires it next need not wait for a lease.
  virtual Status release(ShardNo shard) = 0;
  // As Reads::scan_frames, of one shard.
  virtual Result<std::vector<FrameRow>> scan_frames_of(ShardNo shard, ExecutionNo above, FrameKey after,
                                                       std::size_t limit) = 0;
};

// A store and its second face, which lives as long as it.
struct SharedStore {
  std::unique_ptr<Store> store;
  Sharing* sharing = nullptr;
};

}  // namespace sortie::store
