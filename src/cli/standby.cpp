#include "cli/standby.h"

#include <map>
#include <set>
#include <utility>

#include "base/text.h"

namespace sortie::cli {

namespace standby {

constexpr char kForwarded[] = "X-Sortie-Forwarded";
constexpr int kConnectMs = 1'000;
constexpr int kTimeoutMs = 75'000;  // Longer than the longest poll.
constexpr std::size_t kResponseBytesMax = 64 * 1024 * 1024;

// What is between two neighbours and not between the ends.
bool is_hop_header(std::string_view name) {
  static const std::set<std::string, std::less<>> kNames = {
      "connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer",
      "expect",     "date",       "proxy-connection"};
  return kNames.contains(to_lower_ascii(name));
}

io::HttpHeaders end_to_end(const io::HttpHeaders& headers) {
  io::HttpHeaders kept;
  for (const auto& [name, value] : headers.entries()) {
    if (!is_hop_header(name)) kept.add(name, value);
  }
  return kept;
}

void refuse(io::Responder& responder, const std::string& why) {
  responder.send({503, {{"Retry-After", "1"}, {"Content-Type", "text/plain"}}, why + "\n"});
}

}  // namespace standby

struct Standby::OnTheWay {
  std::map<std::shared_ptr<io::Responder>, io::HttpClient::RequestId> calls;
};

Standby::Standby(io::EventLoop& loop) : on_the_way_(std::make_shared<OnTheWay>()), client_(loop) {}

Standby::~Standby() { give_back("this node takes over"); }

void Standby::set_owner(std::string url) {
  owner_ = std::move(url);
  give_back("the leader has just changed");
}

void Standby::give_back(const std::string& why) {
  for (const auto& [responder, id] : std::exchange(on_the_way_->calls, {})) {
    client_.cancel(id);
    standby::refuse(*responder, why);
  }
}

void Standby::handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
  if (request.path == "/healthz") return responder->send({200, {}, "ok\n"});
  if (owner_.empty()) return standby::refuse(*responder, "no node leads right now");
  if (request.path == "/readyz") return responder->send({200, {}, "worker\n"});
  if (request.headers.has(standby::kForwarded)) {
    return standby::refuse(*responder, "the leader has just changed");
  }
  if (request.path == "/v1/stream") {
    return responder->send({307, {{"Location", owner_ + request.target}}, ""});
  }
  io::HttpClientRequest forwarded;
  forwarded.method = request.method;
  forwarded.url = owner_ + request.target;
  forwarded.headers = standby::end_to_end(request.headers);
  forwarded.headers.set(standby::kForwarded, "1");
  forwarded.body = std::move(request.body);
  forwarded.connect_timeout_ms = standby::kConnectMs;
  forwarded.timeout_ms = standby::kTimeoutMs;
  forwarded.response_bytes_max = standby::kResponseBytesMax;
  const auto id = client_.fetch(
      std::move(forwarded), [way = on_the_way_, responder](const Result<io::HttpResponse>& answer) {
        if (way->calls.erase(responder) == 0) return;
        if (!answer) return standby::refuse(*responder, "the leader does not answer");
        responder->send({answer->status, standby::end_to_end(answer->headers), answer->body});
      });
  on_the_way_->calls.emplace(responder, id);
  // A caller that goes away takes its call back: a long poll must not go on without it.
  responder->on_close([this, id, way = std::weak_ptr(on_the_way_)] {
    if (!way.expired()) client_.cancel(id);
  });
}

}  // namespace sortie::cli
