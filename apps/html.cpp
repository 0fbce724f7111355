#include "apps/html.h"

#include <fmt/format.h>

#include <map>

namespace psanet::apps {

namespace {

// What all our pages share: readable on a phone, dark where the reader's system is.
constexpr std::string_view kStyle = R"(
:root {
  color-scheme: light dark;
  --ink: #1c2430; --soft: #66707f; --paper: #ffffff; --line: #d9dee6; --accent: #1f6feb;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa4b2; --paper: #14181f; --line: #333b47; --accent: #6ea8ff; }
}
body {
  margin: 2rem auto; padding: 0 1rem; max-width: 68rem;
  background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); } img { max-width: 100%; } pre { overflow-x: auto; }
)";

}  // namespace

std::string html_text(std::string_view text) {
  static const std::map<char, std::string> kEscaped = {
      {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
  std::string out;
  for (const char c : text) {
    const auto escaped = kEscaped.find(c);
    out += escaped == kEscaped.end() ? std::string(1, c) : escaped->second;
  }
  return out;
}

std::string base64(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t three = static_cast<uint32_t>(bytes[i]) << 16 |
                           (left > 1 ? static_cast<uint32_t>(bytes[i + 1]) << 8 : 0u) |
                           (left > 2 ? static_cast<uint32_t>(bytes[i + 2]) : 0u);
    out += kDigits[three >> 18 & 63];
    out += kDigits[three >> 12 & 63];
    out += left > 1 ? kDigits[three >> 6 & 63] : '=';
    out += left > 2 ? kDigits[three & 63] : '=';
  }
  return out;
}

std::string data_url(std::string_view media_type, std::span<const uint8_t> bytes) {
  return fmt::format("data:{};base64,{}", media_type, base64(bytes));
}

std::string json_in_html(std::string_view json) {
  std::string out;
  for (const char c : json) {
    out += c == '<' ? "\\u003c" : std::string(1, c);  // only strings can hold one
  }
  return out;
}

std::string html_page(std::string_view title, std::string_view style, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}{}</style>\n</head>\n<body>\n{}\n</body>\n</html>\n",
      html_text(title), kStyle, style, body);
}

}  // namespace psanet::apps
