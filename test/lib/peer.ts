/** Which certificate a TLS server shows now. */
import { connect } from "node:tls";

/** The common name in it. Rejects where the connection is reset, as a listener that is closed does to those it had not taken. */
export function peerName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      resolve(String(subject.CN));
    });
    socket.on("error", reject);
  });
}

/** Of several new connections: the kernel spreads them over the workers. "" stands for those that were reset. */
export async function peerNames(port: number, count = 20): Promise<Set<string>> {
  const names = new Set<string>();
  for (let at = 0; at < count; at++) {
    names.add(
      await peerName(port).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ECONNRESET") return "";
        throw error;
      }),
    );
  }
  return names;
}
