// One description of a struct's fields serves reading, writing, defaults, unknown-key checks and documentation.
//
//   struct Resize {
//     int64_t height = 0;
//     void fields(Fields& f) { f("height", height, "rows of the result"); }
//   };
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace psanet {

/// Height and width; in JSON one number for both, or [h, w].
struct Size2 {
  int64_t h = 0, w = 0;
  bool operator==(const Size2&) const = default;
};

/// The names of an enum's values in order, found by argument-dependent lookup: std::span<const char* const> choices(E).
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
  { choices(e) } -> std::convertible_to<std::span<const char* const>>;
};

/// One of several named values.
struct Choice {
  int64_t index = 0;
  std::span<const char* const> names;
};

/// What a field may be, besides an enum and another struct of fields. null in JSON is the empty optional.
using FieldValue =
    std::variant<bool*, int64_t*, double*, std::string*, Size2*, std::optional<int64_t>*, std::optional<double>*,
                 std::vector<int64_t>*, std::vector<double>*, std::vector<std::string>*, Choice*>;

/// Visits a struct's fields. What a visit does (read, write, document) is the implementation's affair:
/// engine/fields_json.h.
class Fields {
 public:
  virtual ~Fields() = default;

  template <class T>
  requires std::constructible_from<FieldValue, T*>
  void operator()(const char* name, T& value, const char* doc) { visit(name, &value, doc); }

  template <NamedEnum E>
  void operator()(const char* name, E& value, const char* doc) {
    Choice choice{static_cast<int64_t>(value), choices(value)};
    visit(name, &choice, doc);
    value = static_cast<E>(choice.index);
  }

  /// A struct of fields inside a struct of fields: a JSON object.
  template <class T>
  requires requires(T& t, Fields& f) { t.fields(f); }
  void operator()(const char* name, T& value, const char*) {
    if (enter(name)) {
      value.fields(*this);
      leave();
    }
  }

 protected:
  virtual void visit(const char* name, FieldValue value, const char* doc) = 0;
  /// Whether the fields of the struct are to be visited, and leave() to be called after them.
  virtual bool enter(const char* name) = 0;
  virtual void leave() = 0;
};

}  // namespace psanet
