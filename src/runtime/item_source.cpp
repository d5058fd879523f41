#include "runtime/item_source.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "engine/map_run.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::runtime {
namespace item_source {

constexpr std::size_t kArraySlice = 1'000;
constexpr std::uint64_t kPieceBytes = 1024 * 1024;
constexpr std::uint64_t kPieceBytesMax = 4 * 1024 * 1024;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::uint64_t whole(const json::Value& value) {
  return value.is_integer() && value.as_integer() > 0 ? static_cast<std::uint64_t>(value.as_integer()) : 0;
}

json::Value integer(std::uint64_t value) { return static_cast<std::int64_t>(value); }

ItemSlice slice_of(const json::Value& items, const json::Value& position) {
  const std::uint64_t from = std::min<std::uint64_t>(whole(position), items.size());
  const std::uint64_t to = std::min<std::uint64_t>(from + kArraySlice, items.size());
  ItemSlice slice;
  for (std::uint64_t i = from; i < to; ++i) slice.items.push_back(items[i]);
  slice.next = integer(to);
  slice.at_end = to == items.size();
  return slice;
}

class ArraySource final : public ItemSource {
 public:
  ArraySource(Loop& loop, json::Value items) : loop_(loop), items_(std::move(items)) {}
  void read(json::Value position, std::function<void(Result<ItemSlice>)> done) override {
    loop_.post([items = items_, position = std::move(position), done = std::move(done)] {
      done(slice_of(items, position));
    });
  }

 private:
  Loop& loop_;
  json::Value items_;
};

// Shared by the sources that read objects: the callback is dropped with the source.
class ObjectSource : public ItemSource {
 public:
  ObjectSource(Loop& loop, ObjectStore* objects, ObjectCaller caller, json::Value parameters)
      : loop_(loop), objects_(objects), caller_(std::move(caller)), parameters_(std::move(parameters)) {}

 protected:
  using Done = std::function<void(Result<ItemSlice>)>;

  bool is_connected(const Done& done) {
    if (objects_ != nullptr) return true;
    loop_.post([done] { done(item_reader_failed("This server has no connection to S3.")); });
    return false;
  }
  void fetch(ReadObject request, const std::function<void(Result<ObjectPiece>)>& done) {
    request.caller = caller_;
    objects_->read(std::move(request), [alive = std::weak_ptr<int>(alive_), done](Result<ObjectPiece> piece) {
      if (!alive.expired()) done(std::move(piece));
    });
  }
  // The whole object, however many pieces it takes.
  void fetch_all(const json::Value& parameters, std::shared_ptr<std::string> text, std::string etag,
                 const std::function<void(Result<std::string>)>& done) {
    ReadObject request{.parameters = parameters, .offset = text->size(), .bytes = kPieceBytesMax};
    request.etag = std::move(etag);
    fetch(std::move(request), [this, parameters, text, done](Result<ObjectPiece> piece) {
      if (!piece) return done(item_reader_failed(piece.error().message));
      text->append(piece->bytes);
      if (text->size() > json::kTextBytesMax) {
        return done(item_reader_failed("The JSON document is larger than " +
                                       std::to_string(json::kTextBytesMax) +
                                       " bytes; use JSON Lines, which is read in pieces."));
      }
      if (piece->at_end) return done(std::move(*text));
      fetch_all(parameters, text, piece->etag, done);
    });
  }

  Loop& loop_;
  ObjectStore* objects_;
  ObjectCaller caller_;
  json::Value parameters_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

class DocumentSource final : public ObjectSource {
 public:
  DocumentSource(Loop& loop, ObjectStore* objects, ObjectCaller caller, json::Value parameters,
                 std::string pointer)
      : ObjectSource(loop, objects, std::move(caller), std::move(parameters)), pointer_(std::move(pointer)) {}

  void read(json::Value position, Done done) override {
    if (!is_connected(done)) return;
    if (items_) {
      return loop_.post([slice = slice_of_document(position), done = std::move(done)] { done(slice); });
    }
    fetch_all(parameters_, std::make_shared<std::string>(), "",
              [this, position = std::move(position), done](Result<std::string> text) {
                if (!text) return done(text.error());
                Result<json::Value> items = read_items({.items_pointer = pointer_}, *text);
                if (!items) return done(items.error());
                items_ = std::move(items).value();
                done(slice_of_document(position));
              });
  }

