// Convolutions by cuDNN, through its graph API: a convolution and what follows it are described as operations on
// tensors, cuDNN's heuristics propose engine configurations for the graph, and a plan is an engine configuration made
// ready to run.
#include "kernels/cuda/convolution.h"

#include <cudnn_graph.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "kernels/cuda/algorithms.h"
#include "kernels/cuda/runtime.h"

// cuDNN makes plans for a description of a GPU since 9.8.
#define PSANET_CUDNN_DESCRIBES_GPUS (CUDNN_VERSION >= 90800)

namespace psanet::kernels::cuda {

namespace {

std::string words(cudnnStatus_t status) {
  char details[512] = "";
  cudnnGetLastErrorString(details, sizeof details);
  details[sizeof details - 1] = '\0';
  return fmt::format("{}{}{}", cudnnGetErrorString(status), details[0] == '\0' ? "" : ": ", details);
}

void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS) throw DeviceError(fmt::format("cuDNN: {} while {}", words(status), what));
}

/// What cuDNN says of a thing that it may or may not be able to do.
struct NotSupported : DeviceError {
  using DeviceError::DeviceError;
};

#if PSANET_CUDNN_DESCRIBES_GPUS
constexpr auto kHeuristics_description = CUDNN_ATTR_ENGINEHEUR_DEVICEPROP;
constexpr auto kPlan_description = CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP;
#else  // never used: there are no descriptions
constexpr auto kHeuristics_description = cudnnBackendAttributeName_t{};
constexpr auto kPlan_description = cudnnBackendAttributeName_t{};
#endif

/// What the type of an attribute's value is called; pointers and descriptors, which are one type in C, are not here.
struct AttributeType {
  static constexpr auto of(int64_t) { return CUDNN_TYPE_INT64; }
  static constexpr auto of(float) { return CUDNN_TYPE_FLOAT; }
  static constexpr auto of(bool) { return CUDNN_TYPE_BOOLEAN; }
  static constexpr auto of(cudnnHandle_t) { return CUDNN_TYPE_HANDLE; }
  static constexpr auto of(cudnnDataType_t) { return CUDNN_TYPE_DATA_TYPE; }
  static constexpr auto of(cudnnConvolutionMode_t) { return CUDNN_TYPE_CONVOLUTION_MODE; }
  static constexpr auto of(cudnnPointwiseMode_t) { return CUDNN_TYPE_POINTWISE_MODE; }
  static constexpr auto of(cudnnBackendHeurMode_t) { return CUDNN_TYPE_HEUR_MODE; }
  static constexpr auto of(cudnnBackendKnobType_t) { return CUDNN_TYPE_KNOB_TYPE; }
};

/// Owner of one of cuDNN's descriptors. It may be used by others only when it has been finalized.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &descriptor_), "making a descriptor");
  }
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor() {
    if (descriptor_ != nullptr) cudnnBackendDestroyDescriptor(descriptor_);
  }

  template <class T, size_t kCount>
  void set(cudnnBackendAttributeName_t name, const std::array<T, kCount>& values) {
    set(name, AttributeType::of(T{}), static_cast<int64_t>(kCount), values.data());
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, T value) {
    set(name, AttributeType::of(value), 1, &value);
  }
  void set_descriptor(cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    const auto status = cudnnBackendSetAttribute(descriptor_, name, type, count, values);
    if (status != CUDNN_STATUS_SUCCESS) {
      throw DeviceError(fmt::format("cuDNN: {} while setting attribute {}", words(status), static_cast<int>(name)));
    }
  }

  template <class T>
  T get(cudnnBackendAttributeName_t name) const {
    T value{};
    int64_t count = 0;
    check(cudnnBackendGetAttribute(descriptor_, name, AttributeType::of(value), 1, &count, &value),
          "reading an attribute");
    return value;
  }

  cudnnStatus_t try_finalize() { return cudnnBackendFinalize(descriptor_); }
  void finalize(const char* what) {
    const cudnnStatus_t status = try_finalize();
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) throw NotSupported(words(status));
    check(status, what);
  }
  cudnnBackendDescriptor_t raw() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

