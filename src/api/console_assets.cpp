#include "api/console_assets.h"

#include <charconv>
#include <memory>

#include "api/rest.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace console_pack {

constexpr std::string_view kMagic = "SORTIE-CONSOLE-1\n";

std::string text(const json::Value& object, std::string_view name) {
  const json::Value& value = object.get(name);
  return value.is_string() ? value.to_std_string() : std::string();
}

// The bytes that [offset, size] names; empty where it is absent or leads outside.
std::string_view slice(std::string_view bytes, const json::Value& range) {
  if (!range.is_array() || range.size() != 2 || !range[0].is_integer() || !range[1].is_integer()) return {};
  const auto offset = static_cast<std::uint64_t>(range[0].as_integer());
  const auto size = static_cast<std::uint64_t>(range[1].as_integer());
  if (offset > bytes.size() || size > bytes.size() - offset) return {};
  return bytes.substr(offset, size);
}

bool accepts(std::string_view header, std::string_view coding) {
  for (const std::string_view part : split(header, ',')) {
    const std::size_t parameters = part.find(';');
    if (!equals_ignore_case_ascii(trim(part.substr(0, parameters)), coding)) continue;
    if (parameters == std::string_view::npos) return true;
    const std::string weight = replace_all(part.substr(parameters + 1), " ", "");
    return weight != "q=0" && weight != "q=0.0" && weight != "q=0.00" && weight != "q=0.000";
  }
  return false;
}

bool has_etag(std::string_view header, std::string_view etag) {
  for (const std::string_view part : split(header, ',')) {
    std::string_view given = trim(part);
    if (given.starts_with("W/")) given.remove_prefix(2);
    if (given == etag || given == "*") return true;
  }
  return false;
}

// Views of the console that can be opened by their address.
constexpr std::string_view kPages[] = {"/",
                                       "/login",
                                       "/executions",
                                       "/executions/{rest...}",
                                       "/approvals",
                                       "/approvals/{id}",
                                       "/audit",
                                       "/events",
                                       "/events/{id}",
                                       "/playbooks",
                                       "/playbooks/{name}",
                                       "/functions",
                                       "/functions/{name}",
                                       "/x/{rest...}",
                                       "/a/{id}",
                                       "/help"};

}  // namespace console_pack

const std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src "
    "'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types sortie";

Result<ConsoleAssets> ConsoleAssets::read(std::string_view pack) {
  ConsoleAssets out;
  if (pack.empty()) return out;
  const Error broken{"InvalidPack", "the console that is built into this program cannot be read", "",
                     "build it again"};
  if (!pack.starts_with(console_pack::kMagic)) return broken;
  std::string_view rest = pack.substr(console_pack::kMagic.size());
  std::size_t index_size = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index_size);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '\n') return broken;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
  if (index_size > rest.size()) return broken;
  const Result<json::Value> index = json::parse(rest.substr(0, index_size));
  if (!index) return broken;
  const std::string_view bytes = rest.substr(index_size);
  for (const json::Value& entry : index->get("files").items()) {
    File file{console_pack::text(entry, "type"), console_pack::text(entry, "etag")};
    file.immutable = entry.get("immutable").is_bool() && entry.get("immutable").as_bool();
    file.raw = console_pack::slice(bytes, entry.get("raw"));
    file.gzip = console_pack::slice(bytes, entry.get("gzip"));
    file.br = console_pack::slice(bytes, entry.get("br"));
    if (file.raw.empty()) return broken;
    out.files_[console_pack::text(entry, "path")] = std::move(file);
  }
  return out;
}

io::HttpResponse ConsoleAssets::serve(std::string_view path, const io::HttpRequest& request) const {
  io::HttpResponse response;
  response.headers.set("Content-Security-Policy", std::string(kContentSecurityPolicy));
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.headers.set("Referrer-Policy", "same-origin");
  response.headers.set("Cross-Origin-Opener-Policy", "same-origin");
  response.headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const auto found = files_.find(path);
  if (found == files_.end()) {
    response.status = 404;
    response.headers.set("Content-Type", "text/plain; charset=utf-8");
    response.body = empty() ? "the console is not part of this program; `make build` makes one with it\n"
                            : "there is no such file\n";
    return response;
  }
  const File& file = found->second;
  response.headers.set("ETag", file.etag);
  response.headers.set("Vary", "Accept-Encoding");
  response.headers.set("Cache-Control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (console_pack::has_etag(request.headers.get("if-none-match"), file.etag)) {
    response.status = 304;
    return response;
  }
  response.headers.set("Content-Type", file.type);
  const std::string_view codings = request.headers.get("accept-encoding");
  if (!file.br.empty() && console_pack::accepts(codings, "br")) {
    response.headers.set("Content-Encoding", "br");
    response.body = std::string(file.br);
  } else if (!file.gzip.empty() && console_pack::accepts(codings, "gzip")) {
    response.headers.set("Content-Encoding", "gzip");
    response.body = std::string(file.gzip);
  } else {
    response.body = std::string(file.raw);
  }
  return response;
}

void add_console_pages(Router& router, const ConsoleAssets& assets, HostPolicy hosts) {
  const auto policy = std::make_shared<HostPolicy>(std::move(hosts));
  const auto serve = [policy, &assets](const RouteCall& call, std::string_view path) {
    if (Status host = check_host(*policy, call.request); !host) {
      return call.responder->send(rest_error(host.error()));
    }
    call.responder->send(assets.serve(path, call.request));
  };
  for (const std::string_view page : console_pack::kPages) {
    router.add("GET", page, [serve](const RouteCall& call) { serve(call, "index.html"); });
  }
  router.add("GET", "/assets/{file}",
             [serve](const RouteCall& call) { serve(call, "assets/" + call.parameters.at("file")); });
  router.add("GET", "/icon.svg", [serve](const RouteCall& call) { serve(call, "icon.svg"); });
}

}  // namespace sortie::api
