#pragma once
// A store that takes no change of more than so many bytes: "LimitExceeded", as the real ones say of far
// larger ones.
#include <utility>

#include "base/clock.h"
#include "store/forwarding.h"

namespace sortie::store {

struct NarrowStore final : ForwardingStore {
  NarrowStore(Store& below, Loop& loop, std::size_t bytes_max)
      : ForwardingStore(below), loop(loop), bytes_max(bytes_max) {}
  Loop& loop;
  std::size_t bytes_max;
  void append(Batch batch, Done done) override {
    if (batch.bytes() <= bytes_max) return ForwardingStore::append(std::move(batch), std::move(done));
    loop.post([done = std::move(done)] { done(Error{"LimitExceeded", "a change is too large", "", ""}); });
  }
};

}  // namespace sortie::store
