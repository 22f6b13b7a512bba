/*
 * Load client: many WebSocket sessions in one lean process, for the fan-out and memory benchmarks.
 *
 * Phases: connect all at a given rate; hold; send each session's subscribe frames at a given rate and wait for the
 * replies; warm up; measure; report. Each phase's end is a JSON line on stdout ({"event":"connected"|"subscribed"|"begin"|
 * "result",...}), so that a caller can look at the server in between.
 * Every text frame is checked (one whole frame, begins with { and ends with }), counted, and its "ts":<us> (wall clock
 * of the source) goes into a latency histogram (another key: --latency-key '"E":'; a second one, where frames have it, with
 * its own: --source-key '"T":'); with --channels N its "prev"/"seq" must continue the chain of "c<n>".
 * With --spread each session asks for one of those N channels only, in turn.
 * With --names A,B,.. instead, the native chains of those channels are checked by the rules of docs/protocol.md, through
 * changes of cadence and gaps. The last --slow N of the sessions read, from the warm-up on, only --slow-part of the bytes
 * that the others get on average, into a receive buffer of --slow-buffer bytes; they are counted apart, and a close by the
 * server is no fault of theirs. They read at full speed again when the measuring is over (--linger).
 * With --cpu-of PID the CPU time of that process (all threads) over the measuring window is in the result.
 * At the limit: connections that fail or close are counted, never retried; frames over 16 MiB close the connection.
 */
#include "common.h"
#include "histogram.h"

enum { READ_BYTES = 256 * 1024, FRAME_MAX = 16 << 20, SUBSCRIBES_MAX = 64, PORTS_PER_ADDRESS = 8000, NAMES_MAX = 16 };

typedef enum { IDLE, CONNECTING, HANDSHAKE, OPEN, CLOSED } State;

typedef struct {
  int fd;
  State state;
  int replies;
  int part_length, part_room;
  char *part; /* bytes of a frame that is not whole yet */
  int64_t started_us, subscribed_us;
  int64_t *last_seq; /* by channel number; 0 = none yet */
  bool slow;
  int64_t taken; /* bytes read while it is slow */
} Conn;

/* ---- options and state ---- */

static const char *host = "127.0.0.1", *path = "/ws/quote/v1", *subscribes[SUBSCRIBES_MAX];
static int port, wanted = 1, subscribe_count, channel_count, cpu_pid;
static double connect_rate = 2000, subscribe_rate = 2000, hold_s, warmup_s = 1, seconds = 5, patience_s = 60;
static bool linger_open, spread, quick_ack;
static int epoll;
static Conn *conns;
static char *buffer;
static int opened, failed, closed_by_server, subscribed, last_close_code;
static char first_error[256];
static bool measuring;
static const char *names[NAMES_MAX];
static int name_count, slow_count, slow_buffer = 65536;
static double slow_part = 0.05;
static bool slowness; /* The slow ones are slow now. */
static int64_t fast_bytes; /* What all others have read meanwhile. */
static int slow_closed, slow_lost, slow_last_code;
static int64_t slow_messages, slow_bytes, cadence_changes, gaps;
static Histogram slow_latency;

/* Counted while measuring. */
static int64_t messages, bytes;
/* Counted from the first subscribe on. */
static int64_t broken_frames, chain_breaks, seq_not_rising, refusals, others, replies_seen;
static Histogram latency, source_latency, connect_time, subscribe_time;

static void note_error(const char *what, const char *text, int length) {
  if (first_error[0] == 0) snprintf(first_error, sizeof first_error, "%s%.*s", what, length > 180 ? 180 : length, text);
}

static void drop(Conn *c, bool by_server) {
  if (c->state == OPEN && c->slow) slow_lost += by_server;
  else if (c->state == OPEN) closed_by_server += by_server;
  else failed++;
  close(c->fd);
  free(c->part);
  c->part = NULL;
  c->part_length = c->part_room = 0;
  c->state = CLOSED;
}

/* ---- frames ---- */

typedef struct {
  const char *text;
  int length, hint; /* where it was last time: the frames are all alike */
} Key;

static const char *after(Key *key, const char *p, int length) {
  if (key->hint + key->length <= length && memcmp(p + key->hint, key->text, key->length) == 0)
    return p + key->hint + key->length;
  const char *found = memmem(p, length, key->text, key->length);
  if (found == NULL) return NULL;
  key->hint = (int)(found - p);
  return found + key->length;
}

