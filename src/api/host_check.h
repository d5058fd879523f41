#pragma once
// Protection of the REST API and the console against pages of other sites: a browser that was tricked into
// resolving some name to our address (DNS rebinding) sends that name as Host; a page of another origin sends
// its Origin. Routes that check SigV4 do not ask here: SDKs invent host names.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/http_message.h"

namespace sortie::api {

struct HostPolicy {
  // Names without port, lower case. Loopback names are always fine when we listen on loopback.
  std::vector<std::string> allowed_hosts;
  bool is_loopback = true;
  // Where a proxy speaks TLS for us: "https://sortie.example", lower case; "" where there is none.
  std::string public_origin = {};
};

// Errors: "MisdirectedHost" (Host), "ForbiddenOrigin" (Origin).
Status check_host(const HostPolicy& policy, const io::HttpRequest& request);

// "[::1]:8420" -> "::1", "Sortie.example:80" -> "sortie.example"
std::string host_name(std::string_view host_header);

}  // namespace sortie::api
