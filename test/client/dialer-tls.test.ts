/** Dialling with TLS. */
import { describe, expect, test } from "vitest";
import {
  certificate,
  echo,
  eventually,
  manage,
  openTo,
  QUICK,
  rawServer,
  receiveText,
  runToExit,
  serve,
} from "../support.ts";
import { firstFailure } from "./first-failure.ts";

describe("TLS", () => {
  test("a link, with the server's name checked", async () => {
    const tls = await certificate();
    const { port } = await serve({ tls }, echo);
    const link = manage().open({ port, host: "localhost", tls: { ca: tls.cert } });
    await link.send("secret");
    expect(await receiveText(link)).toBe("secret");
  });

  test("an authority that is not trusted is CERTIFICATE_INVALID, for good", async () => {
    const { port } = await serve({ tls: await certificate() });
    for (const tls of [true, { ca: (await certificate()).cert }] as const) {
      const link = manage().open({ port, host: "localhost", tls });
      const { error } = await link.closed;
      expect(error).toMatchObject({ code: "CERTIFICATE_INVALID", retryable: false });
      expect(error?.cause).toBeInstanceOf(Error);
    }
  });

  test("so is a certificate for another name", async () => {
    const tls = await certificate("elsewhere.example");
    const { port } = await serve({ tls });
    const link = manage().open({ port, host: "localhost", tls: { ca: tls.cert } });
    expect((await link.closed).error).toMatchObject({ code: "CERTIFICATE_INVALID" });
    // By address it is the right one.
    const other = manage().open({ port, host: "127.0.0.1", tls: { ca: tls.cert } });
    await other.connected();
  });

  test("shouldRetry can go on: the certificate may be renewed by the next attempt", async () => {
    const tls = await certificate();
    const { port } = await serve({ tls });
    const seen: string[] = [];
    const link = openTo(port, {
      tls: ({ number }) => (number > 2 ? { ca: tls.cert } : {}),
      reconnect: { ...QUICK, shouldRetry: ({ code }) => seen.push(code) > 0 },
    });
    await link.connected();
    expect(seen).toEqual(["CERTIFICATE_INVALID", "CERTIFICATE_INVALID"]);
  });

  test("a function reads renewed options for each attempt", async () => {
    const tls = await certificate();
    const { port } = await serve({ tls }, echo);
    let calls = 0;
    const link = openTo(port, {
      tls: async () => {
        if (++calls === 1) throw new Error("the file is being written");
        return { ca: tls.cert };
      },
    });
    await link.connected();
    expect(calls).toBe(2);
  });

  test("to a server without TLS: retried", async () => {
    const { port } = await serve();
    expect(await firstFailure(openTo(port, { tls: true }))).toMatchObject({ retryable: true });
  });

  test("without TLS to a server with TLS: retried", async () => {
    const { port } = await serve({ tls: await certificate() });
    expect(await firstFailure(openTo(port))).toMatchObject({ retryable: true });
  });

  test("to a server that says nothing: tlsMs", async () => {
    const port = await rawServer(() => {});
    const error = await firstFailure(openTo(port, { tls: true, timeouts: { tlsMs: 50 } }));
    expect(error).toMatchObject({ code: "TIMED_OUT" });
  });

  test("options that node:tls refuses fail the attempt, and close its connection", async () => {
    let open = 0;
    const port = await rawServer((socket) => {
      open++;
      socket.on("close", () => open--);
      socket.resume();
    });
    const link = openTo(port, { tls: () => ({ cert: "no certificate", key: "no key" }) });
    expect(await firstFailure(link)).toMatchObject({ code: "CONNECT_FAILED" });
    await link.close({ deadlineMs: 0 });
    await eventually(() => expect(open).toBe(0), 1_000);
  });

  test("and a reset that comes after that does not end the process", async () => {
    const printed = await runToExit(`
      import { once } from "node:events";
      import net from "node:net";
      import { setImmediate } from "node:timers/promises";
      const server = net.createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address();
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port, host: "127.0.0.1", tls: () => ({ cert: "no certificate" }) });
      const failed = new Promise((resolve) => link.on("state", ({ to }) => to === "reconnecting" && resolve()));
      const [[socket]] = await Promise.all([once(server, "connection"), failed]);
      socket.on("error", () => {});
      socket.resetAndDestroy();
      await once(socket, "close");
      for (let turn = 0; turn < 10; turn++) await setImmediate();
      await manager.close({ deadlineMs: 0 });
      console.log("alive");
      process.exit();
    `);
    expect(printed).toBe("alive");
  });

  test("a client's certificate reaches authenticate()", async () => {
    const [server, client] = [await certificate(), await certificate("client.example")];
    const names: Array<string | undefined> = [];
    const { port } = await serve({
      tls: { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: true },
      authenticate: ({ certificate: presented }) => {
        names.push(presented?.subject.CN as string | undefined);
        return "someone";
      },
    });
    await openTo(port, { tls: { ca: server.cert, ...client } }).connected();
    expect(names).toEqual(["client.example"]);
  });
});
