// A batch-normalised quadratic and its gradient, each in two passes over the data; and average pooling.
//
// Rows are the positions of all images, channels lie together (channels-last), in bfloat16 or
// float. With z = (clamp(x, low, high) - mean) * rstd: y = (a z + b) z + c. torch's own operations
// take about ten passes for the same; this is what most of a training step was spent on.
//
// The table of a layer holds, [9][channels]: mean, rstd, a, b, c, low, high, and the centre and
// factor with which the peak, the largest |x - centre| * factor of an image, is measured.

#include <ATen/Parallel.h>
#include <torch/extension.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <vector>

namespace {

constexpr int64_t kChunk = 512;  // rows summed in float before they are added in double

struct Bf16 {
  uint16_t bits;
};

inline float load(Bf16 v) {
  uint32_t wide = uint32_t(v.bits) << 16;
  float f;
  std::memcpy(&f, &wide, 4);
  return f;
}
inline float load(float v) { return v; }

inline void store(Bf16& to, float v) {
  uint32_t wide;
  std::memcpy(&wide, &v, 4);
  wide += 0x7fff + ((wide >> 16) & 1);  // to nearest, ties to even
  to.bits = uint16_t(wide >> 16);
}
inline void store(float& to, float v) { to = v; }

template <typename T>
T* data(const at::Tensor& t) {
  return reinterpret_cast<T*>(t.data_ptr());
}

// Calls body(first row, last row, float sums [count * channels]) for every chunk and adds up its sums.
template <typename Body>
at::Tensor reduce(int64_t rows, int64_t channels, int64_t count, const Body& body) {
  auto total = at::zeros({count, channels}, at::kDouble);
  double* out = total.data_ptr<double>();
  const int64_t chunks = (rows + kChunk - 1) / kChunk;
  std::mutex lock;
  at::parallel_for(0, chunks, 1, [&](int64_t from, int64_t to) {
    std::vector<float> part(count * channels);
    std::vector<double> mine(count * channels, 0.0);
    for (int64_t k = from; k < to; ++k) {
      std::fill(part.begin(), part.end(), 0.0f);
      body(k * kChunk, std::min(rows, (k + 1) * kChunk), part.data());
      for (size_t j = 0; j < mine.size(); ++j) mine[j] += part[j];
    }
    std::lock_guard<std::mutex> guard(lock);
    for (size_t j = 0; j < mine.size(); ++j) out[j] += mine[j];
  });
  return total;
}

struct Table {
  const float *mean, *rstd, *a, *b, *c, *low, *high, *centre, *factor;
  Table(const at::Tensor& t, int64_t channels) {
    const float* p = t.data_ptr<float>();
    const float** rows[] = {&mean, &rstd, &a, &b, &c, &low, &high, &centre, &factor};
    for (const float** row : rows) *row = p, p += channels;
  }
};

inline float clamp(float x, float low, float high) {
  const float least = x > low ? x : low;
  return least < high ? least : high;
}

// Sums of the clamped values and of their squares.
template <typename T>
at::Tensor moments(const at::Tensor& x, const at::Tensor& p, int64_t rows, int64_t channels) {
  const T* in = data<T>(x);
  const Table t(p, channels);
  return reduce(rows, channels, 2, [=](int64_t from, int64_t to, float* sums) {
    float *__restrict first = sums, *__restrict second = sums + channels;
    for (int64_t r = from; r < to; ++r)
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) {
        const float v = clamp(load(in[r * channels + c]), t.low[c], t.high[c]);
        first[c] += v;
        second[c] += v * v;
      }
  });
}

// Sums of the values of each image and of their squares, [images][2][channels].
template <typename T>
at::Tensor image_moments(const at::Tensor& x, int64_t area, int64_t channels) {
  const T* in = data<T>(x);
  const int64_t images = x.size(0);
  auto total = at::zeros({images, 2, channels}, at::kFloat);
  float* out = total.data_ptr<float>();
  at::parallel_for(0, images, 1, [&](int64_t from, int64_t to) {
    for (int64_t image = from; image < to; ++image) {
      float *__restrict first = out + 2 * image * channels, *__restrict second = first + channels;
      for (int64_t r = image * area; r < (image + 1) * area; ++r)
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const float v = load(in[r * channels + c]);
          first[c] += v;
          second[c] += v * v;
        }
    }
  });
  return total;
}

