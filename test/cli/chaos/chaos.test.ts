// The command as it is run.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { commandOf } from "../../../src/cli/chaos/chaos.ts";
import type { ChaosFigures } from "../../../src/cli/chaos/figures.ts";
import { resplice } from "../support.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "resplice-chaos-"));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

test("a schedule is played, and its report, its JSON and its JUnit file are of the same run", async () => {
  const path = (name: string): string => join(folder(), name);
  const [schedule, report, junit] = [path("schedule.json"), path("out.html"), path("out.xml")];
  writeFileSync(schedule, '{"faults":[{"after":0.2,"kind":"rst"},{"after":0.2,"kind":"stall","for":0.3}]}');
  const run = resplice([
    "chaos",
    "--json",
    "--seconds=30",
    `--schedule=${schedule}`,
    `--report=${report}`,
    `--junit=${junit}`,
  ]);
  expect(await run.exit).toBe(0);
  const figures = JSON.parse(String(run.stdout())) as ChaosFigures;
  expect(figures).toMatchObject({ lost: 0, doubled: 0, reordered: 0, seed: null, errors: [] });
  expect(figures.faults.map(({ text }) => text)).toEqual(["rst", "stall 300 ms"]);
  expect(figures.sent).toBeGreaterThan(0);
  expect(figures.received).toBe(figures.sent);
  expect(figures.faults[1]?.gapMs).toBeGreaterThan(200);
  expect(figures.throughput.length).toBeGreaterThan(2);
  expect(readFileSync(report, "utf8")).toContain(`data-figure="sent">${figures.sent?.toLocaleString("en-US")}<`);
  expect(readFileSync(junit, "utf8")).toContain('failures="0"');
}, 60_000);

test("an end that is gone fails the run, and its files say so", async () => {
  const path = (name: string): string => join(folder(), name);
  const [schedule, report, junit] = [path("schedule.json"), path("out.html"), path("out.xml")];
  writeFileSync(schedule, '{"faults":[{"after":0.8,"kind":"rst"},{"after":0.1,"kind":"black-hole","for":3600}]}');
  const run = resplice(["chaos", "--json", `--schedule=${schedule}`, `--report=${report}`, `--junit=${junit}`]);
  await run.says(/rst +recovered/u);
  process.kill(childrenOf(run.child.pid)[1] ?? 0, "SIGKILL");
  expect(await run.exit).toBe(1);
  const figures = JSON.parse(String(run.stdout())) as ChaosFigures;
  expect(figures).toMatchObject({ sent: null, lost: null });
  expect(figures.errors).toEqual(["the sender ended too early (SIGKILL)"]);
  expect(figures.throughput.length).toBeGreaterThan(0);
  expect(readFileSync(report, "utf8")).toContain("the sender ended too early");
  expect(readFileSync(junit, "utf8")).toContain('name="the run comes to its end"><failure');
});

/** The receiver, and then the sender. */
function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
}

test("Ctrl-C at a terminal reaches none of its processes but the first, not even while they start", async () => {
  const run = resplice(["chaos", "--json", "--seconds=3600"]);
  await run.says(/recovered|never stopped/u);
  const groups = childrenOf(run.child.pid).map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[4]);
  expect(groups).toEqual(childrenOf(run.child.pid).map(String));
  run.child.kill("SIGINT");
  expect(await run.exit).toBe(130);
});

test("Ctrl-C before the first message ends it, and waits for no link that has never come", async () => {
  const run = resplice(["chaos", "--json", "--seconds=3600", "--verbose"]);
  await run.says(/listening/u);
  run.child.kill("SIGINT");
  expect(await run.exit).toBe(130);
  expect(JSON.parse(String(run.stdout()))).toMatchObject({ lost: 0, errors: [], faults: [] });
}, 20_000);

test("SIGTERM that reaches all its processes, as of a service manager, ends it in order", async () => {
  const run = resplice(["chaos", "--json", "--seconds=3600"]);
  await run.says(/recovered|never stopped/u);
  for (const pid of [...childrenOf(run.child.pid), run.child.pid ?? 0]) process.kill(pid, "SIGTERM");
  expect(await run.exit).toBe(143);
  const { sent, received, lost, errors } = JSON.parse(String(run.stdout())) as ChaosFigures;
  expect({ received, lost, errors }).toEqual({ received: sent, lost: 0, errors: [] });
});

