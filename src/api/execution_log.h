#pragma once
// ExecutionLog sends what a state machine's loggingConfiguration asks for to its CloudWatch Logs group: one
// line a history event, in the form and at the levels that Step Functions uses (ALL; ERROR: what failed,
// timed out or was aborted; FATAL: only how the execution ended).
//
// Delivery is as on AWS: after the commit, in order within an execution, at most once, and never in the way
// of the execution. What cannot be delivered is tried a few times and then dropped; so is what exceeds the
// bounds of the queue. Figures say how much. The history in the store is the record; the log is a copy.
//
// Each group gets one stream of this process, "states/MACHINE/yyyy-mm-dd-hh-mm/ID", made on first use.
// Source: AWS, "Using CloudWatch Logs to log execution history", and recorded log events.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "json/value.h"
#include "runtime/runtime.h"

namespace sortie::api {

// One call of the CloudWatch Logs API.
struct LogCall {
  std::string action;  // "putLogEvents"
  std::string region;
  json::Value parameters;
};

class ExecutionLog {
 public:
  // `done` gets "" or the error's name.
  using Done = std::function<void(const std::string& error)>;
  using Send = std::function<void(LogCall call, Done done)>;
  struct Wiring {
    Loop& loop;
    Random& random;
    Send send;
    std::string region;
  };
  struct Figures {
    std::uint64_t delivered = 0, dropped = 0;
  };

  ExecutionLog(Wiring wiring, runtime::Runtime& runtime);
  Figures figures() const { return figures_; }

 private:
  struct Line {
    Timestamp time;
    std::string text;
  };
  struct Group {
    std::string name, stream, region;
    std::deque<Line> lines;
    std::size_t bytes = 0;
    bool sending = false;
    bool has_stream = false;
    int failures = 0;
  };

  void take(const runtime::ExecutionChange& change);
  void send_next(const std::string& arn);
  void put_lines(const std::string& arn);
  void answered(const std::string& arn, std::size_t count, const std::string& error);
  void call(const Group& group, std::string action, json::Value parameters, Done done);

  Wiring wiring_;
  std::map<std::string, Group> groups_;  // By the group's ARN.
  Figures figures_;
  std::shared_ptr<void> subscription_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

// One event as a line; nothing where this level leaves it out.
std::optional<std::string> log_line(const engine::HistoryEvent& event, const std::string& execution_arn,
                                    std::int64_t redrive_count, std::string_view level,
                                    bool include_execution_data);

}  // namespace sortie::api
