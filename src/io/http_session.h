#pragma once
// One connection of the HTTP server: bytes in, requests to the handler, answers out. Knows no sockets: a
// Transport (plain or TLS) moves the bytes, so tests and the fuzzer feed it by hand.
//
// A session reads one request at a time; what a pipelining peer sent beyond it stays in the buffer until the
// answer is out. While a request is being handled one read stays pending, which is how a peer that went away
// is noticed. The host (http_server.cpp) looks at every session about once a second for missed deadlines.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/http_message.h"
#include "io/http_server.h"

namespace sortie::io {

enum class WriteOutcome { kDone, kPending, kFailed };

class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  virtual void on_ready(bool ok) = 0;                    // Handshake done.
  virtual void on_read(bool ok, std::size_t bytes) = 0;  // !ok: the peer closed or the connection broke.
  virtual void on_written(bool ok) = 0;
};

// At most one read and one write at a time; both keep `events` alive until they are done.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual void handshake(std::shared_ptr<TransportEvents> events) = 0;
  virtual void read(char* into, std::size_t bytes_max, std::shared_ptr<TransportEvents> events) = 0;
  // `data` stays valid until on_written unless the outcome is kDone or kFailed.
  virtual WriteOutcome write(std::string_view data, std::shared_ptr<TransportEvents> events) = 0;
  virtual void shutdown_send() = 0;
  virtual void close() = 0;
};

class HttpSession;

struct SessionHost {
  virtual ~SessionHost() = default;
  virtual const HttpServerOptions& options() const = 0;
  virtual const HttpHandler& handler() const = 0;
  virtual std::string_view date() = 0;  // For the Date header.
  virtual std::int64_t steady_ms() = 0;
  virtual bool is_draining() const = 0;
  virtual void post(std::function<void()> callback) = 0;
  virtual void session_ended(HttpSession* session) = 0;
  virtual void watch_deadlines() = 0;  // Some session has a deadline now.
  // The session's arriving body grew or shrank. False: it is the one that has to be refused, for lack of
  // room.
  virtual bool hold_body(HttpSession* session, std::ptrdiff_t change) = 0;
};

class HttpSession final : public TransportEvents, public std::enable_shared_from_this<HttpSession> {
 public:
  struct Peer {
    std::string address;
    std::uint16_t port = 0;
    bool is_tls = false;
  };

  HttpSession(std::weak_ptr<SessionHost> host, std::unique_ptr<Transport> transport, Peer peer);
  ~HttpSession() override;

  void start();
  bool check_deadline(std::int64_t now_ms);  // Whether there still is one.
  // Closes at once when nothing is in progress, else after the answer in progress; ends streams.
  void begin_drain();
  void close();  // Drops the connection.
  // Answers one error and closes: for connections beyond the limit.
  void refuse(int status, std::string_view message);
  // Since when it waits for its peer's next request; nothing while one is being answered.
  std::optional<std::int64_t> waiting_since_ms() const;
  std::size_t body_bytes() const { return body_bytes_; }  // Of the body that is arriving.

  void on_ready(bool ok) override;
  void on_read(bool ok, std::size_t bytes) override;
  void on_written(bool ok) override;

 private:
  friend class SessionResponder;
  struct Parser;
  enum class State { kReading, kHandling, kStreaming, kLingering, kClosed };

  void advance();
  bool parse();       // One step; false: more bytes are needed.
  bool judge_head();  // Whether the body may come.
  bool parse_body();  // After the header.
  void dispatch();
  void fail(int status, std::string_view message);
  void append_head(const HttpResponse& response, std::string_view framing);
  void answer(HttpResponse response);
  void begin_stream(HttpResponse head);
  bool write_chunk(std::string_view chunk);
  void end_stream();
  void finish_answer();
  void flush();
  void want_read();
  void peer_left();
  void linger();
  bool can_answer(std::uint64_t request) const;
  void set_deadline(SessionHost& host, std::int64_t delay_ms);
  bool count_body(std::size_t bytes);  // False: there is no room for it.

  std::weak_ptr<SessionHost> host_;
  std::unique_ptr<Transport> transport_;
  Peer peer_;
  std::unique_ptr<Parser> parser_;
  State state_ = State::kReading;
  std::string in_;  // Received, not yet parsed: [in_begin_, in_end_).
  std::size_t in_begin_ = 0, in_end_ = 0;
  std::string out_;               // Not yet handed to the transport.
  std::string writing_;           // Being written.
  std::uint64_t request_ = 0;     // Counts requests; a responder of an earlier one is void.
  std::int64_t deadline_ms_ = 0;  // 0: none.
  std::int64_t waiting_since_ms_ = 0;
  std::size_t body_bytes_ = 0;
  std::size_t received_ = 0;  // Bytes of the request in progress.
  std::size_t progress_mark_ = 0;
  std::size_t lingered_ = 0;
  std::function<void()> on_close_;
  bool reading_ = false, write_pending_ = false, advancing_ = false;
  bool keep_alive_ = true, http_1_0_ = false, is_head_ = false, chunked_ = false;
  bool peer_closed_ = false, close_after_write_ = false;
};

}  // namespace sortie::io
