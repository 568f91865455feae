/** Clients of a far end that are no near ends, or break the rules; and how much one of them may take. */
import net from "node:net";
import { expect, test } from "vitest";
import type { Link, LinkReport } from "../../src/index.ts";
import { objectRecord, RECORD, record } from "../../src/tunnel/records.ts";
import { introduce, LINK_OPTIONS } from "../../src/tunnel/terms.ts";
import { Tokens } from "../../src/tunnel/tokens.ts";
import { eventually, openTo } from "../support.ts";
import { tunnel } from "./stage.ts";

const CARRIER = introduce({ role: "carrier", instance: "hostile", name: undefined });

const NO_LOG = { debug: (): void => {}, info: (): void => {}, warn: (): void => {}, error: (): void => {} };

function open(port: number, openPayload = CARRIER): Link {
  return openTo(port, { ...LINK_OPTIONS, openPayload });
}

/** The code with which the far end has aborted the link. */
async function abortedWith(link: Link): Promise<string | undefined> {
  const { error }: LinkReport = await link.closed;
  return error?.peerCode;
}

test.each([
  "",
  "{",
  "null",
  '{"tunnel":2,"role":"carrier","instance":"a"}',
  '{"tunnel":1,"role":"x","instance":"a"}',
  '{"tunnel":1,"role":"carrier"}',
  `{"tunnel":1,"role":"control","instance":"a","name":"${"n".repeat(257)}"}`,
  `{"tunnel":1,"role":"carrier","instance":"${"a".repeat(257)}"}`,
])("who introduces itself with %j is sent away, and the log says so", async (openPayload) => {
  const { relay, lines } = await tunnel(() => {});
  const link = open(relay.port, openPayload);
  link.onMessage(() => {});
  expect(await abortedWith(link)).toBe("no-tunnel");
  expect(lines.filter(({ event }) => event === "tunnel.stranger")).toHaveLength(1);
});

