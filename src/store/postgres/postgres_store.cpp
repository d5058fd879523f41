#include "store/postgres/postgres_store.h"

#include <algorithm>

#include "store/commit_queue.h"
#include "store/forwarding.h"
#include "store/postgres/reader.h"
#include "store/postgres/schema.h"
#include "store/postgres/writer.h"

namespace sortie::store {

namespace postgres {

constexpr std::int64_t kMeasureMs = 30'000;

// What this store's indexes cannot hold, over what no store can.
Status check_keys(const Batch& batch) {
  auto bad = [](const char* what) {
    return Error{"LimitExceeded",
                 std::string(what) + " is longer than " + std::to_string(kKeyBytesMax) + " bytes", "", ""};
  };
  for (const ExecutionRow& row : batch.executions) {
    if (row.arn.size() > kKeyBytesMax) return bad("the ARN of an execution");
    if (row.state_machine_arn.size() > kKeyBytesMax) return bad("the ARN of a state machine");
  }
  for (const Document& document : batch.documents) {
    if (document.kind.size() + document.key.size() > kKeyBytesMax) return bad("the key of a document");
  }
  for (const LogLine& line : batch.log) {
    if (line.stream.size() > kKeyBytesMax / 4) return bad("the name of a stream");
  }
  return {};
}

class PostgresStore final : public ForwardingReads, public Sharing, private Committer {
 public:
  explicit PostgresStore(const PostgresOptions& options)
      : ForwardingReads(reader_),
        options_(options),
        writer_(options_, [this] { return queue_.is_stopping(); }),
        reader_(options_),
        queue_(*options_.loop, *this,
               {options_.group_batches_max, options_.group_bytes_max, options_.batch_bytes_max,
                options_.queue_bytes_max},
               {}, options_.on_commit) {}

  ~PostgresStore() override { queue_.stop(); }

  Status open() {
    SORTIE_TRY_STATUS(writer_.open());
    queue_.start();
    return {};
  }

  Result<Epoch> acquire(ShardNo shard) override {
    return queue_.on_thread<Epoch>([this, shard] { return writer_.acquire(shard); });
  }

  Result<Standing> standing() override { return reader_.standing(writer_.node()); }
  Status announce() override {
    SORTIE_TRY(Unit done, queue_.on_thread<Unit>([this]() -> Result<Unit> {
      SORTIE_TRY_STATUS(writer_.announce());
      return Unit{};
    }));
    static_cast<void>(done);
    return {};
  }
  Status release(ShardNo shard) override {
    SORTIE_TRY(Unit done, queue_.on_thread<Unit>([this, shard]() -> Result<Unit> {
      SORTIE_TRY_STATUS(writer_.release(shard));
      return Unit{};
    }));
    static_cast<void>(done);
    return {};
  }
  Result<std::vector<FrameRow>> scan_frames_of(ShardNo shard, ExecutionNo above, FrameKey after,
                                               std::size_t limit) override {
    return reader_.scan_frames_of(shard, above, after, limit);
  }

  void append(Batch batch, Done done) override {
    Status fits = check_keys(batch);
    std::int64_t lost = writer_.figures().lost_since_ms;
    if (fits && lost != 0 && monotonic_ms() - lost > options_.outage_ms_max) {
      fits = Error{"StoreUnavailable", "the database cannot be reached", "", "try again later"};
    }
    if (!fits) return queue_.answer(std::move(done), std::move(fits).error());
    queue_.append(std::move(batch), std::move(done));
  }

  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override {
    return reader_.delete_ended_before(time, limit);
  }
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override {
    return reader_.delete_log_before(stream, time, limit);
  }
  Status backup(const std::string& file) override {
    return Error{"NotSupported", "a store in PostgreSQL is backed up by PostgreSQL's own means", file,
                 "pg_dump --schema=" + options_.schema + ", or a base backup of the server"};
  }

  StoreFigures figures() override {
    const WriterFigures& writer = writer_.figures();
    StoreFigures figures;
    figures.commits = writer.commits;
    figures.batches = writer.batches;
    figures.bytes_written = writer.bytes_sent;
    figures.queued_batches = queue_.queued_batches();
    figures.file_bytes = writer.database_bytes;
    return figures;
  }

 private:
  Status commit_group(const std::vector<const Batch*>& batches, std::vector<Status>* results) override {
    return writer_.commit(batches, results);
  }
  void after_work() override {
    if (!writer_.has_lost_a_shard() || told_lost_) return;
    told_lost_ = true;
    if (options_.on_lost) options_.loop->post(options_.on_lost);
  }
  std::optional<std::int64_t> idle_delay_ms() override {
    return std::max<std::int64_t>(options_.lease_ms / 3, 1);
  }
  bool idle_step() override {
    writer_.renew_lease();
    after_work();
    if (monotonic_ms() - measured_at_ms_ > kMeasureMs) {
      measured_at_ms_ = monotonic_ms();
      writer_.measure();
    }
    return false;
  }

  const PostgresOptions options_;
  Writer writer_;
  Reader reader_;
  CommitQueue queue_;
  std::int64_t measured_at_ms_ = 0;
  bool told_lost_ = false;
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 60 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace postgres

bool is_postgres_url(std::string_view url) {
  return url.starts_with("postgres://") || url.starts_with("postgresql://");
}

std::string without_password(std::string_view url) {
  std::size_t begin = url.find("://");
  begin = begin == std::string_view::npos ? 0 : begin + 3;
  std::size_t end = std::min(url.find_first_of("/?", begin), url.size());
  std::size_t at = url.substr(begin, end - begin).rfind('@');
  std::size_t colon = url.substr(begin, end - begin).find(':');
  std::string shown(url);
  if (at != std::string_view::npos && colon < at) shown.replace(begin + colon + 1, at - colon - 1, "***");
  std::size_t option = shown.find("password=");
  if (option != std::string::npos) {
    option += 9;
    shown.replace(option, std::min(shown.find('&', option), shown.size()) - option, "***");
  }
  return shown;
}

Result<SharedStore> open_shared_postgres_store(PostgresOptions options) {
  SORTIE_CHECK(options.loop != nullptr);
  if (!is_postgres_url(options.url) || !postgres::is_plain_name(options.schema)) {
    return Error{"InvalidStore", "a PostgreSQL store is named by postgres://USER@HOST/DATABASE",
                 without_password(options.url), ""};
  }
  auto store = std::make_unique<postgres::PostgresStore>(options);
  SORTIE_TRY_STATUS(store->open());
  Sharing* sharing = store.get();
  return SharedStore{std::move(store), sharing};
}

Result<std::unique_ptr<Store>> open_postgres_store(PostgresOptions options) {
  SORTIE_TRY(SharedStore opened, open_shared_postgres_store(std::move(options)));
  return std::move(opened.store);
}

}  // namespace sortie::store