test("between the user's own client and server: bytes, and when they flow again", async () => {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const schedule = join(folder(), "schedule.json");
  writeFileSync(
    schedule,
    JSON.stringify({
      faults: [
        { after: 0.2, kind: "rst" },
        { after: 0.2, kind: "refuse", for: 0.2 },
        { after: 0.2, kind: "one-way-black-hole", direction: "to-client", for: 0.3 },
        { after: 0.2, kind: "cut-after-bytes", bytes: 20 },
        { after: 0.2, kind: "latency", for: 0.1, delayMs: 10 },
      ],
    }),
  );
  const { port } = server.address() as net.AddressInfo;
  const run = resplice(["chaos", "--json", "--to", `127.0.0.1:${port}`, `--schedule=${schedule}`]);
  const [, at = ""] = await run.says(/connect your client to 127\.0\.0\.1:(\d+) instead of/u);
  const client = asking(Number(at));
  onTestFinished(() => client.stop());
  expect(await run.exit).toBe(0);
  const { passed, faults, errors, sent, to } = JSON.parse(String(run.stdout())) as ChaosFigures;
  expect({ errors, sent, to }).toEqual({ errors: [], sent: null, to: `127.0.0.1:${port}` });
  expect(faults.map(({ outcome }) => outcome)).toEqual([
    "recovered",
    "recovered",
    "recovered",
    "recovered",
    "never-stopped",
  ]);
  expect(faults[2]?.gapMs).toBeGreaterThan(20);
  expect(passed?.connections).toBeGreaterThanOrEqual(4);
  expect(passed?.toClient).toBeGreaterThan(0);
  expect(passed?.toServer).toBeGreaterThanOrEqual(passed?.toClient ?? 0);
}, 60_000);

/** A client that asks again and again, and connects anew after an error or when it has waited for an answer. */
function asking(port: number): { stop: () => void } {
  let socket: net.Socket | undefined;
  let patience: NodeJS.Timeout | undefined;
  let isStopped = false;
  const dial = (): void => {
    if (isStopped) return;
    const dialled = net.connect(port, "127.0.0.1");
    socket = dialled;
    const ask = (): void => {
      clearTimeout(patience);
      patience = setTimeout(() => dialled.resetAndDestroy(), 200);
      dialled.write("are you there?");
    };
    dialled
      .on("connect", ask)
      .on("data", () => setTimeout(ask, 5))
      .on("error", () => {})
      .on("close", () => setTimeout(dial, 20));
  };
  dial();
  return {
    stop: () => {
      isStopped = true;
      clearTimeout(patience);
      socket?.destroy();
    },
  };
}

test("a schedule that is none is the fault of the command line", async () => {
  const schedule = join(folder(), "schedule.json");
  writeFileSync(schedule, "{}");
  const run = resplice(["chaos", "--schedule", schedule]);
  expect(await run.exit).toBe(2);
  expect(run.stderr()).toContain('"faults" is a list');
});

test("a schedule that is not there", async () => {
  const run = resplice(["chaos", "--schedule", join(folder(), "nowhere.json")]);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toContain("nowhere.json cannot be read: ENOENT");
});

test.for(["--report", "--junit"])("%s in a folder that is not there is told before the run", async (option) => {
  const run = resplice(["chaos", "--seconds", "3600", option, join(folder(), "nowhere", "out")]);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toMatch(/out cannot be written: ENOENT/);
});

test("a report that is a folder is told before the run", async () => {
  const run = resplice(["chaos", "--seconds", "3600", "--report", folder()]);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toMatch(/--report .* cannot be written: EISDIR/);
});

test("a report for which there is no room does not take the figures with it", async () => {
  const [schedule, junit] = [join(folder(), "schedule.json"), join(folder(), "out.xml")];
  writeFileSync(schedule, '{"faults":[{"after":0,"kind":"latency","for":0,"delayMs":1}]}');
  const run = resplice(["chaos", "--json", `--schedule=${schedule}`, "--report=/dev/full", `--junit=${junit}`]);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toContain("--report /dev/full cannot be written: ENOSPC");
  expect(JSON.parse(String(run.stdout()))).toMatchObject({ lost: 0, errors: [] });
  expect(readFileSync(junit, "utf8")).toContain('failures="0"');
});

test("a report says how to make the same faults again", () => {
  const options = {
    seconds: 60,
    schedule: undefined,
    seed: 5,
    toxiproxy: false,
    to: undefined,
    listenPort: 0,
    report: "out.html",
    junit: undefined,
    json: true,
    verbose: false,
  };
  expect(commandOf(options)).toBe("resplice chaos --seconds 60 --seed 5");
  expect(commandOf({ ...options, schedule: "it's $HOME.json", toxiproxy: true })).toBe(
    String.raw`resplice chaos --seconds 60 --schedule 'it'\''s $HOME.json' --toxiproxy`,
  );
  expect(commandOf({ ...options, to: { host: "db.example", port: 5432 }, listenPort: 6432 })).toBe(
    "resplice chaos --seconds 60 --seed 5 --to db.example:5432 --listen 6432",
  );
});
