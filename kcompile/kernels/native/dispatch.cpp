// Which suite runs: the widest that the processor has, or the one asked for.

#include <cstring>

#include "layer.h"

extern const Suites suites_baseline;
#ifdef WIDE_SUITES
extern const Suites suites_avx2;
extern const Suites suites_avx512;
#endif

namespace {

bool runs(const char *name) {
#ifdef WIDE_SUITES
    if (!std::strcmp(name, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!std::strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("fma");
#endif
    return !std::strcmp(name, "baseline");
}

const Suites *const all[] = {
#ifdef WIDE_SUITES
    &suites_avx512,
    &suites_avx2,
#endif
    &suites_baseline,
};

}  // namespace

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

// The number-th suite that runs here, widest first, for float (0) or double (1); null: no more.
//
// The 2 rises with every change of layer.h, so that a library of another version, which an editable
// install leaves in place, is not called.
extern "C" EXPORTED const Suite *kcompile_suite_2(int number, int real) {
    for (const Suites *suites : all)
        if (runs(suites->real[0].name) && number-- == 0) return &suites->real[real];
    return nullptr;
}
