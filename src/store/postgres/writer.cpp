#include "store/postgres/writer.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "store/matching.h"
#include "store/postgres/schema.h"

namespace sortie::store::postgres {

namespace writer {

constexpr std::int64_t kReconnectMs = 50;  // Doubled up to kReconnectMsMax.
constexpr std::int64_t kReconnectMsMax = 400;
constexpr std::int64_t kAcquireMs = 50;
constexpr std::int64_t kGraceMs = 3'600'000;  // As long as it takes: settle_ms bounds it.
constexpr int kConflictsMax = 20;             // The database chooses another victim long before.
constexpr std::size_t kWordsMax = 10'000;
constexpr std::int64_t kCountSlots = 16;

const char kFence[] = "SELECT fence($1, $2, $3, $4, $5, $6)";

// For plans that are made once: a small table that grows must not be read from end to end ever after.
const char kPlans[] =
    "SET enable_seqscan TO off; SET enable_hashjoin TO off; SET enable_mergejoin TO off;"
    "SET plan_cache_mode TO force_generic_plan";

std::int64_t db_int(std::uint64_t value) { return static_cast<std::int64_t>(value); }

void pause(std::int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Not registered any more, or connected to what has become a standby.
bool is_gone(const Error& error) { return error.place == "SF003" || error.place == "25006"; }

}  // namespace writer

std::int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ConnectionOptions connection_options(const PostgresOptions& options, const char* role) {
  ConnectionOptions made;
  made.url = options.url;
  made.schema = options.schema;
  made.application_name = std::string("sortie ") + role;
  return made;
}

Writer::Writer(const PostgresOptions& options, std::function<bool()> stopping)
    : options_(options), stopping_(std::move(stopping)) {}

Writer::~Writer() {
  if (db_ == nullptr || db_->is_broken() || node_ == 0) return;
  // An orderly end: whoever waits for our shards need not wait for the lease. A failure only makes them wait.
  static_cast<void>(db_->query("DELETE FROM node WHERE id = $1", Params().add(node_)));
}

Status Writer::connect() {
  SORTIE_TRY(db_, Connection::open(connection_options(options_, "writer")));
  connected_at_ms_ = monotonic_ms();
  return db_->execute(writer::kPlans);
}

Status Writer::open() {
  SORTIE_TRY_STATUS(connect());
  SORTIE_TRY_STATUS(prepare_schema(*db_, options_.schema));
  SORTIE_TRY_STATUS(register_node());
  measure();
  return {};
}

// A new row for this process, or the known one under a new generation.
Status Writer::register_node() {
  Params lease;
  lease.add(options_.lease_ms);
  if (node_ != 0) {
    SORTIE_TRY(
        Answer known,
        db_->query(
            "UPDATE node SET generation = generation + 1, lease_until = clock_timestamp() +"
            " $1 * interval '1 millisecond', works = $3 <> 0 WHERE id = $2 RETURNING generation, group_no",
            lease.add(node_).add(works_ ? 1 : 0)));
    if (known.rows() == 1) {
      generation_ = known.integer(0, 0);
      last_group_ = known.integer(0, 1);
      return {};
    }
    lease = Params();
    lease.add(options_.lease_ms);
  }
  SORTIE_TRY(Answer swept,
             db_->query("DELETE FROM node WHERE lease_until < clock_timestamp() - interval '1 day'"));
  SORTIE_TRY(Answer made,
             db_->query("INSERT INTO node(address, generation, group_no, lease_until, works) VALUES($2, 1, 0,"
                        " clock_timestamp() + $1 * interval '1 millisecond', $3 <> 0) RETURNING id",
                        lease.add_bytes(options_.address).add(works_ ? 1 : 0)));
  registered_ = node_ = made.integer(0, 0);
  generation_ = 1;
  last_group_ = 0;
  return {};
}

Status Writer::connect_again() {
  if (figures_.lost_since_ms == 0) figures_.lost_since_ms = monotonic_ms();
  SORTIE_TRY_STATUS(connect());
  SORTIE_TRY_STATUS(register_node());
  figures_.lost_since_ms = 0;
  return {};
}

Status Writer::reconnect() {
  std::int64_t wait = writer::kReconnectMs;
  for (;;) {
    Status done = connect_again();
    if (done || stopping_()) return done;
    writer::pause(wait);
    wait = std::min(wait * 2, writer::kReconnectMsMax);
  }
}

Statement Writer::fence(const std::vector<const Batch*>& batches) const {
  std::map<ShardNo, Epoch> epochs;
  for (const Batch* batch : batches) {
    epochs[batch->shard] = batch->epoch;
    if (batch->leader_epoch != 0) epochs[0] = batch->leader_epoch;
  }
  std::vector<std::int64_t> shards, values;
  for (const auto& [shard, epoch] : epochs) {
    shards.push_back(shard);
    values.push_back(writer::db_int(epoch));
  }
  Params params;
  params.add(node_).add(generation_).add(last_group_ + 1).add(options_.lease_ms);
  params.add_array(shards).add_array(values);
  return {writer::kFence, std::move(params)};
}

Status Writer::load_words(const Group& group) {
  if (words_.size() > writer::kWordsMax) words_.clear();
  for (std::string_view word : group.words()) {
    if (words_.contains(std::string(word))) continue;
    Params params;
    params.add_bytes(word);
    SORTIE_TRY(Answer made, db_->query("INSERT INTO word(value) VALUES($1) ON CONFLICT DO NOTHING", params));
    SORTIE_TRY(Answer found, db_->query("SELECT id FROM word WHERE value = $1", params));
    if (found.rows() == 0) return Error{"StoreConflict", "a word went while it was read", "", ""};
    words_[std::string(word)] = found.integer(0, 0);
  }
  return {};
}

// One try. `written` says whether the group is in when the connection broke.
Status Writer::send(const std::vector<const Batch*>& batches, const Group& group, bool* written) {
  *written = false;
  std::int64_t number = last_group_ + 1;
  Status done = [&]() -> Status {
    SORTIE_TRY_STATUS(load_words(group));
    std::vector<Statement> statements = group.statements(words_, node_ % writer::kCountSlots);
    statements.insert(statements.begin(), fence(batches));
    std::uint64_t bytes = 0;
    for (const Statement& statement : statements) bytes += statement.params.bytes();
    SORTIE_TRY(std::vector<Answer> answers, db_->run_pipeline(statements));
    figures_.bytes_sent += bytes;
    return {};
  }();
  if (done) {
    last_group_ = number;
    *written = true;
    return done;
  }
  if (!db_->is_broken() && !writer::is_gone(done.error())) return done;
  std::int64_t node = node_;
  SORTIE_TRY_STATUS(reconnect());
  *written = node == node_ && last_group_ == number;
  return Error{"StoreConflict", "the connection was lost", "", ""};
}

Status Writer::write_group(const std::vector<const Batch*>& batches) {
  Group group;
  for (const Batch* batch : batches) group.add(*batch);
  for (int conflicts = 0;;) {
    bool written = false;
    Status done = send(batches, group, &written);
    if (written) return {};
    if (!is_conflict(done.error())) return done;
    if (++conflicts > writer::kConflictsMax) {
      return Error{"StoreUnavailable", "the database refused a change again and again", "", ""};
    }
  }
}

Result<Writer::Epochs> Writer::read_epochs() {
  SORTIE_TRY(Answer rows, ask("SELECT no, epoch FROM shard WHERE node = $1", Params().add(node_)));
  Epochs epochs;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    epochs[static_cast<ShardNo>(rows.integer(i, 0))] = static_cast<Epoch>(rows.integer(i, 1));
  }
  return epochs;
}

// As the database has them now.
Status Writer::check_epoch(const Epochs& current, ShardNo shard, Epoch wanted) {
  const auto found = current.find(shard);
  const Epoch epoch = found == current.end() ? 0 : found->second;
  if (epoch == wanted && epoch != 0) return {};
  const auto owned = owned_.find(shard);
  if (owned != owned_.end() && owned->second != epoch) lost_a_shard_ = true;
  return stale_epoch(shard, epoch, wanted);
}

Status Writer::commit(const std::vector<const Batch*>& batches, std::vector<Status>* results) {
  results->assign(batches.size(), Status{});
  std::vector<std::size_t> left;
  Epochs claimed;
  bool mixed = false;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    left.push_back(i);
    const auto claim = [&](ShardNo shard, Epoch epoch) {
      mixed = mixed || claimed.emplace(shard, epoch).first->second != epoch;
    };
    claim(batches[i]->shard, batches[i]->epoch);
    if (batches[i]->leader_epoch != 0) claim(0, batches[i]->leader_epoch);
  }
  while (!left.empty()) {
    std::vector<const Batch*> taken;
    for (std::size_t i : left) taken.push_back(batches[i]);
    Status done = mixed ? Status(Error{"StaleEpoch", "", "", ""}) : write_group(taken);
    if (done) {
      ++figures_.commits;
      figures_.batches += taken.size();
      return {};
    }
    if (done.error().code != "StaleEpoch") return done;
    // Rare: tell the stale ones apart and write the rest.
    SORTIE_TRY(Epochs current, read_epochs());
    std::vector<std::size_t> kept;
    for (std::size_t i : left) {
      (*results)[i] = check_epoch(current, batches[i]->shard, batches[i]->epoch);
      if ((*results)[i] && batches[i]->leader_epoch != 0)
        (*results)[i] = check_epoch(current, 0, batches[i]->leader_epoch);
      if ((*results)[i]) kept.push_back(i);
    }
    left = std::move(kept);
    mixed = false;
  }
  return {};
}

