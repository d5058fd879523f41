// Reader's answers for several nodes: who is there and owns what, and the frames of one shard.
#include <algorithm>

#include "store/postgres/reader.h"

namespace sortie::store::postgres {

namespace reader_sharing {

std::int64_t db_int(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

void append_frames(const Answer& answer, std::vector<FrameRow>* rows) {
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    rows->push_back(
        {{static_cast<ExecutionNo>(answer.integer(i, 0)), static_cast<FrameNo>(answer.integer(i, 1))},
         {answer.integer(i, 2)},
         std::string(answer.bytes(i, 3))});
  }
}

}  // namespace reader_sharing

Result<Standing> Reader::standing(std::int64_t node) {
  // A node that could not renew its lease for a while still owns what nobody took.
  SORTIE_TRY(
      Answer answer,
      ask("SELECT 0::bigint, id, CASE WHEN works THEN 1::bigint ELSE 0 END, id, address, 1::bigint FROM node"
          "  WHERE lease_until > clock_timestamp()"
          " UNION ALL SELECT 1::bigint, s.no, s.epoch, coalesce(n.id, 0), coalesce(n.address, ''),"
          "   CASE WHEN n.lease_until > clock_timestamp() THEN 1::bigint ELSE 0 END"
          "  FROM shard s LEFT JOIN node n ON n.id = s.node"
          " ORDER BY 1, 2",
          {}));
  Standing standing;
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    const std::int64_t number = answer.integer(i, 1);
    std::string address(answer.bytes(i, 4));
    if (answer.integer(i, 0) == 0) {
      standing.nodes.push_back({number, std::move(address), number == node, answer.integer(i, 2) != 0});
    } else {
      const std::int64_t holder = answer.integer(i, 3);
      standing.shards.push_back({static_cast<ShardNo>(number), static_cast<Epoch>(answer.integer(i, 2)),
                                 holder != 0 && holder == node, answer.integer(i, 5) != 0,
                                 std::move(address)});
    }
  }
  return standing;
}

Result<std::vector<FrameRow>> Reader::scan_frames_of(ShardNo shard, ExecutionNo above, FrameKey after,
                                                     std::size_t limit) {
  constexpr std::size_t kRowsMax = 10'000;
  const auto most = static_cast<std::int64_t>(std::min(limit, kRowsMax));
  std::vector<FrameRow> rows;
  if (shard == 0 && after.execution <= above) {
    SORTIE_TRY(Answer early, ask("SELECT execution, frame, wake_at, image FROM frame"
                                 " WHERE (execution, frame) > ($1, $2) AND execution <= $3"
                                 " ORDER BY execution, frame LIMIT $4",
                                 Params()
                                     .add(reader_sharing::db_int(after.execution))
                                     .add(after.frame)
                                     .add(reader_sharing::db_int(above))
                                     .add(most)));
    reader_sharing::append_frames(early, &rows);
  }
  if (rows.size() >= static_cast<std::size_t>(most)) return rows;
  const FrameKey from = std::max(after, FrameKey{above, UINT32_MAX});
  SORTIE_TRY(Answer later, ask("SELECT execution, frame, wake_at, image FROM frame"
                               " WHERE execution % 16 = $1 AND (execution, frame) > ($2, $3)"
                               " ORDER BY execution, frame LIMIT $4",
                               Params()
                                   .add(shard)
                                   .add(reader_sharing::db_int(from.execution))
                                   .add(from.frame)
                                   .add(most - static_cast<std::int64_t>(rows.size()))));
  reader_sharing::append_frames(later, &rows);
  return rows;
}

}  // namespace sortie::store::postgres
