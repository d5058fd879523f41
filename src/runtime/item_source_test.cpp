#include "runtime/item_source.h"

#include <gtest/gtest.h>

#include <map>

#include "json/text.h"

namespace sortie::runtime {
namespace {

std::string text_of(const std::vector<json::Value>& items) {
  return json::to_text(json::Value::array(items));
}

TEST(ItemFormats, JsonLinesLeaveTheLastLineForTheNextPieceUnlessItIsTheLast) {
  std::vector<json::Value> items;
  EXPECT_EQ(*read_json_lines("1\n\r\n{\"a\":2}\r\n3", false, items), 13u);
  EXPECT_EQ(text_of(items), R"([1,{"a":2}])");
  EXPECT_EQ(*read_json_lines("3", true, items), 1u);
  EXPECT_EQ(text_of(items), R"([1,{"a":2},3])");
}

TEST(ItemFormats, ALineThatIsNoJsonFailsTheReader) {
  std::vector<json::Value> items;
  const auto used = read_json_lines("1\n{oops\n", true, items);
  ASSERT_FALSE(used.ok());
  EXPECT_EQ(used.error().code, "States.ItemReaderFailed");
}

TEST(ItemFormats, CsvTakesItsNamesFromTheFirstRow) {
  CsvReader csv{.wants_headers = true};
  std::vector<json::Value> items;
  EXPECT_EQ(*csv.read("a,b\n1,2\n\n3\n4,5,6", true, items), 16u);
  EXPECT_EQ(text_of(items), R"([{"a":"1","b":"2"},{"a":"3","b":""},{"a":"4","b":"5"}])");
}

TEST(ItemFormats, CsvQuotesHoldDelimitersLineEndsAndQuotes) {
  CsvReader csv{.headers = {"a", "b"}};
  std::vector<json::Value> items;
  const std::string text = "\"x,1\",\"say \"\"hi\"\"\"\r\n\"two\nlines\",z\r\n";
  EXPECT_EQ(*csv.read(text, false, items), text.size());
  EXPECT_EQ(text_of(items), R"([{"a":"x,1","b":"say \"hi\""},{"a":"two\nlines","b":"z"}])");
}

TEST(ItemFormats, CsvWaitsForTheRestOfARowThatIsCutAnywhere) {
  const std::string text = "\"x \"\"q\"\" y\",2\r\n3,\"4\n5\"\n6,7";
  CsvReader whole{.headers = {"a", "b"}};
  std::vector<json::Value> expected;
  ASSERT_TRUE(whole.read(text, true, expected).ok());
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    CsvReader csv{.headers = {"a", "b"}};
    std::vector<json::Value> items;
    const std::size_t used = *csv.read(text.substr(0, cut), false, items);
    ASSERT_TRUE(csv.read(text.substr(used), true, items).ok());
    EXPECT_EQ(text_of(items), text_of(expected)) << "cut at " << cut;
  }
}

TEST(ItemFormats, CsvRefusesTwoColumnsOfOneName) {
  CsvReader csv{.wants_headers = true};
  std::vector<json::Value> items;
  const auto used = csv.read("a,a\n1,2\n", true, items);
  ASSERT_FALSE(used.ok());
  EXPECT_EQ(used.error().message, "CSV headers cannot contain duplicates.");
}

// A loop that runs what is posted when it is told to, and objects in a map, read in pieces of few bytes.
class PostedLoop final : public Loop {
 public:
  Timestamp now() override { return {}; }
  void post(Callback callback) override { posted.push_back(std::move(callback)); }
  TimerId call_at(Timestamp, Callback) override { return 1; }
  void cancel(TimerId) override {}
  void run() {
    while (!posted.empty()) {
      const auto due = std::exchange(posted, {});
      for (const auto& callback : due) callback();
    }
  }
  std::vector<Callback> posted;
};

class PieceStore final : public ObjectStore {
 public:
  explicit PieceStore(Loop& loop) : loop_(loop) {}
  void read(ReadObject request, std::function<void(Result<ObjectPiece>)> done) override {
    loop_.post([this, request, done] {
      const auto found = objects.find(request.parameters.get("Key").to_std_string());
      if (found == objects.end()) return done(Error{"S3.NoSuchKeyException", "no such key", "", ""});
      if (!request.etag.empty() && request.etag != etag) {
        return done(Error{"S3.S3Exception", "it has changed", "", ""});
      }
      ++reads;
      const std::string bytes = found->second.substr(
          std::min<std::size_t>(request.offset, found->second.size()), std::min(request.bytes, bytes_max));
      done(ObjectPiece{bytes, request.offset + bytes.size() >= found->second.size(), etag});
    });
  }
  void list(ListObjects request, std::function<void(Result<ObjectPage>)> done) override {
    loop_.post([this, request, done] {
      ObjectPage page;
      auto at = objects.upper_bound(request.after_key);
      for (int i = 0; i < 2 && at != objects.end(); ++i, ++at) {
        page.items.push_back(json::Value::object({{"Key", at->first}}));
        page.last_key = at->first;
      }
      page.at_end = at == objects.end();
      done(page);
    });
  }
  void write(WriteObject, std::function<void(Status)>) override {}

