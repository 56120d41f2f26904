/* Currents and conductances of a layer, a pair of nodes and an edge. */

#include "layer.h"

#include <math.h>
#include <string.h>

#include <stdlib.h> /* says whether this is glibc, which resolves clones when it loads them */

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define CLONED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONED
#endif

#define LEAKY_SLOPE 0.01

enum { CHUNK = 512, FEW = 24 };

Stamp edge_stamp(Phi phi, double w, double a, double b, double c, double high, double low) {
    const double x = a * high + b * low + c;
    double value, slope;
    switch (phi) {
    case PHI_RELU:
        value = x < 0.0 ? 0.0 : x; /* a NaN stays */
        slope = x > 0.0 ? 1.0 : 0.0;
        break;
    case PHI_TANH:
        value = tanh(x);
        slope = 1.0 - value * value;
        break;
    case PHI_LEAKY_RELU:
        value = x > 0.0 ? x : LEAKY_SLOPE * x;
        slope = x > 0.0 ? 1.0 : LEAKY_SLOPE;
        break;
    default:
        value = x;
        slope = 1.0;
    }
    const Stamp stamp = {w * value, w * slope * a, w * slope * b};
    return stamp;
}

/* The segment of a pair's piecewise-linear function that ``u`` lies in. */
static inline uint64_t segment_of(const double *knot, uint64_t count, double u) {
    uint64_t segment = 0;
    if (count <= FEW) {
        for (uint64_t k = 0; k < count; ++k) segment += knot[k] < u;
        return segment;
    }
    uint64_t end = count;
    while (segment < end) {
        const uint64_t middle = (segment + end) / 2;
        if (knot[middle] < u) segment = middle + 1;
        else end = middle;
    }
    return segment;
}

static inline Stamp linear_stamp(const LayerData *layer, uint64_t pair, double u) {
    const uint64_t first = layer->knots[pair], count = layer->knots[pair + 1] - first;
    const uint64_t at = first + pair + segment_of(layer->knot + first, count, u);
    const double slope = layer->slope[at];
    const Stamp stamp = {slope * u + layer->offset[at], slope, -slope};
    return stamp;
}

static inline void add(Stamp *sum, Stamp term) {
    sum->current += term.current;
    sum->by_high += term.by_high;
    sum->by_low += term.by_low;
}

Stamp pair_stamp(const LayerData *layer, uint64_t pair, double high, double low) {
    Stamp sum = linear_stamp(layer, pair, high - low);
    for (uint64_t e = layer->edges[pair]; e < layer->edges[pair + 1]; ++e)
        add(&sum, edge_stamp((Phi)layer->phi[e], layer->w[e], layer->a[e], layer->b[e],
                             layer->c[e], high, low));
    return sum;
}

/* tanh of ``count`` numbers, in place, without calls, so that compilers make vectors of it: e/(e + 2)
 * with e = exp(2|x|) - 1. With 2|x| = n*ln2 + r and p = exp(r) - 1 (Taylor's series, |r| <= ln2/2),
 * e = 2^n*p + (2^n - 1) loses nothing near 0. */
CLONED static void tanh_all(double *restrict x, int count) {
    static const double rounder = 0x1.8p52;
    for (int k = 0; k < count; ++k) {
        const double magnitude = fabs(x[k]);
        double y = magnitude + magnitude;
        y = y > 40.0 ? 40.0 : y;
        const double rounded = y * 1.4426950408889634 + rounder;
        const double n = rounded - rounder;
        const double r = (y - n * 0x1.62e42fefa38p-1) - n * 0x1.ef35793c7673p-45;
        double p = 1.0 / 87178291200.0;
        p = p * r + 1.0 / 6227020800.0;
        p = p * r + 1.0 / 479001600.0;
        p = p * r + 1.0 / 39916800.0;
        p = p * r + 1.0 / 3628800.0;
        p = p * r + 1.0 / 362880.0;
        p = p * r + 1.0 / 40320.0;
        p = p * r + 1.0 / 5040.0;
        p = p * r + 1.0 / 720.0;
        p = p * r + 1.0 / 120.0;
        p = p * r + 1.0 / 24.0;
        p = p * r + 1.0 / 6.0;
        p = p * r + 1.0 / 2.0;
        p = p * r + 1.0;
        p = p * r;
        int64_t exponent, base;
        memcpy(&exponent, &rounded, sizeof exponent);
        memcpy(&base, &rounder, sizeof base);
        exponent = (exponent - base + 1023) << 52;
        double power;
        memcpy(&power, &exponent, sizeof power);
        const double e = power * p + (power - 1.0);
        x[k] = copysign(e / (e + 2.0), x[k]);
    }
}

