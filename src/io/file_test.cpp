#include "io/file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sortie::io {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() : folder_(testing::TempDir() + "/sortie-file-" + std::to_string(::getpid())) {
    EXPECT_TRUE(make_private_directory(folder_).ok());
  }
  ~FileTest() override { EXPECT_TRUE(remove_tree(folder_).ok()); }
  std::string folder_;
};

TEST_F(FileTest, ReplacesAFileAsAWhole) {
  const std::string path = folder_ + "/a";
  ASSERT_TRUE(write_file_atomically(path, "one").ok());
  ASSERT_TRUE(write_file_atomically(path, "two", 0644).ok());
  EXPECT_EQ(read_file(path).value(), "two");
  EXPECT_EQ(list_directory(folder_).value().size(), 1u);
  EXPECT_EQ(list_directory(folder_).value()[0].mode, 0644u);
}

TEST_F(FileTest, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(read_file(folder_ + "/none").error().code, "NotFound");
  EXPECT_THAT(read_file(folder_ + "/none").error().message, testing::HasSubstr(folder_ + "/none"));
  ASSERT_TRUE(write_file_atomically(folder_ + "/big", std::string(100, 'x')).ok());
  EXPECT_EQ(read_file(folder_ + "/big", 99).error().code, "TooLarge");
  EXPECT_EQ(read_file(folder_ + "/big", 100).value().size(), 100u);
  EXPECT_EQ(write_file_atomically(folder_ + "/no/a", "x").error().code, "NotFound");
  EXPECT_EQ(write_file_atomically(folder_ + "/big/a", "x").error().code, "NotADirectory");
  EXPECT_EQ(make_directories(folder_ + "/big/a").error().code, "NotADirectory");
  EXPECT_EQ(read_file(folder_).error().code, "IoError");
}

TEST_F(FileTest, SaysThatADiskIsFull) {
  if (!path_exists("/dev/full")) GTEST_SKIP() << "SKIP: no /dev/full here";
  EXPECT_EQ(errno_error(ENOSPC, "cannot write", "/x").code, "DiskFull");
  EXPECT_THAT(errno_error(ENOSPC, "cannot write", "/x").hint, testing::HasSubstr("free some space"));
  EXPECT_EQ(errno_error(EROFS, "cannot write", "/x").code, "ReadOnly");
}

TEST_F(FileTest, KeepsPrivateFoldersPrivate) {
  const std::string path = folder_ + "/x/y";
  ASSERT_TRUE(make_private_directory(path).ok());
  ::chmod(path.c_str(), 0755);
  ASSERT_TRUE(make_private_directory(path).ok());
  EXPECT_EQ(list_directory(folder_ + "/x").value()[0].mode, 0700u);
}

TEST_F(FileTest, RemovesTreesWithoutFollowingLinks) {
  ASSERT_TRUE(make_directories(folder_ + "/t/u").ok());
  ASSERT_TRUE(write_file_atomically(folder_ + "/kept", "x").ok());
  ASSERT_EQ(::symlink((folder_ + "/kept").c_str(), (folder_ + "/t/link").c_str()), 0);
  ::chmod((folder_ + "/t/u").c_str(), 0);
  ASSERT_TRUE(remove_tree(folder_ + "/t").ok());
  ASSERT_TRUE(remove_tree(folder_ + "/t").ok());
  EXPECT_TRUE(path_exists(folder_ + "/kept"));
}

}  // namespace
}  // namespace sortie::io
