#include "io/http_message.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace sortie::io {

const std::string* HttpHeaders::find(std::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (equals_ignore_case_ascii(key, name)) return &value;
  }
  return nullptr;
}

std::string_view HttpHeaders::get(std::string_view name) const {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

void HttpHeaders::set(std::string name, std::string value) {
  erase(name);
  add(std::move(name), std::move(value));
}

void HttpHeaders::erase(std::string_view name) {
  std::erase_if(entries_, [&](const Entry& entry) { return equals_ignore_case_ascii(entry.first, name); });
}

Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  if (query.empty()) return parameters;
  for (const std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const std::string name = replace_all(part.substr(0, equals), "+", " ");
    const std::string value =
        equals == std::string_view::npos ? std::string() : replace_all(part.substr(equals + 1), "+", " ");
    SORTIE_TRY(std::string decoded_name, percent_decode(name));
    SORTIE_TRY(std::string decoded_value, percent_decode(value));
    parameters.emplace_back(std::move(decoded_name), std::move(decoded_value));
  }
  return parameters;
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  const auto parameters = parse_query(query);
  if (!parameters) return std::nullopt;
  for (const auto& [key, value] : *parameters) {
    if (key == name) return value;
  }
  return std::nullopt;
}

namespace {

constexpr std::pair<int, std::string_view> kReasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

}  // namespace

std::string_view reason_phrase(int status) {
  const auto found = std::find_if(std::begin(kReasons), std::end(kReasons),
                                  [status](const auto& reason) { return reason.first == status; });
  return found == std::end(kReasons) ? std::string_view() : found->second;
}

}  // namespace sortie::io
