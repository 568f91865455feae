import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { claimPort, PortClaim } from "../../src/testing/port-claim.ts";
import { unusedPort } from "../support.ts";

const host = "127.0.0.1";

describe("a port that is claimed", () => {
  test("refuses dials, as one where nobody is", async () => {
    const port = await unusedPort();
    await expect(dial(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("is nobody else's, until it is released", async () => {
    using claim = await claimPort();
    using second = new PortClaim(claim.port);
    await expect(second.settled).rejects.toMatchObject({ code: expect.stringMatching(/^EADDR/u) as string });
    claim.release();
    claim.release();
    using third = new PortClaim(claim.port);
    await third.settled;
  });

  test("can be listened at, left and listened at again", async () => {
    const port = await unusedPort();
    for (let round = 0; round < 2; round++) {
      const server = createServer((socket) => socket.end());
      server.listen(port, host);
      await once(server, "listening");
      await dial(port);
      server.close();
      await once(server, "close");
      await expect(dial(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    }
    await expect(new PortClaim(port).settled).rejects.toMatchObject({ code: "EADDRNOTAVAIL" });
  });
});

test("a port that somebody listens at can't be claimed", async () => {
  const server = createServer();
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const connections: unknown[] = [];
  server.on("connection", (socket) => connections.push(socket.destroy()));
  const claim = new PortClaim((server.address() as AddressInfo).port);
  await expect(claim.settled).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(claim.connecting).toBe(false);
  claim.release();
  expect(connections).toEqual([]);
});

test("claimPort() gives each who asks another port, outside what systems draw from", async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => unusedPort()));
  expect(new Set(ports).size).toBe(50);
  for (const port of ports) {
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_000);
  }
});

/** Resolves when it is connected, and closed by the other end. */
async function dial(port: number): Promise<void> {
  const socket = connect(port, host).resume();
  await once(socket, "close");
}
