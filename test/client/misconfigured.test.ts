/** Another server has the port, or only one end has TLS: what the error of an attempt says. */
import { once } from "node:events";
import type { Socket } from "node:net";
import tls from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { lines as framingOfLines, plain, type RespliceError } from "../../src/index.ts";
import { certificate, eventually, manage, openTo, QUICK, rawServer, serve, turned } from "../support.ts";
import { firstFailure } from "./first-failure.ts";

const HTTP = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
const ALERT = Buffer.from("15030100020246", "hex");

const answering = (answer: string | Buffer): Promise<number> =>
  rawServer((socket: Socket) => socket.once("data", () => socket.end(answer)));

/** The lines of connections that a server has closed. */
function log() {
  const lines: Array<{ reason: unknown; detail: unknown }> = [];
  const keep = (fields: { event?: string; reason?: unknown; detail?: unknown }): void => {
    if (fields.event === "server.rejected") lines.push({ reason: fields.reason, detail: fields.detail });
  };
  return { lines, logger: { debug: keep, info: keep, warn: keep, error: keep } };
}

describe("a link to another server", () => {
  test.each<[string, string | Buffer, string]>([
    ["HTTP", HTTP, '"HTTP/1.1 400 Bad Request\\r\\nConnection: cl…", which looks like HTTP'],
    ["SMTP", "220 mail.example ESMTP\r\n", '"220 mail.example ESMTP\\r\\n", which looks like SMTP or FTP'],
    ["Redis", "-ERR unknown command\r\n", '"-ERR unknown command\\r\\n", which looks like Redis'],
    ["TLS", ALERT, '"\\x15\\x03\\x01\\x00\\x02\\x02F", which looks like TLS: the option `tls` is to be set'],
    ["who knows", "hi", '"hi"'],
  ])("that speaks %s says where it went, and what was heard", async (_, answer, heard) => {
    const port = await answering(answer);
    const error = await firstFailure(openTo(port));
    expect(error).toMatchObject({ retryable: true });
    expect(error?.message).toMatch(new RegExp(`^127\\.0\\.0\\.1:${port}: `));
    expect(error?.message).toContain(`; what was heard is ${heard}`);
  });

  test("that closes, or says nothing: that nothing was heard", async () => {
    const [closing, silent] = [await answering(""), await rawServer((socket) => socket.resume())];
    const closed = await firstFailure(openTo(closing));
    expect(closed?.code).toBe("CONNECTION_LOST");
    expect(closed?.message).toMatch(/^127\.0\.0\.1:\d+: .*; nothing was heard before: the server may speak TLS/);
    const late = await firstFailure(openTo(silent, { timeouts: { handshakeMs: 20 } }));
    expect(late?.code).toBe("TIMED_OUT");
    expect(late?.message).toMatch(/^127\.0\.0\.1:\d+: the handshake took more than 20 ms; nothing was heard: another/);
  });

  test("a refusal of a resplice server is told with its endpoint, and without its bytes", async () => {
    const { port } = await serve({
      logger: log().logger,
      authenticate: () => {
        throw new Error("not now");
      },
    });
    const error = await firstFailure(openTo(port));
    expect(error?.code).toBe("AUTHENTICATION_UNAVAILABLE");
    expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: the attempt failed: authentication-unavailable$/);
  });
});

describe("one end has TLS", () => {
  test("the server: the client says so, and the server", async () => {
    const { lines: logged, logger } = log();
    const { port } = await serve({ tls: await certificate(), logger });
    const error = await firstFailure(openTo(port));
    expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: .*TLS/);
    expect(error?.message).toContain("`tls`");
    await eventually(() =>
      expect(logged).toContainEqual({ reason: "tls", detail: expect.stringContaining("does not speak TLS") as string }),
    );
  });

  test("the client: the client says so, and the server", async () => {
    const { lines: logged, logger } = log();
    const { port } = await serve({ logger });
    const error = await firstFailure(openTo(port, { tls: { ca: (await certificate()).cert } }));
    expect(error).toMatchObject({ code: "CONNECT_FAILED", retryable: true });
    expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: .*: does the server have `tls`\?$/);
    await eventually(() =>
      expect(logged).toContainEqual({
        reason: "bad-frame",
        detail: expect.stringMatching(/it looks like TLS: only the other end has `tls`/) as string,
      }),
    );
  });

  test("and another server answers", async () => {
    const port = await answering(HTTP);
    const error = await firstFailure(openTo(port, { tls: { ca: (await certificate()).cert } }));
    expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: ERR_SSL_\w+: the other side does not speak TLS/);
  });
});

