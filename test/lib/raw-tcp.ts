/** A bare TCP connection, for handshakes that no WebSocket client would make. */
import { connect } from "node:net";

export interface RawTcp {
  write(text: string): void;
  /** Everything received so far. */
  text(): string;
  /** ms from connecting until the other side closed it; null while it is open. */
  closedAfterMs(): number | null;
  end(): void;
}

export function rawTcp(port: number, first = ""): RawTcp {
  const start = performance.now();
  let received = "";
  let closed: number | null = null;
  const socket = connect(port, "127.0.0.1", () => {
    if (first !== "") socket.write(first);
  });
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  // A reset is a close like any other here.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = performance.now() - start;
  });
  return {
    write: (text) => void socket.write(text),
    text: () => received,
    closedAfterMs: () => closed,
    end: () => socket.destroy(),
  };
}