/* Adds the tanh edges of pairs [begin, end), which have at most CHUNK edges. */
static void add_tanh(const LayerData *layer, uint64_t begin, uint64_t end, const double *voltage,
                     Stamp *sums) {
    double value[CHUNK];
    const uint64_t first = layer->edges[begin];
    for (uint64_t pair = begin; pair < end; ++pair) {
        const double high = voltage[layer->high[pair]], low = voltage[layer->low[pair]];
        for (uint64_t e = layer->edges[pair]; e < layer->edges[pair + 1]; ++e)
            value[e - first] = layer->a[e] * high + layer->b[e] * low + layer->c[e];
    }
    tanh_all(value, (int)(layer->edges[end] - first));
    for (uint64_t pair = begin; pair < end; ++pair) {
        Stamp *sum = sums + (pair - begin);
        for (uint64_t e = layer->edges[pair]; e < layer->edges[pair + 1]; ++e) {
            const double t = value[e - first], slope = layer->w[e] * (1.0 - t * t);
            const Stamp term = {layer->w[e] * t, slope * layer->a[e], slope * layer->b[e]};
            add(sum, term);
        }
    }
}

static inline void spread(const LayerData *layer, uint64_t pair, const double *factor, Stamp stamp,
                          double *current, double *own, double *across) {
    const uint32_t high = layer->high[pair], low = layer->low[pair];
    if (factor != NULL) {
        const double share = factor[high > low ? high : low];
        stamp.current *= share;
        stamp.by_high *= share;
        stamp.by_low *= share;
    }
    current[high] += stamp.current;
    current[low] -= stamp.current;
    own[high] += stamp.by_high;
    own[low] -= stamp.by_low;
    if (across != NULL) {
        across[2 * pair] = stamp.by_low;
        across[2 * pair + 1] = -stamp.by_high;
    }
}

void layer_stamp(const LayerData *layer, const double *factor, const double *voltage,
                 double *current, double *own, double *across) {
    const size_t bytes = ((size_t)layer->nodes + 1) * sizeof(double);
    memset(current, 0, bytes);
    memset(own, 0, bytes);
    if (layer->linear_only) {
        for (uint64_t k = 0; k < layer->pairs; ++k) {
            const double u = voltage[layer->high[k]] - voltage[layer->low[k]];
            spread(layer, k, factor, linear_stamp(layer, k, u), current, own, across);
        }
        return;
    }
    Stamp sums[CHUNK];
    for (uint64_t begin = 0; begin < layer->pairs;) {
        uint64_t end = begin;
        while (layer->tanh_only && end < layer->pairs && end - begin < CHUNK &&
               layer->edges[end + 1] - layer->edges[begin] <= CHUNK)
            ++end;
        if (end == begin) { /* other edges, or more than fit */
            const double high = voltage[layer->high[begin]], low = voltage[layer->low[begin]];
            const Stamp stamp = pair_stamp(layer, begin, high, low);
            spread(layer, begin, factor, stamp, current, own, across);
            ++begin;
            continue;
        }
        for (uint64_t k = begin; k < end; ++k) {
            const double u = voltage[layer->high[k]] - voltage[layer->low[k]];
            sums[k - begin] = linear_stamp(layer, k, u);
        }
        add_tanh(layer, begin, end, voltage, sums);
        for (uint64_t k = begin; k < end; ++k)
            spread(layer, k, factor, sums[k - begin], current, own, across);
        begin = end;
    }
}
