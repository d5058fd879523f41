#pragma once
// TermBackfill brings executions from before there were terms (store/search_terms.h) up to date: from the
// newest of them downwards, kExecutionsPerStep in one commit, with a pause between, after recovery. How far
// it is stands in a document that is written with each step, so a search knows from which number on it may
// rely on terms, and a crash repeats nothing. A new store, and one that is done, costs one read at the start.
#include "runtime/runtime.h"

namespace sortie::runtime {

class Shard;

class TermBackfill {
 public:
  static constexpr std::size_t kExecutionsPerStep = 50;

  explicit TermBackfill(Shard& shard) : shard_(shard) {}
  ~TermBackfill();
  void begin();

 private:
  void arm(std::int64_t pause_ms);
  void look();
  void step();
  void write(store::Batch batch, store::ExecutionNo from);

  Shard& shard_;
  Loop::TimerId timer_ = 0;
  store::ExecutionNo from_ = 0;  // From here on all is done; 0: it is not known yet.
};

}  // namespace sortie::runtime
