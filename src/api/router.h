#pragma once
// Which handler answers which method and path.
//
// A pattern is a path whose segments are literal text or {name}, which takes one segment, percent-decoded:
// "/v1/executions/{arn}/history". A last segment {name...} takes the rest of the path. Literal segments win
// over {name}. Nothing is done to the path but splitting at '/': no dot segments, no double slashes.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.h"

namespace sortie::api {

struct RouteCall {
  io::HttpRequest request;
  std::map<std::string, std::string> parameters;  // Of the pattern's {names}.
  std::shared_ptr<io::Responder> responder;
};
using RouteHandler = std::function<void(RouteCall)>;

struct RouteMatch {
  const RouteHandler* handler = nullptr;  // Null: no such path, or not with this method.
  std::string pattern;                    // The pattern that matched; "" where none did.
  std::map<std::string, std::string> parameters;
  std::vector<std::string> allowed_methods;  // Where only the method is wrong.
};

class Router {
 public:
  // A second handler for the same method and pattern replaces the first.
  void add(std::string_view method, std::string_view pattern, RouteHandler handler);
  RouteMatch find(std::string_view method, std::string_view raw_path) const;

 private:
  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    RouteHandler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace sortie::api
