#include "functions/code_package.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "functions/function.h"
#include "functions/zip_test_support.h"
#include "io/file.h"

namespace sortie::functions {
namespace {

using testing::HasSubstr;
using testing_zip::File;
using testing_zip::make_zip;

class CodePackageTest : public testing::Test {
 protected:
  CodePackageTest() : folder_(testing::TempDir() + "/sortie-package-" + std::to_string(::getpid())) {
    EXPECT_TRUE(io::make_private_directory(folder_).ok());
  }
  ~CodePackageTest() override { EXPECT_TRUE(io::remove_tree(folder_).ok()); }

  // The reason, or "fine". Nothing may be left after a refusal.
  std::string refusal(const std::string& zip) {
    const std::string target = folder_ + "/code";
    const auto package = unpack_code(zip, target);
    if (package.ok()) {
      EXPECT_TRUE(io::remove_tree(target).ok());
      return "fine";
    }
    EXPECT_FALSE(io::path_exists(target));
    EXPECT_EQ(package.error().code, "InvalidParameterValueException");
    return package.error().message;
  }

  std::string folder_;
};

TEST_F(CodePackageTest, UnpacksFilesWithTheirModes) {
  const std::string zip = make_zip({{"lambda_function.py", "x = 1\n"},
                                    {"lib/", "", 040755},
                                    {"./lib//deep/a.txt", std::string(10'000, 'a'), 0100644, true},
                                    {"bootstrap", "#!/bin/sh\n", 0100755}});
  const auto package = unpack_code(zip, folder_ + "/code");
  ASSERT_TRUE(package.ok()) << to_text(package.error());
  EXPECT_EQ(package->files, 3u);
  EXPECT_EQ(package->unzipped_bytes, 10'016u);
  EXPECT_EQ(package->sha256_base64.size(), 44u);
  EXPECT_EQ(io::read_file(folder_ + "/code/lib/deep/a.txt").value(), std::string(10'000, 'a'));
  const auto entries = io::list_directory(folder_ + "/code").value();
  EXPECT_EQ(entries[0].name, "bootstrap");
  EXPECT_EQ(entries[0].mode, 0755u);
  EXPECT_EQ(entries[1].mode, 0644u);
  EXPECT_EQ(inspect_code(zip)->sha256_base64, package->sha256_base64);
}

TEST_F(CodePackageTest, RefusesNamesThatLeadOut) {
  for (const char* name : {"../a", "a/../../b", "/etc/passwd", "a/..", ".."}) {
    EXPECT_NE(refusal(make_zip({{name, "x"}})), "fine") << name;
  }
  EXPECT_THAT(refusal(make_zip({{"../evil.py", "x"}})), HasSubstr("leads out of the package"));
  EXPECT_THAT(refusal(make_zip({{"/evil.py", "x"}})), HasSubstr("absolute"));
  EXPECT_NE(refusal(make_zip({{std::string("a\0b", 3), "x"}})), "fine");
  EXPECT_FALSE(io::path_exists(folder_ + "/evil.py"));
}

TEST_F(CodePackageTest, RefusesLinksDevicesAndDuplicates) {
  EXPECT_THAT(refusal(make_zip({{"a", "/etc/passwd", 0120777}})), HasSubstr("symbolic link"));
  EXPECT_THAT(refusal(make_zip({{"a", "", 0020666}})), HasSubstr("neither a file nor a folder"));
  EXPECT_THAT(refusal(make_zip({{"a", "1"}, {"./a", "2"}})), HasSubstr("twice"));
  EXPECT_THAT(refusal(make_zip({{"a", "1"}, {"a/b", "2"}})), HasSubstr("a file and a folder"));
  EXPECT_THAT(refusal(make_zip({{"a", "1", 0100644, false, "b"}})), HasSubstr("two different names"));
}

TEST_F(CodePackageTest, RefusesBombs) {
  const std::string zeros(60'000'000, '\0');
  EXPECT_THAT(refusal(make_zip({{"a", zeros, 0100644, true}})), HasSubstr("far more than a package could"));
  EXPECT_THAT(refusal(make_zip({{"a", "x", 0100644, true, "", 300'000'000}})),
              HasSubstr("smaller than 262144000"));
  // Declares little, unpacks to much.
  EXPECT_THAT(refusal(make_zip({{"a", std::string(9'000'000, '\0'), 0100644, true, "", 100}})),
              HasSubstr("longer than it says"));
}

TEST_F(CodePackageTest, RefusesEntriesThatOverlap) {
  std::string zip = make_zip({{"a", std::string(1000, 'q')}, {"b", std::string(1000, 'q')}});
  const std::size_t second = zip.rfind("PK\x01\x02");
  std::string moved = zip;
  for (int i = 0; i < 4; ++i) moved[second + 42 + static_cast<std::size_t>(i)] = 0;  // b's header is a's.
  EXPECT_NE(refusal(moved), "fine");
}

TEST_F(CodePackageTest, RefusesWhatIsDamagedOrNotUnderstood) {
  EXPECT_THAT(refusal(""), HasSubstr("no zip file"));
  EXPECT_THAT(refusal("PK nonsense that is long enough to hold an end record"), HasSubstr("no zip file"));
  EXPECT_THAT(refusal(make_zip({})), HasSubstr("non-empty zip"));
  EXPECT_THAT(refusal(make_zip({{"a", "x", 0100644, false, "", 0, 0, 0xffff, true}})), HasSubstr("damaged"));
  EXPECT_THAT(refusal(make_zip({{"a", "x", 0100644, false, "", 0, 1}})), HasSubstr("encrypted"));
  EXPECT_THAT(refusal(make_zip({{"a", "x", 0100644, false, "", 0, 0, 14}})), HasSubstr("not supported"));
  EXPECT_THAT(refusal(make_zip({{"a", "xyz", 0100644, false, "", 2}})), HasSubstr("two different lengths"));
}

// Every single broken byte has to end in an answer, never in a crash or a file outside.
TEST_F(CodePackageTest, SurvivesEveryChangedByteAndEveryCut) {
  const std::string zip = make_zip({{"a/b.py", "print(1)\n", 0100644, true}, {"c", "d"}});
  for (std::size_t at = 0; at < zip.size(); ++at) {
    for (const char value : {'\0', '\xff', '/'}) {
      std::string broken = zip;
      broken[at] = value;
      (void)inspect_code(broken).ok();
    }
    (void)inspect_code(std::string_view(zip).substr(0, at)).ok();
  }
}

}  // namespace
}  // namespace sortie::functions
