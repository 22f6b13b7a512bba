/*
 * What the two C programs of the fan-out benchmark share: clocks, CPU time, options, number parsing.
 * Linux only; no dependency but libc.
 */
#ifndef TIDEGATE_BENCH_COMMON_H
#define TIDEGATE_BENCH_COMMON_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

static inline void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(2);
}

static inline int64_t clock_us(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static inline int64_t wall_us(void) { return clock_us(CLOCK_REALTIME); }
static inline int64_t monotonic_us(void) { return clock_us(CLOCK_MONOTONIC); }

/* User and system time of this process, in microseconds. */
static inline int64_t own_cpu_us(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

/* As many descriptors as the hard limit allows. */
static inline void raise_file_limit(long needed) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max != RLIM_INFINITY && (long)limit.rlim_max < needed)
    fail("%ld sockets need more file descriptors than the hard limit of %ld: raise it with ulimit -Hn", needed,
         (long)limit.rlim_max);
}

/* The value of "--name value" or "--name=value"; NULL if argv[*i] is another option. */
static inline const char *option(int argc, char **argv, int *i, const char *name) {
  size_t n = strlen(name);
  if (strncmp(argv[*i], name, n) != 0) return NULL;
  if (argv[*i][n] == '=') return argv[*i] + n + 1;
  if (argv[*i][n] != 0) return NULL;
  if (*i + 1 >= argc) fail("%s needs a value", name);
  return argv[++*i];
}

static inline double number(const char *name, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (*text == 0 || *end != 0 || value < 0) fail("%s: '%s' is not a number", name, text);
  return value;
}

static inline void nonblocking_nodelay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

#endif
