#pragma once
// A task token names one waiting attempt: shard, execution, frame, entry and attempt under a MAC. Finding its
// frame needs no index, forging one is impossible, and a late one is recognised because its attempt is over.
// The MAC key lives in the store (document meta/token_key) and so in every backup.
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

class TaskTokens {
 public:
  explicit TaskTokens(std::string key) : key_(std::move(key)) {}

  std::string make(const AttemptKey& key) const;
  // Error "InvalidToken" for anything this store's key did not sign.
  Result<AttemptKey> read(std::string_view token) const;

 private:
  std::string key_;
};

}  // namespace sortie::runtime
