/** A WebSocket that trusts the authorities of one PEM text, and no others. */
export function trusting(ca: string): new (url: string) => WebSocket {
  return class extends WebSocket {
    constructor(url: string) {
      super(url, { tls: { ca } });
    }
  };
}
