/**
 * A WebSocket relay that may change what it hands on: for programs that must notice.
 *
 * Invariants: frames of the server go through `change`, in order, and what it returns is sent; those of the client go
 * through as they are. Either side's end is the other's, with its code.
 */

/** What comes instead of a frame of the server: nothing, itself, or several. */
export type Change = (text: string, connection: number) => readonly string[];

interface Leg {
  upstream: WebSocket;
  /** Said before the upstream was open. */
  waiting: string[];
}

export interface Relay extends Disposable {
  readonly port: number;
}

export function startRelay(upstream: string, change: Change): Relay {
  let connections = 0;
  const server = Bun.serve<Leg>({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, self) {
      const { pathname, search } = new URL(request.url);
      const data: Leg = { upstream: new WebSocket(upstream + pathname + search), waiting: [] };
      if (self.upgrade(request, { data })) return;
      return new Response("not a WebSocket", { status: 400 });
    },
    websocket: {
      open(client) {
        const { upstream, waiting } = client.data;
        const connection = connections++;
        upstream.onopen = () => {
          for (const text of waiting.splice(0)) upstream.send(text);
        };
        upstream.onmessage = ({ data }) => {
          for (const text of change(String(data), connection)) client.send(text);
        };
        upstream.onclose = ({ code, reason }) => client.close(code === 1006 ? 1011 : code, reason);
      },
      message(client, text) {
        const { upstream, waiting } = client.data;
        if (upstream.readyState === WebSocket.OPEN) upstream.send(text);
        else waiting.push(String(text));
      },
      close: (client) => client.data.upstream.close(),
    },
  });
  return { port: server.port as number, [Symbol.dispose]: () => void server.stop(true) };
}