 private:
  ItemSlice slice_of_document(const json::Value& position) const {
    ItemSlice slice = slice_of(*items_, position);
    slice.source = engine::item_source_name(parameters_);
    return slice;
  }

  std::string pointer_;
  std::optional<json::Value> items_;
};

// Records that follow one another in one object: position {"at", "etag", "headers"}.
class RecordSource final : public ObjectSource {
 public:
  RecordSource(Loop& loop, ObjectStore* objects, ObjectCaller caller, json::Value parameters,
               std::optional<CsvReader> csv, bool gunzip)
      : ObjectSource(loop, objects, std::move(caller), std::move(parameters)),
        csv_(std::move(csv)),
        gunzip_(gunzip) {}

  void read(json::Value position, Done done) override {
    if (!is_connected(done)) return;
    std::optional<CsvReader> csv = csv_;
    if (csv && position.get("headers").is_array()) {
      csv->headers.clear();
      for (const json::Value& header : position.get("headers").items())
        csv->headers.push_back(header.is_string() ? header.to_std_string() : std::string());
      csv->wants_headers = false;
    }
    if (csv && !csv->wants_headers) {
      if (Status status = csv->check_headers(); !status) {
        return loop_.post([done, error = status.error()] { done(error); });
      }
    }
    read_piece(whole(position.get("at")), json::text_member(position, "etag"), kPieceBytes, std::move(csv),
               std::move(done));
  }

 private:
  void read_piece(std::uint64_t offset, std::string etag, std::uint64_t bytes, std::optional<CsvReader> csv,
                  Done done) {
    ReadObject request{.parameters = parameters_,
                       .offset = offset,
                       .bytes = bytes,
                       .etag = std::move(etag),
                       .gunzip = gunzip_};
    fetch(std::move(request), [this, offset, bytes, csv = std::move(csv),
                               done = std::move(done)](Result<ObjectPiece> piece) mutable {
      if (!piece) return done(item_reader_failed(piece.error().message));
      std::string_view text = piece->bytes;
      std::size_t skipped = 0;
      if (offset == 0 && text.starts_with(kByteOrderMark)) skipped = kByteOrderMark.size();
      text.remove_prefix(skipped);
      ItemSlice slice;
      Result<std::size_t> used = csv ? csv->read(text, piece->at_end, slice.items)
                                     : read_json_lines(text, piece->at_end, slice.items);
      if (!used) return done(used.error());
      if (*used == 0 && !piece->at_end) {  // Not even one record: try again with more.
        if (bytes >= kPieceBytesMax) {
          return done(item_reader_failed("A record at byte " + std::to_string(offset) + " is longer than " +
                                         std::to_string(kPieceBytesMax) + " bytes."));
        }
        return read_piece(offset, piece->etag, std::min(bytes * 2, kPieceBytesMax), std::move(csv),
                          std::move(done));
      }
      slice.at_end = piece->at_end;
      slice.source = engine::item_source_name(parameters_);
      json::ObjectBuilder next;
      next.append("at", integer(offset + skipped + *used)).append("etag", piece->etag);
      if (csv && csv_->wants_headers) {
        std::vector<json::Value> headers(csv->headers.begin(), csv->headers.end());
        next.append("headers", json::Value::array(std::move(headers)));
      }
      slice.next = next.build();
      done(std::move(slice));
    });
  }

  std::optional<CsvReader> csv_;  // Absent: JSON Lines.
  bool gunzip_;
};

// Position {"after": KEY}.
class ListingSource final : public ObjectSource {
 public:
  using ObjectSource::ObjectSource;
  void read(json::Value position, Done done) override {
    if (!is_connected(done)) return;
    objects_->list(
        {caller_, parameters_, json::text_member(position, "after")},
        [this, done = std::move(done), alive = std::weak_ptr<int>(alive_)](Result<ObjectPage> page) {
          if (alive.expired()) return;
          if (!page) return done(item_reader_failed(page.error().message));
          done(ItemSlice{std::move(page->items), json::Value::object({{"after", page->last_key}}),
                         page->at_end, engine::item_source_name(parameters_)});
        });
  }
};

// How the objects are read that a manifest or a listing names.
struct FileFormat {
  asl::ItemFormat format = asl::ItemFormat::kCsv;
  CsvReader csv{};
  std::string items_pointer{};
};

std::unique_ptr<ItemSource> make_file_source(Loop& loop, ObjectStore* objects, ObjectCaller caller,
                                             FileFormat format, json::Value where, bool gunzip) {
  if (format.format == asl::ItemFormat::kJson) {
    return std::make_unique<DocumentSource>(loop, objects, std::move(caller), std::move(where),
                                            std::move(format.items_pointer));
  }
  std::optional<CsvReader> csv;
  if (format.format == asl::ItemFormat::kCsv) csv = std::move(format.csv);
  return std::make_unique<RecordSource>(loop, objects, std::move(caller), std::move(where), std::move(csv),
                                        gunzip);
}

// Several objects one after the other; what ends with ".gz" is unpacked, unless it is one JSON document.
class FilesSource : public ObjectSource {
 public:
  FilesSource(Loop& loop, ObjectStore* objects, ObjectCaller caller, json::Value parameters,
              FileFormat format)
      : ObjectSource(loop, objects, std::move(caller), std::move(parameters)), format_(std::move(format)) {}

