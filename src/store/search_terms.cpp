#include "store/search_terms.h"

#include <algorithm>
#include <charconv>

namespace sortie::store {
namespace search_terms {

constexpr int kDepthMax = 50;  // What is deeper is not looked at.

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_joint(char c) { return c == '.' || c == '-' || c == ':' || c == '/'; }

void add_texts(const json::Value& value, int depth, std::vector<std::uint32_t>& terms) {
  if (terms.size() > kTextsMax || depth > kDepthMax) return;
  if (value.is_string()) {
    terms.push_back(term_of(TermKind::kText, value.as_string()));
  } else if (value.is_array()) {
    for (const json::Value& item : value.items()) add_texts(item, depth + 1, terms);
  } else if (value.is_object()) {
    for (const json::Member& member : value.members()) add_texts(member.value, depth + 1, terms);
  }
}

std::string severity_word(const json::Value& value) {
  if (value.is_string()) return value.to_std_string();
  if (!value.is_number()) return "";
  const double number = value.as_double();  // GuardDuty's scale.
  return number >= 9 ? "CRITICAL" : number >= 7 ? "HIGH" : number >= 4 ? "MEDIUM" : number > 0 ? "LOW" : "";
}

std::vector<std::uint32_t> each_once(std::vector<std::uint32_t> terms) {
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  return terms;
}

}  // namespace search_terms

std::uint32_t term_of(TermKind kind, std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  const auto add = [&hash](char c) { hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL; };
  add(static_cast<char>(kind));
  for (const char c : text) add(search_terms::small(c));
  hash ^= hash >> 32;
  const auto term = static_cast<std::uint32_t>(hash);
  return term == kTermMore ? 1 : term;
}

std::vector<std::uint32_t> terms_at_start(const json::Value& input, const Actor& actor) {
  std::vector<std::uint32_t> terms;
  search_terms::add_texts(input, 0, terms);
  if (terms.size() > kTextsMax) terms.back() = kTermMore;
  if (const std::string severity = severity_of(input); !severity.empty()) {
    terms.push_back(term_of(TermKind::kSeverity, severity));
  }
  terms.push_back(term_of(TermKind::kActor, to_text(actor)));
  for (const std::string* name : {&actor.name, &actor.on_behalf_of}) {
    if (!name->empty()) terms.push_back(term_of(TermKind::kActor, *name));
  }
  return search_terms::each_once(std::move(terms));
}

std::vector<std::uint32_t> terms_at_end(std::string_view error, std::string_view cause) {
  std::vector<std::uint32_t> terms;
  for (const std::string_view text : {error, cause}) {
    for (const std::string& word : search_words(text)) {
      if (terms.size() >= kErrorWordsMax) {
        terms.back() = kTermMore;
        return search_terms::each_once(std::move(terms));
      }
      terms.push_back(term_of(TermKind::kError, word));
    }
  }
  return search_terms::each_once(std::move(terms));
}

std::vector<std::string> search_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto finish = [&] {
    while (!word.empty() && search_terms::is_joint(word.back())) word.pop_back();
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (const char c : text) {
    if (search_terms::is_letter(c) || (search_terms::is_joint(c) && !word.empty())) {
      word += search_terms::small(c);
    } else {
      finish();
    }
  }
  finish();
  return words;
}

std::string severity_of(const json::Value& input) {
  const json::Value& detail = input.get("detail");
  const json::Value& finding = detail.get("findings")[0];
  for (const json::Value* value : {&input.get("severity"), &detail.get("severity"),
                                   &finding.get("Severity").get("Label"), &input.get("Severity")}) {
    std::string word = search_terms::severity_word(*value);
    if (!word.empty()) return word;
  }
  return "";
}

Result<std::optional<ExecutionNo>> find_terms_from(Reads& store) {
  SORTIE_TRY(const std::optional<std::string> text, store.find_document(kSearchKind, kSearchFromKey));
  if (!text) return std::optional<ExecutionNo>();
  ExecutionNo from = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), from);
  if (error != std::errc() || end != text->data() + text->size()) return std::optional<ExecutionNo>();
  return std::optional(from);
}

Document terms_from_document(ExecutionNo from) { return {kSearchKind, kSearchFromKey, std::to_string(from)}; }

}  // namespace sortie::store
