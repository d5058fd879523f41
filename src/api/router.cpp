#include "api/router.h"

#include <algorithm>

#include "base/text.h"

namespace sortie::api {
namespace {

bool is_variable(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}
bool is_rest(std::string_view segment) { return is_variable(segment) && segment.ends_with("...}"); }

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> out;
  for (const std::string_view part : split(path.substr(path.starts_with("/") ? 1 : 0), '/')) {
    out.emplace_back(part);
  }
  return out;
}

// How many literal segments the pattern has where it matches the path, or -1.
int match_segments(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
                   std::map<std::string, std::string>* parameters) {
  int literals = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string& wanted = pattern[i];
    if (is_rest(wanted)) {
      std::string rest;
      for (std::size_t j = i; j < path.size(); ++j) rest += (j == i ? "" : "/") + path[j];
      (*parameters)[wanted.substr(1, wanted.size() - 5)] = rest;
      return literals;
    }
    if (i >= path.size()) return -1;
    if (is_variable(wanted)) {
      auto decoded = percent_decode(path[i]);
      if (!decoded || decoded->empty() || !is_valid_utf8(*decoded)) return -1;
      (*parameters)[wanted.substr(1, wanted.size() - 2)] = *decoded;
    } else if (wanted == path[i]) {
      ++literals;
    } else {
      return -1;
    }
  }
  return pattern.size() == path.size() ? literals : -1;
}

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, RouteHandler handler) {
  for (Route& route : routes_) {
    if (route.method == method && route.pattern == pattern) {
      route.handler = std::move(handler);
      return;
    }
  }
  routes_.push_back({std::string(method), std::string(pattern), segments_of(pattern), std::move(handler)});
}

RouteMatch Router::find(std::string_view method, std::string_view raw_path) const {
  RouteMatch best;
  int best_literals = -1;
  const std::vector<std::string> path = segments_of(raw_path);
  for (const Route& route : routes_) {
    std::map<std::string, std::string> parameters;
    const int literals = match_segments(route.segments, path, &parameters);
    if (literals < 0) continue;
    const bool allowed = route.method == method || (method == "HEAD" && route.method == "GET");
    if (!allowed) {
      if (std::find(best.allowed_methods.begin(), best.allowed_methods.end(), route.method) ==
          best.allowed_methods.end()) {
        best.allowed_methods.push_back(route.method);
      }
      continue;
    }
    if (literals <= best_literals) continue;
    best_literals = literals;
    best.handler = &route.handler;
    best.pattern = route.pattern;
    best.parameters = std::move(parameters);
  }
  return best;
}

}  // namespace sortie::api
