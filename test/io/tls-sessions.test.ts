import tls, { type ConnectionOptions } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { type DialOptions, SystemDial } from "../../src/io/dial.ts";
import { TlsSessions } from "../../src/io/tls-sessions.ts";
import { certificate } from "../support.ts";

const LATER = 2_000;
const ONE = { session: Buffer.from("one"), untilMs: LATER };
const TWO = { session: Buffer.from("two"), untilMs: LATER };

describe("a session", () => {
  const begin = (options: ConnectionOptions) => {
    const time = { ms: 1_000 };
    const sessions = new TlsSessions(() => time.ms);
    sessions.take(options, "a:1").keep(ONE);
    return { time, sessions };
  };

  test("is used once, for the endpoint that it is of", () => {
    const options = { ca: "ca" };
    const { sessions } = begin(options);
    expect(sessions.take(options, "b:1").before).toBeUndefined();
    expect(sessions.take(options, "a:1").before).toBe(ONE);
    expect(sessions.take(options, "a:1").before).toBeUndefined();
    sessions.take(options, "a:1").keep(ONE);
    sessions.take(options, "a:1").keep(TWO);
    expect(sessions.take(options, "a:1").before).toBe(TWO);
  });

  test("is not used when the certificate has expired, or when that is not known", () => {
    const options = {};
    const { time, sessions } = begin(options);
    time.ms = LATER;
    expect(sessions.take(options, "a:1").before).toBeUndefined();
    sessions.take(options, "a:1").keep({ ...ONE, untilMs: NaN });
    expect(sessions.take(options, "a:1").before).toBeUndefined();
  });

  test("is for the options that it was checked with, and not for others that are alike", () => {
    const { sessions } = begin({ ca: "ca" });
    expect(sessions.take({ ca: "ca" }, "a:1").before).toBeUndefined();
  });

  test.each<[string, (options: { ca: string[]; servername?: string }) => void]>([
    ["one is replaced", (options) => void (options.ca = ["other"])],
    ["an element is added", (options) => void options.ca.push("other")],
    ["an element is replaced", (options) => void (options.ca[0] = "other")],
    ["one is added", (options) => void (options.servername = "b")],
    ["one is named and undefined", (options) => void Object.assign(options, { servername: undefined })],
    [
      "one is renamed",
      (options) => void (Object.assign(options, { crl: options.ca }), Reflect.deleteProperty(options, "ca")),
    ],
  ])("is dropped when the options change: %s", (_, change) => {
    const options = { ca: ["ca"] };
    const { sessions } = begin(options);
    change(options);
    expect(sessions.take(options, "a:1").before).toBeUndefined();
  });

  test.each<[string, ConnectionOptions]>([
    ["checkServerIdentity", { checkServerIdentity: () => undefined }],
    ["pskCallback", { pskCallback: () => null }],
    ["session", { session: TWO.session }],
  ])("is not kept where the application checks by itself: %s", (_, options) => {
    const { sessions } = begin(options);
    expect(sessions.take(options, "a:1").before).toBeUndefined();
  });

  test("that was begun with other options is for those: the application has changed them meanwhile", () => {
    const options = { ca: "ca" };
    const { sessions } = begin(options);
    const { keep } = sessions.take(options, "a:1");
    options.ca = "other";
    keep(TWO);
    expect(sessions.take(options, "a:1").before).toBeUndefined();
  });

  test("of more than a hundred endpoints the oldest is forgotten", () => {
    const options = {};
    const { sessions } = begin(options);
    for (let i = 0; i < 99; i++) sessions.take(options, String(i)).keep(ONE);
    sessions.take(options, "a:1").keep(ONE);
    sessions.take(options, "new").keep(ONE);
    expect(sessions.take(options, "0").before).toBeUndefined();
    expect(["a:1", "1", "98", "new"].map((name) => sessions.take(options, name).before)).toEqual([ONE, ONE, ONE, ONE]);
  });
});

describe.each(["TLSv1.2", "TLSv1.3"] as const)("over %s", (maxVersion) => {
  async function serveTls() {
    const pem = await certificate();
    const server = tls.createServer({ ...pem, maxVersion }, (socket) => socket.on("error", () => {}).write("x"));
    server.listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const system = new SystemDial(new SystemClock());
    /** Answers whether the handshake has reused a session. */
    const dial = async (options: ConnectionOptions): Promise<boolean> => {
      const socket = (await system.dial({ port, host: "127.0.0.1" }, { ...BASE, tls: options })) as tls.TLSSocket;
      const isReused = socket.isSessionReused();
      // The tickets of TLS 1.3 come after the handshake, and before the server's first byte.
      await once(socket, "data");
      socket.destroy();
      return isReused;
    };
    return { pem, server, dial };
  }
  const BASE: DialOptions = {
    connectMs: 1_000,
    tlsMs: 1_000,
    tls: false,
    signal: new AbortController().signal,
    socket: { localAddress: undefined, keepAlive: 0, noDelay: true },
    lookup: undefined,
    addresses: {
      plan: (order) => ({ order, reserve: [], aloneMs: 0 }),
      dialled: () => {},
      failed: () => {},
      connected: () => {},
    },
  };

  test("each handshake reuses the session of the one before, with the same options only", async () => {
    const { pem, dial } = await serveTls();
    const options = { ca: pem.cert };
    expect([await dial(options), await dial(options), await dial(options)]).toEqual([false, true, true]);
    expect(await dial({ ca: pem.cert })).toBe(false);
    expect(await dial(options)).toBe(true);
  });

  test("a server that has forgotten the session shakes hands in full", async () => {
    const { pem, server, dial } = await serveTls();
    const options = { ca: pem.cert };
    await dial(options);
    server.setTicketKeys(Buffer.alloc(48, 1));
    expect(await dial(options)).toBe(false);
    expect(await dial(options)).toBe(true);
  });

  test("a server whose certificate is not trusted leaves no session", async () => {
    const { pem, dial } = await serveTls();
    const options: ConnectionOptions = {};
    await expect(dial(options)).rejects.toMatchObject({ kind: "certificate" });
    await expect(dial(options)).rejects.toMatchObject({ kind: "certificate" });
    options.ca = pem.cert;
    expect(await dial(options)).toBe(false);
  });
});
