/*
 * Histogram of microseconds for the load clients: log-linear, 64 steps per power of two (under 1.6 % wide).
 * Values under 0 count as 0 (but for min); those over the last bucket are in it.
 */
#ifndef TIDEGATE_BENCH_HISTOGRAM_H
#define TIDEGATE_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, BUCKETS = 40 * STEPS };
typedef struct {
  int64_t counts[BUCKETS], count, sum, min, max;
} Histogram;

static inline void record(Histogram *h, int64_t us) {
  if (h->count++ == 0) h->min = h->max = us;
  if (us < h->min) h->min = us;
  if (us > h->max) h->max = us;
  h->sum += us;
  uint64_t v = us < 0 ? 0 : (uint64_t)us;
  int shift = v < STEPS ? 0 : 63 - __builtin_clzll(v) - STEP_BITS;
  int bucket = shift * STEPS + (int)(v >> shift);
  h->counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* The middle of the bucket that holds the quantile. */
static inline double quantile_us(const Histogram *h, double q) {
  int64_t rank = (int64_t)(q * (double)h->count), seen = 0;
  for (int b = 0; b < BUCKETS; b++) {
    seen += h->counts[b];
    if (seen <= rank) continue;
    int shift = b < 2 * STEPS ? 0 : b / STEPS - 1;
    double low = (double)((uint64_t)(b - shift * STEPS) << shift);
    return low + ((1 << shift) - 1) / 2.0;
  }
  return (double)h->max;
}

static inline void print_histogram(const char *name, const Histogram *h) {
  printf("\"%s\":{\"count\":%ld", name, (long)h->count);
  if (h->count > 0)
    printf(",\"min\":%ld,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p95\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%ld", (long)h->min,
           (double)h->sum / (double)h->count, quantile_us(h, 0.5), quantile_us(h, 0.9), quantile_us(h, 0.95), quantile_us(h, 0.99),
           quantile_us(h, 0.999), (long)h->max);
  printf("}");
}

#endif