 protected:
  // A slice of one file. `position_of` makes the whole position from one within the file, and from nullptr
  // that of what follows the file.
  void read_file(std::string bucket, std::string key, const json::Value& in, bool is_last,
                 std::function<json::Value(const json::Value* in)> position_of, Done done) {
    if (std::string place = bucket + "/" + key; file_ == nullptr || place != place_) {
      place_ = std::move(place);
      file_ = make_file_source(loop_, objects_, caller_, format_,
                               json::Value::object({{"Bucket", std::move(bucket)}, {"Key", key}}),
                               key.ends_with(".gz"));
    }
    file_->read(
        in, [is_last, position_of = std::move(position_of), done = std::move(done)](Result<ItemSlice> slice) {
          if (!slice) return done(slice.error());
          const bool file_is_over = slice->at_end;
          slice->at_end = file_is_over && is_last;
          slice->next = position_of(file_is_over ? nullptr : &slice->next);
          done(std::move(slice));
        });
  }

  FileFormat format_;

 private:
  std::string place_;  // Of the file that is open.
  std::unique_ptr<ItemSource> file_;
};

// A manifest that names its files: an S3 inventory's (JSON, with gzipped CSV files that have no header rows)
// or Athena's (one s3:// address a line). Position {"file", "in"}.
class ManifestSource final : public FilesSource {
 public:
  ManifestSource(Loop& loop, ObjectStore* objects, ObjectCaller caller, json::Value parameters,
                 std::optional<FileFormat> athena)
      : FilesSource(loop, objects, std::move(caller), std::move(parameters), athena.value_or(FileFormat{})),
        is_athena_(athena.has_value()) {}

  void read(json::Value position, Done done) override {
    if (!is_connected(done)) return;
    if (is_read_) return read_on(position, std::move(done));
    fetch_all(
        parameters_, std::make_shared<std::string>(), "",
        [this, position = std::move(position), done = std::move(done)](Result<std::string> text) mutable {
          if (!text) return done(text.error());
          if (Status status = is_athena_ ? take_addresses(*text) : take_inventory(*text); !status) {
            return done(status.error());
          }
          is_read_ = true;
          read_on(position, std::move(done));
        });
  }

 private:
  struct File {
    std::string bucket, key;
  };

  Status take_inventory(const std::string& text) {
    const Result<json::Value> manifest = json::parse(text);
    if (!manifest || !manifest->get("files").is_array()) {
      return item_reader_failed("The object is not an S3 inventory manifest.");
    }
    if (json::text_member(*manifest, "fileFormat") != "CSV") {
      return item_reader_failed("Only S3 inventory reports in CSV format are supported.");
    }
    const std::string schema = json::text_member(*manifest, "fileSchema");
    for (const std::string_view column : split(schema, ',')) format_.csv.headers.emplace_back(trim(column));
    const std::string bucket = json::text_member(*manifest, "destinationBucket");
    for (const json::Value& file : manifest->get("files").items()) {
      files_.push_back({bucket.substr(bucket.rfind(':') + 1), json::text_member(file, "key")});
    }
    return {};
  }

  Status take_addresses(const std::string& text) {
    constexpr std::string_view kScheme = "s3://";
    for (std::string_view line : split(text, '\n')) {
      line = trim(line);
      if (line.size() > 1 && line.front() == '"' && line.back() == '"')
        line = line.substr(1, line.size() - 2);
      if (line.empty()) continue;
      const std::size_t slash = line.find('/', kScheme.size());
      if (!line.starts_with(kScheme) || slash == std::string_view::npos || slash + 1 == line.size()) {
        return item_reader_failed("A line of the manifest is no address of an S3 object: " +
                                  std::string(truncate_utf8(line, 200)));
      }
      files_.push_back({std::string(line.substr(kScheme.size(), slash - kScheme.size())),
                        std::string(line.substr(slash + 1))});
    }
    return {};
  }

