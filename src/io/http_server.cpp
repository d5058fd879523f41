#include "io/http_server.h"

#include <time.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <unordered_map>

#include "io/event_loop_impl.h"
#include "io/http_session.h"
#include "io/http_transport.h"

namespace sortie::io {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

constexpr auto kSweep = std::chrono::milliseconds(500);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

Error listen_error(const error_code& error, const HttpServerOptions& options) {
  const std::string where = options.host + ":" + std::to_string(options.port);
  if (error == asio::error::address_in_use) {
    return {"AddressInUse", "another program already listens on " + where, "",
            "stop it, or choose another port (0 picks a free one)"};
  }
  if (error == asio::error::access_denied) {
    return {"ListenFailed", "listening on " + where + " is not permitted", "",
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher port"};
  }
  return {"ListenFailed", "cannot listen on " + where + ": " + error.message(), "",
          "give an address of this machine, e.g. 127.0.0.1 or 0.0.0.0"};
}

}  // namespace

struct HttpServer::Impl final : SessionHost, std::enable_shared_from_this<HttpServer::Impl> {
  Impl(EventLoop& loop_in, HttpServerOptions options_in, HttpHandler handler_in)
      : loop(loop_in),
        options_(std::move(options_in)),
        handler_(std::move(handler_in)),
        acceptor(loop.impl().context),
        sweeper(loop.impl().context),
        pause(loop.impl().context) {}

  const HttpServerOptions& options() const override { return options_; }
  const HttpHandler& handler() const override { return handler_; }
  bool is_draining() const override { return draining; }
  void post(std::function<void()> callback) override { loop.post(std::move(callback)); }
  std::int64_t steady_ms() override {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
  }
  std::string_view date() override {
    timespec time{};
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    if (time.tv_sec != date_second) {
      date_second = time.tv_sec;
      tm parts{};
      gmtime_r(&time.tv_sec, &parts);
      char text[40];
      date_text.assign(text, strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts));
    }
    return date_text;
  }
  void session_ended(HttpSession* session) override {
    sessions.erase(session);
    if (sessions.empty() && drained) loop.post(std::exchange(drained, nullptr));
  }

  void watch_deadlines() override {
    if (sweeping || closed) return;
    sweeping = true;
    sweep();
  }

  bool hold_body(HttpSession* session, std::ptrdiff_t change) override;

  Status open();
  Status adopt();
  Status bind();
  void accept();
  void accepted(tcp::socket socket);
  bool make_room();
  void sweep();
  void close();

  EventLoop& loop;
  HttpServerOptions options_;
  HttpHandler handler_;
  tcp::acceptor acceptor;
  asio::steady_timer sweeper;
  asio::steady_timer pause;
  std::shared_ptr<TlsContext> tls;
  std::unordered_map<HttpSession*, std::shared_ptr<HttpSession>> sessions;
  std::ptrdiff_t body_bytes = 0;  // Of all bodies that are arriving.
  std::string address;
  std::uint16_t port = 0;
  bool draining = false, closed = false, sweeping = false;
  std::function<void()> drained;
  Loop::TimerId drain_timer = 0;
  std::int64_t date_second = -1;
  std::string date_text;
};

Status HttpServer::Impl::open() {
  if (!options_.certificate_file.empty() && !options_.key_file.empty()) {
    SORTIE_TRY(tls, load_tls_context(options_.certificate_file, options_.key_file));
  }
  SORTIE_TRY_STATUS(options_.listener >= 0 ? adopt() : bind());
  error_code ignored;
  const tcp::endpoint local = acceptor.local_endpoint(ignored);
  address = local.address().to_string();
  port = local.port();
  accept();
  return {};
}

Status HttpServer::Impl::adopt() {
  error_code error;
  acceptor.assign(tcp::v4(), options_.listener, error);
  if (!error) return {};
  ::close(options_.listener);
  return listen_error(error, options_);
}

Status HttpServer::Impl::bind() {
  error_code error;
  tcp::resolver resolver(loop.impl().context);
  const auto found = resolver.resolve(options_.host, std::to_string(options_.port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return Error{"ListenFailed", "cannot resolve the address " + options_.host, "",
                 "give an address of this machine, e.g. 127.0.0.1 or 0.0.0.0"};
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), error);
  if (!error && options_.accept_loopback_port_reuse)
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (error) return listen_error(error, options_);
  return {};
}