/* Digits up to the end of the frame; -1 if there are none (null). */
static int64_t digits(const char *p, const char *end) {
  if (p >= end || *p < '0' || *p > '9') return -1;
  int64_t n = 0;
  while (p < end && *p >= '0' && *p <= '9') n = n * 10 + (*p++ - '0');
  return n;
}

static Key key_ts = {"\"ts\":", 5, 0}, key_source, key_channel = {"\"channel\":\"c", 12, 0}, key_prev = {"\"prev\":", 7, 0},
           key_seq = {"\"seq\":", 6, 0};

/* The channel of --names that a native push is of, -1 if it is none of them. */
static int named(const char *p, int length) {
  enum { AT = 12 }; /* {"channel":" */
  if (length < AT || memcmp(p, "{\"channel\":\"", AT) != 0) return -1;
  for (int i = 0; i < name_count; i++) {
    int n = (int)strlen(names[i]);
    if (AT + n < length && memcmp(p + AT, names[i], n) == 0 && p[AT + n] == '"') return i;
  }
  return -1;
}

static bool is_type(const char *p, int length, const char *type) {
  const char *at = memmem(p, length < 120 ? length : 120, "\"type\":\"", 8);
  return at != NULL && strncmp(at + 8, type, strlen(type)) == 0;
}

/* docs/protocol.md, "Native: keeping state"; a cadence changes nothing in the chain. */
static void on_named(Conn *c, int channel, const char *p, int length) {
  const char *end = p + length, *at;
  int64_t *last = &c->last_seq[channel];
  if (is_type(p, length, "cadence")) {
    cadence_changes++;
    return;
  }
  if (is_type(p, length, "gap")) {
    gaps++;
    if ((at = memmem(p, length, "\"to\":", 5))) *last = digits(at + 5, end);
    return;
  }
  if (!(at = after(&key_seq, p, length))) return;
  int64_t seq = digits(at, end);
  bool whole = is_type(p, length, "snapshot"), value = is_type(p, length, "value");
  if (*last != 0 && seq < *last) seq_not_rising++;
  if (*last != 0 && seq > *last && !whole && !value) {
    at = after(&key_prev, p, length);
    if (at == NULL || digits(at, end) != *last) {
      chain_breaks++;
      note_error("chain: ", p, length);
    }
  }
  if (seq > *last) *last = seq;
}

static void on_push(Conn *c, const char *p, int length, int64_t now) {
  const char *end = p + length, *at;
  if (name_count > 0) {
    int channel = named(p, length);
    if (channel >= 0) on_named(c, channel, p, length);
  }
  if (measuring && c->slow) {
    slow_messages++;
    int64_t ts = (at = after(&key_ts, p, length)) ? digits(at, end) : -1;
    if (ts > 0) record(&slow_latency, now - ts);
  } else if (measuring) {
    messages++;
    if ((at = after(&key_ts, p, length))) {
      int64_t ts = digits(at, end);
      if (ts > 0) record(&latency, now - ts);
    }
    if (key_source.length > 0 && (at = after(&key_source, p, length))) {
      int64_t ts = digits(at, end);
      if (ts > 0) record(&source_latency, now - ts);
    }
  }
  if (channel_count == 0 || !(at = after(&key_channel, p, length))) return;
  int64_t channel = digits(at, end);
  if (channel < 0 || channel >= channel_count || !(at = after(&key_seq, p, length))) return;
  int64_t seq = digits(at, end), *last = &c->last_seq[channel];
  if (seq < 0) return;
  if (*last != 0) {
    at = after(&key_prev, p, length);
    if (seq <= *last) seq_not_rising++;
    else if (at == NULL || digits(at, end) != *last) chain_breaks++;
  }
  *last = seq;
}

static void on_text(Conn *c, const char *p, int length, int64_t now) {
  if (length < 2 || p[0] != '{' || p[length - 1] != '}') {
    broken_frames++;
    note_error("broken frame: ", p, length);
    return;
  }
  if (length < 6 || memcmp(p, "{\"id\":", 6) != 0) return on_push(c, p, length, now);
  replies_seen++;
  if (memmem(p, length, "\"ok\":true", 9) == NULL || memmem(p, length, "\"errors\":", 9) != NULL) {
    refusals++;
    note_error("refused: ", p, length);
  }
  if (++c->replies != subscribe_count) return;
  subscribed++;
  record(&subscribe_time, monotonic_us() - c->subscribed_us);
}

