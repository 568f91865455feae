/** examples/syslog.ts, as it stands there, and an rsyslog that is killed, and stopped. It never answers. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openSyslog, syslogLine } from "../../examples/syslog.ts";
import { MiB } from "../../src/index.ts";
import { Accounts } from "../accounts.ts";
import { installed } from "./install.ts";
import type { ServerProcess } from "./server-process.ts";
import { freePort, type RealScenario, type RealStage } from "./stage.ts";

export const RSYSLOG: readonly RealScenario[] = [
  {
    name: "rsyslog-killed",
    about: "100,000 lines, and rsyslog is killed, stopped, or both, again and again",
    run: killed,
  },
];

const HOST = "127.0.0.1";
const LINES = 100_000;
/** 5,000 a second. */
const LINES_AT_ONCE = 50;
const LINES_EVERY_MS = 10;
const INFO = 6;
const HEALTHY_MS = 1_000;
const STOPPED_MS = 500;
/** As much as all lines of the scenario take, so that no line is only counted when a connection is lost. */
const IN_DOUBT_BYTES = 64 * MiB;
/** How long rsyslog may take to read what its kernel has. */
const READ_WITHIN_MS = 10_000;

async function killed(stage: RealStage): Promise<void> {
  const { server, linesThere } = await startRsyslog(stage);
  const link = openSyslog(stage.manager(), {
    host: HOST,
    port: server.port,
    inDoubtBytes: IN_DOUBT_BYTES,
    queue: { maxMessages: LINES, maxBytes: 64 * MiB },
  });
  const accounts = new Accounts();
  let cuts = 0;
  link.on("state", ({ from }) => (cuts += from === "connected" ? 1 : 0));
  link.on("undelivered", ({ messages, untracked }) => accounts.takeReport(messages, untracked, numberOf));

  const count = stage.scaled(LINES, 25_000);
  const harmedTo = Math.floor(0.9 * count);
  const sending = new AbortController();
  const harmed = harm(server, sending.signal);
  for (let number = 0; number < count; number++) {
    link.trySend(syslogLine("real", INFO, `line ${number}`));
    if (number % LINES_AT_ONCE === 0) await sleep(LINES_EVERY_MS);
    if (number !== harmedTo) continue;
    sending.abort();
    await harmed;
  }
  const { untracked } = accounts;
  const { undelivered } = await link.close();
  accounts.takeReport(undelivered, undefined, numberOf);
  const untilMs = performance.now() + READ_WITHIN_MS;
  while (linesThere().at(-1) !== count - 1 && performance.now() < untilMs) await sleep(100);

  const there = linesThere();
  const { delivered, maybe, notSent } = accounts.compare(count, new Set(there), "delivered");
  const [first = "none"] = accounts.failures;
  const shares = `${delivered} there, ${maybe.there} and ${maybe.lost} in doubt, ${notSent} not sent`;
  stage.row({
    what: "neither there nor reported, or told wrong",
    figure: accounts.failures.length,
    bound: 0,
    unit: "",
    note: `of ${count}: ${shares}; first: ${first}`,
  });
  stage.row({ what: "untracked while the link is open", figure: untracked, bound: 0, unit: "" });
  stage.row({
    what: "lost, and reported",
    figure: maybe.lost,
    bound: 1,
    is: "at least",
    unit: "",
    note: `${cuts} connections lost`,
  });
  const strays = there.filter((number, at) => number <= (there[at - 1] ?? -1)).length;
  stage.row({ what: "twice, or out of order", figure: strays, bound: 0, unit: "" });
}

/** Kills it, stops it, and kills it while it is stopped, in turn, until the signal; then it runs. */
async function harm(server: ServerProcess, signal: AbortSignal): Promise<void> {
  for (let n = 0; ; n++) {
    await sleep(HEALTHY_MS);
    if (signal.aborted) return;
    const [stops, kills] = [n % 3 > 0, n % 3 !== 1];
    if (stops) {
      server.signal("SIGSTOP");
      await sleep(STOPPED_MS);
    }
    if (kills) {
      await server.stop();
      await server.start();
    } else {
      server.signal("SIGCONT");
    }
  }
}

interface Rsyslog {
  server: ServerProcess;
  /** The numbers of the lines that it has written, in its order. */
  linesThere(): number[];
}

async function startRsyslog(stage: RealStage): Promise<Rsyslog> {
  const command = installed("rsyslogd", "rsyslog");
  const port = await freePort();
  const [config, file] = [join(stage.folder, "rsyslog.conf"), join(stage.folder, "lines")];
  // Nothing of what it has read waits in its memory: it is in the file, or was not read.
  writeFileSync(
    config,
    `global(workDirectory="${stage.folder}")
main_queue(queue.type="Direct")
module(load="imtcp")
template(name="text" type="string" string="%msg%\\n")
ruleset(name="file" queue.type="Direct") { action(type="omfile" file="${file}" template="text") }
input(type="imtcp" address="${HOST}" port="${port}" ruleset="file")
`,
  );
  const args = ["-n", "-f", config, "-i", join(stage.folder, "rsyslog.pid")];
  const server = stage.server({ command, args, port });
  await server.start();
  const linesThere = (): number[] => {
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map(numberIn);
  };
  return { server, linesThere };
}

function numberOf(message: Buffer): number {
  return numberIn(String(message));
}

function numberIn(line: string): number {
  return Number(/line (\d+)$/u.exec(line)?.[1]);
}
