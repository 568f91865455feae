/** `--peers`: what users would pick instead, in the same rounds as a raw socket and a link. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Crew, withCrew } from "./crew.ts";
import { installedVersion, installNatsServer, installPeers, NATS_SERVER_VERSION, natsServer } from "./peers-install.ts";
import type { Broker, BrokerCommands } from "./peers/broker-worker.ts";
import type { PeerCommands, PeerName } from "./peers/worker.ts";
import { short } from "./report.ts";
import { median, type Spread, spread } from "./statistics.ts";
import { measureRates, converse, WARM_UP_MS } from "./throughput.ts";

export interface PeerRow {
  name: string;
  version: string;
  /** What becomes of messages when a connection is lost. */
  guarantee: string;
  messagesPerSecond: Spread;
  /** Of a raw socket with messages gathered, in each round. */
  ofRaw: number;
}

const BYTES = 64;
const AT_MOST_ONCE = "at most once: messages under way are lost with their connection";

/** `version`: of the package, or how else it is known. */
const SUBJECTS: readonly { name: string; package: string | null; guarantee: string; peer?: PeerName; broker?: true }[] =
  [
    {
      name: "raw, gathered",
      package: null,
      guarantee: "none: messages under way are lost with their connection",
    },
    { name: "resplice", package: null, guarantee: "each once and in order while both processes live" },
    { name: "ws", package: "ws", guarantee: AT_MOST_ONCE, peer: "ws" },
    {
      name: "Socket.IO",
      package: "socket.io",
      guarantee: `${AT_MOST_ONCE}; what is sent while it is away waits`,
      peer: "Socket.IO",
    },
    {
      name: "Socket.IO with acks",
      package: "socket.io",
      guarantee:
        "the sender learns which messages arrived; it has to send the others again itself, and some may arrive twice",
      peer: "Socket.IO with acks",
    },
    {
      name: "NATS core",
      package: "@nats-io/transport-node",
      guarantee: "at most once, through a broker; a slow receiver is cut off",
      peer: "NATS core",
      broker: true,
    },
    {
      name: "NATS JetStream",
      package: "@nats-io/jetstream",
      guarantee: "at least once, kept in the broker's file until acknowledged",
      peer: "NATS JetStream",
      broker: true,
    },
    {
      name: "ZeroMQ push/pull",
      package: "zeromq",
      guarantee: "at most once: reconnects, and what the lost connection had taken is lost",
      peer: "ZeroMQ",
    },
  ];
type Subject = (typeof SUBJECTS)[number];

export async function measurePeers(
  { rounds, seconds }: { rounds: number; seconds: number },
  onProgress: (done: number, of: number, text: string) => void,
): Promise<{ rows: PeerRow[]; failures: Map<string, string> }> {
  const measurements = rounds * SUBJECTS.length;
  const failures = install((text) => onProgress(0, measurements, text));
  const rates = new Map<Subject, number[]>(SUBJECTS.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [at, subject] of SUBJECTS.entries()) {
      if (failures.has(subject.name)) continue;
      onProgress(round * SUBJECTS.length + at, measurements, `round ${round + 1}/${rounds}  ${subject.name}`);
      try {
        rates.get(subject)?.push(await withCrew(undefined, (crew) => measure(subject, crew, seconds)));
      } catch (error) {
        failures.set(subject.name, (error as Error).message);
      }
    }
  }
  const raw = rates.get(SUBJECTS[0] as Subject) ?? [];
  const measured = SUBJECTS.filter(({ name }) => !failures.has(name));
  const rows = measured.map((subject): PeerRow => {
    const ofIt = rates.get(subject) ?? [];
    const { name, guarantee } = subject;
    const ofRaw = median(ofIt.map((rate, round) => rate / (raw[round] ?? Number.NaN)));
    return { name, version: versionOf(subject), guarantee, messagesPerSecond: spread(ofIt), ofRaw };
  });
  return { rows, failures };
}

/** What cannot be had is left out, with the reason: the others are measured. */
function install(onProgress: (line: string) => void): Map<string, string> {
  const failures = new Map<string, string>();
  const attempt = (run: () => void, concerns: (subject: Subject) => boolean): void => {
    try {
      run();
    } catch (error) {
      for (const subject of SUBJECTS.filter(concerns)) failures.set(subject.name, (error as Error).message);
    }
  };
  attempt(
    () => installPeers(onProgress),
    ({ peer }) => peer !== undefined,
  );
  attempt(
    () => installNatsServer(onProgress),
    ({ broker }) => broker !== undefined,
  );
  return failures;
}

async function measure({ name, peer, broker }: Subject, crew: Crew, seconds: number): Promise<number> {
  if (peer === undefined) {
    const side = name === "resplice" ? "ours" : "reference";
    const { rate } = await converse(
      crew,
      { side, bytes: BYTES, send: "copy", receive: "handler", bothWays: false },
      seconds,
    );
    return rate;
  }
  const brokerPort = broker === undefined ? 0 : await startBroker(crew, { kind: "nats", command: natsServer() });
  const receiver = crew.start<PeerCommands>("peers/worker.ts", `${name}, receiver`, peer);
  const sender = crew.start<PeerCommands>("peers/worker.ts", `${name}, sender`, peer);
  await sender.call("connect", await receiver.call("listen", brokerPort));
  await sleep(WARM_UP_MS);
  const { rate } = await measureRates(receiver, sender, seconds);
  await receiver.call("received", await sender.call("stop"));
  return rate;
}

/** Answers its port. */
export function startBroker(crew: Crew, broker: Broker): Promise<number> {
  return crew.start<BrokerCommands>("peers/broker-worker.ts", "broker", broker).call("listen");
}

function versionOf({ name, package: packageName, broker }: Subject): string {
  if (packageName === null) return name === "resplice" ? "this one" : process.version;
  const version = installedVersion(packageName);
  return broker === undefined ? version : `${version}, server ${NATS_SERVER_VERSION}`;
}

export function toPeerCells(rows: readonly PeerRow[]): string[][] {
  return [
    ["64 B, one way", "version", "messages/s", "min to max", "of raw", "guarantee"],
    ...rows.map(({ name, version, guarantee, messagesPerSecond: { median: middle, min, max }, ofRaw }) => [
      name,
      version,
      short(middle),
      `${short(min)} to ${short(max)}`,
      ofRaw.toFixed(ofRaw < 0.1 ? 4 : 2),
      guarantee,
    ]),
  ];
}
