/**
 * How an answer says that it is the last one of its connection: when its head is made, as only then it is known, and as
 * nothing that the application does to the headers before is to change.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

const CONNECTION = "Connection";

/** Calls `isLast` when the head is made. If it answers true, the head says `Connection: close`. */
export function closeAtHead(answer: ServerResponse, isLast: () => boolean): void {
  if (answer.headersSent) return;
  // eslint-disable-next-line typescript/unbound-method -- called with the answer as `this`
  const writeHead: (...args: never[]) => unknown = answer.writeHead;
  // Node calls it also for a head that the application does not write itself.
  const writeLastHead = (...args: unknown[]): unknown =>
    Reflect.apply(writeHead, answer, !answer.headersSent && isLast() ? closing(answer, args) : args);
  answer.writeHead = writeLastHead as ServerResponse["writeHead"];
}

/**
 * Whether the request has come completely. When its connection is closed before, the rest makes TCP discard the answer.
 */
export function isReceived({ complete, headers }: IncomingMessage): boolean {
  // Node calls a request without a body complete only after its handler has run.
  return complete || (headers["transfer-encoding"] === undefined && !(Number(headers["content-length"]) > 0));
}

/** The arguments of writeHead() with the header. */
function closing(answer: ServerResponse, args: unknown[]): unknown[] {
  const [status, reason, last] = args;
  const headers = typeof reason === "string" ? last : (last ?? reason);
  const before = typeof reason === "string" ? [status, reason] : [status];
  if (Array.isArray(headers)) return [...before, ofList(headers, answer)];
  if (typeof headers === "object" && headers !== null) return [...before, ofRecord(headers, answer)];
  answer.setHeader(CONNECTION, withClose(answer.getHeader(CONNECTION)));
  return args;
}

/** Of pairs, or of names and values in turn. */
function ofList(headers: readonly unknown[], answer: ServerResponse): unknown[] {
  const isNested = Array.isArray(headers[0]);
  const pairs: unknown[][] = [];
  if (isNested) pairs.push(...(headers as unknown[][]));
  else for (let at = 0; at < headers.length; at += 2) pairs.push(headers.slice(at, at + 2));
  const named = pairs.filter(([name]) => isConnection(name)).map(([, value]) => value);
  const others = pairs.filter(([name]) => !isConnection(name));
  const all = [...others, [CONNECTION, withClose(named.length > 0 ? named : answer.getHeader(CONNECTION))]];
  return isNested ? all : all.flat();
}

function ofRecord(headers: object, answer: ServerResponse): Record<string, unknown> {
  const entries = Object.entries(headers);
  const named = entries.filter(([name]) => isConnection(name)).map(([, value]: [string, unknown]) => value);
  const others: Record<string, unknown> = Object.fromEntries(entries.filter(([name]) => !isConnection(name)));
  return { ...others, [CONNECTION]: withClose(named.length > 0 ? named : answer.getHeader(CONNECTION)) };
}

function isConnection(name: unknown): boolean {
  return typeof name === "string" && name.toLowerCase() === "connection";
}

/** The options that the application has named for its connection stay, but `keep-alive`. */
function withClose(given: unknown): string {
  const named = [given].flat(Infinity).join().split(",");
  const options = named.map((option) => option.trim()).filter((option) => !/^(keep-alive|close|)$/iu.test(option));
  return [...options, "close"].join(", ");
}
