/**
 * TCP_NOTSENT_LOWAT on listening sockets: the kernel then takes only so many unsent bytes per accepted socket, and what a
 * slow client does not read waits in our outbox, where it is seen.
 *
 * Beside the path: once per listener that is opened. Accepted sockets inherit the option.
 * Invariants: every listening socket of this process on the port has it (workers share a port, a renewed certificate is a
 * second listener); sockets of other processes are not touched. Without it (not Linux, no libc by a known name) all works
 * as before, but a slow client is seen only after megabytes: whoever opens the listener logs the reason given here.
 */
import { dlopen, FFIType } from "bun:ffi";
import { readdirSync } from "node:fs";
import { GatewayError } from "../../lib/errors.ts";

/** glibc, musl. */
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"] as const;

/** Linux on x86-64 and arm64. */
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;
/** A sockaddr_in6; the port stands in bytes 2 and 3 of either family. */
const ADDRESS_BYTES = 28;

const SYMBOLS = {
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  getsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
} as const;

const open = (library: string) => dlopen(library, SYMBOLS).symbols;
type Libc = ReturnType<typeof open>;

let libc: Libc | null = null;

function load(): Libc {
  const reasons: string[] = [];
  for (const library of LIBRARIES) {
    try {
      return open(library);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new GatewayError("NOT_SENT", `no C library: ${reasons.join("; ")}`);
}

/** Limits the kernel to `bytes` unsent bytes per connection to this port. Null, or why it cannot be done. */
export function limitUnsent(port: number, bytes: number): string | null {
  if (process.platform !== "linux") return `${process.platform} has no TCP_NOTSENT_LOWAT that listeners hand on`;
  try {
    libc ??= load();
    const sockets = listenersOn(libc, port);
    if (sockets.length === 0) return `no listening socket on port ${port} was found`;
    const value = new Int32Array([bytes]);
    const failed = sockets.filter((fd) => libc?.setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, 4) !== 0);
    return failed.length === 0 ? null : `the kernel refused TCP_NOTSENT_LOWAT on ${failed.length} sockets`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The value that is set on each listening socket of the port, for tests. */
export function unsentLimits(port: number): number[] {
  libc ??= load();
  const { getsockopt } = libc;
  return listenersOn(libc, port).map((fd) => {
    const value = new Int32Array([0]);
    getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, new Uint32Array([4]));
    return value[0]!;
  });
}

/** Descriptors of this process that listen on the port. Asks the kernel about each: 0.2 us, however many there are. */
function listenersOn({ getsockopt, getsockname }: Libc, port: number): number[] {
  const accepting = new Int32Array(1);
  const size = new Uint32Array(1);
  const address = new Uint8Array(ADDRESS_BYTES);
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      size[0] = 4;
      accepting[0] = 0;
      if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, accepting, size) !== 0 || accepting[0] !== 1) return false;
      size[0] = ADDRESS_BYTES;
      return getsockname(fd, address, size) === 0 && ((address[2]! << 8) | address[3]!) === port;
    });
}
