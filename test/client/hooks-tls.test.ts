/** Options that a `tls` of the application's may give: the link never has less protection than was asked for. */
import net from "node:net";
import { describe, expect, test } from "vitest";
import { asError } from "../../src/client/failure.ts";
import type { OpenOptions } from "../../src/index.ts";
import { DialError } from "../../src/io/dial-error.ts";
import {
  certificate,
  echo,
  eventually,
  manage,
  openTo,
  QUICK,
  rawServer,
  receiveText,
  relayTo,
  serve,
  turned,
  unusedPort,
  WATCHFUL,
} from "../support.ts";
import { expectRetried, failures, SECRET } from "./attempts.ts";

describe("tls", () => {
  const NOTHING: Array<[string, unknown]> = [
    ["undefined", undefined],
    ["null", null],
    ["false", false],
    ["true", true],
    ["an empty string", ""],
    ["a PEM", SECRET],
    ["the bytes of a PEM", Buffer.from(SECRET)],
    ["an array", []],
  ];

  /** In front of a server: how each connection began. */
  async function firstBytes(port: number): Promise<{ port: number; seen: number[] }> {
    const seen: number[] = [];
    const front = await rawServer((socket) => {
      const back = net.connect(port, "127.0.0.1");
      socket.once("data", (chunk: Buffer) => void seen.push(chunk[0] ?? 0));
      socket.pipe(back).pipe(socket);
      for (const each of [socket, back]) each.on("error", () => {});
      socket.on("close", () => back.destroy());
      back.on("close", () => socket.destroy());
    });
    return { port: front, seen };
  }
  const HANDSHAKE_RECORD = 0x16;

  test.each(NOTHING)("a function that gives %s fails the attempt: nothing goes out in clear text", async (_, given) => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem });
    const front = await firstBytes(port);
    let isRight = false;
    const link = openTo(front.port, {
      tls: async () => (isRight ? { ca: pem.cert } : (given as never)),
      credentials: "token",
    });
    await expectRetried(link, "CONNECT_FAILED", /^the function tls gave what cannot be used: option tls is /);
    expect(front.seen).toEqual([]);
    isRight = true;
    await link.connected();
    expect(front.seen).toEqual([HANDSHAKE_RECORD]);
  });

  test("nor on a reconnect", async () => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem });
    const relay = await relayTo(port);
    const front = await firstBytes(relay.port);
    let isRight = true;
    const tls = (() => (isRight ? { ca: pem.cert } : undefined)) as OpenOptions["tls"] & object;
    const link = openTo(front.port, { tls, credentials: "token" });
    await link.connected();
    isRight = false;
    const seen = failures(link);
    relay.cut("rst");
    await eventually(() => expect(seen.length).toBeGreaterThan(3));
    expect(front.seen).toEqual([HANDSHAKE_RECORD]);
    isRight = true;
    await link.connected();
    expect(front.seen).toEqual([HANDSHAKE_RECORD, HANDSHAKE_RECORD]);
  });

  test("nor on a standby", async () => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem }, echo);
    const relay = await relayTo(port);
    const front = await firstBytes(relay.port);
    let isRight = true;
    let asked = 0;
    const tls = (() => {
      asked++;
      return isRight ? { ca: pem.cert } : undefined;
    }) as OpenOptions["tls"] & object;
    const link = openTo(front.port, { tls, credentials: "token", keepalive: WATCHFUL });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    await link.flush();
    isRight = false;
    relay.blackHole();
    await turned(link, "suspect");
    await eventually(() => expect(asked).toBeGreaterThan(3), 5_000);
    expect(front.seen).toEqual([HANDSHAKE_RECORD]);
    isRight = true;
    relay.heal();
    await turned(link, "connected");
    expect(new Set(front.seen)).toEqual(new Set([HANDSHAKE_RECORD]));
  });

  test("what is undefined within the options does not replace the name that is checked", async () => {
    // Node would check the certificate for "localhost" then, whatever was dialled.
    const pem = await certificate();
    const { port } = await serve({ tls: pem, host: "127.0.0.2" });
    const undefinedNames = { host: undefined, servername: undefined } as object;
    const link = manage().open({ port, host: "127.0.0.2", tls: () => ({ ca: pem.cert, ...undefinedNames }) });
    expect((await link.closed).error).toMatchObject({ code: "CERTIFICATE_INVALID" });
  });

  test.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("not pinned");
      },
    ],
    ["gives a promise that rejects", () => Promise.reject(new Error("not pinned"))],
    ["gives false", () => false],
    ["gives an Error", () => new Error("not pinned")],
  ])("a checkServerIdentity that %s fails the attempt, and ends neither the link nor the process", async (_, check) => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem });
    let isRight = false;
    const link = openTo(port, {
      tls: { ca: pem.cert, checkServerIdentity: () => (isRight ? undefined : (check() as Error)) },
    });
    await expectRetried(
      link,
      "CONNECT_FAILED",
      /^127\.0\.0\.1:\d+: (not pinned|checkServerIdentity gave neither undefined nor an Error)$/,
    );
    isRight = true;
    await link.connected();
  });

  test("a name whose addresses all refuse is told of by its code", async () => {
    const link = manage().open({ port: await unusedPort(), host: "localhost", reconnect: QUICK });
    expect((await turned(link, "reconnecting")).error?.message).toMatch(/ECONNREFUSED/);
  });

  test("what a certificate says of itself has escapes", () => {
    const error = asError(
      new DialError("certificate", `is not in the cert's altnames: a\n\u202e${"b".repeat(10_000)}`),
    );
    expect(error.code).toBe("CERTIFICATE_INVALID");
    expect(error.message).toMatch(/^is not in the cert's altnames: a\\n\\u202eb+…$/);
    expect(error.message.length).toBeLessThanOrEqual(500);
  });

  test.each<[string, object, RegExp]>([
    ["at once", { ticketKeys: SECRET }, /refuses its options: The "options\.ticketKeys" property must be/],
    [
      "in the handshake",
      { ciphers: "PSK", maxVersion: "TLSv1.2", pskCallback: () => ({ psk: SECRET, identity: "me" }) },
      /: (The "options?\.psk" property must be|The "psk" argument must be|ERR_)/,
    ],
  ])("what node:tls says of the options %s shows no secret", async (_, given, saying) => {
    const pskCallback = (): Buffer => Buffer.alloc(16);
    const { port } = await serve({
      tls: { ...(await certificate()), ciphers: "PSK", maxVersion: "TLSv1.2", pskCallback },
    });
    await expectRetried(openTo(port, { tls: () => given }), "CONNECT_FAILED", saying);
  });
});