/// What plans are made for: a GPU, through a handle on it, or a GPU that is only described.
struct Library {
  cudnnHandle_t handle = nullptr;
  std::optional<Descriptor> description;

  Library() = default;
  ~Library() {
    if (handle != nullptr) cudnnDestroy(handle);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// Says so to what is made for it, whose attribute has one name for a handle and one for a description.
  void set_in(Descriptor& made, cudnnBackendAttributeName_t for_handle,
              cudnnBackendAttributeName_t for_description) const {
    if (description) {
      made.set_descriptor(for_description, description->raw());
    } else {
      made.set(for_handle, handle);
    }
  }
};

/// One for each context, made at first use.
const Library& library(CudaContext& ctx) {
  std::shared_ptr<void>& owner = ctx.runtime->convolution_library;
  if (owner == nullptr) {
    use_device(ctx);
    auto made = std::make_shared<Library>();
    check(cudnnCreate(&made->handle), "starting the library");
    check(cudnnSetStream(made->handle, ctx.runtime->stream), "setting its stream");
    owner = std::move(made);
  }
  return *static_cast<const Library*>(owner.get());
}

cudnnDataType_t data_type(Scalar scalar) {
  return scalar == Scalar::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

// Names of the tensors that a plan is run on.
enum TensorId : int64_t { kFirst = 1, kSecond, kOut, kBias, kResidual, kIntermediate = 100 };

struct Extents {
  int64_t n, c, h, w;
};

/// NHWC in memory; cuDNN always counts dimensions as n, c, h, w. Weights are [out, in, h, w] in this sense.
Descriptor tensor(int64_t id, const Extents& e, cudnnDataType_t type, bool intermediate = false) {
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::array{e.n, e.c, e.h, e.w});
  t.set(CUDNN_ATTR_TENSOR_STRIDES, std::array{e.h * e.w * e.c, int64_t{1}, e.w * e.c, e.c});
  if (intermediate) t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  t.finalize("describing a tensor");
  return t;
}

/// Operations and their tensors. Configurations and plans are made of it, so it lives as long as they do.
class Graph {
 public:
  Graph(const Library& library, const ConvolutionProblem& problem)
      : problem_(problem), graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
    const Conv2dDims& d = problem.dims;
    const Extents x{d.batch, d.in_channels, d.in_h, d.in_w}, y{d.batch, d.out_channels, d.out_h(), d.out_w()},
        w{d.out_channels, d.in_channels, d.kernel_h, d.kernel_w};
    const cudnnDataType_t in = data_type(problem.dims.scalar), out = data_type(problem.out);
    const cudnnBackendDescriptor_t convolution = keep(describe_convolution());
    switch (problem.pass) {
      case ConvolutionPass::forward: {
        const Conv2dEpilogue& e = problem.epilogue;
        std::vector<cudnnBackendDescriptor_t> added;
        // The residual before the bias: the order that most of cuDNN's engines know.
        if (e.residual) added.push_back(keep(tensor(kResidual, y, out)));
        if (e.bias) added.push_back(keep(tensor(kBias, {1, d.out_channels, 1, 1}, data_type(problem.bias))));
        size_t steps_left = added.size() + (e.relu ? 1 : 0);
        int64_t intermediates = 0;
        const auto result_of_step = [&] {  // of the last one: y
          return steps_left-- == 0 ? keep(tensor(kOut, y, out))
                                   : keep(tensor(kIntermediate + intermediates++, y, CUDNN_DATA_FLOAT, true));
        };
        Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, convolution);
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, keep(tensor(kFirst, x, in)));
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, keep(tensor(kSecond, w, in)));
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f);
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f);
        cudnnBackendDescriptor_t value = result_of_step();
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, value);
        add_operation(std::move(op));
        for (cudnnBackendDescriptor_t other : added) {
          value = add_pointwise(CUDNN_POINTWISE_ADD, value, other, result_of_step());
        }
        if (e.relu) add_pointwise(CUDNN_POINTWISE_RELU_FWD, value, nullptr, result_of_step());
        break;
      }
      case ConvolutionPass::backward_data: {
        Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, convolution);
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, keep(tensor(kFirst, y, in)));
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, keep(tensor(kSecond, w, in)));
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, keep(tensor(kOut, x, out)));
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f);
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f);
        add_operation(std::move(op));
        break;
      }
      case ConvolutionPass::backward_weights: {
        Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, convolution);
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, keep(tensor(kFirst, x, in)));
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, keep(tensor(kSecond, y, in)));
        op.set_descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, keep(tensor(kOut, w, out)));
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0f);
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0f);
        add_operation(std::move(op));
        break;
      }
    }
    if (library.handle != nullptr) graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, library.handle);
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(operations_.size()),
               operations_.data());
    graph_.finalize("describing a convolution");
  }

  const ConvolutionProblem& problem() const { return problem_; }
  cudnnBackendDescriptor_t raw() const { return graph_.raw(); }

 private:
  Descriptor describe_convolution() const {
    const Conv2dDims& d = problem_.dims;
    const std::array padding{d.pad_h, d.pad_w};
    Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
    c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
    c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, padding);
    c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, padding);
    c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::array{d.dilation_h, d.dilation_w});
    c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::array{d.stride_h, d.stride_w});
    c.finalize("describing a convolution's strides and padding");
    return c;
  }

  /// result = mode(value, other), or mode(value) without other; returns result.
  cudnnBackendDescriptor_t add_pointwise(cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t value,
                                         cudnnBackendDescriptor_t other, cudnnBackendDescriptor_t result) {
    Descriptor function(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    function.set(CUDNN_ATTR_POINTWISE_MODE, mode);
    function.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    function.finalize("describing an epilogue");
    Descriptor op(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    op.set_descriptor(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(function)));
    op.set_descriptor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, value);
    if (other != nullptr) op.set_descriptor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, other);
    op.set_descriptor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result);
    add_operation(std::move(op));
    return result;
  }

  void add_operation(Descriptor operation) {
    operation.finalize("describing an operation");
    operations_.push_back(keep(std::move(operation)));
  }

  cudnnBackendDescriptor_t keep(Descriptor descriptor) {
    kept_.push_back(std::move(descriptor));
    return kept_.back().raw();
  }

  ConvolutionProblem problem_;
  std::vector<Descriptor> kept_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  Descriptor graph_;
};

