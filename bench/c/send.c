/*
 * The baseline: what the same fan-out costs a bare C program.
 *
 * Accepts WebSocket handshakes, answers every text frame with {"id":1,"ok":true}, and from then on does exactly one
 * send() per connection and tick, carrying that tick's frames; with --spread each publication is a tick of its own.
 * Frames have the size and fields of the gateway's. The clock is a kernel timer: late ticks are made up for, not skipped.
 * A socket that takes less than it is given keeps the rest here (up to 4 MiB, then it is closed and counted).
 * Prints {"event":"listening","port":..} at the start and a JSON result at SIGTERM.
 */
#include "common.h"
#include <sys/timerfd.h>

enum { CHANNELS_MAX = 1024, REST_MAX = 4 << 20, REQUEST_MAX = 4096 };

typedef struct {
  int fd;
  bool open, subscribed;
  int index; /* in `subscribers` */
  char *in;
  int in_length;
  char *rest;
  size_t rest_length;
} Conn;

static int epoll, listener, timer;
static Conn *conns; /* by descriptor */
static int conns_max;
static Conn **subscribers;
static int subscriber_count;
static volatile sig_atomic_t stopping;
static int64_t sends, publications, late_ticks, rests, overflows;

/* ---- SHA-1 and base64, for Sec-WebSocket-Accept (RFC 6455 section 4.2.2) ---- */

static uint32_t rotate(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

static void sha1(const uint8_t *data, size_t length, uint8_t digest[20]) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  uint8_t block[256] = {0};
  if (length > 180) fail("sha1: input too long");
  memcpy(block, data, length);
  block[length] = 0x80;
  size_t total = (length + 9 + 63) / 64 * 64;
  uint64_t bits = (uint64_t)length * 8;
  for (int i = 0; i < 8; i++) block[total - 1 - i] = (uint8_t)(bits >> (8 * i));
  for (size_t at = 0; at < total; at += 64) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)block[at + 4 * i] << 24 | (uint32_t)block[at + 4 * i + 1] << 16 |
             (uint32_t)block[at + 4 * i + 2] << 8 | block[at + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      uint32_t f, k;
      if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
      else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
      else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
      else f = b ^ c ^ d, k = 0xCA62C1D6;
      uint32_t next = rotate(a, 5) + f + e + k + w[i];
      e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *data, int length, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < length; i += 3) {
    uint32_t v = data[i] << 16 | (i + 1 < length ? data[i + 1] << 8 : 0) | (i + 2 < length ? data[i + 2] : 0);
    *out++ = digits[v >> 18];
    *out++ = digits[v >> 12 & 63];
    *out++ = i + 1 < length ? digits[v >> 6 & 63] : '=';
    *out++ = i + 2 < length ? digits[v & 63] : '=';
  }
  *out = 0;
}

/* ---- connections ---- */

static void close_conn(Conn *c) {
  if (c->subscribed) {
    Conn *last = subscribers[--subscriber_count];
    subscribers[c->index] = last;
    last->index = c->index;
  }
  close(c->fd);
  free(c->in);
  free(c->rest);
  memset(c, 0, sizeof *c);
}

static void watch(Conn *c, uint32_t events, int op) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(epoll, op, c->fd, &event);
}

/* Gives the bytes to the socket; what it does not take waits for EPOLLOUT. False: the connection is gone. */
static bool give(Conn *c, const char *bytes, size_t length) {
  size_t taken = 0;
  if (c->rest_length == 0) {
    ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
    sends++;
    if (n < 0 && errno != EAGAIN) return close_conn(c), false;
    taken = n < 0 ? 0 : (size_t)n;
  }
  if (taken == length) return true;
  size_t left = length - taken;
  if (c->rest_length + left > REST_MAX) return overflows++, close_conn(c), false;
  if (c->rest_length == 0) rests++, watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  c->rest = realloc(c->rest, c->rest_length + left);
  memcpy(c->rest + c->rest_length, bytes + taken, left);
  c->rest_length += left;
  return true;
}

