#include "io/http_message.h"

#include <algorithm>

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

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

}  // namespace sortie::io
