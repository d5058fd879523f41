// Dates to text and back. Everything counts in doubles of milliseconds, in the proleptic Gregorian calendar.
#include <re2/re2.h>

#include <cmath>
#include <cstdlib>
#include <map>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/numbers.h"
#include "expr/jsonata/pictures.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace date_picture {

constexpr double kDayMs = 86'400'000;
constexpr const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                   "July",    "August",   "September", "October", "November", "December"};
constexpr const char* kDays[] = {"",         "Monday", "Tuesday",  "Wednesday",
                                 "Thursday", "Friday", "Saturday", "Sunday"};
constexpr std::string_view kIsoPicture = "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]";

double days_from_civil(double y, double m, double d) {
  y -= m <= 2 ? 1 : 0;
  const double era = std::floor(y / 400);
  const double yoe = y - era * 400;
  const double doy = std::floor((153 * (m > 2 ? m - 3 : m + 9) + 2) / 5) + d - 1;
  const double doe = yoe * 365 + std::floor(yoe / 4) - std::floor(yoe / 100) + doy;
  return era * 146097 + doe - 719468;
}

// Months count from 0 and may leave 0..11.
double start_of(double year, double month) {
  const double y = year + std::floor(month / 12);
  const double m = month - std::floor(month / 12) * 12;
  return days_from_civil(y, m + 1, 1) * kDayMs;
}

// As Date.UTC: years 0 to 99 are those of the twentieth century.
double utc(double year, double month) {
  return start_of(year >= 0 && year <= 99 ? year + 1900 : year, month);
}

struct Civil {
  double year, month, day;  // Month from 1.
};

