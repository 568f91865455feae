/** The live page in a real browser, light and dark, after a run with faults: its screenshots. */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ConnectionManager, type Link, monitor, ServerSupervisor } from "../../src/index.ts";
import { faultRelay, type FaultRelay } from "../../src/testing/index.ts";
import { launch, until } from "../../test/page/browser.ts";
import { SCREENSHOTS } from "./pictures.ts";
import { shrink } from "./png.ts";

const BUNDLE = fileURLToPath(new URL("../page.ts", import.meta.url));
const WIDTH = 900;
/** Of each path. */
const LINKS = 2;
/** In the page: where the list of links ends. */
const END = `Math.ceil(document.querySelector("section.links").getBoundingClientRect().bottom) + 10`;
/** Two paths, so that not all links are cut at once; and what happens to them at which second. */
const FAULTS: ReadonlyArray<readonly [second: number, fault: (one: FaultRelay, two: FaultRelay) => void]> = [
  [30, (one) => one.cut("rst")],
  [70, (_, two) => two.stall()],
  [85, (_, two) => heal(two)],
  [
    120,
    (one, two) => {
      one.cut("fin");
      two.cut("fin");
    },
  ],
  [
    160,
    (one) => {
      one.blackHole();
      one.cut("fin");
    },
  ],
  [168, (one) => heal(one)],
  [200, (_, two) => two.cut("rst")],
  [230, (one) => one.blackHole()],
  [245, (one) => heal(one)],
  [270, () => {}],
];

/** By the names of their files. Takes some minutes. */
export async function screenshots(): Promise<Record<string, Buffer>> {
  // The page as the sources have it now.
  const built = spawnSync(process.execPath, [BUNDLE], { stdio: ["ignore", "ignore", "inherit"] });
  if (built.status !== 0) throw new Error("the page cannot be bundled");
  await using stack = new AsyncDisposableStack();
  const supervisor = new ServerSupervisor({
    port: 0,
    host: "127.0.0.1",
    authenticate: ({ credentials }) => ({ identity: String(credentials) }),
  });
  stack.defer(async () => void (await supervisor.close({ deadlineMs: 0 })));
  supervisor.serve((link) => link.onMessage(() => {}));
  const { port } = await supervisor.listen();
  const [one, two] = [await faultRelay({ port }), await faultRelay({ port })];
  const manager = new ConnectionManager();
  const links: Link[] = [];
  for (const relay of [one, two]) {
    stack.defer(() => relay.close());
    heal(relay);
    for (let link = 0; link < LINKS; link++) {
      links.push(manager.open({ port: relay.port, host: "127.0.0.1", credentials: `sensor-${links.length + 1}` }));
    }
  }
  stack.defer(async () => void (await manager.close({ deadlineMs: 0 })));
  await manager.connected();
  let turn = 0;
  const timer = setInterval(() => talk(links, turn++), 50);
  stack.defer(() => clearInterval(timer));
  const watched = monitor({ port: 0, sources: { upstream: manager, edge: supervisor } });
  stack.defer(() => watched.close());
  const { host, port: at } = await watched.listening();
  const browser = await launch();
  stack.defer(() => browser.close());
  const pages = await Promise.all(
    Object.entries(SCREENSHOTS).map(async ([name, colorScheme]) => {
      const context = await browser.newContext({ viewport: { width: WIDTH, height: WIDTH }, colorScheme });
      const page = await context.newPage();
      // Only a client's links have a port behind the address.
      await page.goto(`http://${host}:${at}/?filter=127.0.0.1:`);
      await until(page, `document.querySelectorAll("tr.link").length === ${2 * LINKS}`);
      return { page, name };
    }),
  );
  const startMs = performance.now();
  for (const [second, fault] of FAULTS) {
    await sleep(startMs + 1_000 * second - performance.now());
    fault(one, two);
  }
  const taken = await Promise.all(
    pages.map(async ({ page, name }) => {
      const height = await page.evaluate<number>(END);
      return [name, await page.screenshot({ clip: { x: 0, y: 0, width: WIDTH, height }, fullPage: true })] as const;
    }),
  );
  return Object.fromEntries(taken.map(([name, png]) => [name, shrink(png)]));
}

/** Ends all faults but the way's length. */
function heal(relay: FaultRelay): void {
  relay.heal();
  relay.latency(9, { jitterMs: 4 });
}

/** About a hundred messages a second, a little more and a little less. */
function talk(links: readonly Link[], turn: number): void {
  const messages = Math.round(5 + 2 * Math.sin(turn / 40) + Math.random());
  for (let message = 0; message < messages; message++) {
    links[(turn + message) % links.length]?.trySend("21.4 °C, 48 % humidity, 1013 hPa");
  }
}
