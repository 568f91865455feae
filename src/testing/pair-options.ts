/** The options of linkPair(), checked as a manager and a supervisor check theirs. */
import { type OpenOptions, resolveOpenOptions, type ResolvedOpenOptions } from "../client/options.ts";
import { MAX_OPEN_PAYLOAD_BYTES } from "../core/wire/frames.ts";
import { checkOptions, group, integer, payload, text } from "../link/check.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { type DurableOptions, LINK_OPTION_NAMES, type LinkOptions } from "../link/options.ts";
import type { Link, Payload } from "../link/types.ts";
import { type ResolvedServerOptions, resolveServerOptions, type ServerSupervisorOptions } from "../server/options.ts";

/** The options of linkPair(). */
export interface LinkPairOptions {
  /** All random choices (jitter, ids, the pieces in which bytes arrive) come from it. From 0 to 2^32 - 1, default 1. */
  seed?: number;
  /** As for ConnectionManager.open(). */
  client?: LinkOptions & DurableOptions & Pick<OpenOptions, "reconnect" | "whenSessionLost">;
  /** As for ServerSupervisor. */
  server?: Pick<ServerSupervisorOptions, keyof LinkOptions | keyof DurableOptions | "resumeForMs">;
  /** The client's identity, as authenticate() would have answered it. Not empty. */
  identity?: string;
  /** The client's claims, as authenticate() would have answered them. Only with `identity`. */
  claims?: unknown;
  /** For the server's handler, before any message. At most 4 KiB. Default empty. */
  openPayload?: Payload;
  /**
   * The handler that you give to ServerSupervisor.serve(). It is called for `server`, and for each session that follows
   * a lost one; when it fails its link ends with HANDLER_FAILED, and when it is done its link is closed. Without a
   * handler your test uses `server` itself.
   */
  serve?: (link: Link) => void | Promise<void>;
}

export interface ResolvedPairOptions {
  seed: number;
  client: ResolvedOpenOptions;
  server: ResolvedServerOptions;
  serve: (link: Link) => void | Promise<void>;
}

const PAIR_OPTION_NAMES = ["seed", "client", "server", "identity", "claims", "openPayload", "serve"] as const;
const CLIENT_OPTION_NAMES = [...LINK_OPTION_NAMES, "reconnect", "whenSessionLost"] as const;
const SERVER_OPTION_NAMES = [...LINK_OPTION_NAMES, "resumeForMs"] as const;

/** Throws INVALID_OPTION, and PROTOCOL_MISMATCH for two modes. */
export function resolvePairOptions(options: LinkPairOptions): ResolvedPairOptions {
  checkOptions("linkPair()", options, "{ seed: 7 }", PAIR_OPTION_NAMES);
  const { identity, claims, serve = () => {} } = options;
  if (typeof serve !== "function") throw invalidOption("serve", serve, "a function");
  if (identity !== undefined) text("identity", identity);
  else if (claims !== undefined) throw invalidOption("claims", claims, "nothing without an identity");
  const openPayload = payload("openPayload", options.openPayload ?? "", MAX_OPEN_PAYLOAD_BYTES);
  const clientOptions = group("client", options.client, CLIENT_OPTION_NAMES);
  const serverOptions = group("server", options.server, SERVER_OPTION_NAMES);
  // The port must be valid, and is not used.
  const client = of("client", () => resolveOpenOptions({ ...clientOptions, port: 1, openPayload }));
  const server = of("server", () =>
    resolveServerOptions({
      ...serverOptions,
      port: 1,
      ...(identity === undefined ? {} : { authenticate: () => ({ identity, claims }) }),
    }),
  );
  if (client.mode !== server.mode) {
    throw new RespliceError("PROTOCOL_MISMATCH", `the client has mode "${client.mode}", the server "${server.mode}"`);
  }
  // ACKs are sent at once, so that flush() needs no time to pass.
  return {
    seed: integer("seed", options.seed ?? 1, 0, 2 ** 32 - 1),
    client: { ...client, ackDelayMs: 0 },
    server: { ...server, ackDelayMs: 0 },
    serve,
  };
}

/** Puts the end into the name of a wrong option: `client.ackDelayMs`. */
function of<T>(end: "client" | "server", resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof RespliceError) || error.option === undefined) throw error;
    throw new RespliceError(error.code, error.message.replace("option ", `option ${end}.`), {
      option: { ...error.option, name: `${end}.${error.option.name}` },
    });
  }
}