// A statement that may be repeated; waits for a database that is away.
Result<Answer> Writer::ask(const char* sql, const Params& params) {
  for (int conflicts = 0;;) {
    Result<Answer> answer = db_->query(sql, params);
    if (answer) return answer;
    if (db_->is_broken()) {
      SORTIE_TRY_STATUS(reconnect());
    } else if (!is_conflict(answer.error()) || ++conflicts > writer::kConflictsMax) {
      return answer;
    }
  }
}

void Writer::renew_lease() {
  Result<Answer> renewed = db_->query(
      "UPDATE node SET lease_until = clock_timestamp() + $1 * interval '1 millisecond'"
      " WHERE id = $2 AND generation = $3 RETURNING 1",
      Params().add(options_.lease_ms).add(node_).add(generation_));
  bool gone = renewed && renewed->rows() == 0;
  // The next step, or the next group, tries again when this does not help at once.
  if (db_->is_broken() || gone) static_cast<void>(connect_again());
  if (owned_.empty() || lost_a_shard_) return;
  Result<Answer> rows = db_->query("SELECT no, epoch FROM shard WHERE node = $1", Params().add(node_));
  if (!rows) return;
  Epochs current;
  for (std::size_t i = 0; i < rows->rows(); ++i) {
    current[static_cast<ShardNo>(rows->integer(i, 0))] = static_cast<Epoch>(rows->integer(i, 1));
  }
  for (const auto& [shard, epoch] : owned_) lost_a_shard_ = lost_a_shard_ || current[shard] != epoch;
}

