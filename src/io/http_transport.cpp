#include "io/http_transport.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

namespace sortie::io {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

class TlsContext {
 public:
  asio::ssl::context context{asio::ssl::context::tls_server};
};

namespace {

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(tcp::socket socket) : socket_(std::move(socket)) {
    error_code ignored;
    socket_.non_blocking(true, ignored);
  }

  void handshake(std::shared_ptr<TransportEvents> events) override { events->on_ready(true); }

  void read(char* into, std::size_t bytes_max, std::shared_ptr<TransportEvents> events) override {
    socket_.async_read_some(asio::buffer(into, bytes_max),
                            [events = std::move(events)](const error_code& error, std::size_t bytes) {
                              events->on_read(!error, bytes);
                            });
  }

  // Nearly every answer fits the socket's buffer: one system call, and no way round through the loop.
  WriteOutcome write(std::string_view data, std::shared_ptr<TransportEvents> events) override {
    error_code error;
    std::size_t sent = socket_.write_some(asio::buffer(data.data(), data.size()), error);
    if (error == asio::error::would_block) {
      sent = 0;
    } else if (error) {
      return WriteOutcome::kFailed;
    }
    if (sent == data.size()) return WriteOutcome::kDone;
    asio::async_write(
        socket_, asio::buffer(data.data() + sent, data.size() - sent),
        [events = std::move(events)](const error_code& failed, std::size_t) { events->on_written(!failed); });
    return WriteOutcome::kPending;
  }

  void shutdown_send() override {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(tcp::socket socket, std::shared_ptr<TlsContext> context)
      : context_(std::move(context)), stream_(std::move(socket), context_->context) {}

  void handshake(std::shared_ptr<TransportEvents> events) override {
    stream_.async_handshake(
        asio::ssl::stream_base::server,
        [events = std::move(events)](const error_code& error) { events->on_ready(!error); });
  }

  void read(char* into, std::size_t bytes_max, std::shared_ptr<TransportEvents> events) override {
    stream_.async_read_some(asio::buffer(into, bytes_max),
                            [events = std::move(events)](const error_code& error, std::size_t bytes) {
                              events->on_read(!error, bytes);
                            });
  }

  WriteOutcome write(std::string_view data, std::shared_ptr<TransportEvents> events) override {
    asio::async_write(
        stream_, asio::buffer(data.data(), data.size()),
        [events = std::move(events)](const error_code& error, std::size_t) { events->on_written(!error); });
    return WriteOutcome::kPending;
  }

  // The close_notify goes out with what the socket's buffer takes; the peer's is not waited for.
  void shutdown_send() override {
    error_code ignored;
    stream_.next_layer().non_blocking(true, ignored);
    SSL_shutdown(stream_.native_handle());
    stream_.next_layer().shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  std::shared_ptr<TlsContext> context_;
  asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

Result<std::shared_ptr<TlsContext>> load_tls_context(const std::string& certificate_file,
                                                     const std::string& key_file) {
  auto tls = std::make_shared<TlsContext>();
  error_code error;
  tls->context.set_options(
      asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1,
      error);
  tls->context.use_certificate_chain_file(certificate_file, error);
  if (error) {
    return Error{"TlsFailed", "cannot use the certificate " + certificate_file + ": " + error.message(), "",
                 "give a PEM file with the certificate and its chain"};
  }
  tls->context.use_private_key_file(key_file, asio::ssl::context::pem, error);
  if (error) {
    return Error{"TlsFailed", "cannot use the key " + key_file + ": " + error.message(), "",
                 "give the PEM file of the key that belongs to the certificate, without a passphrase"};
  }
  return tls;
}

std::unique_ptr<Transport> make_plain_transport(tcp::socket socket) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

std::unique_ptr<Transport> make_tls_transport(tcp::socket socket, std::shared_ptr<TlsContext> context) {
  return std::make_unique<TlsTransport>(std::move(socket), std::move(context));
}

}  // namespace sortie::io
