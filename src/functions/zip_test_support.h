#pragma once
// Makes zip files for tests: good ones, and ones that lie.
#include <zlib.h>

#include <string>
#include <vector>

namespace sortie::functions::testing_zip {

struct File {
  std::string name;
  std::string content;
  unsigned mode = 0100644;
  bool deflate = false;
  std::string local_name;           // "": the same.
  std::uint32_t claimed_bytes = 0;  // 0: the truth.
  std::uint16_t flags = 0;
  std::uint16_t method = 0xffff;  // 0xffff: what `deflate` says.
  bool break_crc = false;
};

inline void put(std::string& out, std::uint32_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8 * i) & 0xff);
}

inline std::string deflated(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string make_zip(const std::vector<File>& files) {
  std::string out, directory;
  for (const File& file : files) {
    const std::string data = file.deflate ? deflated(file.content) : file.content;
    const std::string& local = file.local_name.empty() ? file.name : file.local_name;
    auto crc = static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(file.content.data()),
                                                static_cast<uInt>(file.content.size())));
    if (file.break_crc) crc ^= 1;
    const auto bytes =
        file.claimed_bytes != 0 ? file.claimed_bytes : static_cast<std::uint32_t>(file.content.size());
    const std::uint32_t method = file.method != 0xffff ? file.method : file.deflate ? 8 : 0;
    const auto begin = static_cast<std::uint32_t>(out.size());
    const auto common = [&](std::string& to, std::size_t name_bytes) {
      put(to, 20, 2);
      put(to, file.flags, 2);
      put(to, method, 2);
      put(to, 0, 4);
      put(to, crc, 4);
      put(to, static_cast<std::uint32_t>(data.size()), 4);
      put(to, bytes, 4);
      put(to, static_cast<std::uint32_t>(name_bytes), 2);
      put(to, 0, 2);
    };
    put(out, 0x04034b50, 4);
    common(out, local.size());
    out += local + data;
    put(directory, 0x02014b50, 4);
    put(directory, 0x0314, 2);
    common(directory, file.name.size());
    put(directory, 0, 2);
    put(directory, 0, 2);
    put(directory, 0, 2);
    put(directory, file.mode << 16, 4);
    put(directory, begin, 4);
    directory += file.name;
  }
  const auto begin = static_cast<std::uint32_t>(out.size());
  out += directory;
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, static_cast<std::uint32_t>(files.size()), 2);
  put(out, static_cast<std::uint32_t>(files.size()), 2);
  put(out, static_cast<std::uint32_t>(directory.size()), 4);
  put(out, begin, 4);
  put(out, 0, 2);
  return out;
}

}  // namespace sortie::functions::testing_zip
