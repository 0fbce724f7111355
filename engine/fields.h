// One description of a struct's fields serves reading, writing, defaults, unknown-key checks and documentation.
//
//   struct Resize {
//     int64_t height = 0;
//     void fields(Fields& f) { f("height", height, "rows of the result"); }
//   };
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
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

/// Visits a struct's fields. What a visit does (read, write, document) is the implementation's affair:
/// engine/fields_json.h.
class Fields {
 public:
  virtual ~Fields() = default;

  virtual void operator()(const char* name, bool& value, const char* doc) = 0;
  virtual void operator()(const char* name, int64_t& value, const char* doc) = 0;
  virtual void operator()(const char* name, double& value, const char* doc) = 0;
  virtual void operator()(const char* name, std::string& value, const char* doc) = 0;
  virtual void operator()(const char* name, Size2& value, const char* doc) = 0;
  /// null in JSON is the empty optional.
  virtual void operator()(const char* name, std::optional<int64_t>& value, const char* doc) = 0;
  virtual void operator()(const char* name, std::optional<double>& value, const char* doc) = 0;
  virtual void operator()(const char* name, std::vector<int64_t>& value, const char* doc) = 0;
  virtual void operator()(const char* name, std::vector<double>& value, const char* doc) = 0;
  virtual void operator()(const char* name, std::vector<std::string>& value, const char* doc) = 0;
  virtual void choice(const char* name, int& value, std::span<const char* const> names, const char* doc) = 0;

  template <NamedEnum E>
  void operator()(const char* name, E& value, const char* doc) {
    int index = static_cast<int>(value);
    choice(name, index, choices(value), doc);
    value = static_cast<E>(index);
  }

  /// A struct of fields inside a struct of fields: a JSON object.
  template <class T>
  requires requires(T& t, Fields& f) { t.fields(f); }
  void operator()(const char* name, T& value, const char* doc) {
    if (enter(name, doc)) {
      value.fields(*this);
      leave();
    }
  }

 protected:
  virtual bool enter(const char* name, const char* doc) = 0;
  virtual void leave() = 0;
};

}  // namespace psanet
