import net from "node:net";
import { describe, expect, test } from "vitest";
import { dial, DialError, type DialOptions } from "../../src/io/dial.ts";
import { certificate, rawServer, serve, socketPath, unusedPort } from "../support.ts";

const options = (given: Partial<DialOptions> = {}): DialOptions => ({
  connectMs: 1_000,
  tlsMs: 1_000,
  tls: false,
  signal: new AbortController().signal,
  ...given,
});
const host = "127.0.0.1";

async function dialError(act: Promise<unknown>): Promise<DialError> {
  const error: unknown = await act.then(
    () => undefined,
    (problem: unknown) => problem,
  );
  expect(error).toBeInstanceOf(DialError);
  return error as DialError;
}

test("a connection without delay, over a port, a name, or a path", async () => {
  const port = await rawServer(() => {});
  for (const endpoint of [{ port, host }, { port }, { port, host: "localhost" }]) {
    const stream = await dial(endpoint, options());
    expect(stream).toBeInstanceOf(net.Socket);
    stream.destroy();
  }
  const path = await socketPath();
  await serve({ path });
  (await dial({ path }, options())).destroy();
});

describe("failures", () => {
  test("refused", async () => {
    const error = await dialError(dial({ port: await unusedPort(), host }, options()));
    expect(error).toMatchObject({ kind: "failed", cause: { code: "ECONNREFUSED" } });
  });

  test("a name that does not exist", async () => {
    expect(
      await dialError(dial({ port: 1, host: "no.such.host.invalid" }, options({ connectMs: 8_000 }))),
    ).toMatchObject({ kind: "failed" });
  });

  test("too slow", async () => {
    const port = await rawServer(() => {});
    const error = await dialError(dial({ port, host }, options({ tls: {}, tlsMs: 30 })));
    expect(error).toMatchObject({ kind: "timed-out", message: expect.stringContaining("30 ms") });
  });

  test("aborted, before and meanwhile", async () => {
    const port = await rawServer(() => {});
    const reason = new Error("mine");
    const early = await dialError(dial({ port, host }, options({ signal: AbortSignal.abort(reason) })));
    expect(early).toMatchObject({ kind: "aborted", cause: reason });
    const controller = new AbortController();
    const dialling = dialError(dial({ port, host }, options({ tls: {}, signal: controller.signal })));
    setImmediate(() => controller.abort(reason));
    expect(await dialling).toMatchObject({ kind: "aborted", cause: reason });
  });

  test("a certificate that is not trusted", async () => {
    const { port } = await serve({ tls: await certificate() });
    expect(await dialError(dial({ port, host: "localhost" }, options({ tls: {} })))).toMatchObject({
      kind: "certificate",
    });
  });

  test("whatever the failure, the socket is closed", async () => {
    let open = 0;
    const port = await rawServer((socket) => {
      open++;
      socket.resume();
      socket.on("close", () => open--);
    });
    await dialError(dial({ port, host }, options({ tls: {}, tlsMs: 20 })));
    await expect.poll(() => open).toBe(0);
    // Options that node:tls refuses at once.
    await expect(dial({ port, host }, options({ tls: { cert: "no certificate" } }))).rejects.toThrow();
    await expect.poll(() => open, { timeout: 1_000 }).toBe(0);
  });
});
