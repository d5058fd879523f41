#include "io/http_session.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace sortie::io {

namespace http = boost::beast::http;

namespace {

constexpr std::size_t kReadBytes = 8 * 1024;
constexpr std::size_t kReadBytesMax = 256 * 1024;
constexpr std::size_t kPipelinedBytesMax = 256 * 1024;    // Read ahead while a request is being handled.
constexpr std::size_t kUnsentBytesMax = 4 * 1024 * 1024;  // No further request is parsed above.
constexpr std::size_t kLingerBytesMax = 64 * 1024 * 1024;
constexpr std::int64_t kLingerMs = 2'000;
constexpr std::size_t kProgressBytes = 16 * 1024;  // A body that moves this much gets new time.
// The least that is still missing of an unfinished chunked body ("0" and two line ends). Beast 1.81 asserts
// that it sees this much when it looks at a last chunk for the second time.
constexpr std::size_t kChunkedEndBytes = 5;

bool is_header_text(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void append_number(std::string& out, std::size_t number, int base = 10) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number, base);
  out.append(digits, end.ptr);
}

// Beast's parser with a store of our own: its ready-made containers hold no header field beyond 64 KiB (they
// throw), while a Lambda runtime sends error causes of up to a megabyte.
class RequestParser final : public http::basic_parser<true> {
 public:
  HttpRequest request;
  unsigned version = 11;

 private:
  using Text = boost::beast::string_view;
  using Code = boost::system::error_code;

  void on_request_impl(http::verb, Text method, Text target, int http_version, Code& error) override {
    error = {};
    request.method.assign(method.data(), method.size());
    request.target.assign(target.data(), target.size());
    version = static_cast<unsigned>(http_version);
  }
  void on_response_impl(int, Text, int, Code& error) override { error = http::error::bad_method; }
  void on_field_impl(http::field, Text name, Text value, Code& error) override {
    error = {};
    request.headers.add(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  void on_header_impl(Code& error) override { error = {}; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code& error) override { error = {}; }
  std::size_t on_body_impl(Text body, Code& error) override {
    error = {};
    request.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, Code& error) override { error = {}; }
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code& error) override {
    error = {};
    request.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(Code& error) override { error = {}; }
};

}  // namespace

struct HttpSession::Parser {
  std::optional<RequestParser> request;
  std::size_t body_bytes_max = 0;
  bool header_seen = false;

  void reset(std::size_t header_bytes_max) {
    request.emplace();
    request->header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(header_bytes_max, 1'000'000'000)));
    request->body_limit(boost::none);
    request->eager(false);  // The body is only taken after its length was judged.
    header_seen = false;
  }
};

// Holds the session, not the other way round: a long poll that nobody answers any more is noticed here.
class SessionResponder final : public Responder {
 public:
  SessionResponder(std::shared_ptr<HttpSession> session, std::uint64_t request)
      : session_(std::move(session)), request_(request) {}
  ~SessionResponder() override {
    if (session_->can_answer(request_)) session_->answer({500, {}, "the request was not answered\n"});
    if (session_->request_ == request_ && session_->state_ == HttpSession::State::kStreaming) {
      session_->end_stream();
    }
  }

  void send(HttpResponse response) override {
    if (session_->can_answer(request_)) session_->answer(std::move(response));
  }
  void begin_stream(HttpResponse head) override {
    if (session_->can_answer(request_)) session_->begin_stream(std::move(head));
  }
  bool write(std::string_view chunk) override { return is_streaming() && session_->write_chunk(chunk); }
  void end_stream() override {
    if (is_streaming()) session_->end_stream();
  }
  bool is_open() const override { return session_->can_answer(request_) || is_streaming(); }
  void on_close(std::function<void()> callback) override {
    if (is_open()) session_->on_close_ = std::move(callback);
  }

 private:
  bool is_streaming() const {
    return session_->request_ == request_ && session_->state_ == HttpSession::State::kStreaming;
  }

