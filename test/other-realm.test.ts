/** Values of another realm, as a test runner with jsdom has them, and objects without a prototype. */
import vm from "node:vm";
import { expect, test } from "vitest";
import {
  ConnectionManager,
  delimited,
  type Framing,
  type Link,
  lines,
  plain,
  RespliceError,
  ServerSupervisor,
} from "../src/index.ts";
import { tlsRefusal } from "../src/io/tls-options.ts";
import { failure, listenInTest, manage, pair, QUICK, serve, turned } from "./support.ts";

const host = "127.0.0.1";

/** Made in a context of its own: `Uint8Array`, `Object` and `Error` are not those of this one. */
function made(code: string): never {
  return vm.runInNewContext(code) as never;
}

/** The options without a prototype, in each group of them too. */
function bare<T>(options: T): T {
  if (typeof options !== "object" || options === null || Array.isArray(options)) return options;
  return Object.assign(
    Object.create(null),
    ...Object.entries(options).map(([name, value]) => ({ [name]: bare(value) })),
  );
}

test("messages: copied, given away, kept under a policy, waiting for room", async () => {
  const { client, server } = await pair({ queue: { maxMessages: 2, ttlMs: Infinity } });
  const small: Uint8Array = made("new Uint8Array([111, 110, 101])");
  const large: Uint8Array = made("new Uint8Array(20_000).fill(120)");
  await client.send(small);
  await client.send(large, { transfer: true });
  expect(client.trySend(made("new (class extends Uint8Array {})([116])"))).toBe(true);
  const received = [await server.receive(), await server.receive(), await server.receive()].map(String);
  expect(received).toEqual(["one", "x".repeat(20_000), "t"]);
  const accepted = server.send(small, made("({ until: 'accepted' })"));
  expect(String(await client.receive())).toBe("one");
  await accepted;
  expect(await failure(client.send(made("new Uint16Array(1)")))).toMatchObject({ code: "INVALID_ARGUMENT" });
});

test.each<[string, <T>(options: T) => T]>([
  ["of another realm", (options) => made(`(${JSON.stringify(options)})`)],
  ["without a prototype", bare],
])("options %s are merged group by group, and checked", async (_, as) => {
  const supervisor = new ServerSupervisor(as({ port: 0, host, limits: { connections: 9 }, queue: { maxMessages: 7 } }));
  const { port } = await listenInTest<Link>(supervisor, async (link) => {
    for await (const _message of link);
  });
  const manager = manage(as({ defaults: { queue: { maxMessages: 1 }, maxMessageBytes: 10, reconnect: QUICK } }));
  const link = manager.open(as({ port, host, queue: { maxBytes: 1_000 } }));
  expect(["a", "b"].map((text) => link.trySend(text, as({ transfer: false })))).toEqual([true, false]);
  await link.flush(as({}));
  const wrong = await failure(() => manager.open(as({ port, queue: { maxBites: 1 } }) as never));
  expect(wrong).toMatchObject({ code: "INVALID_OPTION", option: { name: "queue.maxBites" } });
  expect(await failure(() => new ConnectionManager(as({ logger: {} }) as never))).toBeInstanceOf(RespliceError);
  expect((await link.close(as({ deadlineMs: 5_000 }))).error).toBeUndefined();
});

test("payloads of options, a signal of its own, and what functions answer", async () => {
  const bytes: Uint8Array = made("new Uint8Array([104, 105])");
  const seen: string[] = [];
  const { port, links } = await serve({
    authenticate: ({ credentials, openPayload }) => {
      seen.push(String(credentials), String(openPayload));
      return made("({ identity: 'alice', claims: { admin: true } })");
    },
  });
  const link = manage().open({ port, host, credentials: () => bytes, openPayload: bytes });
  const server = await links.next();
  expect([seen, server.identity, server.claims]).toEqual([["hi", "hi"], "alice", { admin: true }]);
  const controller: AbortController = made(
    "new (class { aborted = false; heard = []; get signal() { return this; } \
    addEventListener(_, run) { this.heard.push(run); } removeEventListener() {} \
    abort() { this.aborted = true; this.heard.forEach((run) => run()); } })()",
  );
  const waiting = failure(link.receive({ signal: controller.signal }));
  controller.abort();
  expect(await waiting).toMatchObject({ code: "ABORTED" });
});

test("a plain link: its delimiter, its probe, and the pieces of a framing", async () => {
  const framing: Framing = {
    name: "of another realm",
    encode: (message) => [message, made("new Uint8Array([10])")],
    decoder: (limits) => lines().decoder(limits),
  };
  const supervisor = new ServerSupervisor({ port: 0, host, protocol: plain({ framing }) });
  const { port, links } = await listenInTest(supervisor);
  const protocol = plain({ framing: delimited(made("new Uint8Array([10])")) });
  const link = manage().open({ port, host, protocol });
  await link.send(made("new Uint8Array([111, 110, 101])"));
  const server = await links.next();
  expect(String(await server.receive())).toBe("one");
  await server.send("two");
  expect(String(await link.receive())).toBe("two");
});

test("errors: the code of a lookup, the reason of a handler, and no secret of node:tls", async () => {
  const lookup = (_: string, __: object, done: (error: Error) => void): void =>
    done(made("Object.assign(new Error('no such host'), { code: 'ENOTFOUND' })"));
  const link = manage().open({ port: 1, host: "example.invalid", lookup: lookup as never, reconnect: QUICK });
  const { error } = (await turned(link, "reconnecting")) as { error?: RespliceError };
  expect(error).toMatchObject({ code: "CONNECT_FAILED", message: expect.stringContaining("no such host") as string });
  expect(tlsRefusal(made("Object.assign(new TypeError('s3cr3t'), { code: 'ERR_INVALID_ARG_VALUE' })"))).toBe(
    "ERR_INVALID_ARG_VALUE",
  );
  expect(tlsRefusal(made("new Error('plain')"))).toBe("plain");
});
