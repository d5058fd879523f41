#pragma once
// The world of server_world.h from inside: who wants what of the server (server_world.cpp), and what must
// hold (server_world_checks.cpp).
#include "json/text.h"
#include "outcomes.h"
#include "server_node.h"
#include "server_world.h"
#include "simulated_store.h"

namespace sortie::simulation::server_world {

inline constexpr Timestamp kStart{1'800'000'000'000};
inline constexpr std::uint64_t kStepsMax = 120'000;
inline constexpr std::size_t kFaultsMax = 160;
inline constexpr std::size_t kProblemsMax = 5;
inline const std::string kApprovalMachine = "approve";
inline const std::vector<std::string> kMachineNames = {"m0",   "m1",   "m2",        "nest",
                                                       "each", "mend", "mend-each", kApprovalMachine};
inline bool is_redriven(const std::string& machine) { return machine.starts_with("mend"); }

// One who wants something of the server and asks until it is acknowledged.
struct Client {
  std::string mark;
  std::string machine;
  std::string input_text;
  bool by_event = false;
  bool accepted = false;
  std::string event_id;
  std::int64_t redrives = 0;  // That were acknowledged.
};

inline std::string arn_of(const Client& client) {
  return kArnPrefix + "execution:" + client.machine + ":" + client.mark;
}

class World final : public Outside {
 public:
  World(const RunOptions& options, FaultTally& tally);
  ~World() override;
  RunReport run();

 private:
  // What is asked of the server: `ask` calls done(true) when it is acknowledged or refused for good. Without
  // an answer it is asked again.
  using Ask = std::function<void(Node&, std::function<void(bool)> done)>;
  struct Call {
    Ask ask;
    bool finished = false;
    std::uint64_t tries = 0;
  };

  bool chance(int percent) { return static_cast<int>(random_.next() % 100) < percent; }
  std::int64_t up_to(std::int64_t most) {
    return static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(most + 1));
  }
  void problem(const std::string& text);
  bool is_over() const { return report_.problems.size() >= kProblemsMax; }

  void make_machines(std::uint64_t seed);
  void make_clients(const std::set<std::size_t>& chosen);
  void persist(Ask ask, std::int64_t after_ms);
  void try_call(const std::shared_ptr<Call>& call);
  Node* some_node();

  // Processes and the store.
  bool open_store();
  void boot();
  void close_all();
  void end_processes(bool with_power);
  void kill_node(std::size_t index);
  void take_over();
  void maybe_fail();
  void publish();
  void check_start();

  // The world's people and machines.
  void dispatched(Node& node, const runtime::TaskOrder& order) override;
  void at_commit(Node& node) override;
  std::int64_t read_ms() override;
  void found_stuck(Node& node, const runtime::StuckFrame& found) override;
  reference::TaskAnswer function_answers(Node& node, const runtime::TaskOrder& order);
  bool is_mended(Node& node, const std::string& mark);
  void answer_function(Node& node, const runtime::TaskOrder& order);
  void answer_too_late(Node& node, const runtime::AttemptKey& key, Timestamp at);
  void answer_token(const runtime::TaskOrder& order);
  void ask_people(Node& node, const runtime::TaskOrder& order);
  void decide(const std::string& id);
  void begin(Client& client);
  void watch(Client& client);
  void send(Client& client);
  void read_some_history();
  bool has_ended();

  // What holds at the end (server_world_checks.cpp).
  struct Census {
    std::map<std::string, int> of_clients;  // By mark: executions of its own.
    std::map<std::string, int> nested;      // By name of the execution that started them.
  };
  void check_end();
  void check_row(Node& node, const store::ExecutionRow& row, Census& census);
  void check_map_run(Node& node, const store::ExecutionRow& row);
  void check_census(const Census& census);
  void check_one(Node& node, const store::ExecutionRow& row, const runtime::ExecutionDescription& described,
                 const json::Value& machine);
  void check_redriven(Node& node, const store::ExecutionRow& row, const Client& client);
  void check_approval(Node& node, const store::ExecutionRow& row, const json::Value& output);

  SeededRandom random_;
  FaultPlan faults_;
  RunReport report_;
  SimulatedDisk disk_;
  VirtualLoop loop_{kStart};
  SimulatedStore store_{disk_, loop_, faults_, random_};
  std::vector<std::unique_ptr<Node>> nodes_;  // The last one is the owner; one before it is a paused one.
  std::vector<Client> clients_;
  Machines machines_;
  std::set<std::string> recorded_;                        // Keys of attempts whose result was acknowledged.
  std::map<std::string, std::string> decided_;            // Approval id -> what people were told.
  std::map<runtime::AttemptKey, bool> worker_died_;       // Of each attempt of a function.
  std::set<std::string> asked_;                           // Approvals that people know of.
  std::map<std::string, std::vector<std::string>> seen_;  // ARN -> history lines that somebody has read.
  std::deque<std::pair<runtime::AttemptKey, reference::TaskAnswer>> late_;  // Results of a dead process.
  std::uint64_t slowness_ = 0;
  bool calm_ = false;
};

}  // namespace sortie::simulation::server_world