  std::shared_ptr<HttpSession> session_;
  std::uint64_t request_;
};

HttpSession::HttpSession(std::weak_ptr<SessionHost> host, std::unique_ptr<Transport> transport, Peer peer)
    : host_(std::move(host)),
      transport_(std::move(transport)),
      peer_(std::move(peer)),
      parser_(std::make_unique<Parser>()) {}

HttpSession::~HttpSession() = default;

void HttpSession::start() {
  const auto host = host_.lock();
  if (!host) return;
  parser_->reset(host->options().header_bytes_max);
  waiting_since_ms_ = host->steady_ms();
  set_deadline(*host, host->options().idle_timeout_ms);
  transport_->handshake(shared_from_this());
}

void HttpSession::set_deadline(SessionHost& host, std::int64_t delay_ms) {
  deadline_ms_ = delay_ms > 0 ? host.steady_ms() + delay_ms : 0;
  if (deadline_ms_ != 0) host.watch_deadlines();
}

void HttpSession::on_ready(bool ok) {
  if (!ok) return close();
  want_read();
}

void HttpSession::refuse(int status, std::string_view message) {
  parser_->reset(1024);
  fail(status, message);
}

bool HttpSession::can_answer(std::uint64_t request) const {
  return request == request_ && state_ == State::kHandling;
}

void HttpSession::want_read() {
  if (reading_ || state_ == State::kClosed || peer_closed_) return;
  const std::size_t unparsed = in_end_ - in_begin_;
  if (state_ != State::kReading && state_ != State::kLingering && unparsed >= kPipelinedBytesMax) return;
  if (unparsed == 0) {
    in_begin_ = in_end_ = 0;
    if (received_ == 0 && in_.size() > kReadBytes) in_ = std::string();
  } else if (in_begin_ > 0) {
    std::memmove(in_.data(), in_.data() + in_begin_, unparsed);
    in_begin_ = 0;
    in_end_ = unparsed;
  }
  // A large body is read in larger pieces; an idle connection keeps a small buffer.
  const std::size_t room = received_ > kReadBytes * 4 ? kReadBytesMax : kReadBytes;
  if (in_.size() - in_end_ < kReadBytes || in_.size() < room) in_.resize(in_end_ + room);
  reading_ = true;
  transport_->read(in_.data() + in_end_, in_.size() - in_end_, shared_from_this());
}

void HttpSession::on_read(bool ok, std::size_t bytes) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (!ok) return peer_left();
  if (state_ == State::kLingering) {
    lingered_ += bytes;
    if (lingered_ > kLingerBytesMax) return close();
    in_begin_ = in_end_ = 0;
    return want_read();
  }
  in_end_ += bytes;
  const auto host = host_.lock();
  if (!host) return close();
  if (state_ == State::kReading) {
    received_ += bytes;
    const int limit_ms = host->options().request_timeout_ms;
    const bool began = received_ == bytes;
    if (limit_ms > 0 && (began || (parser_->header_seen && received_ - progress_mark_ > kProgressBytes))) {
      set_deadline(*host, limit_ms);
      progress_mark_ = received_;
    }
  }
  advance();
}

void HttpSession::peer_left() {
  peer_closed_ = true;
  if (state_ == State::kHandling || state_ == State::kStreaming) {
    if (on_close_) {
      if (const auto host = host_.lock()) host->post(std::exchange(on_close_, nullptr));
    }
    // A peer may close its sending half only; a whole answer is still tried, a stream is over.
    if (state_ == State::kHandling) {
      keep_alive_ = false;
      return;
    }
  }
  if (write_pending_ && state_ != State::kStreaming) {
    close_after_write_ = true;
    return;
  }
  close();
}

void HttpSession::advance() {
  if (advancing_) return;
  advancing_ = true;
  const auto self = shared_from_this();
  while (state_ == State::kReading && !close_after_write_ &&
         out_.size() + writing_.size() < kUnsentBytesMax) {
    if (!parse()) break;
  }
  advancing_ = false;
  flush();
  want_read();
}

bool HttpSession::parse() {
  const auto host = host_.lock();
  if (!host || in_begin_ == in_end_) return false;
  auto& request = *parser_->request;
  boost::system::error_code error;
  while (!parser_->header_seen && in_begin_ < in_end_) {
    const std::size_t used =
        request.put(boost::asio::buffer(in_.data() + in_begin_, in_end_ - in_begin_), error);
    in_begin_ += used;
    if (error == http::error::need_more) {
      if (in_end_ - in_begin_ > host->options().header_bytes_max) {
        fail(431, "the request's header is too large");
      }
      return false;
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      fail(431, "the request's header is too large");
      return false;
    }
    if (error) {
      fail(400, "not an HTTP/1.1 request: " + error.message());
      return false;
    }
    if (request.is_header_done()) {
      parser_->header_seen = true;
      if (!judge_head()) return false;
      const HttpRequest& head = request.request;
      request.eager(true);
      const bool waits = equals_ignore_case_ascii(head.headers.get("expect"), "100-continue");
      if (waits && !request.is_done() && in_begin_ == in_end_) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    }
  }
  return parser_->header_seen && parse_body();
}

bool HttpSession::judge_head() {
  const auto host = host_.lock();
  const auto& request = *parser_->request;
  const HttpRequest& head = request.request;
  std::size_t hosts = 0;
  for (const auto& [name, value] : head.headers.entries()) {
    hosts += equals_ignore_case_ascii(name, "host") ? 1 : 0;
    if (!equals_ignore_case_ascii(name, "transfer-encoding")) continue;
    // What one reader takes for a body another would take for the next request.
    if (request.chunked() && equals_ignore_case_ascii(trim(value), "chunked")) continue;
    fail(501, "the request's body is coded in a way that is not supported; send it plain or chunked");
    return false;
  }
  if (hosts > 1) {
    fail(400, "the request names more than one host");
    return false;
  }
  const auto& limit = host->options().body_bytes_max_for;
  parser_->body_bytes_max = limit ? limit(head.method, head.target) : host->options().body_bytes_max;
  const auto length = request.content_length();
  if (length && *length > parser_->body_bytes_max) {
    fail(413, "the request's body is too large");
    return false;
  }
  return true;
}

bool HttpSession::parse_body() {
  auto& request = *parser_->request;
  boost::system::error_code error;
  const std::size_t least = request.chunked() ? kChunkedEndBytes : 1;
  while (!request.is_done() && in_end_ - in_begin_ >= least) {
    const std::size_t used =
        request.put(boost::asio::buffer(in_.data() + in_begin_, in_end_ - in_begin_), error);
    in_begin_ += used;
    if (request.request.body.size() > parser_->body_bytes_max) {
      fail(413, "the request's body is too large");
      return false;
    }
    if (!count_body(request.request.body.size())) {
      fail(503, "too many large requests are arriving at once; try again");
      return false;
    }
    if (error == http::error::need_more) break;
    if (error) {
      fail(400, "the request's body is broken: " + error.message());
      return false;
    }
    if (used == 0) break;
  }
  // A chunk header that never ends must not grow the buffer.
  if (!request.is_done() && in_end_ - in_begin_ > kReadBytesMax) {
    fail(400, "the request's body is broken: a chunk header is too long");
    return false;
  }
  if (!request.is_done()) return false;
  dispatch();
  return true;
}

bool HttpSession::count_body(std::size_t bytes) {
  if (bytes == body_bytes_) return true;
  const auto change = static_cast<std::ptrdiff_t>(bytes) - static_cast<std::ptrdiff_t>(body_bytes_);
  body_bytes_ = bytes;
  const auto host = host_.lock();
  return !host || host->hold_body(this, change);
}

std::optional<std::int64_t> HttpSession::waiting_since_ms() const {
  if (state_ != State::kReading) return std::nullopt;
  return waiting_since_ms_;
}

void HttpSession::dispatch() {
  const auto host = host_.lock();
  count_body(0);
  keep_alive_ = parser_->request->keep_alive() && !host->is_draining() && !peer_closed_;
  http_1_0_ = parser_->request->version < 11;
  HttpRequest request = std::move(parser_->request->request);
  is_head_ = request.method == "HEAD";
  request.peer_address = peer_.address;
  request.peer_port = peer_.port;
  request.is_tls = peer_.is_tls;
  parser_->reset(host->options().header_bytes_max);

  std::string_view target = request.target;
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (!target.starts_with('/') && target != "*") return fail(400, "the request's target is no path");
  if (const std::size_t hash = target.find('#'); hash != std::string_view::npos)
    target = target.substr(0, hash);
  const std::size_t question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));

  state_ = State::kHandling;
  deadline_ms_ = 0;
  received_ = progress_mark_ = 0;
  ++request_;
  host->handler()(std::move(request), std::make_shared<SessionResponder>(shared_from_this(), request_));
}

