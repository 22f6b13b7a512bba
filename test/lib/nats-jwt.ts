/**
 * An operator of NATS for tests: accounts and users as JWTs, the server's settings that trust them, and credentials files.
 *
 * A JWT of NATS is signed by the key of who gives it out: the operator for an account, the account for a user.
 */
import { nkeys } from "@nats-io/transport-node";

type Keys = ReturnType<typeof nkeys.createUser>;

const base64url = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString("base64url");

function signed(
  by: Keys,
  subject: string,
  nats: Readonly<Record<string, unknown>>,
  more: { readonly exp?: number } = {},
): string {
  const header = { typ: "JWT", alg: "ed25519-nkey" };
  const issued = Math.floor(Date.now() / 1000);
  const who = { iss: by.getPublicKey(), sub: subject, name: "test" };
  const claims = { jti: `${subject}-${issued}`, iat: issued, ...who, ...more, nats };
  const text = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(by.sign(Buffer.from(text)))}`;
}

const NO_LIMITS = {
  ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 },
  ...{ mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
};

export interface NatsUser {
  readonly jwt: string;
  readonly seed: string;
}

export class NatsOperator {
  readonly #operator = nkeys.createOperator();
  readonly #account = nkeys.createAccount();

  /** Lines for the server: it trusts this operator and knows its account. */
  get settings(): readonly string[] {
    const operator = this.#operator.getPublicKey();
    const account = this.#account.getPublicKey();
    const said = { version: 2, type: "account", limits: NO_LIMITS };
    return [
      `operator: ${signed(this.#operator, operator, { version: 2, type: "operator" })}`,
      "resolver: MEMORY",
      `resolver_preload: { ${account}: ${signed(this.#operator, account, said)} }`,
    ];
  }

  /** A user of the account. `may`: subjects for `pub` and `sub`, without them all; until when, in s since 1970. */
  user(
    may: { readonly pub?: readonly string[]; readonly sub?: readonly string[]; readonly exp?: number } = {},
  ): NatsUser {
    const keys = nkeys.createUser();
    const allowed = (subjects: readonly string[] | undefined) => (subjects === undefined ? {} : { allow: subjects });
    const said = {
      ...{ version: 2, type: "user", subs: -1, data: -1, payload: -1 },
      ...{ pub: allowed(may.pub), sub: allowed(may.sub) },
    };
    const jwt = signed(this.#account, keys.getPublicKey(), said, may.exp === undefined ? {} : { exp: may.exp });
    return { jwt, seed: Buffer.from(keys.getSeed()).toString("latin1") };
  }
}

/** As `nsc` writes it. */
export const credentialsOf = ({ jwt, seed }: NatsUser): string => `-----BEGIN NATS USER JWT-----
${jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------

*************************************************************
`;
