#pragma once
// A thin skin over libpq: connections, parameters and answers in binary, pipelines, and PostgreSQL's states
// as our errors. Nothing outside store/postgres sees libpq's own header.
//
// A Connection is used by one thread at a time. Nothing waits forever: every call has a time limit, and a
// connection that exceeds it, or that the server has left, is broken: is_broken() says so, and its owner
// opens another one. Parameters are sent as binary values of exactly three types: bigint, bytea, and arrays
// of them; texts are bytea, so that no byte that people can type makes a group fail.
//
// Statements are literals: the prepared statement is kept under the address of its text.
//
// Error codes: "StoreFull" (no space), "StoreCorrupt" (damaged data), "StaleEpoch" (the fence of schema.h),
// "StoreConflict" (the transaction lost against another one, and nothing of it happened: run it again), and
// "StoreUnavailable" for everything else of the moment.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

struct pg_conn;
struct pg_result;

namespace sortie::store::postgres {

// The parameters of one statement, in order ($1 first). Owns what it holds.
class Params {
 public:
  Params& add(std::int64_t value);
  Params& add_bytes(std::string_view value);
  Params& add_array(const std::vector<std::int64_t>& values);
  Params& add_bytes_array(const std::vector<std::string_view>& values);
  std::size_t size() const { return values_.size(); }
  std::size_t bytes() const;

 private:
  friend class Connection;
  std::vector<std::string> values_;
  std::vector<std::uint32_t> types_;
};

// The rows of one statement.
class Answer {
 public:
  explicit Answer(pg_result* result) : result_(result) {}
  Answer(Answer&& other) noexcept : result_(other.result_) { other.result_ = nullptr; }
  Answer& operator=(Answer&& other) noexcept;
  ~Answer();

  std::size_t rows() const;
  // Columns of types smallint, integer and bigint; 0 for NULL.
  std::int64_t integer(std::size_t row, int column) const;
  std::string_view bytes(std::size_t row, int column) const;  // Lives as long as the answer.
  bool is_null(std::size_t row, int column) const;

 private:
  pg_result* result_;
};

struct Statement {
  const char* sql;  // A literal.
  Params params;
};

struct ConnectionOptions {
  std::string url;     // What libpq takes: postgres://user:password@host:port/database?option=value
  std::string schema;  // Letters, digits and '_'; made by prepare_schema.
  std::string application_name = "sortie";
  std::int64_t answer_ms_max = 10'000;  // For one statement or pipeline.
};

class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const ConnectionOptions& options);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  Status execute(const std::string& sql);  // One or more statements without parameters; rows are dropped.
  Result<Answer> query(const char* sql, const Params& params = {});  // Prepared and kept.
  // A statement that is made for the occasion: planned for these very parameters.
  Result<Answer> query_once(const std::string& sql, const Params& params);
  // All statements in one round trip and one transaction; the answers in order. On an error nothing of them
  // happened, unless the connection is broken: then nobody knows.
  Result<std::vector<Answer>> run_pipeline(const std::vector<Statement>& statements);

  void set_answer_ms_max(std::int64_t limit_ms) { options_.answer_ms_max = limit_ms; }
  bool is_broken() const { return broken_; }
  int server_version() const;  // 150018 is 15.18.

 private:
  explicit Connection(const ConnectionOptions& options) : options_(options) {}

  Status connect();
  Status flush_and_wait(std::int64_t deadline_ms);           // Until a result can be taken without waiting.
  Result<pg_result*> next_result(std::int64_t deadline_ms);  // Null: this statement has no more.
  Result<Answer> collect();
  Result<std::string> prepared(const char* sql, const Params& params);
  bool send_prepared(const std::string& name, const Params& params);
  Error lost(const std::string& what);
  Error error_of(const pg_result* result) const;

  ConnectionOptions options_;
  pg_conn* handle_ = nullptr;
  bool broken_ = false;
  std::unordered_map<const char*, std::string> statements_;
};

// True for an error after which the same transaction may simply be run again.
bool is_conflict(const Error& error);

}  // namespace sortie::store::postgres
