#pragma once
// Fleet is this node among the others on one store: who leads, which shards are ours, and what nodes tell
// each other.
//
// Every kLookMs the store is asked who is there and owns what (store/shared_store.h); that is the truth.
// Shard 0 free: we take it and lead. The other shards are spread evenly over the nodes that work: whoever has
// more than its share gives some up, in order (runtime/cluster.h), whoever has less takes free ones. A node
// that dies leaves its shards when its lease ends. A shard of ours that is another's means that we were shut
// out: `on_lost`, and nothing of this process is of use any more.
//
// What nodes tell each other over HTTP (POST kFleetPath, JSON, signed with a key of the store) only saves
// waiting, or is repeated until it is heard:
//   notes    something lies in an inbox of yours; else the next look finds it
//   orders   leader, carry out these attempts for me; repeated until it has them, and to the next leader
//   gone     leader, nobody waits for these attempts any more
//   changes  leader, these executions have changed (for live views and who waits for their end); else the
//            leader's own look finds it
//
// Orders. A task that only the leader can carry out (it starts executions, puts events, waits for a job or a
// task token, is an activity's, or calls a function that is not here or may call us) goes to the leader; its
// result comes through the inbox.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "io/event_loop.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "runtime/cluster.h"
#include "runtime/runtime.h"
#include "store/shared_store.h"

namespace sortie::cli {

inline constexpr std::string_view kFleetPath = "/v1/nodes/tell";

class Fleet final : public runtime::TaskDispatcher {
 public:
  static constexpr std::int64_t kLookMs = 100;

  struct Wiring {
    io::EventLoop& loop;
    store::Store& store;
    store::Sharing& sharing;
    runtime::TaskDispatcher& below;  // Carries out what is dispatched here.
    // Whether the attempt can only be carried out by the leader.
    std::function<bool(const runtime::TaskOrder&)> needs_leader;
    std::function<void(store::Epoch)> on_lead;
    // The leader's URL, where it is another node and has changed.
    std::function<void(const std::string&)> on_leader;
    std::function<void()> on_lost;
  };
  explicit Fleet(Wiring wiring);
  ~Fleet() override;

  void attach(runtime::Runtime& runtime);
  void start(bool is_leader);  // Begins to look.
  // The runtime has joined or recovered: shards are taken from now on.
  Status begin_work();
  void stop();  // Takes nothing more.
  bool is_leader() const { return is_leader_; }
  std::size_t shards_owned() const;

  void note(store::ShardNo shard);  // Something lies in its inbox.
  void handle(const io::HttpRequest& request, const std::shared_ptr<io::Responder>& responder);

  void dispatch(runtime::TaskOrder order) override;
  void cancel(const runtime::AttemptKey& key) override;
  void when_handed_over(const runtime::AttemptKey& key, std::function<void()> go_on) override;
  bool holds(const runtime::AttemptKey& key) const override;
  bool holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const override;
  void answered(const runtime::AttemptKey& key) override;

 private:
  struct Order {
    runtime::TaskOrder order;
    bool heard = false;  // By the leader of now.
  };
  // What waits to be told to one address.
  struct Post {
    bool notes = false, under_way = false;
    std::vector<runtime::AttemptKey> gone;
    std::map<std::string, runtime::ExecutionChange> changes;  // The latest of each.
    bool empty() const { return !notes && gone.empty() && changes.empty(); }
  };

  void look();
  void see_leader(const store::Standing& standing);
  bool is_shut_out(const store::Standing& standing) const;
  void balance(const store::Standing& standing);
  void give_up(store::ShardNo shard);
  bool take(store::ShardNo shard);
  void become_leader(store::Epoch epoch);
  void changed(const runtime::ExecutionChange& change);
  void flush_soon();
  void flush(const std::string& address);
  void send(const std::string& address, std::string body, std::function<void(bool heard)> done);
  std::string signature(std::string_view body) const;
  bool hear(const json::Value& told);

  Wiring wiring_;
  io::HttpClient client_;
  runtime::Runtime* runtime_ = nullptr;
  runtime::Cluster* cluster_ = nullptr;
  std::string key_;  // Of signatures; empty until work has begun.
  bool is_leader_ = false, works_ = false, stopped_ = false, flushing_ = false;
  std::string leader_;  // Its address, where it is not us; empty: nobody.
  store::Epoch leader_epoch_ = 0;
  std::map<store::ShardNo, std::string> owners_;  // Addresses of other nodes.
  std::set<store::ShardNo> leaving_;              // Being given up.
  std::map<runtime::AttemptKey, Order> orders_;
  std::map<std::string, Post> posts_;  // By address.
  std::shared_ptr<void> observer_;
  io::EventLoop::TimerId timer_ = 0;
};

}  // namespace sortie::cli