// What this node still had to write of the shard is refused from the moment another one acquires it.
Status Writer::release(ShardNo shard) {
  const auto owned = owned_.find(shard);
  if (owned == owned_.end()) return {};
  const Epoch epoch = owned->second;
  owned_.erase(owned);
  SORTIE_TRY(Answer done, ask("UPDATE shard SET node = NULL WHERE no = $1 AND node = $2 AND epoch = $3",
                              Params().add(shard).add(node_).add(writer::db_int(epoch))));
  static_cast<void>(done);
  return {};
}

Status Writer::announce() {
  works_ = true;
  SORTIE_TRY(Answer done, ask("UPDATE node SET works = true WHERE id = $1", Params().add(node_)));
  static_cast<void>(done);
  return {};
}

void Writer::measure() {
  Result<Answer> size = db_->query("SELECT pg_database_size(current_database())");
  if (size) figures_.database_bytes = static_cast<std::uint64_t>(size->integer(0, 0));
}

Result<Epoch> Writer::acquire(ShardNo shard) {
  std::int64_t deadline = monotonic_ms() + options_.acquire_ms_max;
  for (;;) {
    // Repeated after a broken connection it may raise the epoch twice, which is as good as once.
    bool settled = monotonic_ms() >= connected_at_ms_ + options_.settle_ms;
    Result<Answer> answer =
        db_->query("SELECT new_epoch, holder, left_ms FROM acquire($1, $2, $3, $4)",
                   Params().add(shard).add(node_).add(settled ? 0 : writer::kGraceMs).add(kSharedShards));
    if (answer && answer->integer(0, 0) != 0) {
      owned_[shard] = static_cast<Epoch>(answer->integer(0, 0));
      return owned_[shard];
    }
    bool is_over = monotonic_ms() >= deadline || stopping_();
    std::int64_t left = writer::kAcquireMs;
    if (answer) {
      std::string holder(answer->bytes(0, 1));
      if (is_over) {
        return Error{"ShardHeld",
                     "shard " + std::to_string(shard) + " belongs to another node" +
                         (holder.empty() ? "" : ", " + holder),
                     holder, "stop that node, or name another database"};
      }
      left = answer->integer(0, 2);
    }
    if (db_->is_broken()) {
      Status back = connect_again();
      if (!back && is_over) return back.error();
    } else if (answer) {
      renew_lease();
    } else if (!is_conflict(answer.error())) {
      return answer.error();
    }
    writer::pause(std::clamp<std::int64_t>(left, 1, writer::kAcquireMs));
  }
}

}  // namespace sortie::store::postgres
