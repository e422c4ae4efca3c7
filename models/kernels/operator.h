// Kernels as PyTorch's operators, which compiled programs call without Python in between. What an
// operator is called, and what it takes, stands in Python, where it is defined.
//
// Tensors come by PyTorch's stable C interface. Its functions are declared here as in its headers,
// torch/csrc/inductor/aoti_torch/c/shim.h and torch/csrc/stable/c/shim.h. With torch/csrc/stable
// (library.h, tensor.h, ops.h), which would do the same in 20 lines, a kernel of one operator takes
// 4.5 s of a core to build instead of 0.6 (g++ 12, PyTorch 2.14), and there are five or more.

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
typedef int32_t Failure;  // 0 where there is none
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

struct Mistake : std::exception {
    const char *what() const noexcept override {
        return "an operator is given what its kernel does not take";
    }
};

inline void check(Failure failure) {
    if (failure) throw Mistake();
}

inline void require(bool holds) {
    if (!holds) throw Mistake();
}

class Tensor {
  public:
    explicit Tensor(TensorHandle handle) : handle(handle) {}
    Tensor(Tensor &&other) : handle(other.release()) {}
    ~Tensor() {
        if (handle) aoti_torch_delete_tensor_object(handle);
    }

    // New, of single precision, contiguous.
    static Tensor of(std::initializer_list<int64_t> sizes) {
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

// What an operator is given, which it then owns.
template <typename Type>
struct Given {
    static Type from(Value value) { return Type(value); }
};

template <>
struct Given<Tensor> {
    static Tensor from(Value value) { return Tensor(reinterpret_cast<TensorHandle>(value)); }
};

template <typename Type>
struct Given<std::optional<Type>> {
    static std::optional<Type> from(Value value) {
        Value *inner = reinterpret_cast<Value *>(value);
        if (!inner) return std::nullopt;
        std::optional<Type> given = Given<Type>::from(*inner);
        delete inner;
        return given;
    }
};

template <typename Type>
struct Given<std::vector<Type>> {
    static std::vector<Type> from(Value value) {
        ListHandle list = reinterpret_cast<ListHandle>(value);
        size_t size;
        check(torch_list_size(list, &size));
        std::vector<Type> given;
        given.reserve(size);
        for (size_t i = 0; i < size; i++) {
            Value item;
            check(torch_list_get_item(list, i, &item));
            given.push_back(Given<Type>::from(item));
        }
        check(torch_delete_list(list));
        return given;
    }
};

template <typename... Type, size_t... i>
void call(Tensor (*function)(Type...), Value *stack, std::index_sequence<i...>) {
    stack[0] = Value(function(Given<Type>::from(stack[i])...).release());
}

template <typename... Type, size_t... i>
void call(void (*function)(Type...), Value *stack, std::index_sequence<i...>) {
    function(Given<Type>::from(stack[i])...);
}

template <typename Result, typename... Type>
constexpr auto arguments_of(Result (*)(Type...)) {
    return std::index_sequence_for<Type...>();
}

template <auto function>
void boxed(Value *stack, uint64_t arguments, uint64_t) {
    constexpr auto numbers = arguments_of(function);
    if (arguments != numbers.size()) throw Mistake();
    call(function, stack, numbers);
}

// A function that is the operator of a name on the CPU while its library is registered.
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
    for (Operator &each : operators)
        if (aoti_torch_library_init_impl("magnetoionic", "CPU", each.name, 0, &each.library) ||
            torch_library_impl(each.library, each.name, each.function, TORCH_ABI_VERSION))
            return 1;
    return 0;
}

template <size_t n>
int32_t unregister_all(Operator (&operators)[n]) {
    for (Operator &each : operators)
        if (aoti_torch_delete_library_object(std::exchange(each.library, nullptr))) return 1;
    return 0;
}

}  // namespace

// The functions by which load.py makes these operators the CPU's, or Python's again; 0 if all is well.
#define OPERATORS(...)                                                                  \
    static Operator operators[] = {__VA_ARGS__};                                        \
    extern "C" int32_t register_operators() { return register_all(operators); }         \
    extern "C" int32_t unregister_operators() { return unregister_all(operators); }
