/** How a supervised server ends: readiness, the listener, its connections, the deadline. */
import http from "node:http";
import { Server } from "node:net";
import { isThenable } from "../link/check.ts";
import type { Clock } from "../link/ports.ts";
import { timedWait } from "../link/waits.ts";
import { acceptWaiting, passed, type ResolvedDrain } from "../server/drain.ts";
import type { Connections } from "./connections.ts";
import { isHttp2 } from "./kind.ts";

/** Sessions of HTTP/2 are asked to leave within this part of the time. */
const SPREAD_PART = 0.5;
/** Answers how many connections were cut off with work under way. */
export async function drain(
  server: Server,
  connections: Connections,
  clock: Clock,
  { deadlineMs, readyDelayMs, signal }: ResolvedDrain,
): Promise<number> {
  const deadline = timedWait(clock, clock.now() + deadlineMs);
  const cutNow = (): void => deadline.end();
  if (signal?.aborted === true) cutNow();
  signal?.addEventListener("abort", cutNow, { once: true });
  if (readyDelayMs > 0) await passed(clock, readyDelayMs, signal);
  await acceptWaiting(() => connections.arrived, clock, deadlineMs);
  const closed = stopListening(server);
  connections.drain(SPREAD_PART * (deadlineMs - readyDelayMs));
  const ended = connections.empty().then(() => {
    connections.door.dropLingering();
    return closed;
  });
  await Promise.race([ended, deadline.promise]);
  deadline.end();
  signal?.removeEventListener("abort", cutNow);

  const unknown = await unknownConnections(server, connections);
  const left = connections.cutOff() + unknown;
  connections.door.dropLingering();
  (server as Partial<http.Server>).closeAllConnections?.();
  return left;
}

/**
 * Closes the listener only. close() of an HTTP server also closes connections that are idle at this moment, with the
 * requests that are on their way; that of an HTTP/2 server, from Node 24 on, refuses streams that are. Resolves when
 * all connections are closed, too.
 */
function stopListening(server: Server): Promise<void> {
  if (!server.listening) {
    forgetListen(server);
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    server.once("close", resolve);
    if ("closeIdleConnections" in server) keepingIdle(server, () => closeListener(server));
    else closeListener(server);
  });
}

/** A listen() that looks its host up would listen later. That is how net.Server's close() keeps it from it. */
function forgetListen(server: Server & { _listeningId?: number }): void {
  if (server._listeningId !== undefined) server._listeningId++;
}

function closeListener(server: Server): void {
  try {
    // Also ends the timers that an HTTP server has, which one of HTTP/2 has for its clients of HTTP/1.
    if (isHttp2(server)) http.Server.prototype.close.call(server as http.Server);
    else contain(server.close());
  } catch {
    // The application's own close(), in place of the server's.
  }
  if (server.listening) Server.prototype.close.call(server);
}

/** Nobody else handles a rejection of a close() of the application's. */
function contain(result: unknown): void {
  if (isThenable(result)) result.then(undefined, () => {});
}

/** Calls `close` with a server that closes no idle connections. */
function keepingIdle(server: Server, close: () => void): void {
  const before = Object.getOwnPropertyDescriptor(server, "closeIdleConnections");
  Object.defineProperty(server, "closeIdleConnections", { value: () => {}, configurable: true });
  close();
  if (before === undefined) Reflect.deleteProperty(server, "closeIdleConnections");
  else Object.defineProperty(server, "closeIdleConnections", before);
}

/** How many connections the server has that were accepted before it was supervised. */
function unknownConnections(server: Server, connections: Connections): Promise<number> {
  return new Promise((resolve) => {
    const { open, lingering } = connections.counts();
    server.getConnections((error, all) => resolve(error === null ? Math.max(0, all - open - lingering) : 0));
  });
}
