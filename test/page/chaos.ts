/** `resplice chaos --report`: the browser shows the figures that the command has counted. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { ChaosFigures } from "../../src/cli/chaos/figures.ts";
import { gapText } from "../../src/cli/chaos/html.ts";
import { formatCount, formatMs } from "../../src/cli/words.ts";
import type { Page } from "./browser.ts";
import type { PageScenario, PageStage } from "./stage.ts";

const SECONDS = 60;
const COMMAND = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const FIGURES = ["sent", "received", "lost", "doubled", "reordered"] as const;
const LOOKS = [
  { name: "chaos-wide-light", width: 1_100, colorScheme: "light" },
  { name: "chaos-wide-dark", width: 1_100, colorScheme: "dark" },
  { name: "chaos-390-light", width: 390, colorScheme: "light" },
  { name: "chaos-390-dark", width: 390, colorScheme: "dark" },
] as const;

export const CHAOS: PageScenario = {
  name: "chaos-report",
  about: "resplice chaos --seconds 60 --report: the browser shows what --json has",
  run: report,
};

async function report(stage: PageStage): Promise<void> {
  const file = join(stage.folder, "out.html");
  const seconds = String(stage.scaled(SECONDS, 5));
  const { stdout } = await promisify(execFile)(process.execPath, [
    COMMAND,
    "chaos",
    "--json",
    `--seconds=${seconds}`,
    "--seed=7",
    `--report=${file}`,
  ]);
  const figures = JSON.parse(stdout) as ChaosFigures;
  stage.row({
    what: "messages lost, doubled or reordered",
    figure: (figures.lost ?? NaN) + (figures.doubled ?? NaN) + (figures.reordered ?? NaN),
    bound: 0,
    unit: "",
    note: `of ${figures.sent}, ${figures.faults.length} faults in ${seconds} s`,
  });
  const address = pathToFileURL(file).href;
  for (const { name, ...look } of LOOKS) {
    const page = await stage.openBare(address, look);
    await stage.keep(page, name, true);
    await compare(stage, page, figures, name);
  }
  stage.noProblems();
}

async function compare(stage: PageStage, page: Page, figures: ChaosFigures, name: string): Promise<void> {
  const shown = await page.evaluate<Record<string, string>>(
    `Object.fromEntries([...document.querySelectorAll("[data-figure]")].map((all) => [all.dataset.figure, all.innerText]))`,
  );
  const expected = {
    ...Object.fromEntries(FIGURES.map((figure) => [figure, formatCount(figures[figure] ?? NaN)])),
    longestGapMs: gapText(figures.longestGapMs, figures.leastGapMs),
  };
  const kinds = await page.evaluate<string[]>(
    `[...document.querySelectorAll("#kinds tbody tr")].map((row) => [...row.cells].map((cell) => cell.innerText).join("|"))`,
  );
  const expectedKinds = figures.kinds.map(({ kind, times, recoveryMs, gapMs }) =>
    [
      kind,
      formatCount(times),
      ...[recoveryMs.p50, recoveryMs.p99, recoveryMs.max].map((ms) => formatMs(ms ?? undefined)),
      ...[gapMs.p50, gapMs.p99, gapMs.max].map((ms) => gapText(ms, figures.leastGapMs)),
    ].join("|"),
  );
  const faults = await page.evaluate<number>(`document.querySelectorAll("#faults tbody tr").length`);
  const bands = await page.evaluate<number>(`document.querySelectorAll("rect.fault").length`);
  const isWide = await page.evaluate<boolean>(
    `document.documentElement.scrollWidth <= document.documentElement.clientWidth`,
  );
  stage.holds(`${name}: the counts`, JSON.stringify(shown) === JSON.stringify(expected), JSON.stringify(shown));
  stage.holds(`${name}: each kind's times`, kinds.join("\n") === expectedKinds.join("\n"), kinds.join("; "));
  stage.holds(`${name}: each fault`, faults === figures.faults.length && bands === faults, `${faults}, ${bands} bands`);
  stage.holds(`${name}: nothing is wider than the page`, isWide);
}
