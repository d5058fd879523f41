#include "api/metrics.h"

#include <cmath>

#include "base/text.h"
#include "json/text.h"

namespace sortie::api {

std::string Metrics::label(std::string_view name, std::string_view value) {
  std::string out = std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + "\"";
}

void Metrics::count_request(std::string_view route, int status, std::int64_t duration_ms) {
  Requests& entry = requests_[{std::string(route), status}];
  ++entry.count;
  entry.duration_ms += duration_ms;
}

std::string Metrics::text() const {
  std::vector<Sample> samples;
  for (const auto& [key, entry] : requests_) {
    const std::string labels = label("route", key.first) + "," + label("status", std::to_string(key.second));
    samples.push_back({"sortie_http_requests_total", labels, static_cast<double>(entry.count), true,
                       "Requests answered, by route or operation and status."});
    samples.push_back({"sortie_http_request_seconds_total", labels,
                       static_cast<double>(entry.duration_ms) / 1000, true,
                       "Time from a request's last byte to its answer."});
  }
  samples.push_back({"sortie_http_requests_open", "", static_cast<double>(open_requests_), false,
                     "Requests being answered, long polls and streams among them."});
  for (const Source& source : sources_) source(samples);
  // A family's lines have to stand together, whoever made them.
  std::map<std::string, std::vector<const Sample*>> families;
  for (const Sample& sample : samples) families[sample.name].push_back(&sample);
  std::string out;
  for (const auto& [name, members] : families) {
    out += "# HELP " + name + " " + replace_all(members.front()->help, "\n", " ") + "\n";
    out += "# TYPE " + name + (members.front()->is_counter ? " counter\n" : " gauge\n");
    for (const Sample* sample : members) {
      out += name;
      if (!sample->labels.empty()) out += "{" + sample->labels + "}";
      const double value = sample->value;
      const bool is_whole = std::abs(value) < 1e15 && value == std::floor(value);
      out += " " + (is_whole ? std::to_string(static_cast<std::int64_t>(value)) : json::number_text(value)) +
             "\n";
    }
  }
  return out;
}

}  // namespace sortie::api
