// Pages that stand alone: one file, no network, pictures inside.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace psanet::apps {

/// Text as it may stand in HTML, between tags or in a quoted attribute.
std::string html_text(std::string_view text);

std::string base64(std::span<const uint8_t> bytes);

/// "data:image/png;base64,...": the value of an <img>'s src.
std::string data_url(std::string_view media_type, std::span<const uint8_t> bytes);

/// JSON as it may stand in a <script>: no "</script>" in a string can end it early.
std::string json_in_html(std::string_view json);

/// A whole page. `title` is plain text; `style` (CSS, after the style that all our pages share) and `body` stand as
/// they are.
std::string html_page(std::string_view title, std::string_view style, std::string_view body);

}  // namespace psanet::apps
