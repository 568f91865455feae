import { expect, test, vi } from "vitest";
import { Publisher } from "../../examples/mqtt.ts";
import { eventually, manage, relayTo, turned } from "../support.ts";
import { MqttBroker } from "./support/mqtt-broker.ts";
import { example } from "./support/program.ts";

const SLOW = { timeout: 30_000 };

test("what is not acknowledged when the cable is cut is published again, in order, as duplicates", SLOW, async () => {
  const broker = await MqttBroker.start();
  const relay = await relayTo(broker.port);
  const program = example("mqtt", relay.port, "sensors/door");
  program.write("open");
  expect(await broker.published.next()).toEqual({ id: 1, isDuplicate: false, topic: "sensors/door", payload: "open" });
  await program.line(/^acknowledged: open$/u);

  broker.acknowledges = false;
  program.write("shut", "locked");
  expect([await broker.published.next(), await broker.published.next()]).toMatchObject([
    { id: 2, isDuplicate: false, payload: "shut" },
    { id: 3, isDuplicate: false, payload: "locked" },
  ]);
  broker.acknowledges = true;
  relay.cut("rst");
  expect([await broker.published.next(), await broker.published.next()]).toMatchObject([
    { id: 2, isDuplicate: true, payload: "shut" },
    { id: 3, isDuplicate: true, payload: "locked" },
  ]);
  program.write("open");
  expect(await broker.published.next()).toMatchObject({ id: 4, isDuplicate: false, payload: "open" });
  program.process.stdin.end();
  expect(await program.exited).toBe(0);
  await program.count(/^acknowledged: /u, 4);
});

test("a broker that is not ready is asked again, a wrong password ends the publisher", SLOW, async () => {
  const broker = await MqttBroker.start();
  broker.code = 3;
  vi.stubEnv("MQTT_USER", "me");
  vi.stubEnv("MQTT_PASSWORD", "secret");
  const program = example("mqtt", broker.port, "sensors/door", "door");
  vi.unstubAllEnvs();
  expect(await broker.logins.next()).toEqual(["MQTT version 4, flags c0, keepalive 30 s", "door", "me", "secret"]);
  await program.line(/^reconnecting: LOGIN_REFUSED$/u);
  broker.code = 4;
  await program.line(/^RespliceError: .*user or password$/u);
  expect(await program.exited).toBe(1);
});

test("a broker that does not answer PINGREQ is given up within the keepalive time", async () => {
  const broker = await MqttBroker.start();
  const publisher = new Publisher(manage(), { port: broker.port, clientId: "test", keepaliveSeconds: 0.4 });
  await publisher.link.connected();
  await eventually(() => expect(broker.pings).toBeGreaterThan(1));
  broker.answersPings = false;
  const silentMs = performance.now();
  expect(await turned(publisher.link, "reconnecting")).toMatchObject({ reason: "probe-unanswered" });
  expect(performance.now() - silentMs).toBeLessThan(2_000);
});
