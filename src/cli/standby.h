#pragma once
// A node that waits: another one owns the store, this one takes every call and hands it on.
//
// Several `sortie serve --store postgres://...` on one database are one service. One of them, the owner,
// holds the lease and does the work; the others are standbys. A standby asks for the store every kTakeOverMs
// and gets it when the owner ends, dies, or is silent for as long as its lease; until then it forwards what
// arrives to the owner's address, byte for byte, with the caller's own credentials: nodes need not trust each
// other, the owner checks who calls. A call that was forwarded once is not forwarded again. While there is no
// owner to be reached the answer is 503 with Retry-After, which SDKs and careful clients repeat.
//
// The live stream is not carried: the answer is a redirect to the owner (307).
#include <functional>
#include <memory>
#include <string>

#include "io/event_loop.h"
#include "io/http_client.h"
#include "io/http_server.h"

namespace sortie::cli {

inline constexpr std::int64_t kTakeOverMs = 100;

class Standby {
 public:
  explicit Standby(io::EventLoop& loop);
  // What is on its way is answered 503: the caller cannot know whether it was carried out.
  ~Standby();

  void set_owner(std::string url) { owner_ = std::move(url); }
  const std::string& owner() const { return owner_; }
  void handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder);

 private:
  std::string owner_;  // Its URL; empty: not known.
  struct OnTheWay;
  std::shared_ptr<OnTheWay> on_the_way_;
  io::HttpClient client_;
};

}  // namespace sortie::cli
