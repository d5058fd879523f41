#include "runtime/term_backfill.h"

#include "json/text.h"
#include "runtime/shard.h"
#include "store/search_terms.h"

namespace sortie::runtime {
namespace term_backfill {

constexpr std::int64_t kPauseMs = 20;
constexpr std::int64_t kRetryMs = 1'000;

store::TermRow terms_of_row(const store::ExecutionRow& row) {
  store::TermRow terms{row.no, row.name, {}};
  const Result<engine::ExecutionImage> image = engine::decode_execution(row.image);
  if (!image) return terms;
  const Result<json::Value> input = json::parse(image->input_text);
  terms.terms = store::terms_at_start(input ? *input : json::Value(), decode_extra(image->extra).actor);
  if (image->error || image->cause) {
    for (const std::uint32_t term :
         store::terms_at_end(image->error.value_or(""), image->cause.value_or(""))) {
      terms.terms.push_back(term);
    }
  }
  return terms;
}

}  // namespace term_backfill

TermBackfill::~TermBackfill() {
  if (timer_ != 0) shard_.wiring_.loop.cancel(timer_);
}

void TermBackfill::begin() {
  if (shard_.wiring_.store.keeps_terms()) look();
}

void TermBackfill::arm(std::int64_t pause_ms) {
  Loop& loop = shard_.wiring_.loop;
  timer_ = loop.call_at(loop.now().plus_ms(pause_ms), [this] {
    timer_ = 0;
    if (shard_.draining_) return;
    from_ == 0 ? look() : step();
  });
}

void TermBackfill::look() {
  const auto found = store::find_terms_from(shard_.wiring_.store);
  if (!found) return arm(term_backfill::kRetryMs);
  // What begins from now on has its terms.
  if (!*found) return write({}, shard_.recovery_end_ + 1);
  from_ = **found;
  if (from_ > 1) arm(term_backfill::kPauseMs);
}

void TermBackfill::step() {
  store::Store& store = shard_.wiring_.store;
  if (shard_.recovered_ != shard_.recovery_end_) return arm(term_backfill::kRetryMs);
  store::ExecutionQuery query;
  query.before = from_;
  query.limit = kExecutionsPerStep;
  const auto rows = store.list_executions(query);
  if (!rows) return arm(term_backfill::kRetryMs);
  store::Batch batch;
  for (const store::ExecutionRow& listed : *rows) {
    const auto row = store.find_execution(listed.no);
    if (!row) return arm(term_backfill::kRetryMs);
    if (*row) batch.terms.push_back(term_backfill::terms_of_row(**row));
  }
  write(std::move(batch), rows->size() < query.limit ? 1 : rows->back().no);
}

void TermBackfill::write(store::Batch batch, store::ExecutionNo from) {
  batch.documents.push_back(store::terms_from_document(from));
  shard_.append(std::move(batch), [this, from](const Status& status) {
    if (status) from_ = from;
    if (from_ != 1 && !shard_.draining_) arm(status ? term_backfill::kPauseMs : term_backfill::kRetryMs);
  });
}

}  // namespace sortie::runtime
