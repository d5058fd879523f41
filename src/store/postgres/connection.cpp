#include "store/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace sortie::store::postgres {

namespace connection {

constexpr Oid kInt8 = 20;
constexpr Oid kInt8Array = 1016;
constexpr Oid kBytea = 17;
constexpr Oid kByteaArray = 1001;
constexpr int kBinary = 1;
constexpr std::int64_t kConnectMs = 3'000;

std::int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void put32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void put64(std::string& out, std::uint64_t value) {
  put32(out, static_cast<std::uint32_t>(value >> 32));
  put32(out, static_cast<std::uint32_t>(value));
}

// One dimension from index 1, without NULLs.
std::string array_header(Oid element, std::size_t count) {
  std::string out;
  put32(out, count == 0 ? 0 : 1);
  put32(out, 0);
  put32(out, element);
  if (count == 0) return out;
  put32(out, static_cast<std::uint32_t>(count));
  put32(out, 1);
  return out;
}

// libpq's messages end in a newline and may have several lines.
std::string one_line(const char* message) {
  std::string text = message != nullptr ? message : "";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string code_for(std::string_view state) {
  if (state == "SF001" || state == "SF002") return "StaleEpoch";
  if (state == "SF003") return "StoreUnavailable";
  if (state == "53100" || state == "53200") return "StoreFull";
  if (state.starts_with("XX0") && state != "XX000") return "StoreCorrupt";
  if (state == "40001" || state == "40P01" || state == "55P03") return "StoreConflict";
  return "StoreUnavailable";
}

}  // namespace connection

bool is_conflict(const Error& error) { return error.code == "StoreConflict"; }

Params& Params::add(std::int64_t value) {
  std::string out;
  connection::put64(out, static_cast<std::uint64_t>(value));
  values_.push_back(std::move(out));
  types_.push_back(connection::kInt8);
  return *this;
}

Params& Params::add_bytes(std::string_view value) {
  values_.emplace_back(value);
  types_.push_back(connection::kBytea);
  return *this;
}

Params& Params::add_array(const std::vector<std::int64_t>& values) {
  std::string out = connection::array_header(connection::kInt8, values.size());
  out.reserve(out.size() + 12 * values.size());
  for (std::int64_t value : values) {
    connection::put32(out, 8);
    connection::put64(out, static_cast<std::uint64_t>(value));
  }
  values_.push_back(std::move(out));
  types_.push_back(connection::kInt8Array);
  return *this;
}

Params& Params::add_bytes_array(const std::vector<std::string_view>& values) {
  std::string out = connection::array_header(connection::kBytea, values.size());
  std::size_t bytes = out.size();
  for (std::string_view value : values) bytes += 4 + value.size();
  out.reserve(bytes);
  for (std::string_view value : values) {
    connection::put32(out, static_cast<std::uint32_t>(value.size()));
    out.append(value);
  }
  values_.push_back(std::move(out));
  types_.push_back(connection::kByteaArray);
  return *this;
}

std::size_t Params::bytes() const {
  std::size_t sum = 0;
  for (const std::string& value : values_) sum += value.size();
  return sum;
}

Answer& Answer::operator=(Answer&& other) noexcept {
  std::swap(result_, other.result_);
  return *this;
}

Answer::~Answer() { PQclear(result_); }

std::size_t Answer::rows() const { return static_cast<std::size_t>(PQntuples(result_)); }

std::int64_t Answer::integer(std::size_t row, int column) const {
  std::string_view raw = bytes(row, column);
  if (raw.empty()) return 0;
  std::uint64_t value = (static_cast<unsigned char>(raw[0]) & 0x80U) != 0 ? UINT64_MAX : 0;
  for (char byte : raw) value = value << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(value);
}

std::string_view Answer::bytes(std::size_t row, int column) const {
  int at = static_cast<int>(row);
  if (PQgetisnull(result_, at, column) != 0) return {};
  return {PQgetvalue(result_, at, column), static_cast<std::size_t>(PQgetlength(result_, at, column))};
}

bool Answer::is_null(std::size_t row, int column) const {
  return PQgetisnull(result_, static_cast<int>(row), column) != 0;
}

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options) {
  std::unique_ptr<Connection> made(new Connection(options));
  SORTIE_TRY_STATUS(made->connect());
  return made;
}