test.each([
  ["bytes that are no record", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["DATA without a connection", record(RECORD.data, Buffer.from("x"))],
  ["END without a connection", record(RECORD.end)],
  ["a record of the far end", record(RECORD.done)],
  ["OPEN without a target", record(RECORD.open, Buffer.from("{}"))],
])("%s: the link is aborted", async (_, bytes) => {
  const { relay, far } = await tunnel(() => {});
  const link = open(relay.port);
  link.onMessage(() => {});
  await link.send(bytes);
  expect(await abortedWith(link)).toBe("tunnel-record");
  expect(far.connections).toBe(0);
});

test("OPEN on a link that carries a connection: that is reset, and the link aborted", async () => {
  const sockets: net.Socket[] = [];
  const { relay, far, target } = await tunnel((socket) => void sockets.push(socket));
  const link = open(relay.port);
  link.onMessage(() => {});
  await link.send(objectRecord(RECORD.open, { to: target, ends: undefined }));
  await eventually(() => expect(sockets).toHaveLength(1));
  await link.send(objectRecord(RECORD.open, { to: target, ends: undefined }));
  expect(await abortedWith(link)).toBe("tunnel-record");
  await eventually(() => expect(far.connections).toBe(0));
});

test.each([
  ["DATA behind END", record(RECORD.data, Buffer.from("x"))],
  ["a second END", record(RECORD.end)],
])("%s: the link is aborted, and the connection has not ended in order", async (_, bytes) => {
  const { relay, far, target, lines } = await tunnel(() => {});
  const link = open(relay.port);
  link.onMessage(() => {});
  await link.send(objectRecord(RECORD.open, { to: target, ends: undefined }));
  await link.send(record(RECORD.end));
  await link.send(bytes);
  expect(await abortedWith(link)).toBe("tunnel-record");
  await eventually(() => expect(far.connections).toBe(0));
  expect(lines.map(({ fields }) => fields["isWhole"])).toContain(false);
});

test("no more than the most connections are made; those that were refused do not count", async () => {
  const { relay, far, target, lines } = await tunnel(() => {}, { far: { maxConnections: 1 } });
  const ask = async (to: string): Promise<Link> => {
    const link = open(relay.port);
    link.onMessage(() => {});
    await link.send(objectRecord(RECORD.open, { to, ends: undefined }));
    return link;
  };
  const refusals = (): unknown[] =>
    lines.filter(({ event }) => event === "tunnel.refused").map(({ fields }) => fields["code"]);
  await ask("10.0.0.1:1");
  await eventually(() => expect(refusals()).toEqual(["not-allowed"]));
  const first = await ask(target);
  await eventually(() => expect(far.connections).toBe(1));
  await ask(target);
  await eventually(() => expect(refusals()).toEqual(["not-allowed", "too-many-connections"]));
  first.abort();
  await eventually(() => expect(far.connections).toBe(0));
  await ask(target);
  await eventually(() => expect(far.connections).toBe(1));
});

test("one client leaves connections to others", async () => {
  const proofs = {
    tokens: new Tokens("greedy 0123456789abcdef\nother fedcba9876543210", "tokens"),
    certificates: false,
  };
  const { relay, far, target, lines } = await tunnel(() => {}, { far: { maxConnections: 3, proofs } });
  const ask = async (credentials: string): Promise<void> => {
    const link = openTo(relay.port, { ...LINK_OPTIONS, openPayload: CARRIER, credentials });
    link.onMessage(() => {});
    await link.send(objectRecord(RECORD.open, { to: target, ends: undefined }));
  };
  await ask("0123456789abcdef");
  await ask("0123456789abcdef");
  await eventually(() => expect(far.connections).toBe(2));
  await ask("0123456789abcdef");
  await eventually(() => {
    const refused = lines.filter(({ event }) => event === "tunnel.refused").map(({ text }) => text);
    expect(refused).toEqual([expect.stringContaining("this client has 2")]);
  });
  await ask("fedcba9876543210");
  await eventually(() => expect(far.connections).toBe(3));
});

test("a client that keeps a link which carries nothing does not hold up the drain", async () => {
  const { relay, far } = await tunnel(() => {});
  const link = open(relay.port);
  link.onMessage(() => {});
  await link.ready();
  await eventually(() =>
    expect([...far.supervisor.links].map(({ openPayload }) => String(openPayload))).toContain(CARRIER),
  );
  expect(await far.close(60_000, new AbortController().signal)).toBe(0);
  expect(await abortedWith(link)).toBe("far-end-closing");
});

test.each(["carrier", "control"] as const)(
  "a %s link that opens as the drain begins does not hold it up",
  async (role) => {
    let onOpened = (): void => {};
    const info = (fields: { event?: unknown; from?: unknown }): void => {
      if (fields.event === "link.state" && fields.from === "created") onOpened();
    };
    const { relay, far } = await tunnel(() => {}, { far: { logger: { ...NO_LOG, info } } });
    // The control link and the spares of the near end.
    await eventually(() => expect(far.supervisor.links.size).toBe(5));
    const closed = new Promise<number>((resolve) => {
      onOpened = (): void => resolve(far.close(60_000, new AbortController().signal));
    });
    const link = open(relay.port, introduce({ role, instance: "hostile", name: undefined }));
    link.onMessage(() => {});
    expect(await closed).toBe(0);
    expect(await abortedWith(link)).toBe("far-end-closing");
  },
);

test("who leaves while the target is being connected leaves nothing behind", async () => {
  const dialled: net.Socket[] = [];
  const connectSocket = (): net.Socket => {
    // It is never connected.
    const socket = new net.Socket();
    dialled.push(socket);
    return socket;
  };
  const { relay, far, target } = await tunnel(() => {}, { far: { targets: { connectSocket } } });
  const link = open(relay.port);
  link.onMessage(() => {});
  await link.send(objectRecord(RECORD.open, { to: target, ends: undefined }));
  await eventually(() => expect(dialled).toHaveLength(1));
  expect(far.connections).toBe(1);
  link.abort();
  await eventually(() => expect([dialled[0]?.destroyed, far.connections]).toEqual([true, 0]));
});

test("a client that does not read its answers is given no more of them than its window and its link take", async () => {
  const { relay, lines } = await tunnel(() => {});
  const link = open(relay.port);
  const to = `unix:/${"a".repeat(90)}`;
  const both = Buffer.concat([objectRecord(RECORD.open, { to, ends: undefined }), record(RECORD.end)]);
  const asked = 12_000;
  const sending = (async () => {
    for (let n = 0; n < asked; n++) await link.send(both);
  })().catch(() => {});
  const refused = (): number => lines.filter(({ event }) => event === "tunnel.refused").length;
  let before = -1;
  await eventually(async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const now = refused();
    const stands = now === before && now > 0;
    before = now;
    expect(stands).toBe(true);
  }, 20_000);
  expect(refused()).toBeLessThan(asked / 2);
  link.abort();
  await sending;
}, 30_000);