describe("a plain link", () => {
  const open = (port: number, login?: Parameters<typeof plain>[0]["login"]) => {
    const protocol = plain({ framing: framingOfLines(), ...(login !== undefined && { login }) });
    const link = manage().open({ port, host: "127.0.0.1", protocol, reconnect: QUICK });
    link.trySend("hello");
    return link;
  };

  test("whose server speaks TLS says so once what comes is no message", async () => {
    const link = open(await answering(ALERT));
    const { error } = await turned(link, "reconnecting");
    expect(error?.code).toBe("CONNECT_FAILED");
    expect(error?.message).toMatch(
      /^127\.0\.0\.1:\d+: what comes is no message: .*; what was heard looks like TLS: the option `tls`/,
    );
  });

  test("whose login hears HTTP says so", async () => {
    const link = open(await answering(HTTP), async (connection) => {
      connection.send("HELO");
      if ((await connection.receive()).toString() !== "OK") throw new Error("not OK");
    });
    const error = (await turned(link, "reconnecting")).error as RespliceError;
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+: not OK; what was heard looks like HTTP$/);
  });

  test("that was connected before is not told to look at its options", async () => {
    const answers = ["OK\n"];
    const port = await rawServer((socket) => socket.once("data", () => socket.end(answers.pop() ?? "")));
    const link = open(port, async (connection) => {
      connection.send("HELO");
      await connection.receive();
    });
    await link.connected();
    // The loss of that connection has no error.
    const error = (await firstFailure(link)) ?? (await firstFailure(link));
    expect(error).toMatchObject({ code: "CONNECTION_LOST" });
    expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: [^;]*$/);
  });

  test("that has had messages does not take a fault for another server", async () => {
    const link = open(await rawServer((socket) => socket.once("data", () => socket.end("one\ntwo"))));
    const { error } = await turned(link, "reconnecting");
    expect(error).toBeUndefined();
  });
});

describe("a client's certificate", () => {
  const DAY_MS = 86_400_000;
  const dated = (fromDays: number, toDays: number) =>
    certificate("localhost", {
      notBeforeDate: new Date(Date.now() + fromDays * DAY_MS),
      notAfterDate: new Date(Date.now() + toDays * DAY_MS),
    });

  test.each<[string, () => Promise<{ ca: string; shown: object }>, RegExp, RegExp]>([
    [
      "is missing",
      async () => ({ ca: (await certificate()).cert, shown: {} }),
      /(: |; |or )the server requires a certificate of the client/,
      /^ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: the server requires/,
    ],
    [
      "has expired",
      async () => {
        const old = await dated(-3, -1);
        return { ca: old.cert, shown: old };
      },
      /this client's own certificate \(`tls\.cert`\) has expired/,
      /^the client's certificate is refused: CERT_HAS_EXPIRED: it is to be renewed/,
    ],
    [
      "is not valid yet",
      async () => {
        const early = await dated(1, 3);
        return { ca: early.cert, shown: early };
      },
      /this client's own certificate \(`tls\.cert`\) is not valid yet/,
      /^the client's certificate is refused: CERT_NOT_YET_VALID: .*clocks/,
    ],
    [
      "is of an unknown authority",
      async () => ({ ca: (await certificate()).cert, shown: await certificate() }),
      /the server may refuse this client's certificate \(`tls\.cert`\): its log may say why/,
      /^the client's certificate is refused: DEPTH_ZERO_SELF_SIGNED_CERT: .*no authority that is trusted here/,
    ],
  ])("that %s: both ends say why", async (_, given, client, server) => {
    const { ca, shown } = await given();
    const pem = await certificate();
    for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
      const { lines: logged, logger } = log();
      const to = { ...pem, ca, requestCert: true, rejectUnauthorized: true, maxVersion };
      const { port } = await serve({ tls: to, logger });
      const error = await firstFailure(openTo(port, { tls: { ca: pem.cert, ...shown } }));
      expect(error).toMatchObject({ retryable: true, message: expect.stringMatching(client) as string });
      expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: /);
      await eventually(() =>
        expect(logged).toContainEqual({ reason: "tls", detail: expect.stringMatching(server) as string }),
      );
    }
  });

  test("a server's certificate that has expired, or is not valid yet, is awaited", async () => {
    for (const [pem, word] of [
      [await dated(-3, -1), "renewed"],
      [await dated(1, 3), "clocks"],
    ] as const) {
      const { port, supervisor } = await serve({ tls: pem });
      const right = await certificate();
      const link = openTo(port, { tls: { ca: [pem.cert, right.cert] } });
      const error = await firstFailure(link);
      expect(error).toMatchObject({ code: "CERTIFICATE_INVALID", retryable: true });
      expect(error?.message).toContain(word);
      supervisor.setSecureContext(right);
      await link.connected();
    }
  });
});

test("a server of node:tls that is no resplice server", async () => {
  const pem = await certificate();
  const server = tls.createServer(pem, (socket) => socket.on("error", () => {}).end(HTTP));
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const error = await firstFailure(openTo(port, { tls: { ca: pem.cert } }));
  expect(error?.message).toMatch(/^127\.0\.0\.1:\d+: the server does not speak the protocol: .*which looks like HTTP$/);
});
