/** TLS on a socket that is connected, within a deadline. */
import net from "node:net";
import type { Duplex } from "node:stream";
import tls, { type ConnectionOptions, type PeerCertificate, type TLSSocket } from "node:tls";
import type { Clock } from "../link/ports.ts";
import { codeOf } from "../core/foreign.ts";
import { ignoreError } from "./connection.ts";
import { DialError } from "./dial-error.ts";
import type { TlsSessions } from "./tls-sessions.ts";
import { quotesValues, tlsFailure, tlsProblem, tlsRefusal, whatIsGiven, withContainedCheck } from "./tls-options.ts";

export interface SecureOptions {
  /** Its name: sessions are kept by it. */
  endpoint: string;
  /** The name or the address that was dialled; undefined with a Unix socket. */
  host: string | undefined;
  tls: ConnectionOptions;
  tlsMs: number;
  signal: AbortSignal;
}

/** Rejects with a DialError, and then destroys the socket. */
export async function secure(
  socket: Duplex,
  { endpoint, host, tls: tlsOptions, tlsMs, signal }: SecureOptions,
  clock: Clock,
  sessions: TlsSessions,
): Promise<TLSSocket> {
  const { before, keep } = sessions.take(tlsOptions, endpoint);
  const servername = host === undefined || net.isIP(host) !== 0 ? {} : { servername: host };
  let secured: TLSSocket;
  try {
    secured = tls.connect({
      ...servername,
      ...(host === undefined ? {} : { host }),
      ...withContainedCheck(whatIsGiven(tlsOptions)),
      ...(before === undefined ? {} : { session: before.session }),
      socket,
    });
  } catch (error) {
    socket.destroy();
    const [name, , takes] = tlsProblem("tls", tlsOptions) ?? [];
    const why = name === undefined || name === "tls" ? tlsRefusal(error) : `${name} is to be ${takes}`;
    throw new DialError("failed", `tls.connect() refuses its options: ${why}`);
  }
  /** When the certificate expires. Nobody has checked it before the handshake is done. */
  let untilMs: number | undefined;
  let latest: Buffer | undefined;
  secured.on("session", (session) => {
    latest = session;
    if (untilMs !== undefined) keep({ session, untilMs });
  });
  await handshake(secured, tlsMs, signal, clock);
  const reused = secured.isSessionReused() ? before : undefined;
  // The server shows no certificate when a session is reused.
  untilMs = reused?.untilMs ?? expiryMs(secured);
  // A session that was reused is good again, and mostly no new one follows.
  latest ??= reused?.session;
  if (latest !== undefined) keep({ session: latest, untilMs });
  return secured;
}

/** When the server's certificate expires, in milliseconds since 1970; NaN if it has none. */
function expiryMs(socket: TLSSocket): number {
  const certificate: Partial<PeerCertificate> | null = socket.getPeerCertificate();
  return Date.parse(certificate?.valid_to ?? "");
}

function handshake(socket: TLSSocket, withinMs: number, signal: AbortSignal, clock: Clock): Promise<void> {
  const what = "the TLS handshake";
  return new Promise((resolve, reject) => {
    // Never removed, and the same for all sockets: see `connectedOrNot()`.
    socket.on("error", ignoreError);
    const fail = (error: DialError): void => {
      cleanUp();
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(new DialError("aborted", `${what}: aborted`, signal.reason));
    const onError = (error: Error): void => {
      const text = isClosed(error) ? `${error.message}: ${NO_TLS}` : tlsFailure(error);
      fail(new DialError(kindOf(error), text, quotesValues(error) ? undefined : error));
    };
    const onClose = (): void => fail(new DialError("failed", `${what}: closed: ${NO_TLS}`));
    const onDone = (): void => {
      cleanUp();
      resolve();
    };
    const deadline = clock.timer(() => {
      fail(new DialError("timed-out", `${what} took more than ${withinMs} ms`));
    });
    const cleanUp = (): void => {
      deadline.clear();
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      socket.off("close", onClose);
      socket.off("secureConnect", onDone);
    };
    deadline.set(clock.now() + withinMs);
    socket.once("error", onError);
    socket.once("close", onClose);
    socket.once("secureConnect", onDone);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** A server without TLS takes the client's first bytes for something else, and closes the connection. */
const NO_TLS = "does the server have `tls`?";

function isClosed(error: Error): boolean {
  return codeOf(error) === "ECONNRESET";
}

/** Error codes of OpenSSL's certificate verification, and of Node's own check of the name. */
const CERTIFICATE_ERROR =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_CA|HOSTNAME_MISMATCH|CRL_)/;
/** Of a certificate or a revocation list whose time is over, or has not come: a new one, or a clock that is set. */
const DATE_ERROR = /_(HAS_EXPIRED|NOT_YET_VALID)$/;

function kindOf(error: Error): DialError["kind"] {
  const code = codeOf(error) ?? "";
  if (!CERTIFICATE_ERROR.test(code)) return "failed";
  return DATE_ERROR.test(code) ? "certificate-dates" : "certificate";
}
