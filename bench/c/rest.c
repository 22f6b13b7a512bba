/*
 * REST client: GET requests at an exact rate over keep-alive connections, for the REST benchmark.
 *
 * Open loop: request k is due at start + k / rate, whatever became of those before; it goes out on the next idle
 * connection, and if there is none it waits (counted as late) while its clock runs. Latency is from due to the last byte of
 * the answer. Every answer must have the status 200, a Content-Length, and a body that begins with --expect and ends with
 * }; anything else is counted and the first one is kept.
 * Prints {"event":"begin"} when all connections are open; runs until its stdin is closed, then prints
 * {"event":"result",...}. At the limit: an answer over ANSWER_MAX, or a connection that closes, ends the program.
 */
#include "common.h"
#include "histogram.h"
#include <sys/timerfd.h>

enum { ANSWER_MAX = 1 << 20, PATHS_MAX = 64, CONNECTIONS_MAX = 4096, REQUEST_MAX = 2048 };

typedef struct {
  int fd, length, total; /* bytes of the answer so far, and with its head in all (0 = not known yet) */
  int64_t due_us;        /* 0 = idle */
  char *answer;
} Conn;

static const char *paths[PATHS_MAX], *expect = "{";
static char requests[PATHS_MAX][REQUEST_MAX];
static int request_bytes[PATHS_MAX];
static int port, path_count, conn_count = 16, idle_count;
static double rate = 2000;
static Conn conns[CONNECTIONS_MAX], *idle[CONNECTIONS_MAX];
static int64_t sent, answered, wrong, late, body_bytes;
static Histogram latency;
static char first_error[256];

static void note_wrong(const char *text, int length) {
  wrong++;
  if (first_error[0] == 0) snprintf(first_error, sizeof first_error, "%.*s", length > 200 ? 200 : length, text);
}

static void finish(Conn *c, const char *body) {
  int length = c->total - (int)(body - c->answer), n = (int)strlen(expect);
  answered++;
  body_bytes += length;
  record(&latency, monotonic_us() - c->due_us);
  if (memcmp(c->answer, "HTTP/1.1 200", 12) != 0 || length < n || memcmp(body, expect, n) != 0 ||
      body[length - 1] != '}')
    note_wrong(c->answer, c->total);
  c->due_us = c->length = c->total = 0;
  idle[idle_count++] = c;
}

static void readable(Conn *c) {
  ssize_t n = recv(c->fd, c->answer + c->length, ANSWER_MAX - c->length, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("a connection was lost: %s", n == 0 ? "end of stream, or an answer too long" : strerror(errno));
  c->length += (int)n;
  if (c->length < 16) return;
  char *end = memmem(c->answer, c->length, "\r\n\r\n", 4);
  if (end == NULL) return;
  if (c->total == 0) {
    *end = 0;
    char *field = strcasestr(c->answer, "\r\ncontent-length:");
    if (field == NULL) fail("an answer without Content-Length: %.200s", c->answer);
    c->total = (int)(end + 4 - c->answer) + atoi(field + 17);
    *end = '\r';
    if (c->total > ANSWER_MAX) fail("an answer of %d bytes", c->total);
  }
  if (c->length > c->total) fail("%d bytes nobody asked for", c->length - c->total);
  if (c->length == c->total && c->due_us > 0) finish(c, end + 4);
}

/* Sends what is due and finds an idle connection. */
static void send_due(int64_t start) {
  static int64_t last_late = -1;
  for (;;) {
    int64_t due = start + (int64_t)((double)sent * 1e6 / rate);
    if (due > monotonic_us()) return;
    if (idle_count == 0) {
      if (last_late != sent) late++;
      last_late = sent;
      return;
    }
    Conn *c = idle[--idle_count];
    int which = (int)(sent++ % path_count);
    c->due_us = due;
    if (send(c->fd, requests[which], request_bytes[which], MSG_NOSIGNAL) != request_bytes[which])
      fail("a socket did not take a request: %s", strerror(errno));
  }
}

static void options(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *v;
    if ((v = option(argc, argv, &i, "--port"))) port = (int)number("--port", v);
    else if ((v = option(argc, argv, &i, "--rate"))) rate = number("--rate", v);
    else if ((v = option(argc, argv, &i, "--connections"))) conn_count = (int)number("--connections", v);
    else if ((v = option(argc, argv, &i, "--expect"))) expect = v;
    else if ((v = option(argc, argv, &i, "--path"))) {
      if (path_count == PATHS_MAX) fail("at most %d --path", PATHS_MAX);
      paths[path_count++] = v;
    } else fail("unknown option %s (known: --port --rate --connections --path PATH... --expect TEXT)", argv[i]);
  }
  if (port < 1 || port > 65535) fail("--port is 1 to 65535");
  if (rate <= 0 || path_count == 0) fail("--rate is over 0, and there is a --path");
  if (conn_count < 1 || conn_count > CONNECTIONS_MAX) fail("--connections is 1 to %d", CONNECTIONS_MAX);
}

int main(int argc, char **argv) {
  options(argc, argv);
  raise_file_limit(conn_count + 16);
  int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  for (int i = 0; i < path_count; i++)
    request_bytes[i] = snprintf(requests[i], REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", paths[i], port);
  for (int i = 0; i < conn_count; i++) {
    Conn *c = &conns[i];
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) fail("cannot connect: %s", strerror(errno));
    nonblocking_nodelay(c->fd);
    c->answer = malloc(ANSWER_MAX);
    idle[idle_count++] = c;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &timer};
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
  event.data.ptr = NULL;
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
  long period = (long)(1e9 / rate);
  struct timespec step = {period / 1000000000, period % 1000000000};
  timerfd_settime(timer, 0, &(struct itimerspec){step, step}, NULL);

  printf("{\"event\":\"begin\"}\n");
  fflush(stdout);
  int64_t start = monotonic_us(), cpu = own_cpu_us();
  for (bool running = true; running;) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      void *what = events[i].data.ptr;
      char bytes[64];
      if (what == NULL) running = read(0, bytes, sizeof bytes) > 0;
      else if (what != &timer) readable(what);
      else if (read(timer, bytes, sizeof bytes) < 0 && errno != EAGAIN) fail("timer: %s", strerror(errno));
    }
    send_due(start);
  }
  double window = (double)(monotonic_us() - start) / 1e6;
  printf("{\"event\":\"result\",\"seconds\":%.6f,\"sent\":%ld,\"answered\":%ld,\"wrong\":%ld,\"late\":%ld,\"bodyBytes\":%ld,"
         "\"cpuSeconds\":%.6f,", window, (long)sent, (long)answered, (long)wrong, (long)late, (long)body_bytes,
         (double)(own_cpu_us() - cpu) / 1e6);
  print_histogram("latencyUs", &latency);
  printf(",\"firstError\":\"");
  for (const unsigned char *p = (const unsigned char *)first_error; *p; p++) {
    if (*p == '"' || *p == '\\') printf("\\%c", *p);
    else putchar(*p < 32 || *p > 126 ? '?' : *p);
  }
  printf("\"}\n");
  return 0;
}
