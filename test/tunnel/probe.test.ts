import { describe, expect, test } from "vitest";
import { AllowList } from "../../src/tunnel/allow.ts";
import { probe } from "../../src/tunnel/probe.ts";
import { Tokens } from "../../src/tunnel/tokens.ts";
import { Arrivals, rawServer, unusedPort } from "../support.ts";
import { tunnel } from "./stage.ts";

const WITHIN = { connect: {}, withinMs: 20_000 };

describe("a target that the far end connects to", () => {
  test("hears an end in order, whatever it says first", async () => {
    const heard = new Arrivals<string>();
    const port = await rawServer((socket) => {
      socket.end("220 welcome\r\n");
      for (const event of ["end", "error"]) socket.once(event, () => heard.put(event));
      socket.resume();
    });
    const { relay, far, lines } = await tunnel(() => {});
    await probe({ ...WITHIN, far: { port: relay.port }, to: `127.0.0.1:${port}` });
    expect(await heard.next()).toBe("end");
    expect(far.connections).toBe(0);
    expect(lines.filter(({ event }) => event === "tunnel.connection")).toMatchObject([{ level: "info", at: "far" }]);
  });

  test("need not end itself", async () => {
    const port = await rawServer(() => {});
    const { relay } = await tunnel(() => {});
    await probe({ ...WITHIN, far: { port: relay.port }, to: `127.0.0.1:${port}` });
  });
});

test("a target that is not allowed, or does not listen, is the reason", async () => {
  const port = await unusedPort();
  const { relay } = await tunnel(() => {}, { far: { allow: new AllowList([`127.0.0.1:${port}`]) } });
  const ask = async (to: string): Promise<void> => probe({ ...WITHIN, far: { port: relay.port }, to });
  await expect(ask(`127.0.0.1:${port}`)).rejects.toThrow(
    `refused: 127.0.0.1:${port} refuses connections: 127.0.0.1 ECONNREFUSED`,
  );
  await expect(ask("127.0.0.1:22")).rejects.toThrow(/^not-allowed: 127\.0\.0\.1:22 is not allowed$/);
});

test("a far end that there is not, that refuses, or that says nothing, is the reason", async () => {
  const far = { port: await unusedPort() };
  await expect(probe({ ...WITHIN, far, to: "db:1" })).rejects.toMatchObject({ code: "GAVE_UP" });
  const proofs = { tokens: new Tokens("alice 0123456789abcdef", "tokens"), certificates: false };
  const { relay } = await tunnel(() => {}, { far: { proofs } });
  await expect(probe({ ...WITHIN, far: { port: relay.port }, to: "db:1" })).rejects.toMatchObject({
    code: "AUTHENTICATION_REFUSED",
  });
  const silent = { port: await rawServer(() => {}) };
  await expect(probe({ connect: {}, withinMs: 50, far: silent, to: "db:1" })).rejects.toThrow(
    "no answer within 0.05 s",
  );
});
