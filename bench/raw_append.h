#pragma once
// The limit that durable work is held against: N blocking clients, each of which appends one row of a given
// size to a plain SQLite table and goes on when it is on disk. One writer thread commits whatever has queued
// up, with the settings of our own store (4 KiB pages, WAL, full fsync).
#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/testing/manual_loop.h"

namespace sortie::bench {

class RawAppender {
 public:
  RawAppender(const std::string& file, std::size_t row_bytes) : body_(row_bytes, 'r') {
    run_or_die(sqlite3_open(file.c_str(), &db_));
    run("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA wal_autocheckpoint=4000; CREATE TABLE line(no INTEGER PRIMARY KEY, body BLOB) STRICT");
    run_or_die(sqlite3_prepare_v2(db_, "INSERT INTO line(body) VALUES(?)", -1, &insert_, nullptr));
    thread_ = std::thread([this] { work(); });
  }
  RawAppender(const RawAppender&) = delete;
  RawAppender& operator=(const RawAppender&) = delete;
  ~RawAppender() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }

  // Appends a second by `clients` blocking clients over `seconds`.
  double measure(std::size_t clients, double seconds) {
    using SteadyClock = std::chrono::steady_clock;
    const auto began = SteadyClock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(SteadyClock::now() - began).count(); };
    std::uint64_t done = 0;
    std::size_t in_flight = 0;
    bool stopping = false;
    std::function<void()> next = [&] {
      ++in_flight;
      append([&, asked = SteadyClock::now()] {
        latencies.push_back(std::chrono::duration<double>(SteadyClock::now() - asked).count());
        --in_flight;
        ++done;
        if (!stopping) next();
      });
    };
    for (std::size_t i = 0; i < clients; ++i) next();
    loop_.run_until([&] {
      stopping = stopping || elapsed() >= seconds;
      return stopping && in_flight == 0;
    });
    return static_cast<double>(done) / elapsed();
  }
  std::vector<double> latencies;  // Of every append so far, in seconds.

 private:
  void append(std::function<void()> done) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(done));
    }
    wake_.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      std::vector<std::function<void()>> group;
      group.swap(queue_);
      lock.unlock();
      run("BEGIN IMMEDIATE");
      for (std::size_t i = 0; i < group.size(); ++i) {
        sqlite3_bind_blob(insert_, 1, body_.data(), static_cast<int>(body_.size()), SQLITE_STATIC);
        if (sqlite3_step(insert_) != SQLITE_DONE) die();
        sqlite3_reset(insert_);
      }
      run("COMMIT");
      loop_.post([group = std::move(group)] {
        for (const auto& done : group) done();
      });
      lock.lock();
    }
  }

  void run(const char* sql) { run_or_die(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }
  void run_or_die(int code) {
    if (code != SQLITE_OK) die();
  }
  [[noreturn]] void die() {
    std::fprintf(stderr, "bench: raw append: %s\n", sqlite3_errmsg(db_));
    std::exit(1);
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  const std::string body_;
  ManualLoop loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace sortie::bench
