// The kernel, compiled once for each set of instructions (SUITE names it).
//
// Samples are worked on in blocks of up to four vectors, one block from beginning to end: its state
// stays in the cache, the voltages of a source stay in registers while its edges are walked, and
// no array of edges by samples is ever made. A block's rows are ground, nodes 1..N and, where the
// trace goes along, its integral.

#include <cstdlib>
#include <memory>
#include <new>

#include "layer.h"
#include "vector.h"

namespace {

template <class R, class V, int K> struct Block {
    static constexpr int lanes = K * int(sizeof(V) / sizeof(R));
    V part[K];
};

template <class R> struct Edge {
    R w, a, b, c;
};

// A batch's arrays with their types.
template <class R> struct Edges {
    const Batch &batch;
    const R *form[4];
    std::int32_t step[4];

    explicit Edges(const Batch &given) : batch(given) {
        for (int i = 0; i < 4; ++i) {
            form[i] = static_cast<const R *>(given.coefficients[i]);
            step[i] = given.steps[i];
        }
    }

    Edge<R> operator[](std::int64_t e) const {
        return {form[0][e * step[0]], form[1][e * step[1]], form[2][e * step[2]],
                form[3][e * step[3]]};
    }
};

// How far a current into a node moves it: 1/C, and ground not at all.
template <class R> struct Weight {
    const R *conductance;

    explicit Weight(const Layer &layer) : conductance(static_cast<const R *>(layer.conductance)) {}

    R operator()(std::int32_t node) const {
        return node == 0 ? R(0) : conductance ? conductance[node - 1] : R(1);
    }
};

// The weights of an edge's ends. An edge from a node to itself moves nothing.
template <class R> struct Ends {
    R source, destination;

    Ends(const Weight<R> &weight, std::int32_t s, std::int32_t d)
        : source(s == d ? R(0) : weight(s)), destination(s == d ? R(0) : weight(d)) {}

    // What an edge adds to the trace, divided by w and by phi's slope.
    R divergence(const Edge<R> &edge) const { return destination * edge.b - source * edge.a; }
};

template <Phi PHI, bool TRACE, class R, class V, int K>
void add_currents(const Batch &batch, Weight<R> weight, const Block<R, V, K> *v,
                  Block<R, V, K> *out, Block<R, V, K> *trace) {
    const Edges<R> edges(batch);
    V diverging[K] = {};
    for (std::int64_t e = 0; e < batch.edges;) {
        const std::int32_t s = batch.src[e];
        V source[K], leaving[K];
        for (int k = 0; k < K; ++k) {
            source[k] = v[s].part[k];
            leaving[k] = V{};
        }
        do {
            const Edge<R> edge = edges[e];
            const std::int32_t d = batch.dst[e];
            const R beta = TRACE ? edge.w * Ends<R>(weight, s, d).divergence(edge) : R(0);
            for (int k = 0; k < K; ++k) {
                const V u = source[k] * edge.a + (v[d].part[k] * edge.b + edge.c);
                V current;
                if constexpr (TRACE) {
                    const Value<V> phi = value_of<PHI, R>(u);
                    current = edge.w * phi.value;
                    diverging[k] += beta * phi.slope;
                } else current = edge.w * phi_of<PHI, R>(u);
                leaving[k] += current;
                out[d].part[k] += current;
            }
            ++e;
        } while (e < batch.edges && batch.src[e] == s);
        for (int k = 0; k < K; ++k) out[s].part[k] -= leaving[k];
    }
    if constexpr (TRACE)
        for (int k = 0; k < K; ++k) trace->part[k] += diverging[k];
}

// The adjoint of add_currents: g holds the adjoints of the sums, grad gets those of the voltages.
template <Phi PHI, bool TRACE, class R, class V, int K>
void add_pullback(const Batch &batch, Weight<R> weight, const Block<R, V, K> *v,
                  const Block<R, V, K> *g, const Block<R, V, K> *g_trace,
                  Block<R, V, K> *grad) {
    const Edges<R> edges(batch);
    R *const grad_w = static_cast<R *>(batch.gradients[0]);
    R *const grad_a = static_cast<R *>(batch.gradients[1]);
    R *const grad_b = static_cast<R *>(batch.gradients[2]);
    R *const grad_c = static_cast<R *>(batch.gradients[3]);
    for (std::int64_t e = 0; e < batch.edges;) {
        const std::int32_t s = batch.src[e];
        V source[K], g_source[K], gathered[K];
        for (int k = 0; k < K; ++k) {
            source[k] = v[s].part[k];
            g_source[k] = g[s].part[k];
            gathered[k] = V{};
        }
        do {
            const Edge<R> edge = edges[e];
            const std::int32_t d = batch.dst[e];
            const Ends<R> ends(weight, s, d);
            const R beta = TRACE ? ends.divergence(edge) : R(0);
            V of_w = V{}, of_a = V{}, of_b = V{}, of_c = V{}, of_trace = V{};
            for (int k = 0; k < K; ++k) {
                const V destination = v[d].part[k];
                const V u = source[k] * edge.a + (destination * edge.b + edge.c);
                const Value<V> phi = value_of<PHI, R>(u);
                const V x = g[d].part[k] - g_source[k];
                V pull = phi.slope * x;
                V weighed = phi.value * x;
                if constexpr (TRACE) {
                    const V of = phi.slope * g_trace->part[k];
                    weighed += beta * of;
                    of_trace += of;
                    pull += beta * (phi.curvature * g_trace->part[k]);
                }
                pull *= edge.w;
                gathered[k] += edge.a * pull;
                grad[d].part[k] += edge.b * pull;
                of_w += weighed;
                of_c += pull;
                of_a += pull * source[k];
                of_b += pull * destination;
            }
            const R tilt = TRACE ? edge.w * total<R>(of_trace) : R(0);
            if (grad_w) grad_w[e] += total<R>(of_w);
            if (grad_a) grad_a[e] += total<R>(of_a) - ends.source * tilt;
            if (grad_b) grad_b[e] += total<R>(of_b) + ends.destination * tilt;
            if (grad_c) grad_c[e] += total<R>(of_c);
            ++e;
        } while (e < batch.edges && batch.src[e] == s);
        for (int k = 0; k < K; ++k) grad[s].part[k] += gathered[k];
    }
}

// What works on blocks of one shape.
template <class R, class V, int K> class Blocks {
  public:
    using B = Block<R, V, K>;

    Blocks(const Layer &layer, bool trace)
        : layer_(layer), weight_(layer), trace_(trace), rows_(layer.nodes + 1 + (trace ? 1 : 0)) {}

    std::int64_t rows() const { return rows_; }

    void derivative(const B *v, B *out) const {
        clear(out);
        for (std::int32_t i = 0; i < layer_.batches; ++i) add_batch(layer_.batch[i], v, out);
        finish(out);
    }

    // grad = the adjoint of v; g, that of dv/dt, is overwritten.
    void pullback(const B *v, B *g, B *grad) const {
        clear(grad);
        finish(g);
        for (std::int32_t i = 0; i < layer_.batches; ++i) pull_batch(layer_.batch[i], v, g, grad);
        grad[0] = B{};
        if (trace_) grad[layer_.nodes + 1] = B{};
    }

    // Kutta's 3/8 rule. y moves on; the four states that the slopes are taken at go to `stage`.
    void step(B *y, R h, B *const stage[4], B *const slope[4]) const {
        const R third = h / R(3), eighth = h / R(8);
        each([&](std::int64_t j, int k) { stage[0][j].part[k] = y[j].part[k]; });
        derivative(stage[0], slope[0]);
        each([&](std::int64_t j, int k) {
            stage[1][j].part[k] = y[j].part[k] + third * slope[0][j].part[k];
        });
        derivative(stage[1], slope[1]);
        each([&](std::int64_t j, int k) {
            stage[2][j].part[k] =
                y[j].part[k] + (h * slope[1][j].part[k] - third * slope[0][j].part[k]);
        });
        derivative(stage[2], slope[2]);
        each([&](std::int64_t j, int k) {
            stage[3][j].part[k] =
                y[j].part[k] +
                h * (slope[0][j].part[k] - slope[1][j].part[k] + slope[2][j].part[k]);
        });
        derivative(stage[3], slope[3]);
        each([&](std::int64_t j, int k) {
            y[j].part[k] += eighth * ((slope[0][j].part[k] + slope[3][j].part[k]) +
                                      R(3) * (slope[1][j].part[k] + slope[2][j].part[k]));
        });
    }

    // The adjoint of step: g moves back; z holds room for four rows of adjoints, and w for one.
    void step_back(B *g, R h, const B *const stage[4], B *const z[4], B *w) const {
        const R third = h / R(3), eighth = h / R(8);
        each([&](std::int64_t j, int k) { w[j].part[k] = eighth * g[j].part[k]; });
        pullback(stage[3], w, z[3]);
        each([&](std::int64_t j, int k) {
            w[j].part[k] = R(3) * eighth * g[j].part[k] + h * z[3][j].part[k];
        });
        pullback(stage[2], w, z[2]);
        each([&](std::int64_t j, int k) {
            w[j].part[k] = R(3) * eighth * g[j].part[k] + h * (z[2][j].part[k] - z[3][j].part[k]);
        });
        pullback(stage[1], w, z[1]);
        each([&](std::int64_t j, int k) {
            w[j].part[k] = eighth * g[j].part[k] + h * z[3][j].part[k] +
                           third * (z[1][j].part[k] - z[2][j].part[k]);
        });
        pullback(stage[0], w, z[0]);
        each([&](std::int64_t j, int k) {
            g[j].part[k] += (z[0][j].part[k] + z[1][j].part[k]) +
                            (z[2][j].part[k] + z[3][j].part[k]);
        });
    }

    // Samples start.. of [nodes, samples] (and of trace [samples]) as a block, and back.
    void load(const R *v, const R *trace, const Range &range, std::int64_t start, B *rows) const {
        clear(rows);
        const std::int64_t count = present(range, start);
        for (std::int64_t j = 0; j < layer_.nodes; ++j)
            std::memcpy(rows + j + 1, v + j * range.samples + start, count * sizeof(R));
        if (trace_ && trace) std::memcpy(rows + layer_.nodes + 1, trace + start, count * sizeof(R));
    }

    void store(const B *rows, R *v, R *trace, const Range &range, std::int64_t start) const {
        const std::int64_t count = present(range, start);
        for (std::int64_t j = 0; j < layer_.nodes; ++j)
            std::memcpy(v + j * range.samples + start, rows + j + 1, count * sizeof(R));
        if (trace_ && trace) std::memcpy(trace + start, rows + layer_.nodes + 1, count * sizeof(R));
    }

  private:
    template <class F> void each(F f) const {
        for (std::int64_t j = 0; j < rows_; ++j)
            for (int k = 0; k < K; ++k) f(j, k);
    }

    void clear(B *rows) const {
        for (std::int64_t j = 0; j < rows_; ++j) rows[j] = B{};
    }

    // Ground does not move, and capacitances divide.
    void finish(B *rows) const {
        rows[0] = B{};
        if (!layer_.conductance) return;
        const R *conductance = static_cast<const R *>(layer_.conductance);
        for (std::int64_t j = 0; j < layer_.nodes; ++j)
            for (int k = 0; k < K; ++k) rows[j + 1].part[k] *= conductance[j];
    }

    static std::int64_t present(const Range &range, std::int64_t start) {
        return range.end - start < B::lanes ? range.end - start : B::lanes;
    }

    void add_batch(const Batch &batch, const B *v, B *out) const {
        switch (Phi(batch.phi)) {
            case Phi::relu: return add<Phi::relu>(batch, v, out);
            case Phi::tanh: return add<Phi::tanh>(batch, v, out);
            case Phi::leaky: return add<Phi::leaky>(batch, v, out);
            case Phi::identity: return add<Phi::identity>(batch, v, out);
        }
    }

    template <Phi PHI> void add(const Batch &batch, const B *v, B *out) const {
        if (trace_) add_currents<PHI, true>(batch, weight_, v, out, out + layer_.nodes + 1);
        else add_currents<PHI, false, R, V, K>(batch, weight_, v, out, nullptr);
    }

    void pull_batch(const Batch &batch, const B *v, const B *g, B *grad) const {
        switch (Phi(batch.phi)) {
            case Phi::relu: return pull<Phi::relu>(batch, v, g, grad);
            case Phi::tanh: return pull<Phi::tanh>(batch, v, g, grad);
            case Phi::leaky: return pull<Phi::leaky>(batch, v, g, grad);
            case Phi::identity: return pull<Phi::identity>(batch, v, g, grad);
        }
    }

    template <Phi PHI> void pull(const Batch &batch, const B *v, const B *g, B *grad) const {
        if (trace_) add_pullback<PHI, true>(batch, weight_, v, g, g + layer_.nodes + 1, grad);
        else add_pullback<PHI, false, R, V, K>(batch, weight_, v, g, nullptr, grad);
    }

    const Layer &layer_;
    const Weight<R> weight_;
    const bool trace_;
    const std::int64_t rows_;
};

// Rows of blocks at the cache line's beginning.
template <class B> class Room {
  public:
    explicit Room(std::int64_t rows) {
        const std::size_t bytes = (rows * sizeof(B) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        rows_.reset(static_cast<B *>(std::aligned_alloc(ALIGNMENT, bytes ? bytes : ALIGNMENT)));
        if (!rows_) throw std::bad_alloc();
    }
    B *get() const { return rows_.get(); }

  private:
    struct Free {
        void operator()(B *rows) const { std::free(rows); }
    };
    std::unique_ptr<B, Free> rows_;
};

// Calls f(blocks, start) for blocks of fitting width until all samples are done. Exceptions end
// here: the callers are C.
template <class R, class F>
Status in_blocks(const Layer &layer, bool trace, const Range &range, F f) try {
    using V = typename Real<R>::Vector;
    constexpr std::int64_t lanes = sizeof(V) / sizeof(R);
    for (std::int64_t start = range.begin; start < range.end;) {
        const std::int64_t left = range.end - start;
        if (left == 1) {
            f(Blocks<R, R, 1>(layer, trace), start);
            start += 1;
        } else if (left <= lanes) {
            f(Blocks<R, V, 1>(layer, trace), start);
            start += lanes;
        } else if (left <= 2 * lanes) {
            f(Blocks<R, V, 2>(layer, trace), start);
            start += 2 * lanes;
        } else {
            f(Blocks<R, V, 4>(layer, trace), start);
            start += 4 * lanes;
        }
    }
    return DONE;
} catch (const std::bad_alloc &) {
    return NO_MEMORY;
}

char *aligned(void *stages) {
    const auto address = reinterpret_cast<std::uintptr_t>(stages);
    return reinterpret_cast<char *>((address + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

template <class R>
Status derivative(const Layer *layer, const Range *range, const void *v, void *out, void *trace) {
    return in_blocks<R>(*layer, trace != nullptr, *range, [&](auto blocks, std::int64_t start) {
        using B = typename decltype(blocks)::B;
        const std::int64_t rows = blocks.rows();
        Room<B> room(2 * rows);
        B *const here = room.get(), *const there = here + rows;
        blocks.load(static_cast<const R *>(v), nullptr, *range, start, here);
        blocks.derivative(here, there);
        blocks.store(there, static_cast<R *>(out), static_cast<R *>(trace), *range, start);
    });
}

template <class R>
Status pullback(const Layer *layer, const Range *range, const void *v, const void *grad_out,
                const void *grad_trace, void *grad_v) {
    return in_blocks<R>(*layer, grad_trace != nullptr, *range, [&](auto blocks, std::int64_t start) {
        using B = typename decltype(blocks)::B;
        const std::int64_t rows = blocks.rows();
        Room<B> room(3 * rows);
        B *const here = room.get(), *const g = here + rows, *const grad = g + rows;
        blocks.load(static_cast<const R *>(v), nullptr, *range, start, here);
        blocks.load(static_cast<const R *>(grad_out), static_cast<const R *>(grad_trace), *range,
                    start, g);
        blocks.pullback(here, g, grad);
        blocks.store(grad, static_cast<R *>(grad_v), nullptr, *range, start);
    });
}

template <class R>
Status rk4(const Layer *layer, const Range *range, std::int64_t steps, double h, void *v,
           void *trace, void *stages) {
    char *kept = stages ? aligned(stages) : nullptr;
    return in_blocks<R>(*layer, trace != nullptr, *range, [&](auto blocks, std::int64_t start) {
        using B = typename decltype(blocks)::B;
        const std::int64_t rows = blocks.rows();
        Room<B> room(9 * rows);
        B *const y = room.get();
        B *stage[4], *slope[4];
        for (int i = 0; i < 4; ++i) {
            slope[i] = y + (1 + i) * rows;
            stage[i] = y + (5 + i) * rows;
        }
        blocks.load(static_cast<const R *>(v), static_cast<const R *>(trace), *range, start, y);
        for (std::int64_t n = 0; n < steps; ++n) {
            if (kept)
                for (auto &rows_of : stage) {
                    rows_of = reinterpret_cast<B *>(kept);
                    kept += rows * sizeof(B);
                }
            blocks.step(y, R(h), stage, slope);
        }
        blocks.store(y, static_cast<R *>(v), static_cast<R *>(trace), *range, start);
        if (kept) kept = aligned(kept);
    });
}

template <class R>
Status rk4_pullback(const Layer *layer, const Range *range, std::int64_t steps, double h,
                    const void *stages, const void *grad_trace, void *grad_v) {
    const char *kept = aligned(const_cast<void *>(stages));
    return in_blocks<R>(*layer, grad_trace != nullptr, *range, [&](auto blocks, std::int64_t start) {
        using B = typename decltype(blocks)::B;
        const std::int64_t rows = blocks.rows();
        Room<B> room(6 * rows);
        B *const g = room.get(), *const w = g + rows;
        B *const z[4] = {w + rows, w + 2 * rows, w + 3 * rows, w + 4 * rows};
        blocks.load(static_cast<const R *>(grad_v), static_cast<const R *>(grad_trace), *range,
                    start, g);
        const B *const first = reinterpret_cast<const B *>(kept);
        for (std::int64_t n = steps; n-- > 0;) {
            const B *const of = first + n * 4 * rows;
            const B *const stage[4] = {of, of + rows, of + 2 * rows, of + 3 * rows};
            blocks.step_back(g, R(h), stage, z, w);
        }
        blocks.store(g, static_cast<R *>(grad_v), nullptr, *range, start);
        kept = aligned(const_cast<char *>(kept) + steps * 4 * rows * sizeof(B));
    });
}

template <class R> Suite suite(const char *name) {
    return {name, derivative<R>, pullback<R>, rk4<R>, rk4_pullback<R>};
}

}  // namespace

#define JOIN(a, b) a##b
#define NAMED(suite) JOIN(suites_, suite)
#define TEXT(suite) #suite
#define NAME_OF(suite) TEXT(suite)

extern const Suites NAMED(SUITE);
const Suites NAMED(SUITE) = {{suite<float>(NAME_OF(SUITE)), suite<double>(NAME_OF(SUITE))}};