void HttpServer::Impl::accept() {
  if (draining || closed) return;
  acceptor.async_accept([self = shared_from_this()](const error_code& error, tcp::socket socket) {
    if (self->closed || self->draining) return;
    if (!error) {
      self->accepted(std::move(socket));
      return self->accept();
    }
    if (error == asio::error::operation_aborted) return;
    // Out of descriptors: trying again at once would only burn the processor.
    self->pause.expires_after(kAcceptPause);
    self->pause.async_wait([self](const error_code& cancelled) {
      if (!cancelled) self->accept();
    });
  });
}

void HttpServer::Impl::accepted(tcp::socket socket) {
  error_code error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return;
  HttpSession::Peer peer{remote.address().to_string(), remote.port(), tls != nullptr};
  if (options_.accept_peer && !options_.accept_peer(peer.address, peer.port)) return;
  socket.set_option(tcp::no_delay(true), error);
  const bool full = sessions.size() >= options_.connections_max && !make_room();
  auto transport =
      tls && !full ? make_tls_transport(std::move(socket), tls) : make_plain_transport(std::move(socket));
  auto session = std::make_shared<HttpSession>(weak_from_this(), std::move(transport), std::move(peer));
  sessions.emplace(session.get(), session);
  // A few connections over the limit may hear why; beyond that they are just dropped.
  if (!full) return session->start();
  if (tls || sessions.size() > options_.connections_max + 64) return session->close();
  session->refuse(503, "too many connections");
}

// Ends the connection that has been waiting longest for its peer. False: all are being served.
bool HttpServer::Impl::make_room() {
  HttpSession* idlest = nullptr;
  std::int64_t since_ms = 0;
  for (const auto& [session, owner] : sessions) {
    const auto waiting = session->waiting_since_ms();
    if (!waiting || (idlest != nullptr && *waiting >= since_ms)) continue;
    idlest = session;
    since_ms = *waiting;
  }
  if (idlest != nullptr) idlest->close();
  return idlest != nullptr;
}

bool HttpServer::Impl::hold_body(HttpSession* session, std::ptrdiff_t change) {
  body_bytes += change;
  if (change <= 0 || body_bytes <= static_cast<std::ptrdiff_t>(options_.received_bytes_max)) return true;
  std::shared_ptr<HttpSession> largest;
  for (const auto& [key, owner] : sessions) {
    if (largest == nullptr || key->body_bytes() > largest->body_bytes()) largest = owner;
  }
  if (largest == nullptr || largest.get() == session) return false;
  largest->refuse(503, "too many large requests are arriving at once; try again");
  return true;
}

void HttpServer::Impl::sweep() {
  sweeper.expires_after(kSweep);
  sweeper.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (error || !self || self->closed) return;
    const std::int64_t now = self->steady_ms();
    std::vector<std::shared_ptr<HttpSession>> all;
    all.reserve(self->sessions.size());
    for (const auto& [key, session] : self->sessions) all.push_back(session);
    bool waiting = false;
    for (const auto& session : all) waiting = session->check_deadline(now) || waiting;
    self->sweeping = waiting;
    if (waiting) self->sweep();
  });
}

void HttpServer::Impl::close() {
  if (closed) return;
  closed = true;
  error_code ignored;
  acceptor.close(ignored);
  sweeper.cancel();
  pause.cancel();
  loop.cancel(drain_timer);
  auto all = sessions;
  for (const auto& [key, session] : all) session->close();
  if (drained) loop.post(std::exchange(drained, nullptr));
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(EventLoop& loop, HttpServerOptions options,
                                                       HttpHandler handler) {
  auto impl = std::make_shared<Impl>(loop, std::move(options), std::move(handler));
  if (Status status = impl->open(); !status) {
    impl->closed = true;
    return status.error();
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::~HttpServer() { impl_->close(); }

const std::string& HttpServer::address() const { return impl_->address; }
std::uint16_t HttpServer::port() const { return impl_->port; }
std::size_t HttpServer::connection_count() const { return impl_->sessions.size(); }
void HttpServer::close() { impl_->close(); }

void HttpServer::drain(std::int64_t deadline_ms, std::function<void()> done) {
  if (impl_->closed || impl_->draining) {
    impl_->loop.post(std::move(done));
    return;
  }
  impl_->draining = true;
  error_code ignored;
  impl_->acceptor.close(ignored);
  auto all = impl_->sessions;
  for (const auto& [key, session] : all) session->begin_drain();
  if (impl_->sessions.empty()) {
    impl_->loop.post(std::move(done));
    return;
  }
  impl_->drained = std::move(done);
  impl_->drain_timer = impl_->loop.call_after(deadline_ms, [weak = std::weak_ptr(impl_)] {
    if (const auto self = weak.lock()) self->close();
  });
}

}  // namespace sortie::io