static void send_frame(Conn *c, int opcode, const char *payload, int length) {
  char *out = malloc(length + 14);
  int head = 2;
  out[0] = (char)(0x80 | opcode);
  if (length < 126) out[1] = (char)(0x80 | length);
  else out[1] = (char)(0x80 | 126), out[2] = (char)(length >> 8), out[3] = (char)length, head = 4;
  const char mask[4] = {0x37, 0x21, 0x5a, 0x0f};
  memcpy(out + head, mask, 4);
  head += 4;
  for (int i = 0; i < length; i++) out[head + i] = (char)(payload[i] ^ mask[i & 3]);
  if (send(c->fd, out, head + length, MSG_NOSIGNAL) != head + length) {
    note_error("the socket did not take a command: ", strerror(errno), 100);
    drop(c, true);
  }
  free(out);
}

/* Handles the whole frames of p..p+length; returns how many bytes they were, -1 if the connection was dropped. */
static int on_frames(Conn *c, const uint8_t *p, int length, int64_t now) {
  int at = 0;
  while (length - at >= 2) {
    const uint8_t *f = p + at;
    int head = 2;
    uint64_t size = f[1] & 127;
    if (size == 126) {
      if (length - at < 4) break;
      size = f[2] << 8 | f[3], head = 4;
    } else if (size == 127) {
      if (length - at < 10) break;
      size = 0;
      for (int i = 2; i < 10; i++) size = size << 8 | f[i];
      head = 10;
    }
    if (size > FRAME_MAX || f[1] & 128) {
      broken_frames++;
      drop(c, true);
      return -1;
    }
    if ((uint64_t)(length - at) < head + size) break;
    at += head + (int)size;
    const char *payload = (const char *)f + head;
    if (f[0] == 0x81) on_text(c, payload, (int)size, now);
    else if (f[0] == 0x89) send_frame(c, 10, payload, (int)size);
    else if (f[0] == 0x88) {
      int code = size >= 2 ? (uint8_t)payload[0] << 8 | (uint8_t)payload[1] : 1005;
      if (c->slow) {
        slow_closed++, slow_lost--, slow_last_code = code;
      } else {
        last_close_code = code;
        note_error("closed by the server: ", size > 2 ? payload + 2 : "", size > 2 ? (int)size - 2 : 0);
      }
      drop(c, true);
    } else if (f[0] != 0x8a) others++;
    if (c->state == CLOSED) return -1;
  }
  return at;
}

static void on_handshake(Conn *c, char *p, int length, int *used) {
  *used = 0;
  char *end = memmem(p, length, "\r\n\r\n", 4);
  if (end == NULL) return;
  if (length < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0) {
    note_error("handshake: ", p, (int)strcspn(p, "\r"));
    drop(c, true);
    return;
  }
  c->state = OPEN;
  opened++;
  record(&connect_time, monotonic_us() - c->started_us);
  *used = (int)(end + 4 - p);
}

static void readable(Conn *c, int bytes_max) {
  int held = c->part_length;
  if (held > 0) memcpy(buffer, c->part, held);
  ssize_t n = recv(c->fd, buffer + held, bytes_max, 0);
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) return;
    if (!c->slow) note_error("connection lost: ", n == 0 ? "end of stream" : strerror(errno), 100);
    drop(c, true);
    return;
  }
  if (quick_ack) {
    /* The acknowledgement leaves now, while all it touches is in the cache, and not by a timer 40 ms later. */
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
  }
  int64_t now = wall_us();
  if (slowness && c->slow) c->taken += n;
  else if (slowness) fast_bytes += n;
  if (measuring && c->slow) slow_bytes += n;
  else if (measuring) bytes += n;
  int length = held + (int)n, used = 0;
  if (c->state == HANDSHAKE) {
    on_handshake(c, buffer, length, &used);
    if (c->state == CLOSED) return;
  }
  if (c->state == OPEN) {
    int more = on_frames(c, (uint8_t *)buffer + used, length - used, now);
    if (more < 0) return;
    used += more;
  }
  int rest = length - used;
  if (rest > c->part_room) {
    c->part_room = rest < 1024 ? 1024 : rest * 2;
    c->part = realloc(c->part, c->part_room);
  }
  if (rest > 0) memcpy(c->part, buffer + used, rest);
  c->part_length = rest;
}

