#pragma once
// Under which shard and epoch the event bus writes; handed out by whoever acquired the shard.
#include "store/store.h"

namespace sortie::events {

struct Lease {
  store::ShardNo shard = 0;
  store::Epoch epoch = 0;

  store::Batch batch() const {
    store::Batch batch;
    batch.shard = shard;
    batch.epoch = epoch;
    return batch;
  }
};

}  // namespace sortie::events
