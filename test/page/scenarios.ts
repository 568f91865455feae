/** What `npm run test:page` plays. */
import { ConnectionManager, type Link, ServerSupervisor } from "../../src/index.ts";
import { faultRelay, type FaultRelay } from "../../src/testing/index.ts";
import { Child } from "../endurance/child.ts";
import { type Page, until } from "./browser.ts";
import type { CrowdCommands } from "./crowd.ts";
import type { PageScenario, PageStage } from "./stage.ts";

const SHOWN_WITHIN_MS = 1_000;
const FRAME_MS = 50;
const LINKS = 10_000;
const CUTS_A_SECOND = 50;

interface Linked {
  manager: ConnectionManager;
  supervisor: ServerSupervisor;
  relay: FaultRelay;
  links: Link[];
}

/** Links over loopback, through a relay, with traffic. */
async function linked(stage: PageStage, count: number, identity = "edge-7"): Promise<Linked> {
  const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1", authenticate: () => ({ identity }) });
  supervisor.serve((link) => link.onMessage(() => {}));
  stage.onClose(() => supervisor.close({ deadlineMs: 0 }));
  const { port } = await supervisor.listen();
  const relay = await faultRelay({ port });
  stage.onClose(() => relay.close());
  const manager = new ConnectionManager();
  stage.onClose(() => manager.close({ deadlineMs: 0 }));
  const links = Array.from({ length: count }, () => manager.open({ port: relay.port, host: "127.0.0.1" }));
  await manager.connected();
  talk(stage, links, count);
  return { manager, supervisor, relay, links };
}

/** So many messages every tenth of a second, on the links in turn. */
function talk(stage: PageStage, links: readonly Link[], messages: number): void {
  let next = 0;
  const timer = setInterval(() => {
    for (let sent = 0; sent < messages; sent++) {
      const link = links[next++ % links.length];
      if (link?.state === "connected") link.trySend("a message of some length");
    }
  }, 100);
  stage.onClose(() => clearInterval(timer));
}

/** In the page: how many cuts all bands show together. */
const CUTS_SHOWN = `[...document.querySelectorAll("svg.band")].reduce((sum, band) => sum + Number(band.dataset.cuts), 0)`;

async function cutIsShown(stage: PageStage): Promise<void> {
  const { manager, supervisor, relay } = await linked(stage, 4);
  const page = await stage.open(await stage.monitored({ upstream: manager, edge: supervisor }));
  const delays: number[] = [];
  for (let time = 1; time <= stage.scaled(10, 3); time++) {
    const beganMs = performance.now();
    relay.cut(time % 2 === 0 ? "fin" : "rst");
    // Four links, and both ends of each.
    await until(page, `${CUTS_SHOWN} >= ${8 * time}`);
    delays.push(performance.now() - beganMs);
    await manager.connected();
  }
  stage.row({
    what: "from a cut until both ends of all links show it, the longest of",
    figure: Math.max(...delays),
    bound: SHOWN_WITHIN_MS,
    unit: "ms",
    note: `${delays.length} cuts; median ${median(delays).toFixed(0)} ms`,
  });
  const told = await page.evaluate<string>(`document.querySelector(".happened").innerText`);
  stage.holds(
    "what has happened tells of cuts and recoveries",
    /connection lost.*\n.*|connected again after/u.test(told),
  );
  relay.stall();
  await until(page, `document.querySelectorAll("tr.link.suspect").length > 0`, 60_000);
  await stage.keep(page, "trouble");
  relay.heal();
  stage.noProblems();
}