  void read_on(const json::Value& position, Done done) {
    const std::uint64_t number = whole(position.get("file"));
    if (number >= files_.size()) {
      return loop_.post([done, position] { done(ItemSlice{{}, position, true}); });
    }
    read_file(
        files_[number].bucket, files_[number].key, position.get("in"), number + 1 == files_.size(),
        [number](const json::Value* in) {
          return json::Value::object({{"file", integer(in == nullptr ? number + 1 : number)},
                                      {"in", in == nullptr ? json::Value() : *in}});
        },
        std::move(done));
  }

  bool is_athena_ = false, is_read_ = false;
  std::vector<File> files_;
};

// What is in the objects of a listing. Position {"after": the key before the file, "in"}. A page of the
// listing is kept until its last key is done with.
class LoadedListingSource final : public FilesSource {
 public:
  using FilesSource::FilesSource;
  void read(json::Value position, Done done) override {
    if (!is_connected(done)) return;
    const std::string after = json::text_member(position, "after");
    if (page_ && after >= from_ && (page_->at_end || after < page_->last_key)) {
      return read_on(after, position.get("in"), std::move(done));
    }
    objects_->list({caller_, parameters_, after},
                   [this, after, position = std::move(position), done = std::move(done),
                    alive = std::weak_ptr<int>(alive_)](Result<ObjectPage> page) {
                     if (alive.expired()) return;
                     if (!page) return done(item_reader_failed(page.error().message));
                     page_ = *std::move(page);
                     from_ = after;
                     read_on(after, position.get("in"), done);
                   });
  }

 private:
  // Folders that consoles make: empty objects whose names end with a slash.
  static bool is_file(const json::Value& item) {
    return !json::text_member(item, "Key").ends_with("/") || whole(item.get("Size")) > 0;
  }

  void read_on(const std::string& after, const json::Value& in, Done done) {
    std::string key;
    for (const json::Value& item : page_->items) {
      const std::string listed = json::text_member(item, "Key");
      if (listed <= after || !is_file(item)) continue;
      key = listed;
      break;
    }
    if (key.empty()) {
      ItemSlice slice{{}, json::Value::object({{"after", page_->last_key}}), page_->at_end};
      return loop_.post([done, slice = std::move(slice)] { done(slice); });
    }
    read_file(
        json::text_member(parameters_, "Bucket"), key, in, page_->at_end && key == page_->last_key,
        [after, key](const json::Value* at) {
          if (at == nullptr) return json::Value::object({{"after", key}});
          return json::Value::object({{"after", after}, {"in", *at}});
        },
        std::move(done));
  }

  std::optional<ObjectPage> page_;
  std::string from_;  // The key that the page begins behind.
};

}  // namespace item_source

std::unique_ptr<ItemSource> make_array_source(Loop& loop, json::Value items) {
  return std::make_unique<item_source::ArraySource>(loop, std::move(items));
}

std::unique_ptr<ItemSource> make_object_source(Loop& loop, ObjectStore* objects, ObjectCaller caller,
                                               const asl::ItemReader& reader, json::Value parameters) {
  using namespace item_source;
  if (reader.lists_objects && !reader.loads_listed) {
    return std::make_unique<ListingSource>(loop, objects, std::move(caller), std::move(parameters));
  }
  if (reader.format == asl::ItemFormat::kManifest) {
    return std::make_unique<ManifestSource>(loop, objects, std::move(caller), std::move(parameters),
                                            std::nullopt);
  }
  FileFormat format{
      reader.format, {reader.csv_delimiter, reader.csv_headers, reader.csv_first_row}, reader.items_pointer};
  if (reader.loads_listed) {
    return std::make_unique<LoadedListingSource>(loop, objects, std::move(caller), std::move(parameters),
                                                 std::move(format));
  }
  if (reader.athena_manifest) {
    return std::make_unique<ManifestSource>(loop, objects, std::move(caller), std::move(parameters),
                                            std::move(format));
  }
  return make_file_source(loop, objects, std::move(caller), std::move(format), std::move(parameters), false);
}

}  // namespace sortie::runtime
