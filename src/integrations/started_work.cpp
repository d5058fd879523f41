#include "integrations/started_work.h"

#include "json/members.h"
#include "json/text.h"

namespace sortie::integrations {
namespace started_work {

constexpr std::int64_t kAgainMs = 1'000;
constexpr std::size_t kPageSize = 500;

std::optional<StartedWork::Note> read(const store::Document& document) {
  const Result<json::Value> facts = json::parse(document.value);
  if (!facts || !facts->get("parent").is_string()) return std::nullopt;
  const auto number = [&facts](std::string_view name) {
    return facts->get(name).is_integer() ? facts->get(name).as_integer() : 0;
  };
  StartedWork::Note note;
  note.idempotency_key = document.key;
  note.parent = json::text_member(*facts, "parent");
  note.key = {static_cast<store::ExecutionNo>(number("execution_no")),
              static_cast<store::FrameNo>(number("frame")), static_cast<std::uint32_t>(number("entry")),
              static_cast<std::uint32_t>(number("attempt"))};
  note.facts = *facts;
  return note;
}

}  // namespace started_work

StartedWork::StartedWork(Loop& loop, store::Store& store, std::string kind)
    : loop_(loop), store_(store), kind_(std::move(kind)) {}

void StartedWork::attach(runtime::Runtime& runtime, std::function<void(store::Batch)> write, Found found) {
  runtime_ = &runtime;
  write_ = std::move(write);
  found_ = std::move(found);
  subscription_ =
      runtime.observe([this, alive = std::weak_ptr<int>(alive_)](const runtime::ExecutionChange& change) {
        if (alive.expired() || change.status == store::ExecutionStatus::kRunning) return;
        parent_ended(change.execution_arn);
      });
  loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) resume();
  });
}

Result<std::optional<json::Value>> StartedWork::find(const std::string& idempotency_key) {
  SORTIE_TRY(const std::optional<std::string> text, store_.find_document(kind_, idempotency_key));
  if (!text) return std::optional<json::Value>{};
  SORTIE_TRY(json::Value facts, json::parse(*text));
  return std::optional<json::Value>(std::move(facts));
}

store::Document StartedWork::document(const runtime::TaskOrder& order, const json::Value& facts) const {
  json::ObjectBuilder note(facts);
  note.set("parent", order.origin->execution_arn).set("execution_no", order.key.execution);
  note.set("frame", static_cast<std::int64_t>(order.key.frame));
  note.set("entry", static_cast<std::int64_t>(order.key.entry));
  note.set("attempt", static_cast<std::int64_t>(order.key.attempt));
  return {kind_, order.idempotency_key, json::to_text(note.build())};
}

void StartedWork::remember(const runtime::TaskOrder& order) {
  notes_[order.origin->execution_arn].insert(order.idempotency_key);
}

void StartedWork::write(const runtime::TaskOrder& order, const json::Value& facts) {
  remember(order);
  if (!write_) return;
  store::Batch batch;
  batch.documents.push_back(document(order, facts));
  write_(std::move(batch));
}

void StartedWork::forget(const std::string& idempotency_key, const std::string& parent) {
  const auto found = notes_.find(parent);
  if (found != notes_.end() && found->second.erase(idempotency_key) != 0 && found->second.empty())
    notes_.erase(found);
  if (!write_) return;
  store::Batch batch;
  batch.documents_gone.emplace_back(kind_, idempotency_key);
  write_(std::move(batch));
}

void StartedWork::resume() {
  store::Batch gone;
  std::string after;
  while (true) {
    const auto page = store_.list_documents(kind_, after, started_work::kPageSize);
    if (!page.ok()) {
      loop_.call_at(loop_.now().plus_ms(started_work::kAgainMs), [this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) resume();
      });
      return;
    }
    for (const store::Document& document : *page) resume_one(document, gone);
    if (page->size() < started_work::kPageSize) break;
    after = page->back().key;
  }
  if (!gone.empty() && write_) write_(std::move(gone));
}

void StartedWork::resume_one(const store::Document& document, store::Batch& gone) {
  const std::optional<Note> note = started_work::read(document);
  const auto parent = note ? runtime_->describe_execution(note->parent) : Error{"ExecutionDoesNotExist", ""};
  const bool open = parent.ok() ? parent->status == store::ExecutionStatus::kRunning
                                : parent.error().code != "ExecutionDoesNotExist";
  if (open) {
    notes_[note->parent].insert(document.key);
  } else {
    gone.documents_gone.emplace_back(kind_, document.key);
  }
  if (note) found_(*note, open);
}

void StartedWork::parent_ended(const std::string& arn) {
  const auto node = notes_.extract(arn);
  if (!node || !write_) return;
  store::Batch batch;
  for (const std::string& key : node.mapped()) batch.documents_gone.emplace_back(kind_, key);
  write_(std::move(batch));
}

}  // namespace sortie::integrations
