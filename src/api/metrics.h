#pragma once
// What the server counts, as Prometheus text (version 0.0.4). Counters and histograms live here; gauges are
// asked for when the text is made, through sources that other floors register. All names begin with
// "sortie_", all durations are in seconds.
//
// Label values come from playbooks and events, so from strangers: a family keeps at most kSeriesMax series,
// and what comes after them is counted under {overflow="true"}.
//
// One thread only: the loop's.
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::api {

class Metrics {
 public:
  static constexpr std::size_t kSeriesMax = 1000;
  // Upper bounds of every histogram's buckets: from a warm invocation to a decision that took days.
  static constexpr std::array<double, 18> kBuckets = {
      0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1'800, 7'200, 28'800, 86'400};

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
  // `name` ends in _total; `labels` as label() makes them, joined by commas.
  void count(std::string_view name, std::string_view labels, std::string_view help);
  // One duration into the histogram `name`, which ends in _seconds.
  void observe(std::string_view name, std::string_view labels, std::string_view help, double seconds);

  // A histogram without labels that is shown before anything was observed.
  void declare(std::string_view name, std::string_view help);

  std::string text() const;
  // name="value" with the value escaped.
  static std::string label(std::string_view name, std::string_view value);

 private:
  struct Requests {
    std::uint64_t count = 0;
    std::int64_t duration_ms = 0;
  };
  struct Histogram {
    std::array<std::uint64_t, kBuckets.size()> in_bucket = {};  // Each alone; the text adds them up.
    std::uint64_t count = 0;
    double sum = 0;
  };
  template <typename Series>
  struct Family {
    std::string help;
    std::map<std::string, Series, std::less<>> series;  // By labels.
    Series& at(std::string_view labels);
  };
  template <typename Series>
  using Families = std::map<std::string, Family<Series>, std::less<>>;

  Histogram& histogram(std::string_view name, std::string_view labels, std::string_view help);
  void add_samples(std::vector<Sample>& out) const;
  std::map<std::pair<std::string, int>, Requests> requests_;  // By route and status.
  Families<std::uint64_t> counters_;
  Families<Histogram> histograms_;
  std::int64_t open_requests_ = 0;
  std::vector<Source> sources_;
};

}  // namespace sortie::api
