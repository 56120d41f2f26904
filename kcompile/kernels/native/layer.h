// What the compiled kernel is handed: a layer as plain arrays, and the functions over it.
//
// Arrays are of the real type that a function is asked for (4 or 8 bytes). States are node-major:
// [nodes, samples], samples innermost; node j of the circuit is row j - 1, ground has no row.

#pragma once

#include <cstdint>

extern "C" {

// Edges of one nonlinearity, sorted by source: the current w*phi(a*v[src] + b*v[dst] + c) leaves
// src and enters dst; 0 is ground.
struct Batch {
    std::int64_t edges;
    std::int32_t phi;  // 0 relu, 1 tanh, 2 leaky relu, 3 identity
    std::int32_t steps[4];  // 0: the coefficient is one number for all edges, 1: one an edge
    const std::int32_t *src, *dst;  // [edges]
    const void *coefficients[4];  // w, a, b, c
    void *gradients[4];  // [edges] each, added to; null: not wanted
};

struct Layer {
    std::int32_t nodes;
    std::int32_t batches;
    const Batch *batch;
    const void *conductance;  // 1/C of each node, [nodes]; null: 1 each
};

// The integral of the trace of dv/dt's Jacobian goes along with the state where `trace` is given:
// by it the log-density of a flow changes (instantaneous change of variables).
//
// Every function works on the samples begin..end of arrays that hold `samples` of them.
struct Range {
    std::int64_t samples, begin, end;
};

// What every function gives: DONE, or NO_MEMORY, and then what it writes is half written.
enum Status : std::int32_t { DONE = 0, NO_MEMORY = 1 };

struct Suite {
    const char *name;
    // out = dv/dt; trace[samples] = the Jacobian's trace (null: not wanted).
    Status (*derivative)(const Layer *, const Range *, const void *v, void *out, void *trace);
    // grad_v = the adjoint of v, given those of out and trace (null: none).
    Status (*pullback)(const Layer *, const Range *, const void *v, const void *grad_out,
                       const void *grad_trace, void *grad_v);
    // v and trace (added to) after `steps` Runge-Kutta steps of h; `stages` (null: not wanted)
    // keeps what `rk4_pullback` needs.
    Status (*rk4)(const Layer *, const Range *, std::int64_t steps, double h, void *v, void *trace,
                  void *stages);
    // grad_v: in, the adjoint of the final v; out, that of the initial one.
    Status (*rk4_pullback)(const Layer *, const Range *, std::int64_t steps, double h,
                           const void *stages, const void *grad_trace, void *grad_v);
};

// One suite a set of instructions, for float (0) and double (1).
struct Suites {
    Suite real[2];
};
}

constexpr std::int64_t ALIGNMENT = 64;  // bytes: a cache line, and the widest vector
