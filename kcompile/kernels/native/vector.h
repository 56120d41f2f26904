// Vectors of samples, and the nonlinearities over them, without libm and without -ffast-math.
//
// A lane type V is a vector (of the width that the instructions have) or a plain number; the same
// text serves both, so that a sample gets the same answer whatever batch it is in.

#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

namespace {

template <class R> struct Real;

template <> struct Real<float> {
    using Int = std::int32_t;
    typedef float Vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef Int IntVector __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int mantissa = 23;
    static constexpr Int bias = 127;
    static constexpr float rounder = 0x1.8p23f;  // adding it rounds to a whole number
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static constexpr float saturated = 20.0f;  // tanh(10) is 1
    static constexpr int terms = 8;
};

template <> struct Real<double> {
    using Int = std::int64_t;
    typedef double Vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef Int IntVector __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int mantissa = 52;
    static constexpr Int bias = 1023;
    static constexpr double rounder = 0x1.8p52;
    static constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    static constexpr double saturated = 40.0;
    static constexpr int terms = 14;
};

// The integer type beside a lane type.
template <class R, class V> struct Lane {
    using Int = typename Real<R>::IntVector;
};
template <class R> struct Lane<R, R> {
    using Int = typename Real<R>::Int;
};

template <class To, class From> inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    std::memcpy(&result, &value, sizeof(To));
    return result;
}

// The sum of a vector's lanes, halves added to halves.
template <class R, class V, int... I>
inline auto halves(V v, std::integer_sequence<int, I...>) {
    constexpr int half = sizeof...(I);
    return __builtin_shufflevector(v, v, I...) + __builtin_shufflevector(v, v, (I + half)...);
}

template <class R, class V> inline R total(V v) {
    constexpr int lanes = sizeof(V) / sizeof(R);
    if constexpr (lanes == 1) return v;
    else if constexpr (lanes == 2) return v[0] + v[1];
    else return total<R>(halves<R>(v, std::make_integer_sequence<int, lanes / 2>{}));
}

// tanh(x) as e/(e + 2) with e = exp(2|x|) - 1: with 2|x| = n*ln2 + r and p = exp(r) - 1 (Taylor's
// series, |r| <= ln2/2), e = 2^n*p + (2^n - 1) loses nothing near 0.
template <class R, class V> inline V tanh_of(V x) {
    using T = Real<R>;
    using I = typename Lane<R, V>::Int;
    const V magnitude = x < R(0) ? -x : x;
    const V twice = magnitude + magnitude;
    const V y = twice > T::saturated ? V{} + T::saturated : twice;  // a NaN stays
    const V rounded = y * R(1.4426950408889634074) + T::rounder;
    const V n = rounded - T::rounder;
    const V r = (y - n * T::ln2_high) - n * T::ln2_low;
    R inverse = R(1);
    for (int k = 2; k <= T::terms; ++k) inverse /= R(k);
    V p = V{} + inverse;
    for (int k = T::terms; k > 1; --k) {
        inverse *= R(k);
        p = p * r + inverse;
    }
    p = p * r;
    const I exponent = bits<I>(rounded) - bits<I>(V{} + T::rounder) + T::bias;
    const V power = bits<V>(I(exponent << T::mantissa));
    const V e = power * p + (power - R(1));
    const V t = e / (e + R(2));
    return x < R(0) ? -t : t;
}

enum class Phi { relu, tanh, leaky, identity };

// phi, its slope and its curvature.
template <class V> struct Value {
    V value, slope, curvature;
};

template <Phi PHI, class R, class V> inline V phi_of(V u) {
    if constexpr (PHI == Phi::relu) return u < R(0) ? V{} : u;  // a NaN stays
    else if constexpr (PHI == Phi::tanh) return tanh_of<R>(u);
    else if constexpr (PHI == Phi::leaky) return u > R(0) ? u : u * R(0.01);
    else return u;
}

template <Phi PHI, class R, class V> inline Value<V> value_of(V u) {
    const V one = V{} + R(1);
    const V phi = phi_of<PHI, R>(u);
    if constexpr (PHI == Phi::relu) return {phi, u > R(0) ? one : V{}, V{}};
    else if constexpr (PHI == Phi::tanh) {
        const V slope = one - phi * phi;
        return {phi, slope, R(-2) * phi * slope};
    } else if constexpr (PHI == Phi::leaky) return {phi, u > R(0) ? one : one * R(0.01), V{}};
    else return {phi, one, V{}};
}

}  // namespace
