// Tests of one's own service: real sockets through a fault relay.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionManager, type Link, ServerSupervisor } from "resplice";
import { faultRelay } from "resplice/testing";

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
