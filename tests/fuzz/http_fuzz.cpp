// Fuzzes: io
// The HTTP server's parser and its connection, fed with arbitrary bytes in arbitrary pieces, without a
// socket.
//
// The first byte says how large the pieces are. Handlers answer at once, later or with a stream, and peers
// leave at every point; nothing may crash, leak or answer more often than it was asked.
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/http_session.h"

namespace {

using sortie::io::HttpHandler;
using sortie::io::HttpRequest;
using sortie::io::HttpResponse;
using sortie::io::HttpServerOptions;
using sortie::io::HttpSession;
using sortie::io::Responder;
using sortie::io::SessionHost;
using sortie::io::Transport;
using sortie::io::TransportEvents;
using sortie::io::WriteOutcome;

struct Wire {
  char* into = nullptr;
  std::size_t room = 0;
  std::shared_ptr<TransportEvents> reader, writer;
  std::string sent;
  bool slow = false;  // Writes finish later.
};

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  void handshake(std::shared_ptr<TransportEvents> events) override { events->on_ready(true); }
  void read(char* into, std::size_t bytes_max, std::shared_ptr<TransportEvents> events) override {
    SORTIE_CHECK(wire_->reader == nullptr);
    wire_->into = into;
    wire_->room = bytes_max;
    wire_->reader = std::move(events);
  }
  WriteOutcome write(std::string_view data, std::shared_ptr<TransportEvents> events) override {
    SORTIE_CHECK(wire_->writer == nullptr);
    wire_->sent += data;
    if (!wire_->slow) return WriteOutcome::kDone;
    wire_->writer = std::move(events);
    return WriteOutcome::kPending;
  }
  void shutdown_send() override {}
  void close() override {}

 private:
  std::shared_ptr<Wire> wire_;
};

struct FakeHost final : SessionHost {
  HttpServerOptions settings;
  HttpHandler handle;
  std::deque<std::function<void()>> posted;
  const HttpServerOptions& options() const override { return settings; }
  const HttpHandler& handler() const override { return handle; }
  std::string_view date() override { return "Thu, 01 Jan 1970 00:00:00 GMT"; }
  std::int64_t steady_ms() override { return 0; }
  bool is_draining() const override { return false; }
  void post(std::function<void()> callback) override { posted.push_back(std::move(callback)); }
  void session_ended(HttpSession*) override {}
  void watch_deadlines() override {}
  bool hold_body(HttpSession*, std::ptrdiff_t) override { return true; }
  void run_posted() {
    while (!posted.empty()) {
      const auto callback = std::move(posted.front());
      posted.pop_front();
      callback();
    }
  }
};

void answer(const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  if (request.path.size() % 3 == 0) {
    responder->begin_stream({200, {}, request.body});
    responder->write(request.query);
    responder->end_stream();
  } else {
    responder->send({200, {{"Echo", std::string(request.headers.get("echo"))}}, request.body});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t piece = static_cast<std::size_t>(data[0]) + 1;
  const bool later = (data[1] & 1) != 0;
  input.remove_prefix(2);

  auto host = std::make_shared<FakeHost>();
  host->settings.header_bytes_max = 2'000;
  host->settings.body_bytes_max = 4'000;
  std::vector<std::pair<HttpRequest, std::shared_ptr<Responder>>> waiting;
  std::size_t asked = 0;
  host->handle = [&](HttpRequest request, std::shared_ptr<Responder> responder) {
    ++asked;
    if (later) {
      waiting.emplace_back(std::move(request), std::move(responder));
    } else {
      answer(request, responder);
    }
  };
  const auto wire = std::make_shared<Wire>();
  wire->slow = (data[1] & 2) != 0;
  auto session = std::make_shared<HttpSession>(host, std::make_unique<FakeTransport>(wire),
                                               HttpSession::Peer{"127.0.0.1", 1, false});
  session->start();
  const auto settle = [&] {
    for (int i = 0; i < 64 && (wire->writer != nullptr || !waiting.empty() || !host->posted.empty()); ++i) {
      if (auto writer = std::exchange(wire->writer, nullptr)) writer->on_written(true);
      for (const auto& [request, responder] : std::exchange(waiting, {})) answer(request, responder);
      host->run_posted();
    }
  };
  while (!input.empty() && wire->reader != nullptr) {
    const std::string_view part = input.substr(0, std::min(piece, wire->room));
    input.remove_prefix(part.size());
    part.copy(wire->into, part.size());
    std::exchange(wire->reader, nullptr)->on_read(true, part.size());
    if ((part.size() & 1) != 0) settle();
  }
  settle();
  session->begin_drain();
  if (auto reader = std::exchange(wire->reader, nullptr)) reader->on_read(false, 0);
  settle();
  session->check_deadline(1'000'000);
  session->close();
  wire->reader = nullptr;
  wire->writer = nullptr;
  host->run_posted();
  return 0;
}