static void give_rest(Conn *c) {
  ssize_t n = send(c->fd, c->rest, c->rest_length, MSG_NOSIGNAL);
  sends++;
  if (n < 0) {
    if (errno != EAGAIN) close_conn(c);
    return;
  }
  c->rest_length -= (size_t)n;
  memmove(c->rest, c->rest + n, c->rest_length);
  if (c->rest_length == 0) watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static bool handshake(Conn *c) {
  char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
  if (end == NULL) return c->in_length < REQUEST_MAX ? true : (close_conn(c), false);
  *end = 0;
  char *key = strcasestr(c->in, "\r\nsec-websocket-key:");
  if (key == NULL) return close_conn(c), false;
  key += 20;
  key += strspn(key, " ");
  char joined[128], accept[40], answer[256];
  uint8_t digest[20];
  int n = snprintf(joined, sizeof joined, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, " \r"), key);
  if (n >= (int)sizeof joined) return close_conn(c), false;
  sha1((uint8_t *)joined, n, digest);
  base64(digest, 20, accept);
  n = snprintf(answer, sizeof answer,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
  c->open = true;
  c->in_length -= (int)(end + 4 - c->in);
  memmove(c->in, end + 4, c->in_length);
  return give(c, answer, n);
}

/* Client frames are only looked at for their end and opcode. */
static bool frames(Conn *c) {
  for (;;) {
    const uint8_t *p = (uint8_t *)c->in;
    if (c->in_length < 6) return true;
    int length = p[1] & 127, head = 6;
    if (length == 127) return close_conn(c), false;
    if (length == 126) {
      if (c->in_length < 8) return true;
      length = p[2] << 8 | p[3], head = 8;
    }
    if (head + length > REQUEST_MAX) return close_conn(c), false;
    if (c->in_length < head + length) return true;
    int opcode = p[0] & 15;
    c->in_length -= head + length;
    memmove(c->in, c->in + head + length, c->in_length);
    if (opcode == 8) return close_conn(c), false;
    if (opcode != 1) continue;
    static const char reply[] = "\x81\x12{\"id\":1,\"ok\":true}";
    if (!give(c, reply, sizeof reply - 1)) return false;
    if (c->subscribed) continue;
    c->subscribed = true;
    c->index = subscriber_count;
    subscribers[subscriber_count++] = c;
  }
}

static void readable(Conn *c) {
  if (c->in == NULL) c->in = malloc(REQUEST_MAX + 1);
  ssize_t n = recv(c->fd, c->in + c->in_length, REQUEST_MAX - c->in_length, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) close_conn(c);
    return;
  }
  c->in_length += (int)n;
  if (!c->open && !handshake(c)) return;
  if (c->open) frames(c);
}

static void accept_all(void) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    if (fd >= conns_max) {
      close(fd);
      continue;
    }
    nonblocking_nodelay(fd);
    conns[fd].fd = fd;
    watch(&conns[fd], EPOLLIN, EPOLL_CTL_ADD);
  }
}

/* ---- publications ---- */

/* One text frame of `size` bytes with the gateway's fields; returns its length with the WebSocket header. */
static int frame(char *out, int size, int channel, int64_t seq) {
  char text[256];
  int64_t now = wall_us();
  int n = snprintf(text, sizeof text,
                   "{\"channel\":\"c%d\",\"type\":\"value\",\"prev\":%ld,\"seq\":%ld,\"time\":%ld,\"sentUs\":%ld,"
                   "\"data\":{\"ts\":%ld,\"pad\":\"", channel, (long)seq - 1, (long)seq, (long)(now / 1000), (long)now,
                   (long)now);
  if (size < n + 3) size = n + 3;
  int head = size < 126 ? 2 : 4;
  out[0] = (char)0x81;
  out[1] = (char)(size < 126 ? size : 126);
  if (head == 4) out[2] = (char)(size >> 8), out[3] = (char)size;
  memcpy(out + head, text, n);
  memset(out + head + n, 'x', size - n - 3);
  memcpy(out + head + size - 3, "\"}}", 3);
  return head + size;
}