// `peak` gets the peak of each image.
template <typename T>
void forward(const at::Tensor& x, const at::Tensor& p, const at::Tensor& y, const at::Tensor& peak, int64_t area,
             int64_t channels) {
  const T* in = data<T>(x);
  T* out = data<T>(y);
  const Table t(p, channels);
  float* top = peak.data_ptr<float>();
  at::parallel_for(0, peak.size(0), 1, [&](int64_t from, int64_t to) {
    std::vector<float> high(channels);
    float* __restrict h = high.data();
    for (int64_t image = from; image < to; ++image) {
      std::fill(high.begin(), high.end(), 0.0f);
      for (int64_t r = image * area; r < (image + 1) * area; ++r) {
        const T* __restrict row = in + r * channels;
        T* __restrict to_row = out + r * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const float v = load(row[c]);
          const float far = std::fabs(v - t.centre[c]) * t.factor[c];
          h[c] = far > h[c] ? far : h[c];
          const float z = (clamp(v, t.low[c], t.high[c]) - t.mean[c]) * t.rstd[c];
          store(to_row[c], (t.a[c] * z + t.b[c]) * z + t.c[c]);
        }
      }
      float m = 0.0f;
      for (int64_t c = 0; c < channels; ++c) m = h[c] > m ? h[c] : m;
      top[image] = m;
    }
  });
}

// What both passes of the gradient need at one place: whether x is within the clamp, z, g, and s = g (2 a z + b).
struct Slope {
  bool inside;
  float z, g, s;
  Slope(float x, float grad, const Table& t, int64_t c) : g(grad) {
    const float v = clamp(x, t.low[c], t.high[c]);
    inside = v == x;
    z = (v - t.mean[c]) * t.rstd[c];
    s = g * (2 * t.a[c] * z + t.b[c]);
  }
};

// Sums over rows of g, g z, g z^2 (for the coefficients), s and s z (for the statistics).
template <typename T>
at::Tensor backward_sums(const at::Tensor& x, const at::Tensor& g, const at::Tensor& p, int64_t rows, int64_t channels) {
  const T *in = data<T>(x), *grad = data<T>(g);
  const Table t(p, channels);
  return reduce(rows, channels, 5, [=](int64_t from, int64_t to, float* s) {
    float *__restrict s0 = s, *__restrict s1 = s + channels, *__restrict s2 = s1 + channels;
    float *__restrict s3 = s2 + channels, *__restrict s4 = s3 + channels;
    for (int64_t r = from; r < to; ++r)
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) {
        const Slope at(load(in[r * channels + c]), load(grad[r * channels + c]), t, c);
        s0[c] += at.g;
        s1[c] += at.g * at.z;
        s2[c] += at.g * at.z * at.z;
        s3[c] += at.s;
        s4[c] += at.s * at.z;
      }
  });
}

// dx = rstd (s - u - z w) where x is not clamped, u and w the means of s and s z (zero where statistics are fixed).
template <typename T>
void backward_input(const at::Tensor& x, const at::Tensor& g, const at::Tensor& p, const at::Tensor& uv,
                    const at::Tensor& dx, int64_t rows, int64_t channels) {
  const T *in = data<T>(x), *grad = data<T>(g);
  T* out = data<T>(dx);
  const Table t(p, channels);
  const float *u = uv.data_ptr<float>(), *w = u + channels;
  at::parallel_for(0, rows, kChunk, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; ++r) {
      T* __restrict to_row = out + r * channels;
#pragma GCC ivdep
      for (int64_t c = 0; c < channels; ++c) {
        const Slope at(load(in[r * channels + c]), load(grad[r * channels + c]), t, c);
        store(to_row[c], (at.inside ? t.rstd[c] : 0.0f) * (at.s - u[c] - at.z * w[c]));
      }
    }
  });
}

