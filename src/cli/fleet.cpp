#include "cli/fleet.h"

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "cli/log.h"
#include "json/members.h"
#include "json/text.h"
#include "store/postgres/postgres_store.h"

namespace sortie::cli {
namespace fleet {

constexpr char kSignature[] = "X-Sortie-Node";
constexpr std::int64_t kFlushMs = 5;
constexpr std::size_t kOrdersPerPost = 500;
constexpr std::size_t kChangesMax = 5'000;  // Beyond it the leader finds out by itself.
constexpr std::size_t kGoneMax = 5'000;     // Beyond it calls go on for nobody.
constexpr int kConnectMs = 1'000, kTimeoutMs = 3'000;

json::Value number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

json::Value key_json(const runtime::AttemptKey& key) {
  return json::Value::array(
      {number(key.execution), number(key.frame), number(key.entry), number(key.attempt)});
}

std::uint64_t number_at(const json::Value& list, std::size_t at) {
  return list[at].is_integer() ? static_cast<std::uint64_t>(list[at].as_integer()) : 0;
}

runtime::AttemptKey read_key(const json::Value& list) {
  return {number_at(list, 0), static_cast<store::FrameNo>(number_at(list, 1)),
          static_cast<std::uint32_t>(number_at(list, 2)), static_cast<std::uint32_t>(number_at(list, 3))};
}

json::Value change_json(const runtime::ExecutionChange& change) {
  return json::Value::array({change.execution_arn, number(static_cast<std::uint64_t>(change.status)),
                             change.last_event_id, change.began, change.started_at.ms, change.stopped_at.ms});
}

runtime::ExecutionChange read_change(const json::Value& list) {
  runtime::ExecutionChange change;
  change.execution_arn = list[0].is_string() ? list[0].to_std_string() : "";
  change.status = static_cast<store::ExecutionStatus>(number_at(list, 1) % 5);
  change.last_event_id = static_cast<std::int64_t>(number_at(list, 2));
  change.began = list[3].is_bool() && list[3].as_bool();
  change.elsewhere = true;
  change.started_at = {static_cast<std::int64_t>(number_at(list, 4))};
  change.stopped_at = {static_cast<std::int64_t>(number_at(list, 5))};
  return change;
}

}  // namespace fleet

Fleet::Fleet(Wiring wiring) : wiring_(std::move(wiring)), client_(wiring_.loop) {}

Fleet::~Fleet() {
  if (timer_ != 0) wiring_.loop.cancel(timer_);
}

void Fleet::attach(runtime::Runtime& runtime) {
  runtime_ = &runtime;
  cluster_ = runtime.cluster();
  observer_ = runtime.observe([this](const runtime::ExecutionChange& change) { changed(change); });
}

void Fleet::start(bool is_leader) {
  is_leader_ = is_leader;
  look();
}

Status Fleet::begin_work() {
  SORTIE_TRY(const std::optional<std::string> secret, wiring_.store.find_document("meta", "token_key"));
  if (!secret) return Error{"NotReady", "no node has written the identity of this store yet", "", ""};
  key_ = hmac_sha256(*secret, "between nodes");
  SORTIE_TRY_STATUS(wiring_.sharing.announce());
  works_ = true;
  return {};
}

void Fleet::stop() {
  stopped_ = true;
  if (timer_ != 0) wiring_.loop.cancel(timer_);
  timer_ = 0;
}

std::size_t Fleet::shards_owned() const {
  std::size_t owned = 0;
  for (store::ShardNo no = 0; no < store::kSharedShards; ++no) owned += cluster_->owns(no) ? 1 : 0;
  return owned;
}

void Fleet::look() {
  timer_ = wiring_.loop.call_after(kLookMs, [this] { look(); });
  const Result<store::Standing> standing = wiring_.sharing.standing();
  if (!standing) return;  // The database needs a moment.
  if (is_shut_out(*standing)) {
    stop();
    return wiring_.on_lost();
  }
  see_leader(*standing);
  if (!works_ || stopped_) return;
  balance(*standing);
  cluster_->read_inbox();
  if (is_leader_) cluster_->look_around();
  flush_soon();
}

bool Fleet::is_shut_out(const store::Standing& standing) const {
  std::set<store::ShardNo> mine;
  for (const store::ShardStanding& shard : standing.shards) {
    if (shard.is_mine) mine.insert(shard.no);
  }
  if (is_leader_ && !mine.contains(0)) return true;
  for (store::ShardNo no = 1; no < store::kSharedShards; ++no) {
    if (cluster_->owns(no) && !mine.contains(no)) return true;
  }
  return false;
}

void Fleet::see_leader(const store::Standing& standing) {
  owners_.clear();
  std::string leader;
  store::Epoch epoch = 0;
  for (const store::ShardStanding& shard : standing.shards) {
    if (shard.is_held && !shard.is_mine) owners_[shard.no] = shard.address;
    if (shard.no != 0 || shard.is_mine || !shard.is_held) continue;
    leader = shard.address;
    epoch = shard.epoch;
  }
  if (is_leader_) return;
  if (leader.empty()) {
    if (const Result<store::Epoch> taken = wiring_.store.acquire(0)) return become_leader(*taken);
  }
  if (epoch != leader_epoch_ && !leader.empty()) {
    leader_epoch_ = epoch;
    for (auto& [key, order] : orders_) order.heard = false;
  }
  if (leader != leader_ && !leader.empty()) {
    leader_ = leader;
    wiring_.on_leader(leader_);
  }
}

// What it asked of the leader it does itself now. Tasks of activities it offers already.
void Fleet::become_leader(store::Epoch epoch) {
  is_leader_ = true;
  leader_.clear();
  wiring_.on_lead(epoch);
  for (auto& [key, order] : std::exchange(orders_, {})) dispatch(std::move(order.order));
}

void Fleet::balance(const store::Standing& standing) {
  const auto working = std::count_if(standing.nodes.begin(), standing.nodes.end(),
                                     [](const store::NodeStanding& node) { return node.works; });
  const std::size_t nodes = std::max<std::size_t>(static_cast<std::size_t>(working), 1);
  const std::size_t share = (store::kSharedShards - 1 + nodes - 1) / nodes;
  std::vector<store::ShardNo> own;
  for (store::ShardNo no = 1; no < store::kSharedShards; ++no) {
    if (cluster_->owns(no) && !leaving_.contains(no)) own.push_back(no);
  }
  for (; own.size() > share; own.pop_back()) give_up(own.back());
  const std::size_t before = own.size();
  for (store::ShardNo no = 1; no < store::kSharedShards && own.size() < share; ++no) {
    if (cluster_->owns(no) || owners_.contains(no)) continue;
    if (take(no)) own.push_back(no);
  }
  if (own.size() > before) log(LogLevel::kInfo, "this node took shards over");
}

void Fleet::give_up(store::ShardNo shard) {
  leaving_.insert(shard);
  cluster_->give_up(shard, [this, shard] {
    leaving_.erase(shard);
    std::erase_if(orders_,
                  [shard](const auto& each) { return each.first.execution % store::kSharedShards == shard; });
    if (const Status released = wiring_.sharing.release(shard); !released) {
      log(LogLevel::kError, "shard " + std::to_string(shard) + " could not be given up", released.error());
    }
  });
}

bool Fleet::take(store::ShardNo shard) {
  const Result<store::Epoch> epoch = wiring_.store.acquire(shard);
  if (!epoch) return false;  // Another node was faster, or its holder is given a moment more.
  if (cluster_->own(shard, *epoch)) return true;
  // It cannot be read now: whoever comes next tries.
  give_up(shard);
  return false;
}

void Fleet::note(store::ShardNo shard) {
  const auto owner = owners_.find(shard);
  if (owner == owners_.end()) return;  // The next one looks by itself.
  posts_[owner->second].notes = true;
  flush_soon();
}

void Fleet::changed(const runtime::ExecutionChange& change) {
  if (is_leader_ || leader_.empty() || change.elsewhere) return;
  auto& changes = posts_[leader_].changes;
  if (changes.size() >= fleet::kChangesMax) return;
  const auto [found, fresh] = changes.try_emplace(change.execution_arn, change);
  if (!fresh) {
    const bool began = found->second.began;
    found->second = change;
    found->second.began = began || change.began;
  }
  found->second.logged = nullptr;
  flush_soon();
}

void Fleet::flush_soon() {
  if (std::exchange(flushing_, true)) return;
  wiring_.loop.call_after(fleet::kFlushMs, [this] {
    flushing_ = false;
    if (!leader_.empty()) posts_[leader_];
    std::vector<std::string> addresses;
    for (const auto& [address, post] : posts_) addresses.push_back(address);
    for (const std::string& address : addresses) flush(address);
  });
}

void Fleet::flush(const std::string& address) {
  Post& post = posts_[address];
  if (post.under_way || key_.empty()) return;
  std::vector<runtime::AttemptKey> asked;
  std::vector<json::Value> orders, gone, changes;
  if (address == leader_) {
    for (const auto& [key, order] : orders_) {
      if (order.heard || asked.size() == fleet::kOrdersPerPost) continue;
      asked.push_back(key);
      orders.push_back(fleet::key_json(key));
    }
  }
  if (post.empty() && asked.empty()) {
    posts_.erase(address);
    return;
  }
  for (const runtime::AttemptKey& key : post.gone) gone.push_back(fleet::key_json(key));
  for (const auto& [arn, change] : post.changes) changes.push_back(fleet::change_json(change));
  const json::Value body = json::Value::object({{"notes", post.notes},
                                                {"orders", json::Value::array(std::move(orders))},
                                                {"gone", json::Value::array(std::move(gone))},
                                                {"changes", json::Value::array(std::move(changes))}});
  auto told = std::make_shared<Post>(std::move(post));
  post = Post();
  post.under_way = true;
  send(address, json::to_text(body),
       [this, address, told, asked = std::move(asked), epoch = leader_epoch_](bool heard) {
         posts_[address].under_way = false;
         if (!heard) {  // The next look tells it again, to whoever leads then.
           if (is_leader_ || leader_.empty()) return;
           Post& again = posts_[leader_];
           again.changes.merge(told->changes);
           again.gone.insert(again.gone.end(), told->gone.begin(), told->gone.end());
           return;
         }
         for (const runtime::AttemptKey& key : asked) {
           const auto found = orders_.find(key);
           if (found != orders_.end() && epoch == leader_epoch_) found->second.heard = true;
         }
         flush_soon();
       });
}

void Fleet::send(const std::string& address, std::string body, std::function<void(bool heard)> done) {
  io::HttpClientRequest request;
  request.method = "POST";
  request.url = address + std::string(kFleetPath);
  request.headers.set(fleet::kSignature, signature(body));
  request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  request.connect_timeout_ms = fleet::kConnectMs;
  request.timeout_ms = fleet::kTimeoutMs;
  client_.fetch(std::move(request), [done = std::move(done)](const Result<io::HttpResponse>& answer) {
    done(answer && answer->status == 200);
  });
}

std::string Fleet::signature(std::string_view body) const {
  return to_hex(hmac_sha256(key_, std::string(kFleetPath) + "\n" + std::string(body)));
}

void Fleet::handle(const io::HttpRequest& request, const std::shared_ptr<io::Responder>& responder) {
  if (key_.empty()) return responder->send({503, {{"Retry-After", "1"}}, "starting\n"});
  if (!constant_time_equal(request.headers.get(fleet::kSignature), signature(request.body))) {
    return responder->send({403, {}, "this is for the nodes of this service\n"});
  }
  const Result<json::Value> told = json::parse(request.body);
  const bool heard = told && told->is_object() && hear(*told);
  responder->send({heard ? 200 : 503, {}, ""});
}

bool Fleet::hear(const json::Value& told) {
  if (told.get("notes").is_bool() && told.get("notes").as_bool() && works_) cluster_->read_inbox();
  const auto& orders = told.get("orders").items();
  if (!is_leader_) return orders.empty();
  for (const json::Value& key : told.get("gone").items()) cluster_->call_off(fleet::read_key(key));
  for (const json::Value& change : told.get("changes").items()) cluster_->hear(fleet::read_change(change));
  for (const json::Value& key : orders) {
    if (!cluster_->carry_out(fleet::read_key(key))) return false;
  }
  return true;
}

void Fleet::dispatch(runtime::TaskOrder order) {
  const bool is_activity = order.resource->is_activity;
  if (is_leader_ && is_activity) return;  // The runtime offers it.
  if (is_leader_ || !(is_activity || wiring_.needs_leader(order))) {
    return wiring_.below.dispatch(std::move(order));
  }
  const runtime::AttemptKey key = order.key;
  orders_.try_emplace(key, Order{std::move(order)});
  flush_soon();
}

// What is not under way here may be with the leader, also when it has been submitted (a job, an approval).
void Fleet::cancel(const runtime::AttemptKey& key) {
  orders_.erase(key);
  if (!is_leader_ && !leader_.empty() && !wiring_.below.holds(key)) {
    auto& gone = posts_[leader_].gone;
    if (gone.size() < fleet::kGoneMax) gone.push_back(key);
    flush_soon();
  }
  wiring_.below.cancel(key);
}

void Fleet::when_handed_over(const runtime::AttemptKey& key, std::function<void()> go_on) {
  wiring_.below.when_handed_over(key, std::move(go_on));
}

bool Fleet::holds(const runtime::AttemptKey& key) const {
  return orders_.contains(key) || wiring_.below.holds(key);
}

bool Fleet::holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const {
  return wiring_.below.holds_any(is_of);
}

void Fleet::answered(const runtime::AttemptKey& key) { orders_.erase(key); }

}  // namespace sortie::cli
