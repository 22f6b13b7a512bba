/** A self-signed certificate for localhost, made when a test needs it; it is never written into the repository. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const made = new Map<string, Certificate>();

/** Another one for every common name. */
export function selfSigned(name = "localhost"): Certificate {
  const known = made.get(name) ?? make(name);
  made.set(name, known);
  return known;
}

function make(name: string): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-cert-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const { exitCode, stderr } = Bun.spawnSync(
      ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        .concat(["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .concat(["-keyout", key, "-out", cert]),
      { stdout: "ignore", stderr: "pipe" },
    );
    if (exitCode !== 0) throw new Error(`openssl makes no certificate: ${stderr.toString()}`);
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