// Adds to dx the gradient of each image's peak, at the place where it is reached.
template <typename T>
void backward_peak(const at::Tensor& x, const at::Tensor& p, const at::Tensor& peak, const at::Tensor& gpeak,
                   const at::Tensor& dx, int64_t area, int64_t channels) {
  const T* in = data<T>(x);
  T* out = data<T>(dx);
  const Table t(p, channels);
  const float *top = peak.data_ptr<float>(), *d = gpeak.data_ptr<float>();
  at::parallel_for(0, peak.size(0), 1, [&](int64_t from, int64_t to) {
    for (int64_t image = from; image < to; ++image) {
      if (d[image] == 0.0f) continue;
      for (int64_t k = image * area * channels; k < (image + 1) * area * channels; ++k) {
        const int64_t c = k % channels;
        const float off = load(in[k]) - t.centre[c];
        if (std::fabs(off) * t.factor[c] >= top[image])
          store(out[k], load(out[k]) + std::copysign(d[image], off) * t.factor[c]);
      }
    }
  });
}

// Average over k x k windows; `backward` spreads the gradient instead. Sizes are those of the pooled map.
template <typename T>
void pool(const at::Tensor& x, const at::Tensor& y, int64_t images, int64_t height, int64_t width, int64_t channels,
          int64_t k, bool backward) {
  T *wide = data<T>(x), *small = data<T>(y);
  const float share = 1.0f / float(k * k);
  at::parallel_for(0, images * height, 1, [&](int64_t from, int64_t to) {
    std::vector<float> sums(channels);
    float* __restrict sum = sums.data();
    for (int64_t at = from * width; at < to * width; ++at) {
      const int64_t row = at / width * k, col = at % width * k;
      if (!backward) std::fill(sums.begin(), sums.end(), 0.0f);
      for (int64_t dy = 0; dy < k; ++dy)
        for (int64_t dx = 0; dx < k; ++dx) {
          T* __restrict cell = wide + ((row + dy) * width * k + col + dx) * channels;
          T* __restrict mean = small + at * channels;
          if (backward)
            for (int64_t c = 0; c < channels; ++c) store(cell[c], load(mean[c]) * share);
          else
            for (int64_t c = 0; c < channels; ++c) sum[c] += load(cell[c]);
        }
      if (!backward)
        for (int64_t c = 0; c < channels; ++c) store(small[at * channels + c], sum[c] * share);
    }
  });
}

#define DISPATCH(x, call)                           \
  do {                                              \
    if ((x).scalar_type() == at::kBFloat16) {       \
      using T = Bf16;                               \
      return call;                                  \
    }                                               \
    TORCH_CHECK((x).scalar_type() == at::kFloat);   \
    using T = float;                                \
    return call;                                    \
  } while (0)

at::Tensor moments_any(at::Tensor x, at::Tensor p, int64_t rows, int64_t channels) {
  DISPATCH(x, moments<T>(x, p, rows, channels));
}
at::Tensor image_moments_any(at::Tensor x, int64_t area, int64_t channels) {
  DISPATCH(x, image_moments<T>(x, area, channels));
}
void forward_any(at::Tensor x, at::Tensor p, at::Tensor y, at::Tensor peak, int64_t area, int64_t channels) {
  DISPATCH(x, forward<T>(x, p, y, peak, area, channels));
}
at::Tensor backward_sums_any(at::Tensor x, at::Tensor g, at::Tensor p, int64_t rows, int64_t channels) {
  DISPATCH(x, backward_sums<T>(x, g, p, rows, channels));
}
void backward_input_any(at::Tensor x, at::Tensor g, at::Tensor p, at::Tensor uv, at::Tensor dx, int64_t rows,
                        int64_t channels) {
  DISPATCH(x, backward_input<T>(x, g, p, uv, dx, rows, channels));
}
void backward_peak_any(at::Tensor x, at::Tensor p, at::Tensor peak, at::Tensor gpeak, at::Tensor dx, int64_t area,
                       int64_t channels) {
  DISPATCH(x, backward_peak<T>(x, p, peak, gpeak, dx, area, channels));
}

void pool_any(at::Tensor x, at::Tensor y, int64_t images, int64_t height, int64_t width, int64_t channels, int64_t k,
              bool backward) {
  DISPATCH(x, pool<T>(x, y, images, height, width, channels, k, backward));
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("moments", &moments_any);
  m.def("image_moments", &image_moments_any);
  m.def("forward", &forward_any);
  m.def("backward_sums", &backward_sums_any);
  m.def("backward_input", &backward_input_any);
  m.def("backward_peak", &backward_peak_any);
  m.def("pool", &pool_any);
}