static void stop(int signal) {
  (void)signal;
  stopping = 1;
}

int main(int argc, char **argv) {
  int port = 0, channels = 1, size = 200;
  double rate = 10;
  bool spread = false;
  for (int i = 1; i < argc; i++) {
    const char *v;
    if ((v = option(argc, argv, &i, "--port"))) port = (int)number("--port", v);
    else if ((v = option(argc, argv, &i, "--channels"))) channels = (int)number("--channels", v);
    else if ((v = option(argc, argv, &i, "--rate"))) rate = number("--rate", v);
    else if ((v = option(argc, argv, &i, "--size"))) size = (int)number("--size", v);
    else if (strcmp(argv[i], "--spread") == 0) spread = true;
    else fail("unknown option %s (known: --port --channels --rate --size --spread)", argv[i]);
  }
  if (channels < 1 || channels > CHANNELS_MAX) fail("--channels is 1 to %d", CHANNELS_MAX);
  if (size > 65535) fail("--size is at most 65535");
  if (rate <= 0) fail("--rate is over 0");
  raise_file_limit(64);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  conns_max = files.rlim_cur > 1 << 20 ? 1 << 20 : (int)files.rlim_cur;
  conns = calloc(conns_max, sizeof *conns);
  subscribers = calloc(conns_max, sizeof *subscribers);
  signal(SIGTERM, stop);
  signal(SIGINT, stop);

  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0)
    fail("cannot listen on port %d: %s", port, strerror(errno));
  getsockname(listener, (struct sockaddr *)&address, &address_length);
  printf("{\"event\":\"listening\",\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);

  epoll = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  int64_t period_ns = (int64_t)(1e9 / (spread ? rate * channels : rate));
  struct itimerspec period = {.it_interval = {period_ns / 1000000000, period_ns % 1000000000}};
  period.it_value = period.it_interval;
  timerfd_settime(timer, 0, &period, NULL);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  event.data.ptr = &timer;
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);

  char *batch = malloc((size_t)channels * (size + 256));
  int64_t seqs[CHANNELS_MAX];
  for (int i = 0; i < channels; i++) seqs[i] = 1000000000000;
  int64_t tick = 0;
  struct epoll_event events[512];
  while (!stopping) {
    int n = epoll_wait(epoll, events, 512, -1);
    uint64_t due = 0;
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == &listener) accept_all();
      else if (events[i].data.ptr == &timer) {
        if (read(timer, &due, sizeof due) != sizeof due) due = 0;
      } else {
        Conn *c = events[i].data.ptr;
        if (c->fd != 0 && events[i].events & EPOLLOUT && c->rest_length > 0) give_rest(c);
        if (c->fd != 0 && events[i].events & ~EPOLLOUT) readable(c);
      }
    }
    if (due > 1) late_ticks += (int64_t)due - 1;
    for (; due > 0 && !stopping; due--, tick++) {
      int first = spread ? (int)(tick % channels) : 0, last = spread ? first + 1 : channels, length = 0;
      for (int channel = first; channel < last; channel++) length += frame(batch + length, size, channel, ++seqs[channel]);
      publications += last - first;
      for (int i = subscriber_count - 1; i >= 0; i--) give(subscribers[i], batch, length);
    }
  }
  printf("{\"event\":\"result\",\"cpuSeconds\":%.6f,\"sends\":%ld,\"publications\":%ld,\"lateTicks\":%ld,"
         "\"socketsThatTookLess\":%ld,\"overflows\":%ld}\n", own_cpu_us() / 1e6, (long)sends, (long)publications,
         (long)late_ticks, (long)rests, (long)overflows);
  return 0;
}
