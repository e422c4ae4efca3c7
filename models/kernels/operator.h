// Kernels as PyTorch operators, which compiled programs call without Python in between. Python
// defines the operators with their names and arguments.
//
// Tensors are passed through PyTorch's stable C interface, whose functions are declared here as in
// torch/csrc/inductor/aoti_torch/c/shim.h and torch/csrc/stable/c/shim.h. The headers of
// torch/csrc/stable (library.h, tensor.h, ops.h) would need only 20 lines, but then a kernel of one
// operator takes 4.5 s of a core to build instead of 0.6 (g++ 12, PyTorch 2.14), and there are five
// kernels or more.

#pragma once

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include <torch/headeronly/version.h>

extern "C" {
typedef int32_t Failure;  // 0 for success
typedef struct TensorOpaque *TensorHandle;
typedef struct ListOpaque *ListHandle;
typedef struct LibraryOpaque *LibraryHandle;
typedef uint64_t Value;  // a number, or an address

Failure aoti_torch_get_data_ptr(TensorHandle, void **);
Failure aoti_torch_get_size(TensorHandle, int64_t dimension, int64_t *);
Failure aoti_torch_get_stride(TensorHandle, int64_t dimension, int64_t *);
Failure aoti_torch_delete_tensor_object(TensorHandle);
Failure aoti_torch_empty_strided(int64_t dimensions, const int64_t *sizes, const int64_t *strides,
                                 int32_t dtype, int32_t device_type, int32_t device_index,
                                 TensorHandle *);
int32_t aoti_torch_dtype_float32();
int32_t aoti_torch_device_type_cpu();
Failure torch_list_size(ListHandle, size_t *);
Failure torch_list_get_item(ListHandle, size_t, Value *);
Failure torch_delete_list(ListHandle);
Failure torch_get_num_threads(uint32_t *);
Failure aoti_torch_library_init_impl(const char *name_space, const char *dispatch_key,
                                     const char *file, uint32_t line, LibraryHandle *);
Failure aoti_torch_delete_library_object(LibraryHandle);
Failure torch_library_impl(LibraryHandle, const char *name,
                           void (*function)(Value *, uint64_t, uint64_t), uint64_t version);
}

namespace {

struct ArgumentError : std::exception {
    const char *what() const noexcept override {
        return "an operator got arguments that its kernel cannot take";
    }
};

inline void check(Failure failure) {
    if (failure) throw ArgumentError();
}

inline void require(bool holds) {
    if (!holds) throw ArgumentError();
}

class Tensor {
  public:
    explicit Tensor(TensorHandle handle) : handle(handle) {}
    Tensor(Tensor &&other) : handle(other.release()) {}
    ~Tensor() {
        if (handle) aoti_torch_delete_tensor_object(handle);
    }

    // A new, contiguous tensor of single precision.
    static Tensor empty(std::initializer_list<int64_t> sizes) {
        std::vector<int64_t> strides(sizes.size());
        int64_t stride = 1;
        for (size_t i = sizes.size(); i-- > 0; stride *= sizes.begin()[i]) strides[i] = stride;
        TensorHandle handle;
        if (aoti_torch_empty_strided(sizes.size(), sizes.begin(), strides.data(),
                                     aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0,
                                     &handle))
            throw std::bad_alloc();
        return Tensor(handle);
    }

    TensorHandle release() { return std::exchange(handle, nullptr); }

    template <typename Number = float>
    Number *data() const {
        void *data;
        check(aoti_torch_get_data_ptr(handle, &data));
        return static_cast<Number *>(data);
    }

    int64_t size(int64_t dimension) const {
        int64_t size;
        check(aoti_torch_get_size(handle, dimension, &size));
        return size;
    }

    int64_t stride(int64_t dimension) const {
        int64_t stride;
        check(aoti_torch_get_stride(handle, dimension, &stride));
        return stride;
    }

  private:
    TensorHandle handle;
};

inline int threads() {
    uint32_t threads;
    check(torch_get_num_threads(&threads));
    return threads;
}

// Conversion of an operator's argument, which the operator then owns.
template <typename Type>
struct Argument {
    static Type from(Value value) { return Type(value); }
};

template <>
struct Argument<Tensor> {
    static Tensor from(Value value) { return Tensor(reinterpret_cast<TensorHandle>(value)); }
};

template <typename Type>
struct Argument<std::optional<Type>> {
    static std::optional<Type> from(Value value) {
        Value *inner = reinterpret_cast<Value *>(value);
        if (!inner) return std::nullopt;
        std::optional<Type> argument = Argument<Type>::from(*inner);
        delete inner;
        return argument;
    }
};

template <typename Type>
struct Argument<std::vector<Type>> {
    static std::vector<Type> from(Value value) {
        ListHandle list = reinterpret_cast<ListHandle>(value);
        size_t size;
        check(torch_list_size(list, &size));
        std::vector<Type> argument;
        argument.reserve(size);
        for (size_t i = 0; i < size; i++) {
            Value item;
            check(torch_list_get_item(list, i, &item));
            argument.push_back(Argument<Type>::from(item));
        }
        check(torch_delete_list(list));
        return argument;
    }
};

template <typename... Type, size_t... i>
void call(Tensor (*function)(Type...), Value *stack, std::index_sequence<i...>) {
    stack[0] = Value(function(Argument<Type>::from(stack[i])...).release());
}

template <typename... Type, size_t... i>
void call(void (*function)(Type...), Value *stack, std::index_sequence<i...>) {
    function(Argument<Type>::from(stack[i])...);
}

template <typename Result, typename... Type>
constexpr auto arguments_of(Result (*)(Type...)) {
    return std::index_sequence_for<Type...>();
}

template <auto function>
void boxed(Value *stack, uint64_t arguments, uint64_t) {
    constexpr auto numbers = arguments_of(function);
    if (arguments != numbers.size()) throw ArgumentError();
    call(function, stack, numbers);
}

// A function, which is the CPU's implementation of an operator while its library is registered.
struct Operator {
    const char *name;
    void (*function)(Value *, uint64_t, uint64_t);
    LibraryHandle library;
};

template <auto function>
constexpr Operator as_operator(const char *name) {
    return {name, boxed<function>, nullptr};
}

template <size_t n>
int32_t register_all(Operator (&operators)[n]) {
    for (Operator &entry : operators)
        if (aoti_torch_library_init_impl("magnetoionic", "CPU", entry.name, 0, &entry.library) ||
            torch_library_impl(entry.library, entry.name, entry.function, TORCH_ABI_VERSION))
            return 1;
    return 0;
}

template <size_t n>
int32_t unregister_all(Operator (&operators)[n]) {
    for (Operator &entry : operators)
        if (aoti_torch_delete_library_object(std::exchange(entry.library, nullptr))) return 1;
    return 0;
}

}  // namespace

// Functions by which load.py registers these operators for the CPU, or removes them so that Python
// computes again; they return 0 for success.
#define OPERATORS(...)                                                                  \
    static Operator operators[] = {__VA_ARGS__};                                        \
    extern "C" int32_t register_operators() { return register_all(operators); }         \
    extern "C" int32_t unregister_operators() { return unregister_all(operators); }
