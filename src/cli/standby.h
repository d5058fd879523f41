#pragma once
// The front door of a node that does not lead: it takes every call and hands it on.
//
// Several `sortie serve --store postgres://...` on one database are one service. One of them, the leader
// (here the owner), answers calls; the others work beside it (fleet.h) and forward what arrives to the
// leader's address, byte for byte, with the caller's own credentials: nodes need not trust each other, the
// leader checks who calls. A call that was forwarded once is not forwarded again. While there is no leader to
// be reached the answer is 503 with Retry-After, which SDKs and careful clients repeat; also to what is on
// its way to a leader that is replaced, because it may be frozen and never answer.
//
// The live stream is not carried: the answer is a redirect to the leader (307).
#include <functional>
#include <memory>
#include <string>

#include "io/event_loop.h"
#include "io/http_client.h"
#include "io/http_server.h"

namespace sortie::cli {

class Standby {
 public:
  explicit Standby(io::EventLoop& loop);
  // What is on its way is answered 503: the caller cannot know whether it was carried out.
  ~Standby();

  void set_owner(std::string url);
  const std::string& owner() const { return owner_; }
  void handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder);

 private:
  void give_back(const std::string& why);  // All that is on its way.

  std::string owner_;  // Its URL; empty: not known.
  struct OnTheWay;
  std::shared_ptr<OnTheWay> on_the_way_;
  io::HttpClient client_;
};

}  // namespace sortie::cli
