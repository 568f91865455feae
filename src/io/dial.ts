/** One dial: a TCP or TLS connection within its deadlines, or an error that says how it failed. */
import net from "node:net";
import type { Duplex } from "node:stream";
import tls, { type ConnectionOptions } from "node:tls";
import { quotesValues, tlsRefusal, whatIsGiven, withContainedCheck } from "./tls-options.ts";

export type Endpoint = { port: number; host?: string } | { path: string };

export interface DialOptions {
  connectMs: number;
  tlsMs: number;
  /** false: no TLS. No other value means that. */
  tls: ConnectionOptions | false;
  signal: AbortSignal;
}

export class DialError extends Error {
  readonly kind: "failed" | "timed-out" | "certificate" | "aborted";

  constructor(kind: DialError["kind"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** Rejects with a DialError. A dial that fails destroys its socket. */
export async function dial(endpoint: Endpoint, options: DialOptions): Promise<Duplex> {
  const socket = await connect(endpoint, options);
  return options.tls === false ? socket : secure(socket, endpoint, options.tls, options);
}

function connect(endpoint: Endpoint, { connectMs, signal }: DialOptions): Promise<net.Socket> {
  const where = "path" in endpoint ? endpoint.path : `${endpoint.host ?? "localhost"}:${endpoint.port}`;
  const socket = net.connect({
    ...endpoint,
    noDelay: true,
    // Node tries the addresses of a name one after the other, each for 250 ms by default: less than a slow path needs.
    ...("path" in endpoint ? {} : { autoSelectFamilyAttemptTimeout: Math.max(250, Math.floor(connectMs / 3)) }),
  });
  return established(socket, "connect", connectMs, `connecting to ${where}`, signal, () => socket);
}

async function secure(
  socket: net.Socket,
  endpoint: Endpoint,
  tlsOptions: ConnectionOptions,
  { tlsMs, signal }: DialOptions,
): Promise<tls.TLSSocket> {
  const host = "path" in endpoint ? undefined : (endpoint.host ?? "localhost");
  const servername = host === undefined || net.isIP(host) !== 0 ? {} : { servername: host };
  let secured: tls.TLSSocket;
  try {
    secured = tls.connect({
      ...servername,
      ...(host === undefined ? {} : { host }),
      ...withContainedCheck(whatIsGiven(tlsOptions)),
      socket,
    });
  } catch (error) {
    socket.destroy();
    throw new DialError("failed", `tls.connect() refuses its options: ${tlsRefusal(error)}`);
  }
  return established(secured, "secureConnect", tlsMs, "the TLS handshake", signal, () => secured);
}

function established<T extends net.Socket>(
  socket: T,
  event: "connect" | "secureConnect",
  withinMs: number,
  what: string,
  signal: AbortSignal,
  result: () => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    // This listener is never removed: an error at a moment without another listener must not end the process.
    socket.on("error", () => {});
    const fail = (error: DialError): void => {
      cleanUp();
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(new DialError("aborted", `${what}: aborted`, signal.reason));
    const onError = (error: Error): void => {
      const kind = isCertificateError(error) ? "certificate" : "failed";
      fail(new DialError(kind, tlsRefusal(error), quotesValues(error) ? undefined : error));
    };
    const onClose = (): void => fail(new DialError("failed", `${what}: closed`));
    const onDone = (): void => {
      cleanUp();
      resolve(result());
    };
    const timer = setTimeout(() => fail(new DialError("timed-out", `${what} took more than ${withinMs} ms`)), withinMs);
    const cleanUp = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      socket.off("close", onClose);
      socket.off(event, onDone);
    };
    socket.once("error", onError);
    socket.once("close", onClose);
    socket.once(event, onDone);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** Error codes of OpenSSL's certificate verification, and of Node's own check of the name. */
const CERTIFICATE_ERROR = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_CA|HOSTNAME_MISMATCH)/;

function isCertificateError(error: Error): boolean {
  return "code" in error && typeof error.code === "string" && CERTIFICATE_ERROR.test(error.code);
}
