#pragma once
// An HTTP/1.1 server on the loop.
//
// Each complete request is handed to the handler together with a Responder, which answers at once or later
// (long polls), whole or as a stream (server-sent events). Requests of one connection are handled one after
// the other, in order, so pipelining is safe. What a peer can do is bounded: header bytes (431), body bytes
// (413), time to send a request (408), idle time, number of connections (503), unread stream output (the
// connection is dropped). A request that is no HTTP gets 400 and the connection is closed, and so does one
// that a proxy in front might have read differently: more than one Host, a coding of the body that is not
// ours (501).
//
// Nobody can keep others out by merely being there. Where connections are at their limit, a new one takes the
// place of the one that has been waiting longest for its peer's next request; 503 is answered only where all
// are being served. Where the bodies that are arriving come to more than `received_bytes_max`, the largest is
// refused (503), so that small requests go on beside uploads that nobody has signed for yet.
//
// Everything runs on the loop's thread. The handler must not throw.
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/event_loop.h"
#include "io/http_message.h"

namespace sortie::io {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // An address or a name that resolves to one.
  std::uint16_t port = 0;          // 0 picks a free one; see HttpServer::port().
  int listener = -1;               // Where set, this listening socket is taken over instead of host and port.
  std::size_t header_bytes_max = 64 * 1024;
  std::size_t body_bytes_max = 8 * 1024 * 1024;
  // Where set, decides per request instead of body_bytes_max (method, raw target).
  std::function<std::size_t(std::string_view method, std::string_view target)> body_bytes_max_for;
  int request_timeout_ms = 30'000;  // From a request's first byte to its last. 0: none.
  int idle_timeout_ms = 75'000;     // Between requests, and before the first. 0: none.
  std::size_t connections_max = 4'096;
  std::size_t received_bytes_max = 256 * 1024 * 1024;  // Bodies that are arriving, over all connections.
  std::size_t stream_bytes_max = 1024 * 1024;          // Unsent output of one stream.
  std::string certificate_file;                        // PEM; TLS is spoken if both are set.
  std::string key_file;
  // Where set, a new connection is dropped at once unless this returns true (address, port of the peer).
  std::function<bool(const std::string& address, std::uint16_t port)> accept_peer;
  bool accept_loopback_port_reuse = true;  // SO_REUSEADDR, so a restart can listen again at once.
};

// Answers one request, exactly once: send(), or begin_stream() ... end_stream(). A Responder that is dropped
// unanswered answers 500. Calls after the peer has gone are ignored.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(HttpResponse response) = 0;
  // Sends status and headers; the body follows by write() in chunks. `head.body`, if any, is the first chunk.
  virtual void begin_stream(HttpResponse head) = 0;
  // False when the stream is closed or was just dropped because the peer does not read.
  virtual bool write(std::string_view chunk) = 0;
  virtual void end_stream() = 0;
  // The peer is still there and the answer is not finished.
  virtual bool is_open() const = 0;
  // Runs once, from the loop, when the peer goes away before the answer is finished.
  virtual void on_close(std::function<void()> callback) = 0;
};

using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<Responder> responder)>;

class HttpServer {
 public:
  // Errors: "AddressInUse", "ListenFailed", "TlsFailed", each with the address and what to do.
  static Result<std::unique_ptr<HttpServer>> listen(EventLoop& loop, HttpServerOptions options,
                                                    HttpHandler handler);
  ~HttpServer();  // Drops everything.

  const std::string& address() const;  // The address it listens on, e.g. "127.0.0.1".
  std::uint16_t port() const;
  std::size_t connection_count() const;

  // Stops accepting, closes idle connections, lets requests in progress finish; streams are ended. A long
  // poll is a request in progress: whoever holds its responder should answer it now. Calls back when the last
  // connection is closed or `deadline_ms` has passed (then the rest is dropped).
  void drain(std::int64_t deadline_ms, std::function<void()> done);
  // Drops every connection and stops listening, at once.
  void close();

  struct Impl;

 private:
  explicit HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace sortie::io