Connection::~Connection() { PQfinish(handle_); }

Status Connection::connect() {
  // The URL may say otherwise about everything but the names that come last.
  const char* keywords[] = {"connect_timeout",
                            "tcp_user_timeout",
                            "keepalives_idle",
                            "dbname",
                            "application_name",
                            "client_encoding",
                            nullptr};
  const char* values[] = {"3",    "8000", "5", options_.url.c_str(), options_.application_name.c_str(),
                          "UTF8", nullptr};
  handle_ = PQconnectStartParams(keywords, values, 1);
  if (handle_ == nullptr) return Error{"StoreUnavailable", "out of memory", "", ""};
  std::int64_t deadline = connection::monotonic_ms() + connection::kConnectMs;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (PQstatus(handle_) != CONNECTION_BAD && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
    pollfd wait{PQsocket(handle_), static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    std::int64_t left = deadline - connection::monotonic_ms();
    if (left <= 0 || poll(&wait, 1, static_cast<int>(left)) == 0) {
      return lost("the database did not answer within " + std::to_string(connection::kConnectMs) + " ms");
    }
    state = PQconnectPoll(handle_);
  }
  if (PQstatus(handle_) != CONNECTION_OK) return lost("cannot connect to the database");
  PQsetnonblocking(handle_, 1);
  PQsetNoticeProcessor(
      handle_, [](void*, const char*) {}, nullptr);
  if (PQserverVersion(handle_) < 130000) {
    return Error{"StoreUnavailable", "the database server is older than PostgreSQL 13", "", ""};
  }
  // Durability and isolation are what this store was made for, whatever the server's defaults are.
  return execute("SET search_path TO " + options_.schema +
                 ", pg_catalog; SET default_transaction_isolation TO 'read committed';"
                 "SET default_transaction_read_only TO off; SET bytea_output TO hex; SET jit TO off;"
                 "SELECT set_config('synchronous_commit', 'on', false)"
                 " WHERE current_setting('synchronous_commit') IN ('off', 'local')");
}

Error Connection::lost(const std::string& what) {
  broken_ = true;
  std::string detail = connection::one_line(PQerrorMessage(handle_));
  return {"StoreUnavailable", detail.empty() ? what : what + ": " + detail, "",
          "look whether PostgreSQL runs and can be reached"};
}

Error Connection::error_of(const PGresult* result) const {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string message = connection::one_line(primary != nullptr ? primary : PQresultErrorMessage(result));
  std::string sql_state = state != nullptr ? state : "";
  return {connection::code_for(sql_state), "PostgreSQL: " + message, sql_state, ""};
}

Status Connection::flush_and_wait(std::int64_t deadline_ms) {
  for (;;) {
    int unsent = PQflush(handle_);
    if (unsent < 0) return lost("the connection to the database broke");
    if (unsent == 0 && PQisBusy(handle_) == 0) return {};
    pollfd wait{PQsocket(handle_), static_cast<short>(unsent != 0 ? POLLIN | POLLOUT : POLLIN), 0};
    std::int64_t left = deadline_ms - connection::monotonic_ms();
    int ready = left > 0 ? poll(&wait, 1, static_cast<int>(left)) : 0;
    if (ready == 0) return lost("the database did not answer in time");
    if (ready < 0) continue;  // A signal.
    if ((wait.revents & ~POLLOUT) != 0 && PQconsumeInput(handle_) == 0) {
      return lost("the connection to the database broke");
    }
  }
}

Result<PGresult*> Connection::next_result(std::int64_t deadline_ms) {
  SORTIE_TRY_STATUS(flush_and_wait(deadline_ms));
  PGresult* result = PQgetResult(handle_);
  if (PQstatus(handle_) == CONNECTION_BAD) {
    PQclear(result);
    return lost("the connection to the database broke");
  }
  return result;
}

// All results of one statement or script outside a pipeline: the last one, or the first error.
Result<Answer> Connection::collect() {
  std::int64_t deadline = connection::monotonic_ms() + options_.answer_ms_max;
  Answer last(nullptr);
  std::optional<Error> failed;
  for (;;) {
    SORTIE_TRY(PGresult * result, next_result(deadline));
    if (result == nullptr) break;
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && !failed) failed = error_of(result);
    last = Answer(result);
  }
  if (failed) return std::move(*failed);
  return last;
}

