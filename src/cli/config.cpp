#include "cli/config.h"

#include <charconv>
#include <cstdlib>
#include <functional>
#include <optional>

#include "asl/default_retry.h"
#include "base/duration.h"
#include "base/text.h"
#include "events/queue_source.h"
#include "io/file.h"

namespace sortie::cli {
namespace {

bool is_account(std::string_view text) {
  return text.size() == 12 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Walks the known keys of the document and collects what is wrong.
class ConfigReader {
 public:
  explicit ConfigReader(LoadedConfig& out) : out_(out), config_(out.config) {}

  void read() {
    const json::Value& root = config_.document.value;
    if (root.is_null()) return;
    if (!root.is_object())
      return complain("", "sortie.yaml has to hold keys", "write it like `aws: {region: us-east-1}`");
    check_keys("", {"aws",           "accounts", "approvals",     "hooks",     "connectors",
                    "functions",     "defaults", "compatibility", "retention", "data",
                    "listen",        "hosts",    "url",           "tls",       "allow_plain_http",
                    "event_sources", "metrics",  "traces",        "sources",   "http_tasks"});
    read_aws();
    each_text("/accounts", [&](const std::string& account, const std::string& pointer) {
      if (!is_account(account))
        return complain(pointer, "'" + account + "' is no account", "write the 12 digits in quotes");
      config_.accounts.push_back(account);
    });
    each_text("/event_sources", [&](const std::string& source, const std::string&) {
      config_.event_sources.push_back(source);
    });
    each_text("/hosts", [&](const std::string& host, const std::string&) { config_.hosts.push_back(host); });
    check_keys("/http_tasks", {"private_hosts"});
    each_text("/http_tasks/private_hosts", [&](const std::string& host, const std::string& pointer) {
      if (host.empty() || host.find_first_of(",/ @") != std::string::npos)
        return complain(pointer, "'" + host + "' is no host",
                        "write it like intranet.example or 127.0.0.1:9000");
      config_.private_hosts.push_back(host);
    });
    url("/url", &config_.public_url);
    if (const auto mode = choice("/compatibility", {"default", "strict"})) config_.strict = *mode == "strict";
    text("/data", &config_.data_folder);
    text("/listen", &config_.listen);
    flag("/allow_plain_http", &config_.allow_plain_http);
    check_keys("/tls", {"certificate", "key"});
    text("/tls/certificate", &config_.tls_certificate);
    text("/tls/key", &config_.tls_key);
    check_keys("/metrics", {"open", "token"});
    flag("/metrics/open", &config_.metrics_open);
    secret("/metrics/token", &config_.metrics_token);
    check_keys("/traces", {"endpoint", "token"});
    url("/traces/endpoint", &config_.traces_endpoint);
    secret("/traces/token", &config_.traces_token);
    check_keys("/functions", {"sandbox", "workers_max", "concurrency_max", "network"});
    if (const auto mode = choice("/functions/sandbox", {"required", "preferred", "off"}))
      config_.sandbox = *mode;
    number("/functions/workers_max", 1, 1000, &config_.workers_max);
    number("/functions/concurrency_max", 1, 1000, &config_.function_concurrency_max);
    check_keys("/functions/network", {"mode", "loopback", "allow"});
    if (const auto mode = choice("/functions/network/mode", {"private", "isolated", "host"}))
      config_.network_mode = *mode;
    if (const auto loopback = choice("/functions/network/loopback", {"open", "listed"}))
      config_.network_loopback = *loopback;
    each_text("/functions/network/allow",
              [&](const std::string& place, const std::string& pointer) { read_place(place, pointer); });
    if (const auto sources = events::parse_queue_sources(root.get("sources")); !sources)
      complain("/sources" + sources.error().place, sources.error().message, sources.error().hint);
    check_keys("/defaults", {"retry"});
    read_default_retry();
    check_keys("/retention", {"executions", "events"});
    duration("/retention/executions", &config_.keep_executions_ms);
    duration("/retention/events", &config_.keep_events_ms);
  }

 private:
  void read_aws() {
    check_keys("/aws", {"account", "region", "endpoint_url"});
    text("/aws/account", &config_.account);
    if (!is_account(config_.account)) {
      complain("/aws/account", "'" + config_.account + "' is no account", "write the 12 digits in quotes");
      config_.account = "123456789012";
    }
    text("/aws/region", &config_.region);
    url("/aws/endpoint_url", &config_.endpoint_url);
  }

  void read_place(const std::string& place, const std::string& pointer) {
    const std::size_t colon = place.rfind(':');
    const bool has_port = colon != std::string::npos && colon + 1 < place.size() &&
                          place.find_first_not_of("0123456789", colon + 1) == std::string::npos;
    if (!has_port && !place.starts_with("env:") && place.find("://") == std::string::npos) {
      return complain(pointer, "'" + place + "' is no HOST:PORT",
                      "write it like 127.0.0.1:5432, http://localhost:9000 or env:NAME");
    }
    config_.network_allow.push_back(place);
  }

  void read_default_retry() {
    const json::Value& retry = at("/defaults/retry");
    if (retry.is_null()) return;
    const std::vector<asl::Diagnostic> wrong = asl::check_retry(retry);
    for (const asl::Diagnostic& found : wrong) {
      complain("/defaults/retry" + found.pointer, "defaults.retry: " + found.message,
               "write it as a Task's Retry: [{ErrorEquals: [States.ALL], MaxAttempts: 2}]");
    }
    if (wrong.empty()) config_.default_retry = retry;
  }

  const json::Value& at(std::string_view pointer) const {
    static const json::Value kAbsent;
    const json::Value* value = &config_.document.value;
    for (const std::string_view step : split(pointer.substr(pointer.empty() ? 0 : 1), '/')) {
      if (pointer.empty()) break;
      value = &value->get(step);
    }
    return pointer.empty() ? config_.document.value : (value->is_null() ? kAbsent : *value);
  }

  void complain(const std::string& pointer, std::string message, std::string hint) {
    out_.problems.push_back(
        {"InvalidConfiguration", std::move(message), config_.place_of(pointer), std::move(hint)});
  }

  void check_keys(const std::string& pointer, const std::vector<std::string>& known) {
    const json::Value& section = at(pointer);
    if (section.is_null()) return;
    if (!section.is_object())
      return complain(pointer, pointer.substr(1) + " has to hold keys", "known: " + join(known, ", "));
    for (const json::Member& member : section.members()) {
      const std::string key = member.key.to_std_string();
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      complain(pointer + "/" + key, "unknown key '" + key + "'", "known keys here: " + join(known, ", "));
    }
  }

  void text(const std::string& pointer, std::string* out) {
    const json::Value& value = at(pointer);
    if (value.is_null()) return;
    if (!value.is_string())
      return complain(pointer, pointer.substr(1) + " has to be text", "put it in quotes");
    *out = value.to_std_string();
  }

  void url(const std::string& pointer, std::string* out) {
    text(pointer, out);
    if (out->empty() || out->starts_with("http://") || out->starts_with("https://")) return;
    complain(pointer, "'" + *out + "' is no URL", "begin it with http:// or https://");
  }

  void secret(const std::string& pointer, std::string* out) {
    text(pointer, out);
    if (out->empty() || out->starts_with("env:") || out->starts_with("file:")) return;
    out->clear();
    complain(pointer, "a secret must not stand in the file", "name it: env:NAME or file:PATH");
  }

  void flag(const std::string& pointer, bool* out) {
    const json::Value& value = at(pointer);
    if (value.is_null()) return;
    if (!value.is_bool()) return complain(pointer, pointer.substr(1) + " has to be true or false", "");
    *out = value.as_bool();
  }

  void number(const std::string& pointer, int least, int most, int* out) {
    const json::Value& value = at(pointer);
    if (value.is_null()) return;
    if (!value.is_integer() || value.as_integer() < least || value.as_integer() > most) {
      return complain(pointer, pointer.substr(1) + " has to be a whole number",
                      "from " + std::to_string(least) + " to " + std::to_string(most));
    }
    *out = static_cast<int>(value.as_integer());
  }

  void duration(const std::string& pointer, std::int64_t* out) {
    const json::Value& value = at(pointer);
    if (value.is_null()) return;
    const Result<std::int64_t> ms =
        parse_duration_ms(value.is_string() ? std::string(value.as_string()) : json::to_text(value));
    if (!ms) return complain(pointer, pointer.substr(1) + " is no duration", "write it like 30d or 12h");
    *out = *ms;
  }

  std::optional<std::string> choice(const std::string& pointer, const std::vector<std::string>& known) {
    std::string value;
    text(pointer, &value);
    if (value.empty()) return std::nullopt;
    if (std::find(known.begin(), known.end(), value) != known.end()) return value;
    complain(pointer, "'" + value + "' is not known here", "one of: " + join(known, ", "));
    return std::nullopt;
  }

  void each_text(const std::string& pointer,
                 const std::function<void(const std::string&, const std::string&)>& take) {
    const json::Value& list = at(pointer);
    if (list.is_null()) return;
    if (!list.is_array()) return complain(pointer, pointer.substr(1) + " has to be a list", "");
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string item = pointer + "/" + std::to_string(i);
      if (!list[i].is_string()) {
        complain(item, "text is expected", "put it in quotes");
      } else {
        take(list[i].to_std_string(), item);
      }
    }
  }

  LoadedConfig& out_;
  Config& config_;
};

}  // namespace

std::string Config::place_of(std::string pointer) const {
  for (; !pointer.empty(); pointer.resize(pointer.rfind('/'))) {
    const auto found = document.places.find(pointer);
    if (found == document.places.end()) continue;
    return file + ":" + std::to_string(found->second.line) + ":" + std::to_string(found->second.column);
  }
  return file;
}

LoadedConfig load_config(const std::string& folder) {
  LoadedConfig out;
  out.config.folder = folder;
  if (!folder.empty()) {
    out.config.file = folder + "/sortie.yaml";
    if (io::path_exists(out.config.file)) {
      Result<std::string> text = io::read_file(out.config.file, json::kYamlBytesMax);
      Result<json::YamlDocument> document =
          text ? json::parse_yaml(*text) : Result<json::YamlDocument>(text.error());
      if (!document) {
        Error error = document.error();
        error.place = json::place_in_file(out.config.file, error.place);
        out.problems.push_back(std::move(error));
      } else {
        out.config.document = std::move(document).value();
        ConfigReader(out).read();
      }
    }
  }
  if (const char* endpoint = std::getenv("SORTIE_AWS_ENDPOINT_URL")) out.config.endpoint_url = endpoint;
  return out;
}

Result<std::string> resolve_secret(const std::string& reference, const std::string& folder) {
  if (reference.starts_with("env:")) {
    const char* value = std::getenv(reference.c_str() + 4);
    if (value != nullptr) return std::string(value);
    return Error{"SecretMissing", "the environment variable " + reference.substr(4) + " is not set", "", ""};
  }
  if (reference.starts_with("file:")) {
    std::string path = reference.substr(5);
    if (!path.starts_with("/")) path = folder + "/" + path;
    SORTIE_TRY(const std::string text, io::read_file(path, 64 * 1024));
    return std::string(trim(text));
  }
  return Error{"SecretMissing", "a secret has to be named as env:NAME or file:PATH", "", ""};
}

bool HostPort::is_loopback() const {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<std::string> resolve_store_url(const std::string& given, const std::string& folder) {
  const bool is_reference = given.starts_with("env:") || given.starts_with("file:");
  return is_reference ? resolve_secret(given, folder) : Result<std::string>(given);
}

Result<HostPort> parse_listen(const std::string& text) {
  const Error bad{"InvalidListen", "'" + text + "' is no HOST:PORT", "", "write it like 127.0.0.1:8420"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad;
  HostPort out;
  out.host = text.substr(0, colon);
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  const char* const first = text.data() + colon + 1;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, out.port);
  if (error != std::errc() || end != last) return bad;
  return out;
}

}  // namespace sortie::cli
