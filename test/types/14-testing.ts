// Tests of one's own service: real sockets through a fault relay, and a handler alone under a virtual clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionManager, type Link, ServerSupervisor } from "resplice";
import { faultRelay, linkPair, type LinkPair, type LinkPairOptions, type VirtualClock } from "resplice/testing";

const echo = async (link: Link): Promise<void> => {
  for await (const message of link) await link.send(message);
};

void test("every message survives every fault", async () => {
  await using supervisor = new ServerSupervisor({ port: 0 });
  supervisor.serve(echo);
  const { port } = await supervisor.listen();
  await using relay = await faultRelay({ port });
  await using manager = new ConnectionManager();
  const link = manager.open({ port: relay.port, keepalive: { pingAfterMs: 200, suspectAfterMs: 100 } });
  const faults = [
    () => relay.cut("rst"),
    () => relay.blackHole({ direction: "to-server" }),
    () => relay.stall(),
    () => relay.latency(250, { jitterMs: 50 }),
    () => relay.cutAfterBytes(17),
  ];
  for (const [n, fault] of faults.entries()) {
    await link.send(`before ${n}`);
    fault();
    await link.send(`after ${n}`);
    setTimeout(() => relay.heal(), 500);
    assert.equal(String(await link.receive()), `before ${n}`);
    assert.equal(String(await link.receive()), `after ${n}`);
  }
});

void test("a day of outage takes a millisecond", async () => {
  await using pair = linkPair();
  void echo(pair.server).catch(() => {});
  pair.path.cut("fin");
  pair.path.refuse();
  await pair.client.send("hello");
  await pair.clock.advance(120_000);
  assert.equal(pair.client.state, "reconnecting");
  pair.path.heal();
  await pair.clock.advance(60_000);
  assert.equal(String(await pair.client.receive()), "hello");
});

export async function everyOption(options: LinkPairOptions): Promise<number> {
  const pair: LinkPair = linkPair({
    ...options,
    seed: 7,
    client: { keepalive: { pingAfterMs: 200 }, reconnect: { maxAttempts: 3 }, whenSessionLost: "resend" },
    server: { queue: { maxMessages: 10 }, resumeForMs: 1_000 },
    identity: "alice",
    openPayload: Buffer.from("orders"),
    serve: echo,
  });
  const clock: VirtualClock = pair.clock;
  // @ts-expect-error there is nothing to dial
  linkPair({ client: { port: 7000 } });
  // @ts-expect-error `identity`
  linkPair({ server: { authenticate: () => "alice" } });
  // @ts-expect-error time passes by advance()
  clock.nowMs = 5;
  // @ts-expect-error how it is cut
  pair.path.cut();
  await pair[Symbol.asyncDispose]();
  return clock.nowMs;
}
