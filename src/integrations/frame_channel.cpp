#include "integrations/frame_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "base/result.h"

namespace sortie::integrations {

// Shared by the channel, its thread and what the thread posted to the loop.
struct FrameChannel::Impl {
  Loop& loop;
  const int descriptor;
  const int wake;  // An eventfd: something to send, or time to end.
  OnFrame on_frame;
  OnClosed on_closed;
  bool over = false;  // The loop's thread only: no callback any more.

  std::mutex mutex;
  std::string outgoing;  // Guarded; taken by the thread.
  bool stopping = false;

  std::thread thread;

  Impl(Loop& loop, int descriptor, OnFrame on_frame, OnClosed on_closed)
      : loop(loop),
        descriptor(descriptor),
        wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        on_frame(std::move(on_frame)),
        on_closed(std::move(on_closed)) {
    SORTIE_CHECK(wake >= 0);
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  }
  ~Impl() {
    ::close(descriptor);
    ::close(wake);
  }

  static void notify(int wake) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake, &one, sizeof one);
  }
};

namespace frame_channel {

// What the thread works with; nothing of it is shared.
class Pump {
 public:
  explicit Pump(int descriptor) : descriptor_(descriptor) {}

  bool has_output() const { return sent_ < output_.size(); }
  void add(std::string text) {
    if (!has_output()) {
      output_ = std::move(text);
      sent_ = 0;
    } else {
      output_ += text;
    }
  }

  // "" when all is well, else why it ended.
  std::string write_some() {
    while (has_output()) {
      const ssize_t count = ::send(descriptor_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
      if (count < 0) return errno == EAGAIN || errno == EINTR ? "" : std::strerror(errno);
      sent_ += static_cast<std::size_t>(count);
    }
    return "";
  }

  std::string read_some(const std::function<void(std::string)>& take) {
    char buffer[64 * 1024];
    const ssize_t count = ::recv(descriptor_, buffer, sizeof buffer, 0);
    if (count == 0) return "it ended";
    if (count < 0) return errno == EAGAIN || errno == EINTR ? "" : std::strerror(errno);
    input_.append(buffer, static_cast<std::size_t>(count));
    std::size_t at = 0;
    while (input_.size() - at >= 4) {
      std::size_t length = 0;
      for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(input_[at + i]);
      if (length > kFrameBytesMax) return "it sent a frame of " + std::to_string(length) + " bytes";
      if (input_.size() - at - 4 < length) break;
      take(input_.substr(at + 4, length));
      at += 4 + length;
    }
    input_.erase(0, at);
    return "";
  }

 private:
  int descriptor_;
  std::string output_, input_;
  std::size_t sent_ = 0;
};

}  // namespace frame_channel

namespace {

template <typename Impl>
void run_channel(const std::shared_ptr<Impl>& impl) {
  frame_channel::Pump pump(impl->descriptor);
  std::string why;
  while (why.empty()) {
    pollfd polled[2] = {{impl->descriptor, POLLIN, 0}, {impl->wake, POLLIN, 0}};
    if (pump.has_output()) polled[0].events |= POLLOUT;
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) break;
    std::uint64_t count = 0;
    if ((polled[1].revents & POLLIN) != 0) {
      [[maybe_unused]] const ssize_t got = ::read(impl->wake, &count, sizeof count);
    }
    {
      const std::lock_guard lock(impl->mutex);
      if (impl->stopping) return;
      if (!impl->outgoing.empty()) pump.add(std::exchange(impl->outgoing, {}));
    }
    why = pump.write_some();
    if (why.empty() && (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      why = pump.read_some([&impl](std::string frame) {
        impl->loop.post([impl, frame = std::move(frame)] {
          if (!impl->over) impl->on_frame(frame);
        });
      });
    }
  }
  impl->loop.post([impl, why] {
    if (impl->over) return;
    impl->over = true;
    impl->on_closed(why);
  });
}

}  // namespace

FrameChannel::FrameChannel(Loop& loop, int descriptor, OnFrame on_frame, OnClosed on_closed)
    : impl_(std::make_shared<Impl>(loop, descriptor, std::move(on_frame), std::move(on_closed))) {
  impl_->thread = std::thread([impl = impl_] { run_channel(impl); });
}

FrameChannel::~FrameChannel() {
  impl_->over = true;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  Impl::notify(impl_->wake);
  impl_->thread.join();
}

void FrameChannel::send(std::string frame) {
  const auto length = static_cast<std::uint32_t>(frame.size());
  SORTIE_CHECK(frame.size() <= kFrameBytesMax);
  std::string head;
  for (int shift = 24; shift >= 0; shift -= 8) head.push_back(static_cast<char>(length >> shift & 0xff));
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->outgoing += head;
    impl_->outgoing += frame;
  }
  Impl::notify(impl_->wake);
}

}  // namespace sortie::integrations