  std::map<std::string, std::string> objects;
  std::uint64_t bytes_max = UINT64_MAX;
  std::string etag = "e1";
  int reads = 0;

 private:
  Loop& loop_;
};

struct Drain {
  std::vector<std::string> sources;
  std::vector<json::Value> items;
  std::vector<json::Value> positions;
  std::string error;
};

Drain drain(PostedLoop& loop, ItemSource& source, json::Value position = {}) {
  Drain out;
  for (int i = 0; i < 100; ++i) {
    bool at_end = false;
    source.read(position, [&](Result<ItemSlice> slice) {
      if (!slice) {
        out.error = slice.error().message;
        at_end = true;
        return;
      }
      out.items.insert(out.items.end(), slice->items.begin(), slice->items.end());
      position = slice->next;
      if (!slice->items.empty()) out.sources.push_back(slice->source);
      out.positions.push_back(position);
      at_end = slice->at_end;
    });
    loop.run();
    if (at_end) break;
  }
  return out;
}

const json::Value kWhere = json::Value::object({{"Bucket", "b"}, {"Key", "k"}});

TEST(ItemFormats, AWholeObjectIsReadAsItsReaderSays) {
  asl::ItemReader reader;
  reader.items_pointer = "/rows";
  EXPECT_EQ(json::to_text(*read_items(reader, R"({"rows":[1,2]})")), "[1,2]");
  EXPECT_FALSE(read_items(reader, "[1]").ok());
  reader.format = asl::ItemFormat::kJsonLines;
  EXPECT_EQ(json::to_text(*read_items(reader, "{\"a\":1}\n2")), R"([{"a":1},2])");
  reader.format = asl::ItemFormat::kCsv;
  EXPECT_EQ(json::to_text(*read_items(reader, "a,b\n1,2\n")), R"([{"a":"1","b":"2"}])");
}

TEST(ItemSource, RecordsGoOnFromAnySavedPosition) {
  PostedLoop loop;
  PieceStore objects(loop);
  std::string& text = objects.objects["k"];
  text = "\xEF\xBB\xBFn,t\n";
  for (int i = 0; i < 40; ++i) text += std::to_string(i) + ",\"row " + std::to_string(i) + "\"\n";
  objects.bytes_max = 50;
  asl::ItemReader reader;
  reader.format = asl::ItemFormat::kCsv;
  const Drain all = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere));
  EXPECT_EQ(all.error, "");
  ASSERT_EQ(all.items.size(), 40u);
  EXPECT_EQ(json::to_text(all.items[39]), R"({"t":"row 39","n":"39"})");
  ASSERT_GT(all.positions.size(), 5u);
  const Drain rest = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere), all.positions[3]);
  ASSERT_LT(rest.items.size(), 40u);
  EXPECT_EQ(text_of(rest.items),
            text_of({all.items.end() - static_cast<std::ptrdiff_t>(rest.items.size()), all.items.end()}));
}

TEST(ItemSource, AnObjectThatChangesWhileItIsReadIsAnError) {
  PostedLoop loop;
  PieceStore objects(loop);
  objects.objects["k"] = "1\n2\n3\n";
  objects.bytes_max = 2;
  asl::ItemReader reader;
  reader.format = asl::ItemFormat::kJsonLines;
  const auto source = make_object_source(loop, &objects, {}, reader, kWhere);
  const Drain first = drain(loop, *source);
  EXPECT_EQ(text_of(first.items), "[1,2,3]");
  objects.etag = "e2";
  EXPECT_EQ(drain(loop, *source, first.positions[0]).error, "it has changed");
}

TEST(ItemSource, ADocumentIsTheArrayThatItsPointerNames) {
  PostedLoop loop;
  PieceStore objects(loop);
  objects.objects["k"] = R"({"a/b":[0,{"c":["x","y"]}]})";
  objects.bytes_max = 7;
  asl::ItemReader reader;
  reader.items_pointer = "/a~1b/1/c";
  EXPECT_EQ(text_of(drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere)).items),
            R"(["x","y"])");
  reader.items_pointer = "/a~1b/1";
  EXPECT_EQ(drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere)).error,
            "Attempting to map over non-iterable node.");
}

