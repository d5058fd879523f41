#include "api/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "json/text.h"

namespace sortie::api {

namespace {

std::string sample_value(double value) {
  const bool is_whole = std::abs(value) < 1e15 && value == std::floor(value);
  return is_whole ? std::to_string(static_cast<std::int64_t>(value)) : json::number_text(value);
}

void append_head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  out += "# HELP " + std::string(name) + " " + replace_all(help, "\n", " ") + "\n";
  out += "# TYPE " + std::string(name) + " " + std::string(type) + "\n";
}

void append_line(std::string& out, std::string_view name, std::string_view labels, double value) {
  out += name;
  if (!labels.empty()) out += "{" + std::string(labels) + "}";
  out += " " + sample_value(value) + "\n";
}

}  // namespace

std::string Metrics::label(std::string_view name, std::string_view value) {
  std::string out = std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + "\"";
}

template <typename Series>
Series& Metrics::Family<Series>::at(std::string_view labels) {
  const auto found = series.find(labels);
  if (found != series.end()) return found->second;
  if (series.size() >= kSeriesMax) return series["overflow=\"true\""];
  return series[std::string(labels)];
}

void Metrics::count_request(std::string_view route, int status, std::int64_t duration_ms) {
  Requests& entry = requests_[{std::string(route), status}];
  ++entry.count;
  entry.duration_ms += duration_ms;
}

void Metrics::count(std::string_view name, std::string_view labels, std::string_view help) {
  auto found = counters_.find(name);
  if (found == counters_.end())
    found = counters_.emplace(name, Family<std::uint64_t>{std::string(help), {}}).first;
  ++found->second.at(labels);
}

Metrics::Histogram& Metrics::histogram(std::string_view name, std::string_view labels,
                                       std::string_view help) {
  auto found = histograms_.find(name);
  if (found == histograms_.end())
    found = histograms_.emplace(name, Family<Histogram>{std::string(help), {}}).first;
  return found->second.at(labels);
}

void Metrics::declare(std::string_view name, std::string_view help) { histogram(name, "", help); }

void Metrics::observe(std::string_view name, std::string_view labels, std::string_view help, double seconds) {
  Histogram& histogram = this->histogram(name, labels, help);
  const double value = std::max(seconds, 0.0);  // The wall clock may jump back.
  const auto bucket = std::lower_bound(kBuckets.begin(), kBuckets.end(), value);
  if (bucket != kBuckets.end()) ++histogram.in_bucket[static_cast<std::size_t>(bucket - kBuckets.begin())];
  ++histogram.count;
  histogram.sum += value;
}

void Metrics::add_samples(std::vector<Sample>& out) const {
  for (const auto& [key, entry] : requests_) {
    const std::string labels = label("route", key.first) + "," + label("status", std::to_string(key.second));
    out.push_back({"sortie_http_requests_total", labels, static_cast<double>(entry.count), true,
                   "Requests answered, by route or operation and status."});
    out.push_back({"sortie_http_request_seconds_total", labels, static_cast<double>(entry.duration_ms) / 1000,
                   true, "Time from a request's last byte to its answer."});
  }
  out.push_back({"sortie_http_requests_open", "", static_cast<double>(open_requests_), false,
                 "Requests being answered, long polls and streams among them."});
  for (const auto& [name, family] : counters_) {
    for (const auto& [labels, value] : family.series)
      out.push_back({name, labels, static_cast<double>(value), true, family.help});
  }
  for (const Source& source : sources_) source(out);
}

std::string Metrics::text() const {
  std::vector<Sample> samples;
  add_samples(samples);
  // A family's lines have to stand together, whoever made them.
  std::map<std::string, std::vector<const Sample*>> families;
  for (const Sample& sample : samples) families[sample.name].push_back(&sample);
  std::string out;
  for (const auto& [name, members] : families) {
    append_head(out, name, members.front()->help, members.front()->is_counter ? "counter" : "gauge");
    for (const Sample* sample : members) append_line(out, name, sample->labels, sample->value);
  }
  for (const auto& [name, family] : histograms_) {
    append_head(out, name, family.help, "histogram");
    for (const auto& [labels, histogram] : family.series) {
      const std::string before = labels.empty() ? "" : labels + ",";
      std::uint64_t below = 0;
      for (std::size_t i = 0; i < kBuckets.size(); ++i) {
        below += histogram.in_bucket[i];
        append_line(out, name + "_bucket", before + label("le", sample_value(kBuckets[i])),
                    static_cast<double>(below));
      }
      append_line(out, name + "_bucket", before + label("le", "+Inf"), static_cast<double>(histogram.count));
      append_line(out, name + "_sum", labels, histogram.sum);
      append_line(out, name + "_count", labels, static_cast<double>(histogram.count));
    }
  }
  return out;
}

}  // namespace sortie::api
