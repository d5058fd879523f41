#include "api/stream.h"

#include <charconv>

#include "api/rest.h"
#include "base/hash.h"
#include "json/text.h"

namespace sortie::api {

StreamHub::StreamHub(Loop& loop, Random& random) : loop_(loop), epoch_(random_hex(random, 4)) {}

StreamHub::~StreamHub() {
  if (flush_timer_ != 0) loop_.cancel(flush_timer_);
  if (ping_timer_ != 0) loop_.cancel(ping_timer_);
}

void StreamHub::send(const std::string& text) {
  // A write that fails has dropped its reader already.
  readers_.remove_if([&](const Reader& reader) { return !reader.responder->write(text); });
}

std::string StreamHub::ping_text() const {
  return "event: ping\ndata: {\"at\":" + std::to_string(loop_.now().ms) + "}\n\n";
}

void StreamHub::publish(std::string_view type, const json::Value& body) {
  const std::uint64_t number = ++last_number_;
  std::string text = "id: " + epoch_ + "-" + std::to_string(number) + "\nevent: " + std::string(type) +
                     "\ndata: " + json::to_text(body) + "\n\n";
  send(text);
  events_bytes_ += text.size();
  events_.push_back({number, std::move(text)});
  while (events_.size() > kStreamEventsMax || events_bytes_ > kStreamBytesMax) {
    events_bytes_ -= events_.front().text.size();
    events_.pop_front();
  }
}

void StreamHub::publish_latest(std::string_view type, std::string_view key, const json::Value& body) {
  pending_[std::string(type) + " " + std::string(key)] = {std::string(type), body};
  if (flush_timer_ == 0) {
    flush_timer_ = loop_.call_at(loop_.now().plus_ms(kStreamTickMs), [this] { flush(); });
  }
}

void StreamHub::flush() {
  flush_timer_ = 0;
  std::map<std::string, Pending, std::less<>> batch;
  batch.swap(pending_);
  for (const auto& [key, event] : batch) publish(event.type, event.body);
}

void StreamHub::ping() {
  ping_timer_ = 0;
  for (auto reader = readers_.begin(); reader != readers_.end();) {
    const auto current = reader++;
    if (!current->is_allowed || current->is_allowed()) continue;
    const std::shared_ptr<io::Responder> ended = current->responder;
    readers_.erase(current);
    ended->end_stream();
  }
  send(ping_text());
  if (!readers_.empty()) ping_timer_ = loop_.call_at(loop_.now().plus_ms(kStreamPingMs), [this] { ping(); });
}

std::string StreamHub::replay_from(std::string_view last_event_id) const {
  if (last_event_id.empty()) return "";
  std::string reset = "id: " + epoch_ + "-" + std::to_string(last_number_) + "\nevent: reset\ndata: {}\n\n";
  const std::size_t dash = last_event_id.find('-');
  if (dash == std::string_view::npos || last_event_id.substr(0, dash) != epoch_) return reset;
  const std::string_view digits = last_event_id.substr(dash + 1);
  std::uint64_t seen = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seen);
  if (error != std::errc() || end != digits.data() + digits.size() || seen > last_number_) return reset;
  const std::uint64_t oldest = events_.empty() ? last_number_ + 1 : events_.front().number;
  if (seen + 1 < oldest) return reset;
  std::string missed;
  for (const Event& event : events_) {
    if (event.number > seen) missed += event.text;
  }
  return missed;
}

void StreamHub::open(std::shared_ptr<io::Responder> responder, std::string_view last_event_id,
                     std::function<bool()> is_allowed) {
  if (readers_.size() >= kStreamReadersMax) {
    return responder->send(
        rest_error({"TooManyRequests", "too many live streams are open", "", "close some"}));
  }
  io::HttpResponse head;
  head.headers.set("Content-Type", "text/event-stream");
  head.headers.set("Cache-Control", "no-store");
  head.headers.set("X-Accel-Buffering", "no");
  head.body = "retry: 1000\n\n" + replay_from(last_event_id) + "id: " + epoch_ + "-" +
              std::to_string(last_number_) + "\n" + ping_text();
  responder->begin_stream(std::move(head));
  readers_.push_back({responder, std::move(is_allowed)});
  responder->on_close(
      [this, alive = std::weak_ptr<int>(alive_), weak = std::weak_ptr<io::Responder>(responder)] {
        if (alive.expired()) return;
        const auto gone = weak.lock();
        readers_.remove_if([&](const Reader& reader) { return reader.responder == gone; });
      });
  if (ping_timer_ == 0) ping_timer_ = loop_.call_at(loop_.now().plus_ms(kStreamPingMs), [this] { ping(); });
}

void StreamHub::close() {
  std::list<Reader> readers;
  readers.swap(readers_);
  for (const Reader& reader : readers) reader.responder->end_stream();
}

}  // namespace sortie::api
