/** `npm run soak`: many links through a path that breaks all the time, exact accounting, and nothing left in the end. */
import { setTimeout as sleep } from "node:timers/promises";
import { ProgressLine } from "../../scripts/progress.ts";
import { EXIT_USAGE, type NumberOption, readNumbers, runCommand, seedOption } from "../endurance/command-line.ts";
import { table } from "../endurance/footprint.ts";
import { Soak } from "./soak.ts";
import { ToxiproxyHost } from "./toxiproxy-host.ts";

const OPTIONS = {
  minutes: { least: 1, most: 10_000, byDefault: undefined, help: "how long it goes on, after a warm-up" },
  links: { least: 6, most: 2_000, byDefault: 42, help: "at any time; they come and go" },
  seed: seedOption("faults, in their order, are drawn from it"),
} satisfies Record<string, NumberOption>;

const HELP = `npm run soak -- --minutes N [options]

  --minutes N   ${OPTIONS.minutes.help}
  --links N     ${OPTIONS.links.help}. Default ${OPTIONS.links.byDefault}
  --seed S      ${OPTIONS.seed.help}. Default: a new one
  --trace       prints each fault as it is made
  --help        this

Exits with 0 if all went well, 1 if something was lost, doubled, reordered or left behind, or some
fault or kind of link did not occur, 130 after a Ctrl-C that ended it early, ${EXIT_USAGE} if the options make no sense.`;

await runCommand("soak", HELP, async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS, ["trace"]);
  if (options === "help") return "help";
  const { minutes, links, seed, trace } = options;
  const interrupted = new AbortController();
  // The first one ends the faults, and all links come to their end. A second one ends us.
  process.once("SIGINT", () => {
    interrupted.abort();
    process.once("SIGINT", () => process.exit(130));
  });
  console.log(`seed ${seed}: ${links} links for ${minutes} minutes`);
  const host = await ToxiproxyHost.start((line) => console.log(line));
  const soak = new Soak({ host, links, seed, say: (line) => (trace ? console.log(line) : undefined) });
  const progress = new ProgressLine();
  // What is made once is made before it is looked at: pools, code, the memory of the process.
  const warmUpMs = Math.min(30_000, 15_000 * minutes);
  const beganMs = performance.now();
  const seconds = (): number => (performance.now() - beganMs) / 1_000;
  try {
    await soak.open();
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        await soak.account();
        progress.at(seconds(), (warmUpMs + 60_000 * minutes) / 1_000, () => soak.summary());
        await sleep(500, undefined, { signal: watching.signal }).catch(() => {});
      }
    })();
    // A run that fails stops who is asked here: what it failed with is to be heard of, not that.
    watch.catch(() => {});
    await soak.run(warmUpMs, interrupted.signal);
    const before = await soak.footprints();
    await soak.run(60_000 * minutes, interrupted.signal);
    const peak = await soak.peaks();
    const after = await soak.footprints();
    watching.abort();
    await watch;
    progress.end();
    const closed = await soak.close();
    for (const end of ["client", "server"] as const) {
      const columns = { begin: before[end], peak: peak[end], end: after[end], closed: closed[end] };
      console.log(table(`the ${end}s' process`, columns).join("\n"));
    }
    const problems = [...soak.problems, ...soak.left(before, after)];
    if (!interrupted.signal.aborted) problems.push(...soak.untouched);
    for (const problem of problems.slice(0, 50)) console.error(`soak: ${problem}`);
    if (problems.length > 0) console.log(`the last faults:\n${soak.lastFaults.join("\n")}`);
    console.log(soak.faults());
    const how = interrupted.signal.aborted ? "interrupted after" : "in";
    console.log(`${soak.summary()}, ${how} ${Math.round(seconds())} s: ${problems.length} problems (--seed ${seed})`);
    if (problems.length > 0) return 1;
    return interrupted.signal.aborted ? 130 : 0;
  } finally {
    progress.end();
    await soak.stop();
    await host.stop();
  }
});
