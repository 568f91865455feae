/** A control group that limits memory: a large log in it is no overload, consumers that read nothing are one. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findCgroup } from "../../src/io/resources/cgroup.ts";
import { Missing } from "../endurance/suite.ts";
import { actions, NONE, type OverloadScenario, type OverloadStage, type Reported, told } from "./stage.ts";
import type { ServerCommands } from "./server.ts";

const LIMIT_BYTES = 256 * 2 ** 20;
const LOG_BYTES = 300 * 2 ** 20;
const MODULE = new URL("server.ts", import.meta.url);
/** Long enough for a condition to be taken for one. */
const SETTLED_MS = 3_000;
const CONSUMERS = 20;
/** All consumers together are sent some 20 MiB a second. */
const FLOOD = { bytes: 65_536, messages: 100_000, restMs: 60 };
const ENDLESS = { maxMessages: 10_000_000, maxBytes: 4_000_000_000, ttlMs: 600_000 };
const ACTS_WITHIN_MS = 60_000;
const SURVIVES_MS = 15_000;

export const CGROUP: readonly OverloadScenario[] = [
  { name: "cgroup log", about: "a log of 300 MiB is written in a group of 256 MiB", run: log },
  { name: "cgroup stalled", about: "plain consumers in a group of 256 MiB read nothing", run: stalled },
];

/** A group below our own. Answers its folder. Throws `Missing`. */
function makeGroup(stage: OverloadStage): string {
  const read = (name: string): string => readFileSync(`/proc/self/${name}`, "utf8");
  try {
    const place = findCgroup(read("cgroup"), read("mountinfo"));
    if (place === undefined) throw new Error("no group counts memory");
    const folder = join(place.folder, `resplice-${process.pid}-${stage.rows.length}-${Date.now()}`);
    mkdirSync(folder);
    stage.onClose(() => rmdirSync(folder));
    const limit = place.version === 1 ? "memory.limit_in_bytes" : "memory.max";
    writeFileSync(join(folder, limit), String(LIMIT_BYTES));
    return folder;
  } catch (error) {
    throw new Missing(`a control group of memory that this user may make: ${String(error)}`);
  }
}

async function log(stage: OverloadStage): Promise<void> {
  const folder = makeGroup(stage);
  const server = stage.child<ServerCommands>(MODULE, "server");
  await server.call("enter", folder);
  const port = await server.call("listen", { server: { resources: { ...NONE, memory: {} } } });
  await stage.clients(port, CONSUMERS);
  await server.call("writeFile", { path: join(stage.folder, "log"), bytes: LOG_BYTES });
  await sleep(SETTLED_MS);
  const { observed = Infinity, limit = 0 } = (await server.call("stats")).resources["memory"] ?? {};
  const reports = await server.call("reports");
  stage.row({ what: "overload reports", figure: reports.length, bound: 0, unit: "", note: told(reports) });
  stage.row({ what: "limit that is watched", figure: limit, bound: LIMIT_BYTES, unit: "MiB" });
  stage.row({ what: "memory in use", figure: observed, bound: 0.75 * LIMIT_BYTES, unit: "MiB" });
}

async function stalled(stage: OverloadStage): Promise<void> {
  const folder = makeGroup(stage);
  const server = stage.child<ServerCommands>(MODULE, "server");
  await server.call("enter", folder);
  // With the default, an eighth of the group, senders would wait before the memory is short.
  const limits = { bufferBytes: 2 ** 32, connections: 100 };
  const options = {
    server: { resources: { ...NONE, memory: {} }, queue: ENDLESS, limits },
    isPlain: true,
    flood: FLOOD,
  };
  const port = await server.call("listen", options);
  const sockets = Array.from({ length: CONSUMERS }, () =>
    net
      .connect(port, "127.0.0.1")
      .on("error", () => {})
      .pause(),
  );
  stage.onClose(() => sockets.forEach((socket) => socket.destroy()));
  const beganMs = performance.now();
  let reports: Reported[] = [];
  while (actions(reports).length === 0 && performance.now() - beganMs < ACTS_WITHIN_MS) {
    await sleep(100);
    reports = await server.call("reports");
  }
  // The kernel kills a process that goes on as before within seconds: this one still answers.
  await sleep(SURVIVES_MS);
  reports = await server.call("reports");
  const { resources, shed } = await server.call("stats");
  const [first] = actions(reports);
  const share = (100 * (first?.observed ?? Infinity)) / LIMIT_BYTES;
  stage.row({ what: "memory in use at the first action", figure: share, bound: 97, unit: "%", note: told(reports) });
  stage.row({
    what: "memory in use in the end",
    figure: resources["memory"]?.observed ?? Infinity,
    bound: LIMIT_BYTES,
    unit: "MiB",
    note: `${shed["memory"] ?? 0} of ${CONSUMERS} links shed; the process has not been killed`,
  });
}