TEST(ItemSource, AListingGoesOnAfterTheLastKey) {
  PostedLoop loop;
  PieceStore objects(loop);
  for (const char* key : {"a", "b", "c", "d", "e"}) objects.objects[key] = "";
  asl::ItemReader reader;
  reader.lists_objects = true;
  const Drain all = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere));
  EXPECT_EQ(all.items.size(), 5u);
  EXPECT_EQ(all.positions.size(), 3u);
}

TEST(ItemSource, AnInventoryIsItsFilesOneAfterTheOther) {
  PostedLoop loop;
  PieceStore objects(loop);
  objects.objects["k"] =
      R"({"fileFormat":"CSV","fileSchema":"Bucket, Key","destinationBucket":"arn:aws:s3:::inv",)"
      R"("files":[{"key":"1.csv"},{"key":"2.csv"}]})";
  objects.objects["1.csv"] = "\"b\",\"one\"\n\"b\",\"two\"\n";
  objects.objects["2.csv"] = "\"b\",\"three\"\n";
  asl::ItemReader reader;
  reader.format = asl::ItemFormat::kManifest;
  const Drain all = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere));
  EXPECT_EQ(all.error, "");
  ASSERT_EQ(all.items.size(), 3u);
  EXPECT_EQ(all.items[2].get("Key"), json::Value("three"));
}

// Every item, and from each position on the rest of them.
void expect_items(PieceStore& objects, PostedLoop& loop, const asl::ItemReader& reader,
                  const std::string& expected) {
  const Drain all = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere));
  EXPECT_EQ(all.error, "");
  EXPECT_EQ(text_of(all.items), expected);
  for (const json::Value& position : all.positions) {
    const Drain rest = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere), position);
    ASSERT_LE(rest.items.size(), all.items.size());
    EXPECT_EQ(text_of(rest.items),
              text_of({all.items.end() - static_cast<std::ptrdiff_t>(rest.items.size()), all.items.end()}));
  }
}

TEST(ItemSource, AListingThatIsLoadedIsWhatItsObjectsHold) {
  PostedLoop loop;
  PieceStore objects(loop);
  objects.objects = {{"1", "1\n2\n"}, {"2/", ""}, {"3", ""}, {"4", "3\n4\n5"}, {"5/", ""}};
  objects.bytes_max = 3;
  asl::ItemReader reader;
  reader.lists_objects = reader.loads_listed = true;
  reader.format = asl::ItemFormat::kJsonLines;
  expect_items(objects, loop, reader, "[1,2,3,4,5]");
  objects.objects = {{"1", "[1,2]"}, {"2", "[]"}, {"3", "[3]"}};
  reader.format = asl::ItemFormat::kJson;
  expect_items(objects, loop, reader, "[1,2,3]");
  objects.objects.clear();
  expect_items(objects, loop, reader, "[]");
}

TEST(ItemSource, AnAthenaManifestIsTheFilesItNames) {
  PostedLoop loop;
  PieceStore objects(loop);
  objects.objects = {
      {"k", "s3://data/out/1\ns3://data/out/2\r\n"}, {"out/1", "a|1\nb|2\n"}, {"out/2", "c|3\n"}};
  asl::ItemReader reader;
  reader.athena_manifest = true;
  reader.format = asl::ItemFormat::kCsv;
  reader.csv_delimiter = '|';
  reader.csv_first_row = false;
  reader.csv_headers = {"x", "y"};
  expect_items(objects, loop, reader, R"([{"x":"a","y":"1"},{"x":"b","y":"2"},{"x":"c","y":"3"}])");
  const Drain all = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere));
  EXPECT_EQ(all.sources, (std::vector<std::string>{"S3://data/out/1", "S3://data/out/2"}));
  objects.objects["k"] = "no address\n";
  const Drain wrong = drain(loop, *make_object_source(loop, &objects, {}, reader, kWhere));
  EXPECT_EQ(wrong.error, "A line of the manifest is no address of an S3 object: no address");
}

TEST(ItemSource, WithoutS3TheReaderFails) {
  PostedLoop loop;
  asl::ItemReader reader;
  EXPECT_NE(drain(loop, *make_object_source(loop, nullptr, {}, reader, kWhere)).error, "");
}

}  // namespace
}  // namespace sortie::runtime
