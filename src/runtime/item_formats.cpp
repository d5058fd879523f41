// The formats of an ItemReader as pure functions: JSON, JSON Lines, CSV.
#include <algorithm>

#include "base/text.h"
#include "json/text.h"
#include "runtime/item_source.h"

namespace sortie::runtime {
namespace item_formats {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Follows an RFC 6901 pointer; nullptr where it leads nowhere.
const json::Value* follow(const json::Value& root, std::string_view pointer) {
  const json::Value* at = &root;
  while (!pointer.empty() && at != nullptr) {
    const std::size_t end = std::min(pointer.find('/', 1), pointer.size());
    const std::string step = replace_all(replace_all(pointer.substr(1, end - 1), "~1", "/"), "~0", "~");
    pointer.remove_prefix(end);
    if (at->is_array()) {
      const bool digits = !step.empty() && step.size() < 10 &&
                          std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; });
      const std::size_t index = digits ? std::stoul(step) : at->size();
      at = index < at->size() ? &at->items()[index] : nullptr;
    } else {
      at = at->find(step);
    }
  }
  return at;
}

Result<json::Value> items_of_document(std::string_view text, std::string_view pointer) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const Result<json::Value> document = json::parse(text);
  if (!document) {
    return item_reader_failed("The object is not JSON: " + document.error().message + " at " +
                              document.error().place);
  }
  const json::Value* items = follow(*document, pointer);
  if (items == nullptr || !items->is_array()) {
    return item_reader_failed("Attempting to map over non-iterable node.");
  }
  return *items;
}

// java.lang.String.hashCode, spread as java.util.HashMap does.
std::uint32_t java_hash(std::string_view text) {
  std::uint32_t hash = 0;
  const auto add = [&hash](std::uint32_t unit) { hash = hash * 31 + unit; };
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = lead < 0x80 ? 0 : (lead < 0xE0 ? 1 : (lead < 0xF0 ? 2 : 3));
    std::uint32_t point = more == 0 ? lead : lead & (0x3Fu >> more);
    for (int k = 1; k <= more && i + static_cast<std::size_t>(k) < text.size(); ++k) {
      point = point << 6 | (static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]) & 0x3Fu);
    }
    i += static_cast<std::size_t>(more) + 1;
    if (point < 0x10000) {
      add(point);
    } else {
      add(0xD7C0 + (point >> 10));
      add(0xDC00 + (point & 0x3FF));
    }
  }
  return hash ^ hash >> 16;
}

// Step Functions gives a row's fields in the order of a HashMap (recorded), not of the columns.
std::vector<std::size_t> field_order(const std::vector<std::string>& headers) {
  std::size_t buckets = 16;
  while (headers.size() * 4 > buckets * 3) buckets *= 2;
  std::vector<std::size_t> order(headers.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return (java_hash(headers[a]) & (buckets - 1)) < (java_hash(headers[b]) & (buckets - 1));
  });
  return order;
}

// One row of fields from the start of `text`; the bytes it took with its line end, or 0 when it is not whole.
std::size_t read_row(std::string_view text, char delimiter, bool is_last, std::vector<std::string>& fields) {
  fields.clear();
  std::string field;
  bool quoted = false, any = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += '"';
        ++i;
      } else if (i + 1 == text.size() && !is_last) {
        return 0;  // What follows decides whether the quote ends here.
      } else {
        quoted = false;
      }
      continue;
    }
    if (c == '"' && field.empty()) {
      quoted = any = true;
    } else if (c == delimiter) {
      fields.push_back(std::exchange(field, {}));
      any = true;
    } else if (c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n')) {
      if (any || !field.empty()) fields.push_back(std::move(field));
      return c == '\r' ? i + 2 : i + 1;
    } else {
      field += c;
    }
  }
  if (!is_last || text.empty()) return 0;
  if (any || !field.empty()) fields.push_back(std::move(field));
  return text.size();
}

}  // namespace item_formats

Error item_reader_failed(std::string cause) { return {"States.ItemReaderFailed", std::move(cause), "", ""}; }

Result<std::size_t> read_json_lines(std::string_view text, bool is_last, std::vector<json::Value>& items) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) {
      if (!is_last) break;
      end = text.size();
    }
    const std::string_view line = trim(text.substr(at, end - at));
    at = std::min(end + 1, text.size());
    if (line.empty()) continue;
    Result<json::Value> item = json::parse(line);
    if (!item) {
      return item_reader_failed("A line is not JSON: " + item.error().message + ": " +
                                std::string(truncate_utf8(line, 200)));
    }
    items.push_back(std::move(item).value());
  }
  return at;
}

Status CsvReader::check_headers() const {
  std::vector<std::string> sorted = headers;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) return {};
  return item_reader_failed("CSV headers cannot contain duplicates.");
}

Result<std::size_t> CsvReader::read(std::string_view text, bool is_last, std::vector<json::Value>& items) {
  std::size_t at = 0;
  std::vector<std::string> fields;
  std::vector<std::size_t> order = item_formats::field_order(headers);
  while (at < text.size()) {
    const std::size_t used = item_formats::read_row(text.substr(at), delimiter, is_last, fields);
    if (used == 0) break;
    at += used;
    if (fields.empty()) continue;
    if (wants_headers) {
      headers = fields;
      wants_headers = false;
      SORTIE_TRY_STATUS(check_headers());
      order = item_formats::field_order(headers);
      continue;
    }
    json::ObjectBuilder item;
    for (const std::size_t i : order) {
      item.append(headers[i], i < fields.size() ? json::Value(to_valid_utf8(fields[i])) : json::Value(""));
    }
    items.push_back(item.build());
  }
  return at;
}

Result<json::Value> read_items(const asl::ItemReader& reader, std::string_view text) {
  if (reader.format == asl::ItemFormat::kJson)
    return item_formats::items_of_document(text, reader.items_pointer);
  if (text.starts_with(item_formats::kByteOrderMark)) text.remove_prefix(item_formats::kByteOrderMark.size());
  std::vector<json::Value> items;
  if (reader.format == asl::ItemFormat::kJsonLines) {
    SORTIE_TRY_STATUS(read_json_lines(text, true, items));
  } else {
    CsvReader csv{reader.csv_delimiter, reader.csv_headers, reader.csv_first_row};
    SORTIE_TRY_STATUS(csv.check_headers());
    SORTIE_TRY_STATUS(csv.read(text, true, items));
  }
  return json::Value::array(std::move(items));
}

}  // namespace sortie::runtime
