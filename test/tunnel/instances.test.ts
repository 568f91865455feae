/** What a near end left behind that is gone, and what of one that is still there. */
import net from "node:net";
import { expect, test } from "vitest";
import { Tokens } from "../../src/tunnel/tokens.ts";
import { eventually } from "../support.ts";
import { readAll, type StageOptions, type TunnelStage, tunnel } from "./stage.ts";

async function withConnection(
  name: string,
  { near, far }: StageOptions = {},
): Promise<{ stage: TunnelStage; atTarget: Promise<string> }> {
  const target = Promise.withResolvers<net.Socket>();
  const stage = await tunnel((socket) => target.resolve(socket), { near: { name, ...near }, ...(far && { far }) });
  await stage.connect();
  const socket = await target.promise;
  const atTarget = readAll(socket).then(({ end }) => end);
  await eventually(() => expect(stage.lines.some(({ text }) => text === "connected to the far end")).toBe(true));
  return { stage, atTarget };
}

test("a near end that is started again ends what the process before had open", async () => {
  const { stage, atTarget } = await withConnection("laptop");
  // As if the process had been killed, and its host is away: nothing says goodbye.
  stage.relay.refuse();
  stage.relay.cut("rst");
  await eventually(() => expect(stage.far.supervisor.stats().links.connected).toBe(0));
  stage.relay.heal();
  stage.near.manager.links.forEach((link) => link.hold());
  await stage.another({ name: "laptop" });
  expect(await atTarget).toBe("ECONNRESET");
  expect(stage.lines.filter(({ event }) => event === "tunnel.name").map(({ level }) => level)).toEqual(["info"]);
});

test("a near end with another name, or none, ends nothing", async () => {
  const { stage, atTarget } = await withConnection("laptop");
  stage.relay.cut("rst");
  await stage.another({ name: "desktop" });
  await stage.another({ name: undefined });
  await eventually(() => expect(stage.lines.filter(({ text }) => text === "connected to the far end")).toHaveLength(3));
  expect(await Promise.race([atTarget, Promise.resolve("open")])).toBe("open");
  expect(stage.lines.filter(({ event }) => event === "tunnel.name")).toEqual([]);
});

test("the name of another identity is another name", async () => {
  const tokens = new Tokens("alice 0123456789abcdef-a\nbob 0123456789abcdef-b", "tokens");
  const { stage, atTarget } = await withConnection("laptop", {
    near: { connect: { credentials: "0123456789abcdef-a" } },
    far: { proofs: { tokens, certificates: false } },
  });
  stage.relay.cut("rst");
  await stage.another({ connect: { credentials: "0123456789abcdef-b" } });
  await eventually(() => expect(stage.lines.filter(({ text }) => text === "connected to the far end")).toHaveLength(2));
  expect(await Promise.race([atTarget, Promise.resolve("open")])).toBe("open");
  expect(stage.lines.filter(({ event }) => event === "tunnel.name")).toEqual([]);
});

test("two near ends that live and have one name both go on, and the far end says so", async () => {
  const { stage, atTarget } = await withConnection("laptop");
  const { port } = await stage.another({ name: "laptop" });
  await eventually(
    () =>
      expect(stage.lines.filter(({ event }) => event === "tunnel.name").map(({ level }) => level)).toEqual(["warn"]),
    15_000,
  );
  expect(await Promise.race([atTarget, Promise.resolve("open")])).toBe("open");
  const second = net.connect(port, "127.0.0.1");
  await eventually(() => expect(stage.far.connections).toBe(2));
  second.destroy();
}, 20_000);