void HttpSession::append_head(const HttpResponse& response, std::string_view framing) {
  const auto host = host_.lock();
  out_ += "HTTP/1.1 ";
  append_number(out_, static_cast<std::size_t>(response.status));
  out_ += ' ';
  out_ += reason_phrase(response.status);
  out_ += "\r\nDate: ";
  if (host) out_ += host->date();
  out_ += "\r\n";
  for (const auto& [name, value] : response.headers.entries()) {
    if (!is_header_text(name) || !is_header_text(value)) continue;  // Never lets a value start a new line.
    out_ += name;
    out_ += ": ";
    out_ += value;
    out_ += "\r\n";
  }
  if (!keep_alive_) {
    out_ += "Connection: close\r\n";
  } else if (http_1_0_) {
    out_ += "Connection: keep-alive\r\n";
  }
  out_ += framing;
  out_ += "\r\n";
}

void HttpSession::answer(HttpResponse response) {
  std::string framing;
  const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  if (!bodiless) {
    framing = "Content-Length: ";
    append_number(framing, response.body.size());
    framing += "\r\n";
  }
  append_head(response, framing);
  if (!bodiless && !is_head_) out_ += response.body;
  finish_answer();
}

void HttpSession::begin_stream(HttpResponse head) {
  chunked_ = !http_1_0_;
  if (http_1_0_) keep_alive_ = false;
  append_head(head, chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  state_ = State::kStreaming;
  if (is_head_) return end_stream();
  if (head.body.empty()) {
    flush();
  } else {
    write_chunk(head.body);
  }
}

bool HttpSession::write_chunk(std::string_view chunk) {
  if (state_ != State::kStreaming) return false;
  if (chunk.empty()) return true;  // An empty chunk would end the body.
  const auto host = host_.lock();
  if (!host || out_.size() + writing_.size() + chunk.size() > host->options().stream_bytes_max) {
    // The peer does not read: it is dropped rather than remembered for.
    if (on_close_ && host) host->post(std::exchange(on_close_, nullptr));
    close();
    return false;
  }
  if (chunked_) {
    append_number(out_, chunk.size(), 16);
    out_ += "\r\n";
  }
  out_ += chunk;
  if (chunked_) out_ += "\r\n";
  flush();
  return state_ == State::kStreaming;
}

void HttpSession::end_stream() {
  if (chunked_ && !is_head_) out_ += "0\r\n\r\n";
  finish_answer();
}

void HttpSession::finish_answer() {
  const auto host = host_.lock();
  on_close_ = nullptr;
  state_ = State::kReading;
  if (!keep_alive_ || peer_closed_ || !host || host->is_draining()) {
    close_after_write_ = true;
  } else {
    waiting_since_ms_ = host->steady_ms();
    set_deadline(*host, host->options().idle_timeout_ms);
  }
  received_ = in_end_ - in_begin_;
  // Inside the parse loop the loop itself goes on; an answer that comes later restarts it.
  if (!advancing_) advance();
}

void HttpSession::fail(int status, std::string_view message) {
  keep_alive_ = false;
  is_head_ = false;
  append_head({status, {{"Content-Type", "text/plain; charset=utf-8"}}, ""},
              "Content-Length: " + std::to_string(message.size() + 1) + "\r\n");
  out_ += message;
  out_ += "\n";
  ++request_;
  close_after_write_ = true;
  parser_->reset(0);  // What has arrived is of no use any more.
  count_body(0);
  if (!advancing_) flush();
}

void HttpSession::flush() {
  if (state_ == State::kClosed || write_pending_) return;
  while (!out_.empty()) {
    writing_.swap(out_);
    out_.clear();
    const WriteOutcome outcome = transport_->write(writing_, shared_from_this());
    if (outcome == WriteOutcome::kPending) {
      write_pending_ = true;
      if (const auto host = host_.lock()) set_deadline(*host, host->options().idle_timeout_ms);
      return;
    }
    writing_.clear();
    if (outcome == WriteOutcome::kFailed) return peer_closed_ ? close() : peer_left();
  }
  if (writing_.capacity() > kReadBytesMax) writing_ = std::string();
  if (close_after_write_ && state_ != State::kLingering) linger();
}

void HttpSession::on_written(bool ok) {
  write_pending_ = false;
  writing_.clear();
  if (state_ == State::kClosed) return;
  if (!ok) return peer_closed_ ? close() : peer_left();
  const auto host = host_.lock();
  if (!host) return close();
  set_deadline(*host, state_ == State::kReading ? host->options().idle_timeout_ms : 0);
  flush();
  if (state_ == State::kReading) advance();
}

// Closing a socket that holds unread bytes makes the kernel reset the connection, and the peer would lose the
// answer. So we end our half, and read on for a moment.
void HttpSession::linger() {
  if (peer_closed_) return close();
  state_ = State::kLingering;
  transport_->shutdown_send();
  const auto host = host_.lock();
  if (!host) return close();
  set_deadline(*host, kLingerMs);
  in_begin_ = in_end_ = 0;
  want_read();
}

void HttpSession::close() {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();
  state_ = State::kClosed;
  deadline_ms_ = 0;
  count_body(0);
  const auto host = host_.lock();
  if (on_close_ && host) host->post(std::exchange(on_close_, nullptr));
  transport_->close();
  if (host) host->session_ended(this);
}

void HttpSession::begin_drain() {
  keep_alive_ = false;
  if (state_ == State::kStreaming) {
    if (on_close_) {
      if (const auto host = host_.lock()) host->post(std::exchange(on_close_, nullptr));
    }
    return end_stream();
  }
  const bool idle = state_ == State::kReading && received_ == 0 && out_.empty() && !write_pending_;
  if (idle) close();
}

bool HttpSession::check_deadline(std::int64_t now_ms) {
  if (deadline_ms_ == 0 || state_ == State::kClosed) return false;
  if (now_ms < deadline_ms_) return true;
  if (state_ == State::kReading && received_ > 0 && !close_after_write_ && !write_pending_) {
    fail(408, "the request did not arrive in time");
    return true;
  }
  close();
  return false;
}

}  // namespace sortie::io
