/** examples/mqtt.ts, as it stands there, and a mosquitto whose connections are cut, and that is stopped. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Publisher } from "../../examples/mqtt.ts";
import { faultRelay, type FaultRelay } from "../../src/testing/index.ts";
import { Accounts } from "../accounts.ts";
import { turned } from "../turned.ts";
import { installed } from "./install.ts";
import type { ServerProcess } from "./server-process.ts";
import { freePort, type RealScenario, type RealStage } from "./stage.ts";

export const MOSQUITTO: readonly RealScenario[] = [
  { name: "mosquitto-cut", about: "40,000 messages with QoS 1 over connections that are cut each 500 ms", run: cut },
  {
    name: "mosquitto-stopped",
    about: "the broker's process is stopped (SIGSTOP), under messages and without",
    run: stopped,
  },
];

const HOST = "127.0.0.1";
const TOPIC = "numbers";
const MESSAGES = 40_000;
/** 2,000 a second. */
const MESSAGES_AT_ONCE = 20;
const MESSAGES_EVERY_MS = 10;
const CUT_EVERY_MS = 500;
/** The default of `maxInFlight`. */
const MOST_IN_FLIGHT = 1_000;
/** How long the subscriber may take to read what the broker has. */
const READ_WITHIN_MS = 20_000;

async function cut(stage: RealStage): Promise<void> {
  const broker = await startMosquitto(stage);
  const subscriber = await subscribe(stage, broker);
  const relay = await faultRelay({ port: broker.port });
  stage.onClose(() => relay.close());
  const publisher = new Publisher(stage.manager(), { port: relay.port, clientId: "publisher", keepaliveSeconds: 10 });
  const { link } = publisher;
  let cuts = 0;
  link.on("state", ({ from }) => (cuts += from === "connected" ? 1 : 0));

  const accounts = new Accounts();
  const count = stage.scaled(MESSAGES, 4_000);
  const sending = new AbortController();
  const cutting = cutAgainAndAgain(relay, sending.signal);
  for (let number = 0; number < count; number++) {
    accounts.takeAnswer(number, publisher.publish(TOPIC, `${number}`));
    if (number % MESSAGES_AT_ONCE === 0) await sleep(MESSAGES_EVERY_MS);
  }
  sending.abort();
  await Promise.all([cutting, accounts.settled()]);
  const arrived = (): number[] =>
    subscriber.output
      .split("\n")
      .filter((line) => line !== "")
      .map(Number);
  const untilMs = performance.now() + READ_WITHIN_MS;
  while (new Set(arrived()).size < count && performance.now() < untilMs) await sleep(100);

  const there = arrived();
  const { delivered } = accounts.compare(count, new Set(there), "delivered");
  const [first = "none"] = accounts.failures;
  stage.row({
    what: "acknowledged, and not at the subscriber",
    figure: accounts.failures.length,
    bound: 0,
    unit: "",
    note: `of ${delivered}; first: ${first}`,
  });
  stage.row({ what: "acknowledged", figure: delivered, bound: count, is: "at least", unit: "", note: `${cuts} cuts` });
  stage.row({
    what: "in doubt, and published again",
    figure: link.stats().undelivered["connection-lost"],
    bound: 1,
    is: "at least",
    unit: "",
  });
  stage.row({
    what: "twice at the subscriber",
    figure: there.length - new Set(there).size,
    bound: cuts * MOST_IN_FLIGHT,
    unit: "",
    note: `${cuts} cuts x ${MOST_IN_FLIGHT} in flight`,
  });
}

/** With a reset, with an end, and in the middle of a packet, in turn. */
async function cutAgainAndAgain(relay: FaultRelay, signal: AbortSignal): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    await sleep(CUT_EVERY_MS);
    if (n % 3 === 0) relay.cutAfterBytes(1_000 + n);
    else relay.cut(n % 3 === 1 ? "rst" : "fin");
  }
}

const KEEPALIVE_S = 5;
const ROUNDS = 3;
const MESSAGE_EVERY_MS = 20;

async function stopped(stage: RealStage): Promise<void> {
  const broker = await startMosquitto(stage);
  const publisher = new Publisher(stage.manager(), {
    port: broker.port,
    clientId: "publisher",
    keepaliveSeconds: KEEPALIVE_S,
  });
  const rounds = stage.scaled(ROUNDS, 1);
  const bound = KEEPALIVE_S * 1_100;
  stage.row({
    what: "noticed, without messages",
    figure: await longestNotice(publisher, broker, rounds),
    bound,
    unit: "ms",
  });

  const accounts = new Accounts();
  let sent = 0;
  const timer = setInterval(() => {
    accounts.takeAnswer(sent, publisher.publish(TOPIC, `${sent}`));
    sent++;
  }, MESSAGE_EVERY_MS);
  stage.onClose(() => clearInterval(timer));
  stage.row({
    what: "noticed, under messages",
    figure: await longestNotice(publisher, broker, rounds),
    bound,
    unit: "ms",
  });
  clearInterval(timer);
  await accounts.settled();
  const [first = "none"] = accounts.failures;
  stage.row({
    what: "not acknowledged",
    figure: accounts.failures.length,
    bound: 0,
    unit: "",
    note: `of ${sent}; first: ${first}`,
  });
}

/** Stops the broker, and lets it go on when the publisher has given the connection up. Answers the longest time, in ms. */
async function longestNotice({ link }: Publisher, broker: ServerProcess, rounds: number): Promise<number> {
  let longestMs = 0;
  for (let round = 0; round < rounds; round++) {
    await link.connected();
    // At another point between two pings each time.
    await sleep(500 + (round * KEEPALIVE_S * 1_000) / rounds);
    broker.signal("SIGSTOP");
    const stoppedMs = performance.now();
    await turned(link, "reconnecting");
    longestMs = Math.max(longestMs, performance.now() - stoppedMs);
    broker.signal("SIGCONT");
  }
  await link.connected();
  return longestMs;
}

async function startMosquitto(stage: RealStage): Promise<ServerProcess> {
  const port = await freePort();
  const config = join(stage.folder, "mosquitto.conf");
  // The subscriber is as slow as it is: the broker keeps for it whatever it has acknowledged.
  writeFileSync(config, `listener ${port} ${HOST}\nallow_anonymous true\nmax_queued_messages 0\nuser root\n`);
  const broker = stage.server({ command: installed("mosquitto", "mosquitto"), args: ["-c", config], port });
  await broker.start();
  return broker;
}

/** A client that prints each message on a line. */
async function subscribe(stage: RealStage, { port }: ServerProcess): Promise<ServerProcess> {
  const command = installed("mosquitto_sub", "mosquitto-clients");
  const args = ["-h", HOST, "-p", `${port}`, "-c", "-i", "subscriber", "-q", "1", "-t", TOPIC];
  // The subscription is made before the first message, and stays.
  execFileSync(command, [...args, "-E"]);
  const subscriber = stage.server({ command, args, port });
  await subscriber.start();
  return subscriber;
}