/* ---- connecting and subscribing ---- */

static void connect_one(Conn *c, int index) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fail("cannot open socket %d: %s", index, strerror(errno));
  nonblocking_nodelay(c->fd);
  c->slow = index >= wanted - slow_count;
  if (c->slow) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &slow_buffer, sizeof slow_buffer);
  c->started_us = monotonic_us();
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  if (wanted > PORTS_PER_ADDRESS && ntohl(to.sin_addr.s_addr) >> 24 == 127) {
    /* One loopback address has too few ports for all. */
    int one = 1;
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / PORTS_PER_ADDRESS)};
    bind(c->fd, (struct sockaddr *)&from, sizeof from);
  }
  c->state = CONNECTING;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
    note_error("connect: ", strerror(errno), 100);
    drop(c, true);
  }
}

static void on_connected(Conn *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  char request[1024];
  int n = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, host, port);
  if (error != 0 || send(c->fd, request, n, MSG_NOSIGNAL) != n) {
    note_error("connect: ", strerror(error != 0 ? error : errno), 100);
    drop(c, true);
    return;
  }
  c->state = HANDSHAKE;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void poll_once(int64_t until_us) {
  static struct epoll_event events[1024];
  int64_t left = until_us - monotonic_us();
  int n = epoll_wait(epoll, events, 1024, left <= 0 ? 0 : (int)((left + 999) / 1000));
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (c->state == CONNECTING) on_connected(c);
    else if (c->state != CLOSED) readable(c, READ_BYTES);
  }
}

/* ---- slow ones ---- */

/* Takes the slow sessions out of the loop, or gives them back. */
static void slow_down(bool slow) {
  slowness = slow;
  for (int i = wanted - slow_count; i < wanted; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
    if (conns[i].state == OPEN) epoll_ctl(epoll, slow ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, conns[i].fd, &event);
  }
}

/* Each reads what it is behind its part of what the others read on average. */
static void slow_turn(void) {
  int64_t part = (int64_t)(slow_part * (double)fast_bytes / (wanted - slow_count));
  for (int i = wanted - slow_count; i < wanted; i++) {
    Conn *c = &conns[i];
    int64_t left = part - c->taken;
    if (c->state == OPEN && left > 0) readable(c, left < READ_BYTES ? (int)left : READ_BYTES);
  }
}

static void run_for(double s) {
  int64_t end = monotonic_us() + (int64_t)(s * 1e6), turn = 0;
  for (int64_t now; (now = monotonic_us()) < end;) {
    if (!slowness || slow_count == 0) {
      poll_once(end);
      continue;
    }
    if (now >= turn) {
      slow_turn();
      turn = now + 20000;
    }
    poll_once(turn < end ? turn : end);
  }
}

static void connect_all(void) {
  int64_t start = monotonic_us(), give_up = start + (int64_t)((wanted / connect_rate + patience_s) * 1e6);
  int begun = 0;
  while (opened + failed < wanted && monotonic_us() < give_up) {
    int64_t now = monotonic_us();
    int due = (int)((double)(now - start) / 1e6 * connect_rate) + 1;
    for (; begun < wanted && begun < due; begun++) connect_one(&conns[begun], begun);
    poll_once(begun < wanted ? now + 1000 : now + 50000);
  }
  printf("{\"event\":\"connected\",\"connected\":%d,\"failed\":%d,\"seconds\":%.3f}\n", opened, wanted - opened,
         (double)(monotonic_us() - start) / 1e6);
  fflush(stdout);
}

