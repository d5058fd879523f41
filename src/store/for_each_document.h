#pragma once
// Reads all documents of a kind, in the order of their keys, a page after the other. `take` is called with
// each and may end it with an error, which is then the answer.
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace sortie::store {

inline constexpr std::size_t kDocumentPageSize = 500;

template <typename Take>
Status for_each_document(Store& store, std::string_view kind, Take take) {
  std::string after;
  while (true) {
    SORTIE_TRY(const std::vector<Document> page, store.list_documents(kind, after, kDocumentPageSize));
    for (const Document& document : page) SORTIE_TRY_STATUS(take(document));
    if (page.size() < kDocumentPageSize) return {};
    after = page.back().key;
  }
}

}  // namespace sortie::store
