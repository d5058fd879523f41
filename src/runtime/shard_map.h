#pragma once
// Which shard an execution belongs to, and the numbers that executions get.
//
// With one shard (`count` 1: SQLite, memory) all is shard 0. With several, shard 0 is the leader's: what was
// numbered before there were shards (up to `above`), what only a leader can carry out (placement.h) and what
// lives in memory only. The others' executions are those whose number, modulo `count`, is the shard.
#include <string_view>

#include "store/store.h"

namespace sortie::runtime {

// Document of kind "meta": ShardMap::above of a store that several nodes share, which has so many shards.
inline constexpr std::string_view kShardsAboveKey = "shards_above";
inline constexpr store::ShardNo kSharedShardCount = 16;

struct ShardMap {
  static constexpr store::ExecutionNo kInMemoryOnly = store::ExecutionNo{1} << 62;  // From here on.

  store::ShardNo count = 1;
  store::ExecutionNo above = 0;

  store::ShardNo of(store::ExecutionNo no) const {
    if (count == 1 || no <= above || no >= kInMemoryOnly) return 0;
    return static_cast<store::ShardNo>(no % count);
  }
};

// Ascending, over all shards; only the leader gives numbers.
struct ExecutionNumbers {
  store::ExecutionNo last = 0;

  store::ExecutionNo next(const ShardMap& map, store::ShardNo shard) {
    if (map.count == 1) return ++last;
    const store::ExecutionNo from = last + 1;
    last = from + (shard + map.count - from % map.count) % map.count;
    return last;
  }
};

}  // namespace sortie::runtime
