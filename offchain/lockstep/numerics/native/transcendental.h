// exp, log, tanh and erf: the sequences of lockstep/numerics/transcendental.py, operation for operation.
//
// Compile with -ffp-contract=off and without -ffast-math (nor any flag that flushes subnormals, reassociates or
// replaces a division). -fno-trapping-math changes no value and lets GCC turn the selects into vector blends;
// with SSE4.1, AVX or NEON as well, a loop over any of these vectorises.
//
// tests/offchain/numerics/test_transcendental_native.py compares the bits with the Python ones.

#pragma once

#include <cstdint>
#include <cstring>

namespace lockstep {
namespace transcendental {

inline float from_bits(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline std::uint32_t to_bits(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Two's-complement arithmetic shift, defined for every compiler that C++20 allows and every one known before.
inline std::int32_t sar(std::uint32_t bits, int count) { return static_cast<std::int32_t>(bits) >> count; }

// Integral float to integer, NaN to 0 (converting a NaN would be undefined).
inline std::int32_t to_int(float value) { return static_cast<std::int32_t>(value == value ? value : 0.0f); }

// Round to an integral value, ties to even.
inline float rne(float value) { return __builtin_rintf(value); }

inline float canonical(float value) { return value == value ? value : from_bits(0x7FC00000u); }

// The magnitude (not negative) with the sign of x.
inline float with_sign_of(float magnitude, float x) {
    return from_bits(to_bits(magnitude) | (to_bits(x) & 0x80000000u));
}

inline float exp(float x) {
    const float lowest = from_bits(0xC2D00000u), highest = from_bits(0x42B20000u);
    float b = lowest > x ? lowest : x;
    b = highest < b ? highest : b;
    const float n = rne(b * from_bits(0x3FB8AA3Bu));
    const float r = (b - n * from_bits(0x3F317200u)) - n * from_bits(0x35BFBE8Eu);
    const float z = r * r;
    const float q = r - (z * from_bits(0xBB354513u) + from_bits(0x3E2AAA8Au)) * z;
    const float p = ((r * q) / (2.0f - q) + r) + 1.0f;
    const std::int32_t i = to_int(n);
    const std::int32_t m = sar(static_cast<std::uint32_t>(i), 1);
    // Below -103.98 the product is 2**-151 or less and rounds to 0. It is 0 at once here: a product that underflows
    // takes processors a hundred times longer, and masked attention is full of them.
    const float scaled = from_bits(x < from_bits(0xC2CFF5C3u) ? 0u : to_bits(p) + (static_cast<std::uint32_t>(m) << 23));
    const float factor = from_bits(static_cast<std::uint32_t>(i - m + 127) << 23);
    return canonical(scaled * factor);
}

inline float log(float x) {
    const bool tiny = x < from_bits(0x00800000u);
    const float scaled = tiny ? x * from_bits(0x4B000000u) : x;
    const std::uint32_t i = to_bits(scaled) - (tiny ? 0x4AB504F3u : 0x3F3504F3u);
    const float k = static_cast<float>(sar(i, 23));
    const float f = from_bits((i & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    const float s = f / (f + 2.0f);
    const float z = s * s;
    const float t = ((z * from_bits(0x3E98F073u) + from_bits(0x3ECCAF68u)) * z + from_bits(0x3F2AAABDu)) * z;
    float y = k * from_bits(0x3F317218u) + (f - s * (f - t));
    y = x < from_bits(0x7F800000u) ? y : x;
    const float outside = x == 0.0f ? from_bits(0xFF800000u) : from_bits(0x7FC00000u);
    y = 0.0f < x ? y : outside;
    return canonical(y);
}

inline float tanh(float x) {
    const float highest = from_bits(0x41200000u);
    const float a = from_bits(to_bits(x) & 0x7FFFFFFFu);
    const bool small = a < from_bits(0x3F400000u);
    const float b = highest < a ? highest : a;
    const float whole = rne(b * from_bits(0x4038AA3Bu));
    const float n = small ? 0.0f : whole;
    const float r = (b - n * from_bits(0x3EB17200u)) - n * from_bits(0x353FBE8Eu);
    const float z = r * r;
    float w = (z * from_bits(0xB94210FDu) + from_bits(0x3B09E97Bu)) * z + from_bits(0xBCB606CEu);
    w = (w * z + from_bits(0x3EAAAAA4u)) * z;
    const float d = w + 1.0f;
    const float u = (d - r) * from_bits(static_cast<std::uint32_t>(127 - to_int(n)) << 23);
    const float sum = (d + r) + u;
    const float v = (small ? w : u) / (small ? d : sum);
    const float y = (small ? r : 1.0f) - (small ? r : 2.0f) * v;
    return canonical(with_sign_of(y, x));
}

inline float erf(float x) {
    const float highest = from_bits(0x40800000u);
    const float a = from_bits(to_bits(x) & 0x7FFFFFFFu);
    const float b = highest < a ? highest : a;
    const bool small = b < from_bits(0x3F920000u);
    const float square = b * b;
    const float t = small ? square : b;
    float p = from_bits(small ? 0x370E1608u : 0xB93E9E3Fu);
    p = p * t + from_bits(small ? 0xB8E2CFE9u : 0x3B561036u);
    p = p * t + from_bits(small ? 0x3A5CA7DDu : 0xBCB785E1u);
    p = p * t + from_bits(small ? 0xBBAAEC0Au : 0x3D88A8EEu);
    p = p * t + from_bits(small ? 0x3CDC1101u : 0xBD5371E1u);
    p = p * t + from_bits(small ? 0xBDE71758u : 0xBD7E9A89u);
    p = p * t + from_bits(small ? 0x3EC093A3u : 0xBE9E7D7Du);
    p = p * t + from_bits(small ? 0xBE0375D5u : 0x3F80BA8Du);
    const float p2 = p * p;
    const float p4 = p2 * p2;
    const float v = small ? p : p4;
    const float m = small ? b : 1.0f;
    const float y = m - m * v;
    return canonical(with_sign_of(y, x));
}

}  // namespace transcendental
}  // namespace lockstep