static double subscribe_all(void) {
  int64_t start = monotonic_us(), give_up = start + (int64_t)((wanted / subscribe_rate + patience_s) * 1e6);
  int begun = 0;
  while (subscribed < opened - closed_by_server && monotonic_us() < give_up) {
    int64_t now = monotonic_us();
    int due = (int)((double)(now - start) / 1e6 * subscribe_rate) + 1;
    for (; begun < wanted && begun < due; begun++) {
      Conn *c = &conns[begun];
      c->subscribed_us = monotonic_us();
      char own[96];
      if (spread) {
        snprintf(own, sizeof own, "{\"id\":1,\"op\":\"subscribe\",\"channels\":[\"c%d\"]}", begun % channel_count);
        subscribes[0] = own;
      }
      for (int i = 0; i < subscribe_count && c->state == OPEN; i++)
        send_frame(c, 1, subscribes[i], (int)strlen(subscribes[i]));
    }
    poll_once(begun < wanted ? now + 1000 : now + 50000);
  }
  double took = (double)(monotonic_us() - start) / 1e6;
  printf("{\"event\":\"subscribed\",\"subscribed\":%d,\"seconds\":%.3f}\n", subscribed, took);
  fflush(stdout);
  return took;
}

/* ---- measuring ---- */

/* User and system time of a process with all its threads, in microseconds; -1 if it is gone. */
static int64_t process_cpu_us(int pid) {
  char name[64], text[1024];
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  int fd = open(name, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return -1;
  text[n] = 0;
  const char *p = strrchr(text, ')');
  unsigned long user, system;
  if (p == NULL || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) return -1;
  return (int64_t)(user + system) * 1000000 / sysconf(_SC_CLK_TCK);
}

static void print_text(const char *name, const char *text) {
  printf("\"%s\":\"", name);
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    if (*p == '"' || *p == '\\') printf("\\%c", *p);
    else if (*p < 32 || *p > 126) printf("?");
    else putchar(*p);
  }
  printf("\"");
}

static void options(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *v;
    if ((v = option(argc, argv, &i, "--host"))) host = v;
    else if ((v = option(argc, argv, &i, "--port"))) port = (int)number("--port", v);
    else if ((v = option(argc, argv, &i, "--path"))) path = v;
    else if ((v = option(argc, argv, &i, "--connections"))) wanted = (int)number("--connections", v);
    else if ((v = option(argc, argv, &i, "--connect-rate"))) connect_rate = number("--connect-rate", v);
    else if ((v = option(argc, argv, &i, "--subscribe-rate"))) subscribe_rate = number("--subscribe-rate", v);
    else if ((v = option(argc, argv, &i, "--channels"))) channel_count = (int)number("--channels", v);
    else if ((v = option(argc, argv, &i, "--names"))) {
      for (char *name = strtok(strdup(v), ","); name != NULL; name = strtok(NULL, ",")) {
        if (name_count == NAMES_MAX) fail("at most %d --names", NAMES_MAX);
        names[name_count++] = name;
      }
    } else if ((v = option(argc, argv, &i, "--slow"))) slow_count = (int)number("--slow", v);
    else if ((v = option(argc, argv, &i, "--slow-part"))) slow_part = number("--slow-part", v);
    else if ((v = option(argc, argv, &i, "--slow-buffer"))) slow_buffer = (int)number("--slow-buffer", v);
    else if ((v = option(argc, argv, &i, "--hold"))) hold_s = number("--hold", v);
    else if ((v = option(argc, argv, &i, "--warmup"))) warmup_s = number("--warmup", v);
    else if ((v = option(argc, argv, &i, "--seconds"))) seconds = number("--seconds", v);
    else if ((v = option(argc, argv, &i, "--patience"))) patience_s = number("--patience", v);
    else if ((v = option(argc, argv, &i, "--cpu-of"))) cpu_pid = (int)number("--cpu-of", v);
    else if ((v = option(argc, argv, &i, "--latency-key"))) key_ts = (Key){v, (int)strlen(v), 0};
    else if ((v = option(argc, argv, &i, "--source-key"))) key_source = (Key){v, (int)strlen(v), 0};
    else if ((v = option(argc, argv, &i, "--subscribe"))) {
      if (subscribe_count == SUBSCRIBES_MAX) fail("at most %d --subscribe", SUBSCRIBES_MAX);
      if (strlen(v) > 65535) fail("a --subscribe frame is at most 65535 bytes");
      subscribes[subscribe_count++] = v;
    } else if (strcmp(argv[i], "--linger") == 0) linger_open = true;
    else if (strcmp(argv[i], "--spread") == 0) spread = true;
    else if (strcmp(argv[i], "--quick-ack") == 0) quick_ack = true;
    else
      fail("unknown option %s (known: --host --port --path --connections --connect-rate --subscribe FRAME "
           "--subscribe-rate --channels --hold --warmup --seconds --patience --cpu-of "
           "--latency-key --source-key --names --slow --slow-part --slow-buffer --linger --spread --quick-ack)", argv[i]);
  }
  if (port < 1 || port > 65535) fail("--port is 1 to 65535");
  if (spread && (channel_count < 1 || subscribe_count > 0)) fail("--spread goes with --channels and without --subscribe");
  if (spread) subscribe_count = 1;
  if (slow_count >= wanted) fail("--slow is below --connections");
  if (wanted < 1 || connect_rate <= 0 || subscribe_rate <= 0) fail("--connections and the rates are over 0");
}

