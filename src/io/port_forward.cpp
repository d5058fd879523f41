#include "io/port_forward.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>

#include "io/event_loop_impl.h"

namespace sortie::io {

namespace forwarding {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// Two sockets and what goes either way. Lives as long as one of its operations.
class Joint : public std::enable_shared_from_this<Joint> {
 public:
  Joint(tcp::socket near, std::shared_ptr<std::size_t> count)
      : near_(std::move(near)),
        far_(near_.get_executor()),
        limit_(near_.get_executor()),
        count_(std::move(count)) {
    ++*count_;
  }
  ~Joint() { --*count_; }
  Joint(const Joint&) = delete;
  Joint& operator=(const Joint&) = delete;

  void join(const tcp::endpoint& target) {
    limit_.expires_after(std::chrono::milliseconds(kForwardConnectMs));
    limit_.async_wait([weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (!error && self) self->close();
    });
    far_.async_connect(target, [self = shared_from_this()](const error_code& error) {
      self->limit_.cancel();
      if (error) return self->refuse();
      error_code ignored;
      self->near_.set_option(tcp::no_delay(true), ignored);
      self->far_.set_option(tcp::no_delay(true), ignored);
      self->pass(self->near_, self->far_, self->buffers_[0]);
      self->pass(self->far_, self->near_, self->buffers_[1]);
    });
  }

 private:
  using Buffer = std::array<char, 64 * 1024>;

  void pass(tcp::socket& from, tcp::socket& to, Buffer& buffer) {
    from.async_read_some(asio::buffer(buffer), [self = shared_from_this(), &from, &to, &buffer](
                                                   const error_code& error, std::size_t got) {
      if (error == asio::error::eof) {
        error_code ignored;
        to.shutdown(tcp::socket::shutdown_send, ignored);
        return;
      }
      if (error) return self->close();
      asio::async_write(to, asio::buffer(buffer.data(), got),
                        [self, &from, &to, &buffer](const error_code& failed, std::size_t) {
                          if (failed) return self->close();
                          self->pass(from, to, buffer);
                        });
    });
  }
  // The caller sees a reset, as it would at a port where nothing listens.
  void refuse() {
    error_code ignored;
    near_.set_option(asio::socket_base::linger(true, 0), ignored);
    close();
  }
  void close() {
    error_code ignored;
    near_.close(ignored);
    far_.close(ignored);
  }

  tcp::socket near_, far_;
  asio::steady_timer limit_;
  std::array<Buffer, 2> buffers_;
  std::shared_ptr<std::size_t> count_;
};

}  // namespace
}  // namespace forwarding

struct PortForward::Impl : std::enable_shared_from_this<PortForward::Impl> {
  explicit Impl(EventLoop& loop)
      : acceptor(loop.impl().context), pause(loop.impl().context), count(std::make_shared<std::size_t>(0)) {}

  void accept() {
    acceptor.async_accept([self = shared_from_this()](const boost::system::error_code& error,
                                                      boost::asio::ip::tcp::socket socket) {
      if (self->closed) return;
      if (!error) {
        if (*self->count < kForwardConnectionsMax)
          std::make_shared<forwarding::Joint>(std::move(socket), self->count)->join(self->target);
        return self->accept();
      }
      // Out of descriptors: trying again at once would only burn the processor.
      self->pause.expires_after(std::chrono::milliseconds(100));
      self->pause.async_wait([self](const boost::system::error_code& cancelled) {
        if (!cancelled && !self->closed) self->accept();
      });
    });
  }

  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::steady_timer pause;
  boost::asio::ip::tcp::endpoint target;
  std::shared_ptr<std::size_t> count;
  bool closed = false;
};

Result<std::unique_ptr<PortForward>> PortForward::start(EventLoop& loop, int listener,
                                                        const std::string& address, std::uint16_t port) {
  auto impl = std::make_shared<Impl>(loop);
  boost::system::error_code error;
  sockaddr_storage own{};
  socklen_t length = sizeof(own);
  const bool known = ::getsockname(listener, reinterpret_cast<sockaddr*>(&own), &length) == 0;
  impl->target = {boost::asio::ip::make_address(address, error), port};
  if (!error && known) {
    const bool v6 = own.ss_family == AF_INET6;
    impl->acceptor.assign(v6 ? boost::asio::ip::tcp::v6() : boost::asio::ip::tcp::v4(), listener, error);
  }
  if (error || !known) {
    ::close(listener);
    return Error{"ForwardFailed", "cannot pass connections on to " + address, "", ""};
  }
  impl->accept();
  return std::unique_ptr<PortForward>(new PortForward(std::move(impl)));
}

PortForward::~PortForward() {
  boost::system::error_code ignored;
  impl_->closed = true;
  impl_->acceptor.close(ignored);
  impl_->pause.cancel();
}

}  // namespace sortie::io