async function looksWell(stage: PageStage): Promise<void> {
  const { manager, supervisor, relay } = await linked(stage, 12);
  const address = await stage.monitored({ upstream: manager, edge: supervisor });
  // It is watched for a while, so that pictures have something to show.
  const first = await stage.open(address, { height: 1_400 });
  for (let second = 0; second < stage.scaled(20, 4); second++) {
    if (second % 7 === 3) relay.cut("rst");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  await stage.keep(first, "wide-light");
  for (const [width, colorScheme] of [
    [1_440, "dark"],
    [768, "light"],
    [390, "light"],
    [390, "dark"],
  ] as const) {
    const page = await stage.open(address, {
      width,
      height: width === 390 ? 844 : 1_400,
      colorScheme,
      query: "?rows=10",
    });
    const wide = await page.evaluate<number>("document.documentElement.scrollWidth");
    stage.row({ what: `at ${width} pixels, ${colorScheme}: the width`, figure: wide, bound: width, unit: "pixels" });
    await stage.keep(page, `${width}-${colorScheme}`, width === 390);
  }
  stage.noProblems();
}

/** In the page: the peers of all rows. */
const PEERS = `[...document.querySelectorAll("tr.link .peer")].map((peer) => peer.innerText)`;

/** In the page: how many things to press or to look at have no name for a screen reader. */
const NAMELESS = `[...document.querySelectorAll("button, input, select, svg[role=img], [role=img]")].filter((element) =>
  (element.ariaLabel ?? "") === "" && (element.innerText ?? "").trim() === "" && element.closest("label") === null).length`;

async function byKeyboard(stage: PageStage): Promise<void> {
  const { manager, supervisor, links } = await linked(stage, 30, `<img src=x onerror="document.title='taken'">`);
  const page = await stage.open(await stage.monitored({ upstream: manager, edge: supervisor }));
  const rows = (): Promise<number> => page.evaluate(`document.querySelectorAll("tr.link").length`);
  const shows = (count: number): Promise<void> =>
    until(page, `document.querySelectorAll("tr.link").length === ${count}`);
  await page.keyboard.press("/");
  await page.keyboard.type(links[3]?.id ?? "");
  await shows(1);
  stage.holds("the filter is reached by a key, and typed", true);
  await page.keyboard.press("Escape");
  await shows(25);
  await page.keyboard.type("onerror");
  // Only the server's links have the client's identity.
  await until(page, `(${PEERS})[0]?.includes("<img src=x")`);
  const isTaken = await page.evaluate<boolean>(
    `document.title === "taken" || document.querySelector("#page img") !== null`,
  );
  stage.holds("a peer's HTML is text", !isTaken);
  await page.keyboard.press("Escape");
  await page.evaluate(`document.querySelector('[aria-label="Next page"]').focus()`);
  await page.keyboard.press("Enter");
  await until(page, `document.querySelector(".pages span").innerText.startsWith("26–50 of 60")`);
  stage.holds("pages are turned by keyboard", (await rows()) === 25);
  await page.evaluate(`document.querySelector(".chips button").focus()`);
  await page.keyboard.press("Space");
  await until(page, `document.querySelector(".chips button").ariaPressed === "true"`);
  // The address follows what is shown.
  await until(page, `location.search.includes("states=")`);
  stage.holds("states are chosen by keyboard", true);
  stage.row({ what: "things without a name", figure: await page.evaluate<number>(NAMELESS), bound: 0, unit: "" });
  stage.noProblems();
}

/** In the page: the times between frames for so long, in milliseconds. */
const FRAMES = `new Promise((resolve) => {
  const times = [];
  const beganMs = performance.now();
  let lastMs = beganMs;
  const tick = () => {
    const nowMs = performance.now();
    times.push(nowMs - lastMs);
    lastMs = nowMs;
    if (nowMs - beganMs < 10_000) requestAnimationFrame(tick);
    else resolve(times);
  };
  requestAnimationFrame(tick);
})`;

async function staysSmooth(stage: PageStage): Promise<void> {
  const crowd = new Child<CrowdCommands>(new URL("crowd.ts", import.meta.url), "crowd");
  stage.onClose(() => crowd.stop());
  const links = stage.scaled(LINKS, 500);
  const address = await crowd.call("open", { links, messagesPerSecond: 1_000, cutsPerSecond: CUTS_A_SECOND });
  const page = await stage.open(address, { query: "?order=reconnects&rows=50" });
  const frames = await page.evaluate<number[]>(FRAMES);
  const empty = await stage.empty();
  const ofEmpty = await empty.evaluate<number[]>(FRAMES);
  await stage.keep(page, "many");
  stage.row({
    what: `${links} links, ${CUTS_A_SECOND} cuts a second: the 95th percentile of the time between frames`,
    figure: quantile(frames, 0.95),
    bound: FRAME_MS,
    unit: "ms",
    note: [
      `${frames.length} in 10 s; median ${median(frames).toFixed(1)}, longest ${Math.max(...frames).toFixed(0)} ms`,
      `of an empty page on this machine ${quantile(ofEmpty, 0.95).toFixed(1)} ms`,
    ].join("; "),
  });
  const received = await bytesOfTenSeconds(page);
  stage.row({ what: "sent to the viewer in a second", figure: received / 10, bound: 131_072, unit: "bytes" });
  const beganMs = performance.now();
  await page.keyboard.press("/");
  await page.keyboard.type("10.0.7.");
  await until(page, `(${PEERS}).every((peer) => peer.includes("10.0.7."))`);
  stage.row({ what: "a filter, typed", figure: performance.now() - beganMs, bound: 2_000, unit: "ms" });
  stage.noProblems();
}

/** Of a second stream with the same query: that of the page cannot be read. */
async function bytesOfTenSeconds(page: Page): Promise<number> {
  return page.evaluate(`new Promise((resolve) => {
    let bytes = 0;
    const source = new EventSource("events" + location.search);
    source.addEventListener("patch", ({ data }) => { bytes += data.length; });
    setTimeout(() => { source.close(); resolve(bytes); }, 10_000);
  })`);
}

function quantile(values: readonly number[], q: number): number {
  return values.toSorted((one, other) => one - other)[Math.ceil(q * values.length) - 1] ?? Number.NaN;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export const SCENARIOS: readonly PageScenario[] = [
  { name: "cut", about: "cuts of links on loopback, and how soon the page shows them", run: cutIsShown },
  { name: "looks", about: "wide and narrow, light and dark; pictures are kept", run: looksWell },
  { name: "keyboard", about: "filter, pages and states by keyboard; a peer that writes HTML", run: byKeyboard },
  { name: "many", about: "ten thousand links in memory, with cuts and messages", run: staysSmooth },
];