Civil civil_of(double ms) {
  const double z = std::floor(ms / kDayMs) + 719468;
  const double era = std::floor(z / 146097);
  const double doe = z - era * 146097;
  const double yoe =
      std::floor((doe - std::floor(doe / 1460) + std::floor(doe / 36524) - std::floor(doe / 146096)) / 365);
  const double doy = doe - (365 * yoe + std::floor(yoe / 4) - std::floor(yoe / 100));
  const double mp = std::floor((5 * doy + 2) / 153);
  const double day = doy - std::floor((153 * mp + 2) / 5) + 1;
  const double month = mp < 10 ? mp + 3 : mp - 9;
  return {yoe + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

double weekday(double ms) {  // 1 = Monday
  const double day = std::floor(ms / kDayMs) + 3;
  return day - std::floor(day / 7) * 7 + 1;
}

// The Monday of the week that holds the first Thursday of the year or month.
double first_week(double year, double month) {
  const double first = utc(year, month);
  const double day = weekday(first);
  return day > 4 ? first + (8 - day) * kDayMs : first - (day - 1) * kDayMs;
}

double week_of(double year, double month, double step, double most, double today) {
  const auto weeks = [&](double start) { return std::floor((today - start) / (kDayMs * 7) + 1); };
  double week = weeks(first_week(year, month));
  if (week > most) {
    if (today >= first_week(year, month + step)) week = 1;
  } else if (week < 1) {
    week = weeks(first_week(year, month - step));
  }
  return week;
}

double fragment(double ms, char component) {
  const Civil c = civil_of(ms);
  const double today = utc(c.year, c.month - 1) + (c.day - 1) * kDayMs;
  const double time = ms - std::floor(ms / kDayMs) * kDayMs;
  switch (component) {
    case 'Y':
      return c.year;
    case 'M':
      return c.month;
    case 'D':
      return c.day;
    case 'd':
      return (today - utc(c.year, 0)) / kDayMs + 1;
    case 'F':
      return weekday(ms);
    case 'W':
      return week_of(c.year, 0, 12, 52, today);
    case 'w':
      return week_of(c.year, c.month - 1, 1, 4, today);
    case 'X':
      return ms < first_week(c.year, 0) ? c.year - 1 : ms >= first_week(c.year, 12) ? c.year + 1 : c.year;
    case 'x': {
      const double shift = ms < first_week(c.year, c.month - 1) ? -1
                           : ms >= first_week(c.year, c.month)  ? 1
                                                                : 0;
      return std::fmod(c.month - 1 + shift + 12, 12) + 1;
    }
    case 'H':
      return std::floor(time / 3'600'000);
    case 'h': {
      const double hour = std::fmod(std::floor(time / 3'600'000), 12);
      return hour == 0 ? 12 : hour;
    }
    case 'P':
      return time >= kDayMs / 2 ? 1 : 0;
    case 'm':
      return std::fmod(std::floor(time / 60'000), 60);
    case 's':
      return std::fmod(std::floor(time / 1000), 60);
    case 'f':
      return std::fmod(std::floor(time), 1000);
    default:
      return 0;
  }
}

enum class NameCase { kNone, kLower, kUpper, kTitle };

struct Part {
  std::string literal;
  char component = '\0';  // '\0': a literal.
  std::string presentation;
  char modifier = '\0';
  NameCase names = NameCase::kNone;
  std::optional<IntegerPicture> integer;
  std::optional<int> width_min;
  std::optional<int> width_max;
  int year_digits = -1;
};

const char* default_presentation(char component) {
  switch (component) {
    case 'm':
    case 's':
      return "01";
    case 'F':
    case 'P':
    case 'C':
    case 'E':
      return "n";
    case 'Z':
    case 'z':
      return "01:01";
    default:
      return component != '\0' && std::string_view("YMDdWwXxHhf").find(component) != std::string_view::npos
                 ? "1"
                 : nullptr;
  }
}

std::optional<int> width(std::string_view text) {
  if (text.empty() || text == "*" || text[0] < '0' || text[0] > '9') return std::nullopt;
  return std::atoi(std::string(text.substr(0, 6)).c_str());
}

// `old` is 2.0.6: the largest width of months and days counts as digits, and only years, months and days fix
// the width of the number before them.
void analyse_presentation(Part& part, std::vector<Part>& parts, bool old) {
  const std::string& p = part.presentation;
  if (p[0] == 'n') {
    part.names = NameCase::kLower;
  } else if (p[0] == 'N') {
    part.names = p.size() > 1 && p[1] == 'n' ? NameCase::kTitle : NameCase::kUpper;
  } else if (std::string_view("YMDdFWwXxHhmsf").find(part.component) != std::string_view::npos) {
    std::string picture = p;
    if (part.modifier) picture += std::string(";") + part.modifier;
    part.integer = analyse_integer_picture(picture);
    IntegerPicture& integer = *part.integer;
    if (part.width_min)
      integer.mandatory_digits = std::max(integer.mandatory_digits, std::min(*part.width_min, 1000));
    if (part.component == 'Y') {
      if (part.width_max) {
        part.year_digits = *part.width_max;
        integer.mandatory_digits = std::min(*part.width_max, 1000);
      } else if (integer.kind == IntegerPicture::Kind::kDecimal &&
                 integer.mandatory_digits + integer.optional_digits >= 2) {
        part.year_digits = integer.mandatory_digits + integer.optional_digits;
      }
    }
    const bool month_or_day = part.component == 'M' || part.component == 'D';
    if (old && month_or_day && part.width_max) integer.mandatory_digits = std::min(*part.width_max, 1000);
    if (!parts.empty() && parts.back().integer && (!old || month_or_day || part.component == 'Y'))
      parts.back().integer->parse_width = std::min(parts.back().integer->mandatory_digits, 100);
  }
  if (part.component == 'Z' || part.component == 'z') part.integer = analyse_integer_picture(p);
}

Part analyse_marker(std::string_view raw, std::vector<Part>& parts, bool old) {
  std::string marker;
  for (const char c : raw) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\v' && c != '\f') marker += c;
  }
  Part part;
  part.component = marker.empty() ? '\0' : marker[0];
  const std::size_t comma = marker.rfind(',');
  std::string presentation = marker.empty() ? "" : marker.substr(1);
  if (comma != std::string::npos) {
    const std::string_view widths = std::string_view(marker).substr(comma + 1);
    const std::size_t dash = widths.find('-');
    part.width_min = width(widths.substr(0, dash));
    if (dash != std::string_view::npos) part.width_max = width(widths.substr(dash + 1));
    presentation = comma > 0 ? marker.substr(1, comma - 1) : "";
  }
  if (presentation.empty()) {
    const char* standard = default_presentation(part.component);
    if (!standard) throw Failure{.code = "D3132", .value = std::string(1, part.component)};
    presentation = standard;
  } else if (code_points(presentation) > 1 &&
             std::string_view("atco").find(presentation.back()) != std::string_view::npos) {
    part.modifier = presentation.back();
    presentation.pop_back();
  }
  part.presentation = presentation;
  analyse_presentation(part, parts, old);
  return part;
}

std::vector<Part> analyse(std::string_view picture, bool old) {
  std::vector<Part> parts;
  std::string literal;
  const auto flush = [&] {
    if (literal.empty()) return;
    Part part;
    part.literal = std::move(literal);
    parts.push_back(std::move(part));
    literal.clear();
  };
  for (std::size_t at = 0; at < picture.size(); ++at) {
    const char c = picture[at];
    const char next = at + 1 < picture.size() ? picture[at + 1] : '\0';
    if (c == '[' && next == '[') {
      literal += '[';
      ++at;
    } else if (c == ']' && next == ']') {
      literal += ']';
      ++at;
    } else if (c == '[') {
      flush();
      const std::size_t end = picture.find(']', at);
      if (end == std::string_view::npos) throw Failure{.code = "D3135"};
      Part part = analyse_marker(picture.substr(at + 1, end - at - 1), parts, old);
      parts.push_back(std::move(part));
      at = end;
    } else {
      literal += c;
    }
  }
  flush();
  return parts;
}

std::string with_case(std::string text, NameCase names) {
  for (char& c : text) {
    if (names == NameCase::kUpper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (names == NameCase::kLower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

struct Zone {
  double hours = 0;
  double minutes = 0;
};

std::string format_zone(const Part& part, const Zone& zone) {
  const double offset = zone.hours * 100 + zone.minutes;
  if (offset == 0 && part.modifier == 't') return "Z";
  std::string out;
  const int digits = part.integer->mandatory_digits;
  if (part.integer->regular || digits == 3 || digits == 4) {
    out = format_integer(offset, *part.integer);
  } else if (digits == 1 || digits == 2) {
    out = format_integer(zone.hours, *part.integer);
    if (zone.minutes != 0) out += ":" + format_integer_picture(zone.minutes, "00");
  } else {
    throw Failure{.code = "D3134", .value = std::to_string(digits)};
  }
  if (offset >= 0) out.insert(0, "+");
  return part.component == 'z' ? "GMT" + out : out;
}

std::string format_part(const Part& part, double ms, const Zone& zone) {
  switch (part.component) {
    case '\0':
      return part.literal;
    case 'Z':
    case 'z':
      if (!part.integer) return "";
      return format_zone(part, zone);
    case 'P':
      return with_case(fragment(ms, 'P') == 1 ? "pm" : "am",
                       part.names == NameCase::kUpper ? NameCase::kUpper : NameCase::kLower);
    case 'C':
    case 'E':
      return "ISO";
    default:
      break;
  }
  double value = fragment(ms, part.component);
  if (part.names != NameCase::kNone) {
    std::string name;
    if (std::isnan(value) && std::string_view("MxF").find(part.component) != std::string_view::npos) {
      // There is no name to shorten or to write in capitals, which JavaScript refuses.
      if (part.names == NameCase::kTitle && !part.width_min && !part.width_max) return "undefined";
      throw Failure{.code = "D3110", .message = "The time is out of the range of dates"};
    }
    if (part.component == 'M' || part.component == 'x') {
      name = kMonths[static_cast<int>(value) - 1];
    } else if (part.component == 'F') {
      name = kDays[static_cast<int>(value)];
    } else {
      throw Failure{.code = "D3133", .value = std::string(1, part.component)};
    }
    name = with_case(name, part.names);
    if (part.width_max && name.size() > static_cast<std::size_t>(*part.width_max))
      name.resize(static_cast<std::size_t>(*part.width_max));
    return name;
  }
  if (!part.integer) throw Failure{.code = "D3132", .value = std::string(1, part.component)};
  if (part.component == 'Y' && part.year_digits >= 0)
    value = std::fmod(value, std::pow(10, part.year_digits));
  return format_integer(value, *part.integer);
}

// What kIsoPicture makes of a time in UTC, for years of four digits.
std::optional<std::string> format_iso(double ms) {
  const Civil c = civil_of(ms);
  if (!(c.year >= 0 && c.year <= 9999)) return std::nullopt;
  char out[] = "0000-00-00T00:00:00.000Z";
  const auto put = [&out](std::size_t end, int digits, int value) {
    for (; digits > 0; --digits, value /= 10) out[--end] = static_cast<char>('0' + value % 10);
  };
  const int time = static_cast<int>(ms - std::floor(ms / kDayMs) * kDayMs);
  put(4, 4, static_cast<int>(c.year));
  put(7, 2, static_cast<int>(c.month));
  put(10, 2, static_cast<int>(c.day));
  put(13, 2, time / 3'600'000);
  put(16, 2, time / 60'000 % 60);
  put(19, 2, time / 1000 % 60);
  put(23, 3, time % 1000);
  return std::string(out, sizeof out - 1);
}

// --- parsing ------------------------------------------------------------------------------------

std::string part_regex(const Part& part) {
  if (part.component == '\0') return RE2::QuoteMeta(part.literal);
  if (part.component == 'Z' || part.component == 'z') {
    std::string out = part.component == 'z' ? "GMT[-+][0-9]+" : "[-+][0-9]+";
    if (part.integer && part.integer->regular)
      out += RE2::QuoteMeta(part.integer->separators[0].text) + "[0-9]+";
    return out;
  }
  if (part.integer) return integer_regex(*part.integer);
  if (std::string_view("MxFP").find(part.component) == std::string_view::npos)
    throw Failure{.code = "D3133", .value = std::string(1, part.component)};
  return "[a-zA-Z]+";
}

double parse_zone(const Part& part, std::string_view text) {
  if (part.component == 'z') text.remove_prefix(3);
  const auto number = [](std::string_view digits) { return std::atof(std::string(digits).c_str()); };
  if (part.integer && part.integer->regular) {
    const std::string& separator = part.integer->separators[0].text;
    const std::size_t at = text.find(separator);
    return number(text.substr(0, at)) * 60 + number(text.substr(at + separator.size()));
  }
  if (text.size() <= 3) return number(text) * 60;
  return number(text.substr(0, 3)) * 60 + number(text.substr(3));
}

std::optional<double> parse_part(const Part& part, std::string_view text) {
  if (part.component == 'Z' || part.component == 'z') return parse_zone(part, text);
  if (part.integer) {
    const double value = parse_integer(text, *part.integer);
    return value;
  }
  if (part.component == 'P') {
    if (text == "am" || text == "AM") return 0;
    if (text == "pm" || text == "PM") return 1;
    return std::nullopt;
  }
  const bool day = part.component == 'F';
  for (int i = 1; i <= (day ? 7 : 12); ++i) {
    std::string_view name = day ? kDays[i] : kMonths[i - 1];
    if (part.width_max && *part.width_max > 0)
      name = name.substr(0, static_cast<std::size_t>(*part.width_max));
    if (name == text) return i;
  }
  return std::nullopt;
}

using Components = std::map<char, double>;

unsigned mask_of(const Components& components, std::string_view names) {
  unsigned mask = 0;
  for (const char name : names) {
    const auto found = components.find(name);
    mask = mask * 2 + (found != components.end() && found->second != 0 ? 1u : 0u);
  }
  return mask;
}
bool is_type(unsigned mask, unsigned type) { return (~type & mask) == 0 && (type & mask) != 0; }

std::optional<double> assemble(Components c, double now_ms) {
  const unsigned date = mask_of(c, "YXMxWwdD");
  const unsigned time = mask_of(c, "PHhmsf");
  const bool date_a = is_type(date, 161);
  const bool date_b = !date_a && is_type(date, 130);
  const bool date_c = is_type(date, 84);
  const bool date_d = !date_c && is_type(date, 72);
  const bool time_b = !is_type(time, 23) && is_type(time, 47);
  std::string order = date_b ? "Yd" : date_c ? "XxwF" : date_d ? "XWF" : "YMD";
  order += time_b ? "Phmsf" : "Hmsf";
  bool started = false;
  bool ended = false;
  for (const char name : order) {
    if (c.count(name)) {
      started = true;
      if (ended) throw Failure{.code = "D3136"};
    } else if (started) {
      c[name] = name == 'M' || name == 'D' || name == 'd' ? 1 : 0;
      ended = true;
    } else {
      c[name] = fragment(now_ms, name);
    }
  }
  if (date_c || date_d) throw Failure{.code = "D3136"};
  const double year = c['Y'];
  double ms = date_b ? utc(year, 0) + (c['d'] - 1) * kDayMs
                     : utc(year, c['M'] > 0 ? c['M'] - 1 : 0) + (c['D'] - 1) * kDayMs;
  double hour = c['H'];
  if (time_b) hour = (c['h'] == 12 ? 0 : c['h']) + (c['P'] == 1 ? 12 : 0);
  ms += hour * 3'600'000 + c['m'] * 60'000 + c['s'] * 1000 + std::trunc(c['f']);
  if (c.count('Z') && c['Z'] != 0) {
    ms -= c['Z'] * 60'000;
  } else if (c.count('z')) {
    ms -= c['z'] * 60'000;
  }
  return ms;
}

}  // namespace date_picture

std::string format_date(double ms, std::optional<std::string_view> picture,
                        std::optional<std::string_view> zone_text, bool old) {
  using namespace date_picture;
  Zone zone;
  if (zone_text) {
    const double offset = leading_integer(*zone_text);
    zone.hours = std::floor(offset / 100);
    zone.minutes = std::fmod(offset, 100);
  }
  // As JavaScript's dates: beyond their range, and in a zone that is no number, everything is not a number.
  double local = std::trunc(ms) + (60 * zone.hours + zone.minutes) * 60'000;
  if (!(std::fabs(local) <= 8.64e15)) local = NAN;
  if (!picture && zone.hours == 0 && zone.minutes == 0) {
    if (auto text = format_iso(local)) return *text;
  }
  const auto parts = analyse(picture.value_or(kIsoPicture), old);
  std::string out;
  for (const Part& part : parts) out += format_part(part, local, zone);
  return out;
}

std::optional<double> parse_date(std::string_view text, std::string_view picture, double now_ms, bool old) {
  using namespace date_picture;
  const auto parts = analyse(picture, old);
  std::string pattern = "(?i)^";
  for (const Part& part : parts) pattern += "(" + part_regex(part) + ")";
  pattern += "$";
  re2::RE2::Options options;
  options.set_log_errors(false);
  const re2::RE2 regex(pattern, options);
  std::vector<re2::StringPiece> groups(parts.size() + 1);
  if (!regex.ok() || !regex.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                                  re2::RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size())))
    return std::nullopt;
  Components components;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].component == '\0') continue;
    const auto value = parse_part(parts[i], {groups[i + 1].data(), groups[i + 1].size()});
    if (value) components[parts[i].component] = *value;
  }
  if (components.empty()) return std::nullopt;
  return assemble(components, now_ms);
}

namespace date_picture {

// YYYY[-MM][-DD][THH:MM:SS][.F..][Z|+HH[:]MM] with every part optional behind the year, so that "-05" may be
// a month, a day or the start of a zone: whichever reading, in this order, takes in the whole text.
class IsoReader {
 public:
  explicit IsoReader(std::string_view text) : text_(text) {}

  std::optional<double> read() {
    double year = 0;
    if (!digits(0, 4, '9', year)) return std::nullopt;
    for (const bool with_month : {true, false}) {
      for (const bool with_day : {true, false}) {
        double month = 1;
        double day = 1;
        std::size_t at = 4;
        if (with_month && !dashed(at, '1', month)) continue;
        if (with_day && !dashed(at, '3', day)) continue;
        const auto rest = read_rest(at);
        if (!rest) continue;
        if (month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
        return start_of(year, month - 1) + (day - 1) * kDayMs + *rest;
      }
    }
    return std::nullopt;
  }

 private:
  char at(std::size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }
  bool is_digit(std::size_t offset) const { return at(offset) >= '0' && at(offset) <= '9'; }

  // So many digits, the first of them at most `most`.
  bool digits(std::size_t from, std::size_t count, char most, double& value) const {
    value = 0;
    for (std::size_t i = from; i < from + count; ++i) {
      if (!is_digit(i) || (i == from && at(i) > most)) return false;
      value = value * 10 + (at(i) - '0');
    }
    return true;
  }

  bool dashed(std::size_t& from, char most, double& value) const {
    if (at(from) != '-' || !digits(from + 1, 2, most, value)) return false;
    from += 3;
    return true;
  }

  std::optional<double> read_rest(std::size_t from) const {
    double ms = 0;
    if (at(from) == 'T') {
      double hours = 0;
      double minutes = 0;
      double seconds = 0;
      if (!digits(from + 1, 2, '2', hours) || at(from + 3) != ':' || !digits(from + 4, 2, '5', minutes) ||
          at(from + 6) != ':' || !digits(from + 7, 2, '5', seconds))
        return std::nullopt;
      ms = hours * 3'600'000 + minutes * 60'000 + seconds * 1000;
      from += 9;
    }
    if (at(from) == '.' && is_digit(from + 1)) {
      double weight = 100;
      double fraction = 0;  // Only milliseconds count.
      for (++from; is_digit(from); ++from, weight /= 10)
        if (weight >= 1) fraction += (at(from) - '0') * weight;
      ms += fraction;
    }
    if (from == text_.size()) return ms;
    if (at(from) == 'Z') return from + 1 == text_.size() ? std::optional(ms) : std::nullopt;
    double hours = 0;
    double minutes = 0;
    const std::size_t colon = at(from + 3) == ':' ? 1 : 0;
    if ((at(from) != '+' && at(from) != '-') || !digits(from + 1, 2, '2', hours) ||
        !digits(from + 3 + colon, 2, '5', minutes) || from + 5 + colon != text_.size())
      return std::nullopt;
    const double zone = (hours * 60 + minutes) * 60'000;
    return at(from) == '-' ? ms + zone : ms - zone;
  }

  std::string_view text_;
};

}  // namespace date_picture

std::optional<double> parse_iso_date(std::string_view text) {
  const auto ms = date_picture::IsoReader(text).read();
  if (!ms) throw Failure{.code = "D3110", .value = std::string(text.substr(0, 100))};
  return ms;
}

}  // namespace sortie::jsonata
