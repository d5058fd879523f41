#pragma once
// StartedWork remembers in documents what integrations started for whom (a nested execution, a job), by the
// attempt's idempotency key: a repeated dispatch of the same attempt finds it there instead of starting it
// twice, and after a restart whoever waits for its end goes on from there.
//
// A note lives until the execution it was made for has ended. It is a flat object: whose it is, and the facts
// of the integration beside it. Everything runs on the loop's thread.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "json/value.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::integrations {

class StartedWork {
 public:
  struct Note {
    std::string idempotency_key, parent;  // `parent` is the execution's ARN.
    runtime::AttemptKey key;
    json::Value facts;  // The whole object.
  };
  using Found = std::function<void(const Note& note, bool parent_runs)>;

  StartedWork(Loop& loop, store::Store& store, std::string kind);
  // `write` appends a batch under the epoch that the runtime holds. As soon as the loop turns, which has to
  // be after the runtime has recovered, `found` gets every note of an earlier life; those without a running
  // parent are forgotten afterwards.
  void attach(runtime::Runtime& runtime, std::function<void(store::Batch)> write, Found found);

  // The facts of this attempt's note, if there is one; an error when the store cannot say.
  Result<std::optional<json::Value>> find(const std::string& idempotency_key);
  // The note as a document, to be written together with what it tells of.
  store::Document document(const runtime::TaskOrder& order, const json::Value& facts) const;
  // Forgets the note when its execution ends; for notes that others write.
  void remember(const runtime::TaskOrder& order);
  bool remembers(const std::string& parent) const { return notes_.count(parent) != 0; }
  // Writes a note by itself, ahead of what the runtime writes next.
  void write(const runtime::TaskOrder& order, const json::Value& facts);
  void forget(const std::string& idempotency_key, const std::string& parent);

 private:
  void resume();
  void resume_one(const store::Document& document, store::Batch& gone);
  void parent_ended(const std::string& arn);

  Loop& loop_;
  store::Store& store_;
  std::string kind_;
  runtime::Runtime* runtime_ = nullptr;
  std::function<void(store::Batch)> write_;
  Found found_;
  std::map<std::string, std::set<std::string>, std::less<>> notes_;  // Parent's ARN -> idempotency keys.
  std::shared_ptr<void> subscription_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