class Plan final : public ConvolutionPlan {
 public:
  Plan(CudaContext& ctx, std::shared_ptr<const Graph> graph, std::string name, Descriptor configuration)
      : ctx_(ctx), graph_(std::move(graph)), name_(std::move(name)), configuration_(std::move(configuration)) {}

  std::string name() const override { return name_; }

  bool build() override {
    if (state_ == State::unknown) state_ = try_to_build() ? State::ready : State::impossible;
    return state_ == State::ready;
  }

  int64_t workspace_bytes() const override { return workspace_bytes_; }

  void run(const ConvolutionOperands& o, void* workspace) override {
    const Conv2dEpilogue& e = graph_->problem().epilogue;
    std::array<int64_t, 5> ids{kFirst, kSecond, kOut};
    std::array<void*, 5> pointers{const_cast<void*>(o.first), const_cast<void*>(o.second), o.out};
    int64_t count = 3;
    const auto add = [&](TensorId id, const void* pointer) {
      ids[static_cast<size_t>(count)] = id;
      pointers[static_cast<size_t>(count++)] = const_cast<void*>(pointer);
    };
    if (e.bias) add(kBias, o.bias);
    if (e.residual) add(kResidual, o.residual);

    Descriptor operands(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    operands.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
    operands.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
    operands.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    operands.finalize("setting a convolution's operands");
    use_device(ctx_);
    check(cudnnBackendExecute(library(ctx_).handle, plan_->raw(), operands.raw()), "launching a convolution");
  }

 private:
  enum class State { unknown, ready, impossible };

  bool try_to_build() {
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    library(ctx_).set_in(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, kPlan_description);
    plan.set_descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration_.raw());
    // Heuristics may propose what turns out not to be supported, or not to compile; others will do.
    if (const cudnnStatus_t status = plan.try_finalize(); status != CUDNN_STATUS_SUCCESS) {
      log_algorithms(fmt::format("  cannot be built: {}, {}", name_, words(status)));
      return false;
    }
    workspace_bytes_ = plan.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    if (workspace_bytes_ > kMost_convolution_workspace_bytes) {
      log_algorithms(fmt::format("  wants a workspace of {} MiB: {}", workspace_bytes_ >> 20, name_));
      return false;
    }
    plan_ = std::make_unique<Descriptor>(std::move(plan));
    return true;
  }

