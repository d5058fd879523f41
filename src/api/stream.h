#pragma once
// The live stream (GET /v1/stream): server-sent events about what changed, for the console and `run watch`.
//
// Every event has an id "EPOCH-NUMBER"; EPOCH is new with every start of the server. A client that comes back
// with Last-Event-ID gets what it missed, as far as memory holds it (kStreamEventsMax events,
// kStreamBytesMax); where it does not, or the server was restarted, the first event is `reset`: load the
// state again. A reader that is too slow is dropped by io/ and comes back the same way.
//
// Changes of one execution within kStreamTickMs are told as one: the stream says *that* something changed and
// how far the history is, the REST API says what. An event `ping` {"at"} at the start and every kStreamPingMs
// keeps proxies awake and tells a page how far behind it is. The first one carries the id of what was told
// last, so that a reader of a quiet stream, too, can say where it was.
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "io/http_server.h"
#include "json/value.h"

namespace sortie::api {

inline constexpr std::size_t kStreamEventsMax = 4096;
inline constexpr std::size_t kStreamBytesMax = 512 * 1024;  // What is kept for those who come back.
inline constexpr std::size_t kStreamReadersMax = 512;
inline constexpr std::int64_t kStreamTickMs = 50;
inline constexpr std::int64_t kStreamPingMs = 15'000;

class StreamHub {
 public:
  StreamHub(Loop& loop, Random& random);
  ~StreamHub();
  StreamHub(const StreamHub&) = delete;
  StreamHub& operator=(const StreamHub&) = delete;

  // Tells all readers. `type` is the SSE event name ("approval", "event", ...).
  void publish(std::string_view type, const json::Value& body);
  // The same, but a newer one with the same type and key within the tick replaces it.
  void publish_latest(std::string_view type, std::string_view key, const json::Value& body);

  // Answers the request with the stream. `last_event_id` is the client's, "" at first.
  // `is_allowed` is asked at every ping; a stream whose session has ended is ended, too.
  void open(std::shared_ptr<io::Responder> responder, std::string_view last_event_id,
            std::function<bool()> is_allowed = {});
  std::size_t reader_count() const { return readers_.size(); }
  void close();  // Ends every stream.

 private:
  struct Event {
    std::uint64_t number;
    std::string text;
  };
  struct Pending {
    std::string type;
    json::Value body;
  };

  void send(const std::string& text);
  void flush();
  void ping();
  std::string ping_text() const;
  std::string replay_from(std::string_view last_event_id) const;

  Loop& loop_;
  std::string epoch_;
  std::uint64_t last_number_ = 0;
  std::deque<Event> events_;
  std::size_t events_bytes_ = 0;
  std::map<std::string, Pending, std::less<>> pending_;  // By type and key.
  struct Reader {
    std::shared_ptr<io::Responder> responder;
    std::function<bool()> is_allowed;  // May be empty.
  };
  std::list<Reader> readers_;
  Loop::TimerId flush_timer_ = 0;
  Loop::TimerId ping_timer_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // Streams may close after we are gone.
};

}  // namespace sortie::api
