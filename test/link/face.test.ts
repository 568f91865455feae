/** What an application is handed has the methods and properties that its type declares, and at runtime no other. */
import { EventEmitter } from "eventemitter3";
import { expect, test } from "vitest";
import { type ConnectionManager, type Link, ServerSupervisor } from "../../src/index.ts";
import { linkPair } from "../../src/testing/index.ts";
import { manage, pair, turned } from "../support.ts";

type Own<T> = Exclude<keyof T, keyof EventEmitter>;
/** The compiler says when one is missing, or is not declared. */
type Face<T> = Readonly<Record<Own<T>, true>>;

const LINK: Face<Link> = {
  id: true,
  state: true,
  sessionId: true,
  identity: true,
  claims: true,
  openPayload: true,
  remoteAddress: true,
  send: true,
  trySend: true,
  ready: true,
  flush: true,
  clear: true,
  writableLength: true,
  receive: true,
  [Symbol.asyncIterator]: true,
  onMessage: true,
  waitUntil: true,
  readableLength: true,
  position: true,
  accept: true,
  duplex: true,
  socket: true,
  connected: true,
  hold: true,
  retryNow: true,
  ping: true,
  reauthenticate: true,
  end: true,
  close: true,
  abort: true,
  closed: true,
  [Symbol.asyncDispose]: true,
  stats: true,
};
const MANAGER: Face<ConnectionManager> = {
  links: true,
  open: true,
  connected: true,
  health: true,
  stats: true,
  close: true,
  [Symbol.asyncDispose]: true,
};
const SUPERVISOR: Face<ServerSupervisor> = {
  state: true,
  links: true,
  linksOf: true,
  serve: true,
  listen: true,
  accept: true,
  setSecureContext: true,
  setAccess: true,
  setLimits: true,
  health: true,
  stats: true,
  close: true,
  [Symbol.asyncDispose]: true,
};

const EMITTER: ReadonlySet<string | symbol> = new Set([
  ...Reflect.ownKeys(new EventEmitter()),
  ...Reflect.ownKeys(EventEmitter.prototype),
]);

/** Its own keys and those of its prototypes, up to the emitter's. */
function reachable(face: object): Set<string | symbol> {
  const keys = new Set<string | symbol>();
  let at: object | null = face;
  while (at !== null && at !== EventEmitter.prototype && at !== Object.prototype) {
    for (const key of Reflect.ownKeys(at)) if (key !== "constructor" && !EMITTER.has(key)) keys.add(key);
    at = Reflect.getPrototypeOf(at);
  }
  return keys;
}

function expectFace(held: object, declared: object): void {
  expect(reachable(held)).toEqual(new Set(Reflect.ownKeys(declared)));
}

test("a link of a manager, and that which a supervisor serves", async () => {
  const { client, server } = await pair();
  for (const link of [client, server]) expectFace(link, LINK);
});

test("a link that is not connected yet, and one that has ended", async () => {
  const link = manage().open({ port: 1, host: "127.0.0.1", reconnect: { maxAttempts: 1 } });
  expectFace(link, LINK);
  await turned(link, "closed");
  expectFace(link, LINK);
});

test("both links of a pair in memory", async () => {
  await using both = linkPair();
  for (const link of [both.client, both.server]) expectFace(link, LINK);
});

test("the links that a manager, a supervisor and a report list", async () => {
  const { client, manager, server, supervisor } = await pair();
  expect([...manager.links]).toEqual([client]);
  expect([...supervisor.links]).toEqual([server]);
  client.trySend("never read");
  client.abort();
  for (const { link } of (await manager.close()).undelivered) expect(link).toBe(client);
});

test("a manager", () => {
  expectFace(manage(), MANAGER);
});

test("a supervisor", () => {
  expectFace(new ServerSupervisor({ port: 0 }), SUPERVISOR);
});
