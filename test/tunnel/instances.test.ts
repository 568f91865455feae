/** What a near end left behind that is gone, and what of one that is still there. */
import { EventEmitter } from "eventemitter3";
import net from "node:net";
import { expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import { Instances } from "../../src/tunnel/instances.ts";
import { Tokens } from "../../src/tunnel/tokens.ts";
import { eventually, ManualClock } from "../support.ts";
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

/** A control link that is connected, and keeps what becomes of it. */
class FakeControl extends EventEmitter {
  readonly identity: string | undefined;
  readonly closed = new Promise<never>(() => {});
  state = "connected";
  pings = 0;
  aborted = "";

  constructor(identity?: string) {
    super();
    this.identity = identity;
  }

  ping(): void {
    this.pings++;
  }

  abort(code: string): void {
    this.aborted = code;
  }

  fallSilent(): void {
    this.state = "suspect";
    this.emit("state", { to: "suspect" });
  }
}

test("who has the name for another identity is not asked, and nothing is said", () => {
  const levels: string[] = [];
  const instances = new Instances((level) => void levels.push(level), new ManualClock(0));
  const [alice, bob] = [new FakeControl("alice"), new FakeControl("bob")];
  instances.arrived(alice as unknown as Link, { role: "control", instance: "a", name: "laptop" });
  instances.arrived(bob as unknown as Link, { role: "control", instance: "b", name: "laptop" });
  expect([alice.pings, bob.pings, alice.aborted, levels]).toEqual([0, 0, "", []]);
});

test("of two that come when a third is gone the later one asks the earlier, and ends nothing of it", async () => {
  const clock = new ManualClock(0);
  const levels: string[] = [];
  const instances = new Instances((level) => void levels.push(level), clock);
  const arrive = (instance: string): FakeControl => {
    const control = new FakeControl();
    instances.arrived(control as unknown as Link, { role: "control", instance, name: "laptop" });
    return control;
  };
  const gone = arrive("gone");
  const [earlier, later] = [arrive("earlier"), arrive("later")];
  gone.fallSilent();
  await eventually(() => expect([gone.aborted, earlier.pings]).toEqual(["near-end-restarted", 1]));
  clock.pass(6_000);
  await eventually(() => expect(levels).toEqual(["info", "warn"]));
  expect([earlier.aborted, later.aborted]).toEqual(["", ""]);
});
