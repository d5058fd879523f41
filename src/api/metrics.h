#pragma once
// What the server counts, as Prometheus text (version 0.0.4). Counters live here; gauges are asked for when
// the text is made, through sources that other floors register. All names begin with "sortie_".
// One thread only: the loop's.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::api {

class Metrics {
 public:
  struct Sample {
    std::string name;    // "sortie_executions_open"
    std::string labels;  // "" or text made by label()
    double value = 0;
    bool is_counter = false;  // It only grows; its name ends in _total.
    std::string help;
  };
  using Source = std::function<void(std::vector<Sample>&)>;

  void add_source(Source source) { sources_.push_back(std::move(source)); }
  // One finished request. `route` is a pattern or an operation, never text that a client made up.
  void count_request(std::string_view route, int status, std::int64_t duration_ms);
  void change_open_requests(std::int64_t change) { open_requests_ += change; }

  std::string text() const;
  // name="value" with the value escaped.
  static std::string label(std::string_view name, std::string_view value);

 private:
  struct Requests {
    std::uint64_t count = 0;
    std::int64_t duration_ms = 0;
  };
  std::map<std::pair<std::string, int>, Requests> requests_;  // By route and status.
  std::int64_t open_requests_ = 0;
  std::vector<Source> sources_;
};

}  // namespace sortie::api