Status Connection::execute(const std::string& sql) {
  if (broken_) return lost("the connection is broken");
  if (PQsendQuery(handle_, sql.c_str()) == 0) return lost("cannot send to the database");
  SORTIE_TRY(Answer answer, collect());
  return {};
}

Result<std::string> Connection::prepared(const char* sql, const Params& params) {
  auto found = statements_.find(sql);
  if (found != statements_.end()) return found->second;
  std::string name = "s" + std::to_string(statements_.size());
  int sent =
      PQsendPrepare(handle_, name.c_str(), sql, static_cast<int>(params.types_.size()), params.types_.data());
  if (sent == 0) return lost("cannot send to the database");
  SORTIE_TRY(Answer answer, collect());
  statements_.emplace(sql, name);
  return name;
}

bool Connection::send_prepared(const std::string& name, const Params& params) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& value : params.values_) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  std::vector<int> formats(values.size(), connection::kBinary);
  return PQsendQueryPrepared(handle_, name.c_str(), static_cast<int>(values.size()), values.data(),
                             lengths.data(), formats.data(), connection::kBinary) == 1;
}

Result<Answer> Connection::query(const char* sql, const Params& params) {
  if (broken_) return lost("the connection is broken");
  SORTIE_TRY(std::string name, prepared(sql, params));
  if (!send_prepared(name, params)) return lost("cannot send to the database");
  return collect();
}

Result<Answer> Connection::query_once(const std::string& sql, const Params& params) {
  if (broken_) return lost("the connection is broken");
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& value : params.values_) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  std::vector<int> formats(values.size(), connection::kBinary);
  int sent = PQsendQueryParams(handle_, sql.c_str(), static_cast<int>(values.size()), params.types_.data(),
                               values.data(), lengths.data(), formats.data(), connection::kBinary);
  if (sent == 0) return lost("cannot send to the database");
  return collect();
}

Result<std::vector<Answer>> Connection::run_pipeline(const std::vector<Statement>& statements) {
  if (broken_) return lost("the connection is broken");
  std::vector<std::string> names;
  for (const Statement& statement : statements) {
    SORTIE_TRY(names.emplace_back(), prepared(statement.sql, statement.params));
  }
  if (PQenterPipelineMode(handle_) == 0) return lost("cannot begin a pipeline");
  for (std::size_t i = 0; i < statements.size(); ++i) {
    if (!send_prepared(names[i], statements[i].params)) return lost("cannot send to the database");
  }
  if (PQpipelineSync(handle_) == 0) return lost("cannot send to the database");
  std::int64_t deadline = connection::monotonic_ms() + options_.answer_ms_max;
  std::vector<Answer> answers;
  std::optional<Error> failed;
  bool ended = false;
  for (;;) {
    SORTIE_TRY(PGresult * result, next_result(deadline));
    if (result == nullptr && ended) return lost("the database left a pipeline");
    ended = result == nullptr;
    if (ended) continue;  // The end of one statement.
    Answer answer(result);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) break;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      answers.push_back(std::move(answer));
    } else if (status != PGRES_PIPELINE_ABORTED && !failed) {
      failed = error_of(result);
    }
  }
  if (PQexitPipelineMode(handle_) == 0) return lost("cannot end a pipeline");
  if (failed) return std::move(*failed);
  return answers;
}

int Connection::server_version() const { return PQserverVersion(handle_); }

}  // namespace sortie::store::postgres
