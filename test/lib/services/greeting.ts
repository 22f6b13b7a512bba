/** The first bytes of a server's answer: enough to see that it serves, without a client library. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

const MS_MAX = 2000;

export interface Question {
  readonly port: number;
  readonly tls?: TlsFiles | undefined;
  /** Nothing for a server that speaks first. */
  readonly ask?: string | Uint8Array;
  /** Whether the answer so far is whole. */
  whole(answer: Buffer): boolean;
}

/** PEM texts of a server. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Given: clients must show a certificate that it has signed. */
  readonly ca?: string;
}

export function answer({ port, tls, ask, whole }: Question): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1" };
    // Where clients must show a certificate, the server's own is one that its authority has signed.
    const socket: Socket =
      tls === undefined
        ? connectTcp(options)
        : connectTls({ ...options, cert: tls.cert, key: tls.key, rejectUnauthorized: false });
    let heard = Buffer.alloc(0);
    const over = (error: Error | null): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error === null) resolve(heard);
      else reject(error);
    };
    const timer = setTimeout(() => over(new Error(`no whole answer within ${MS_MAX} ms`)), MS_MAX);
    socket.on("error", over);
    socket.on("close", () => over(new Error("closed without a whole answer")));
    socket.on(tls === undefined ? "connect" : "secureConnect", () => {
      if (ask !== undefined) socket.write(ask);
    });
    socket.on("data", (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes]);
      if (whole(heard)) over(null);
    });
  });
}

/** Whether the answer has its first line. */
export const hasLine = (heard: Buffer): boolean => heard.includes("\r\n");