  CudaContext ctx_;
  std::shared_ptr<const Graph> graph_;
  std::string name_;
  Descriptor configuration_;
  std::unique_ptr<Descriptor> plan_;
  int64_t workspace_bytes_ = 0;
  State state_ = State::unknown;
};

Descriptor engine_of(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  int64_t count = 0;
  check(cudnnBackendGetAttribute(configuration.raw(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 &count, &raw),
        "reading a configuration's engine");
  return engine;
}

/// An engine and its settings: all that distinguishes two configurations of a graph.
std::string name_of(const Descriptor& configuration, const Descriptor& engine) {
  std::string name = fmt::format("engine {}", engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int i = 0; i < CUDNN_KNOB_TYPE_COUNTS; ++i) {
    knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    raw.push_back(knobs.back().raw());
  }
  int64_t count = 0;
  check(cudnnBackendGetAttribute(configuration.raw(), CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 CUDNN_KNOB_TYPE_COUNTS, &count, raw.data()),
        "reading an engine's settings");
  for (size_t i = 0; i < std::min(knobs.size(), static_cast<size_t>(count)); ++i) {
    name +=
        fmt::format(" {}={}", static_cast<int>(knobs[i].get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
                    knobs[i].get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  return name;
}

/// Why the engine does not compute what is asked for, in a fixed order, and float32 in float32; null if it does.
const char* objection(const ConvolutionProblem& problem, const Descriptor& engine) {
  std::array<cudnnBackendNumericalNote_t, 64> notes{};  // more than any version has
  int64_t count = 0;
  check(cudnnBackendGetAttribute(engine.raw(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                 static_cast<int64_t>(notes.size()), &count, notes.data()),
        "reading an engine's numerical notes");
  const auto end = notes.begin() + std::min(count, static_cast<int64_t>(notes.size()));
  const auto has = [&](cudnnBackendNumericalNote_t note) { return std::find(notes.begin(), end, note) != end; };
  if (has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return "no fixed order";
  if (has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return "sums of reduced precision";
  if (problem.dims.scalar != Scalar::f32) return nullptr;
  if (has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return "half precision";  // less than tf32 has
  if (problem.math != Float32Math::ieee) return nullptr;
  if (has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return "tensor cores";
  if (has(CUDNN_NUMERICAL_NOTE_FFT)) return "FFT";
  if (has(CUDNN_NUMERICAL_NOTE_WINOGRAD)) return "Winograd";
  return nullptr;
}

/// Engine configurations in the order in which cuDNN thinks them fast; none if it has nothing to say.
std::vector<Descriptor> configurations(const Library& library, const Graph& graph, cudnnBackendHeurMode_t mode) {
  std::vector<Descriptor> found;
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set_descriptor(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.raw());
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (library.description) heuristics.set_descriptor(kHeuristics_description, library.description->raw());
  if (heuristics.try_finalize() != CUDNN_STATUS_SUCCESS) return found;
  int64_t count = 0;
  const auto results = [&](std::vector<cudnnBackendDescriptor_t> into) {
    return cudnnBackendGetAttribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                    static_cast<int64_t>(into.size()), &count,
                                    into.empty() ? nullptr : into.data()) == CUDNN_STATUS_SUCCESS;
  };
  if (!results({}) || count <= 0) return found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) {
    found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(found.back().raw());
  }
  if (!results(raw)) count = 0;
  found.erase(found.begin() + std::clamp<int64_t>(count, 0, static_cast<int64_t>(found.size())), found.end());
  return found;
}

/// Null if cuDNN knows no such graph.
std::shared_ptr<Graph> describe(CudaContext& ctx, const ConvolutionProblem& problem) {
  const Library& made_for = library(ctx);
  const Conv2dEpilogue& e = problem.epilogue;
  const bool out_of_the_ordinary = e.bias || e.residual || e.relu || problem.out != problem.dims.scalar;
  try {
    return std::make_shared<Graph>(made_for, problem);
  } catch (const NotSupported&) {
    return nullptr;
  } catch (const DeviceError&) {
    // What a version cannot do it sometimes calls a wrong parameter. There is another way to do these.
    if (out_of_the_ordinary) return nullptr;
    throw;
  }
}

}  // namespace

ConvolutionPlans library_plans(CudaContext& ctx, const ConvolutionProblem& problem, size_t enough) {
  ConvolutionPlans plans;
  const std::shared_ptr<const Graph> graph = describe(ctx, problem);
  if (graph == nullptr) return plans;
  log_algorithms("cuDNN is asked for: " + describe(problem));
  std::set<std::string> seen;
  for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    if (plans.size() >= enough) break;
    for (Descriptor& configuration : configurations(library(ctx), *graph, mode)) {
      const Descriptor engine = engine_of(configuration);
      if (const char* why = objection(problem, engine)) {
        if (logs_algorithms()) log_algorithms(fmt::format("  declined: {}, {}", name_of(configuration, engine), why));
        continue;
      }
      std::string name = name_of(configuration, engine);
      if (!seen.insert(name).second) continue;
      plans.push_back(std::make_shared<Plan>(ctx, graph, std::move(name), std::move(configuration)));
    }
  }
  return plans;
}

std::optional<CudaContext> described_gpu([[maybe_unused]] const std::string& json, [[maybe_unused]] Float32Math math) {
#if PSANET_CUDNN_DESCRIBES_GPUS
  auto made_for = std::make_shared<Library>();
  try {
    made_for->description.emplace(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  } catch (const DeviceError&) {  // an older library than we were compiled with, or parts of it are missing
    return std::nullopt;
  }
  Descriptor& description = *made_for->description;
  description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, static_cast<int64_t>(json.size()),
                  json.data());
  check(description.try_finalize(), "reading the description of a GPU");
  auto runtime = std::make_shared<Runtime>();
  runtime->name = "a described GPU";
  runtime->convolution_library = std::move(made_for);
  return CudaContext(std::move(runtime), math);
#else
  return std::nullopt;
#endif
}

std::string description_of([[maybe_unused]] CudaContext& ctx) {
#if PSANET_CUDNN_DESCRIBES_GPUS
  const Library& of = library(ctx);
  std::optional<Descriptor> read;
  if (!of.description) {
    read.emplace(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    read->set(CUDNN_ATTR_DEVICEPROP_HANDLE, of.handle);
    check(read->try_finalize(), "describing a GPU");
  }
  const cudnnBackendDescriptor_t description = (read ? *read : *of.description).raw();
  const auto get = [&](std::string& into, int64_t& count) {
    check(cudnnBackendGetAttribute(description, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                   static_cast<int64_t>(into.size()), &count, into.empty() ? nullptr : into.data()),
          "reading the description of a GPU");
  };
  std::string json;
  int64_t count = 0;
  get(json, count);
  json.resize(static_cast<size_t>(count));
  get(json, count);
  return json;
#else
  throw DeviceError("cuDNN: compiled with a version before 9.8, which knows no descriptions of GPUs");
#endif
}

std::string convolution_library_version() {
  const size_t version = cudnnGetVersion();
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace psanet::kernels::cuda