int main(int argc, char **argv) {
  options(argc, argv);
  raise_file_limit(wanted + 16);
  epoll = epoll_create1(0);
  buffer = malloc(READ_BYTES + FRAME_MAX + 64);
  conns = calloc(wanted, sizeof *conns);
  int chains = channel_count > name_count ? channel_count : name_count;
  int64_t *seqs = calloc((size_t)wanted * (chains > 0 ? chains : 1), sizeof *seqs);
  for (int i = 0; i < wanted; i++) conns[i].last_seq = seqs + (size_t)i * chains;

  connect_all();
  if (hold_s > 0) run_for(hold_s);
  double subscribe_s = subscribe_count > 0 ? subscribe_all() : 0;
  if (slow_count > 0) slow_down(true);
  run_for(warmup_s);

  printf("{\"event\":\"begin\"}\n");
  fflush(stdout);
  int64_t server_cpu = cpu_pid ? process_cpu_us(cpu_pid) : -1, own_cpu = own_cpu_us(), start = monotonic_us();
  measuring = true;
  run_for(seconds);
  measuring = false;
  double window = (double)(monotonic_us() - start) / 1e6;
  int64_t server_cpu_end = cpu_pid ? process_cpu_us(cpu_pid) : -1;
  own_cpu = own_cpu_us() - own_cpu;
  int slow_open = 0;
  for (int i = wanted - slow_count; i < wanted; i++) slow_open += conns[i].state == OPEN;

  printf("{\"event\":\"result\",\"connections\":%d,\"connected\":%d,\"failed\":%d,\"closedByServer\":%d,"
         "\"lastCloseCode\":%d,\"subscribed\":%d,\"refusals\":%ld,\"subscribeSeconds\":%.3f,\"windowSeconds\":%.6f,"
         "\"messages\":%ld,\"bytes\":%ld,\"brokenFrames\":%ld,\"chainBreaks\":%ld,\"seqNotRising\":%ld,"
         "\"otherFrames\":%ld,", wanted, opened, wanted - opened, closed_by_server, last_close_code, subscribed,
         (long)refusals, subscribe_s, window, (long)messages, (long)bytes, (long)broken_frames, (long)chain_breaks,
         (long)seq_not_rising, (long)others);
  if (slow_count > 0) {
    printf("\"slow\":{\"sessions\":%d,\"open\":%d,\"closed\":%d,\"lost\":%d,\"lastCloseCode\":%d,\"messages\":%ld,"
           "\"bytes\":%ld,", slow_count, slow_open, slow_closed, slow_lost, slow_last_code, (long)slow_messages,
           (long)slow_bytes);
    print_histogram("latencyUs", &slow_latency);
    printf("},");
  }
  printf("\"cadenceChanges\":%ld,\"gaps\":%ld,", (long)cadence_changes, (long)gaps);
  if (server_cpu >= 0 && server_cpu_end >= 0) printf("\"serverCpuSeconds\":%.6f,", (double)(server_cpu_end - server_cpu) / 1e6);
  printf("\"clientCpuSeconds\":%.6f,", (double)own_cpu / 1e6);
  print_histogram("latencyUs", &latency);
  printf(",");
  print_histogram("sourceUs", &source_latency);
  printf(",");
  print_histogram("connectUs", &connect_time);
  printf(",");
  print_histogram("subscribeUs", &subscribe_time);
  printf(",");
  print_text("firstError", first_error);
  printf("}\n");
  fflush(stdout);
  if (linger_open) {
    /* Until the caller closes our stdin; the sessions stay served meanwhile. */
    if (slow_count > 0) slow_down(false);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    char byte;
    while (read(0, &byte, 1) != 0) run_for(0.05);
  }
  return 0;
}
