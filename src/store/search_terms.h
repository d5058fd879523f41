#pragma once
// What the product finds executions by: the terms (store.h, TermRow) that are written when an execution
// begins and when it ends, and what a search makes of its words to look them up.
//
//   begins: every text in its input, whole; the severity of its input; who started it, and on whose behalf
//   ends badly: the words of its error and of its cause
//
// A term is 32 bits of a hash, of the kind and the text with ASCII letters made small; its values are on
// disk. Two texts may have the same one: whoever searches looks at what is found. Of an input with more texts
// than kTextsMax only so many are terms, and kTermMore tells that there are others.
#include <string>
#include <string_view>
#include <vector>

#include "base/actor.h"
#include "json/value.h"
#include "store/store.h"

namespace sortie::store {

inline constexpr std::size_t kTextsMax = 256;      // Of an input.
inline constexpr std::size_t kErrorWordsMax = 64;  // Of error and cause together.
inline constexpr std::uint32_t kTermMore = 0;

enum class TermKind : char { kText = 'r', kSeverity = 's', kActor = 'a', kError = 'e' };
std::uint32_t term_of(TermKind kind, std::string_view text);  // Never kTermMore.

std::vector<std::uint32_t> terms_at_start(const json::Value& input, const Actor& actor);
std::vector<std::uint32_t> terms_at_end(std::string_view error, std::string_view cause);

// Runs of letters, digits and what stands inside of names ("States.Timeout", "i-0abc", "10.0.0.1"), with
// ASCII letters made small. A word that a text has is one of its words also where it is searched for.
std::vector<std::string> search_words(std::string_view text);

// "CRITICAL", "HIGH", "MEDIUM", "LOW" or whatever the input of an execution says at severity,
// detail.severity (GuardDuty's number) or detail.findings[0].Severity.Label (Security Hub); "" where nothing.
std::string severity_of(const json::Value& input);

// A document, (kSearchKind, kSearchFromKey), names the number from which on all executions have their terms;
// what is older is from before there were terms, and is brought up to date from there downwards
// (runtime/term_backfill.h). 1 where all have; nothing is found by terms before the document is there.
inline constexpr const char* kSearchKind = "search";
inline constexpr const char* kSearchFromKey = "terms_from";
Result<std::optional<ExecutionNo>> find_terms_from(Reads& store);
Document terms_from_document(ExecutionNo from);

}  // namespace sortie::store
