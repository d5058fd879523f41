#include "api/host_check.h"

#include <algorithm>

#include "base/text.h"

namespace sortie::api {
namespace {

bool is_allowed(const HostPolicy& policy, const std::string& name) {
  const bool loopback = name == "localhost" || name == "127.0.0.1" || name == "::1";
  if (policy.is_loopback && loopback) return true;
  return std::find(policy.allowed_hosts.begin(), policy.allowed_hosts.end(), name) !=
         policy.allowed_hosts.end();
}

}  // namespace

std::string host_name(std::string_view host_header) {
  std::string_view host = trim(host_header);
  if (host.starts_with("[")) return to_lower_ascii(host.substr(1, host.find(']') - 1));
  return to_lower_ascii(host.substr(0, host.find(':')));
}

Status check_host(const HostPolicy& policy, const io::HttpRequest& request) {
  const std::string host(trim(request.headers.get("host")));
  if (!is_allowed(policy, host_name(host))) {
    return Error{"MisdirectedHost", "this server does not answer to the host name of the request", "",
                 "use its own address, or add the name to hosts in sortie.yaml"};
  }
  const std::string* origin = request.headers.find("origin");
  if (origin == nullptr) return {};
  const std::string own = (request.is_tls ? "https://" : "http://") + to_lower_ascii(host);
  const std::string given = to_lower_ascii(trim(*origin));
  if (given == own || (!policy.public_origin.empty() && given == policy.public_origin)) return {};
  return Error{"ForbiddenOrigin", "requests from pages of other sites are refused", "", ""};
}

}  // namespace sortie::api
