/** Attacks on a client: hostile servers, and its own application's hooks that give nothing. */
import { MiB } from "../../src/index.ts";
import type { Child } from "../endurance/child.ts";
import { SECRET, type VictimKind } from "./client.ts";
import { NEVER_MS } from "./healthy.ts";
import type { Attack, HealthyClient, Stage } from "./stage.ts";
import type { VillainCommands, VillainPlan } from "./villain.ts";

/** Its own delays are from 500 to 30,000 ms, and the first after at most 200 ms. */
const MOST_DELAY_MS = 30_000;
const LEAST_DELAY_MS = 500;
const BACK_WITHIN_MS = 2_000;

export const AGAINST_CLIENTS: Attack[] = [
  ...[1, 8].map((mebibytes): Attack => ({
    name: `client-pinned-${mebibytes}`,
    about: `a server that sends 512 bytes of DATA in each 64 KiB, within ${mebibytes} MiB of credit`,
    run: (stage) => pinned(stage, mebibytes * MiB),
  })),
  {
    name: "retry-after-1",
    about: "a server that refuses and asks to come back after 1 ms",
    async run(stage) {
      const { healthy, villain, fromMs } = await hostile(stage, { kind: "refuse", retryAfterMs: 1 }, "plain");
      const { connections } = await villain.call("seen");
      const seconds = (performance.now() - fromMs) / 1_000;
      // At first two at once; then between half and all of the least delay lies between two attempts.
      const bound = 2 + (1_000 / (LEAST_DELAY_MS / 2)) * seconds;
      const note = `in ${seconds.toFixed(0)} s`;
      stage.row({ what: "dials", figure: connections, bound: Math.ceil(bound), unit: "", note });
      await stays(stage, healthy);
    },
  },
  {
    name: "retry-after-max",
    about: "a server that refuses and asks to come back after 2^32 - 1 ms, 50 days",
    async run(stage) {
      const { healthy } = await hostile(stage, { kind: "refuse", retryAfterMs: 2 ** 32 - 1 }, "plain");
      const { longestDelayMs } = await healthy.client.call("victimState");
      stage.row({ what: "will wait", figure: longestDelayMs, bound: MOST_DELAY_MS, unit: "ms" });
      await stays(stage, healthy);
    },
  },
  ...(["reset", "refuse-text"] as const).map((kind): Attack => ({
    name: `controls-${kind}`,
    about: `a server whose ${kind === "reset" ? "RESET" : "REFUSE"} has a reason that commands the terminal`,
    async run(stage) {
      const { healthy } = await hostile(stage, { kind }, "plain");
      await healthy.client.call("victimEnded");
      const { controls, ended } = await healthy.client.call("victimState");
      const note = `ended with ${ended}${controls.length > 0 ? `; in ${[...new Set(controls)].join(", ")}` : ""}`;
      stage.row({ what: "texts obeyed", figure: controls.length, bound: 0, unit: "", note });
    },
  })),
  ...(["tls: () => undefined", "tls: async () => undefined", "tls: undefined at the second attempt"] as const).map(
    (kind): Attack => ({
      name: `clear-text-${kind.includes("async") ? "async" : kind.includes("second") ? "later" : "first"}`,
      about: `${kind}, and somebody who listens in clear text`,
      run: (stage) => clearText(stage, kind),
    }),
  ),
  {
    name: "hooks",
    about: "the application's endpoints, connect and credentials give nothing of use once, during a cut",
    run: hooks,
  },
];

/** What the hook gives once, when the link is to come back from a cut. */
const HOOKS = [
  "endpoints: []",
  "endpoints: undefined",
  "connect: undefined",
  "connect: a paused stream",
  "connect: a stream with an encoding",
  "connect: a stream that is closed",
  "credentials: undefined",
] as const satisfies readonly VictimKind[];

/** A client with a healthy link to a good server, whose link to a hostile one is opened while that is measured. */
async function hostile(
  stage: Stage,
  plan: VillainPlan,
  kind: VictimKind,
  options: { windowBytes?: number; during?: (healthy: HealthyClient) => Promise<void> } = {},
): Promise<{ healthy: HealthyClient; villain: Child<VillainCommands>; fromMs: number }> {
  const { port } = await stage.server({});
  const healthy = await stage.healthy({ port });
  const hostileServer = await stage.villain(plan);
  const { windowBytes = MiB, during = async () => {} } = options;
  let fromMs = 0;
  await stage.beside(healthy, {
    press: () => {
      fromMs = performance.now();
      return healthy.client.call("victim", { port: hostileServer.port, kind, windowBytes });
    },
    during: () => during(healthy),
    release: async () => {},
  });
  return { healthy, villain: hostileServer.villain, fromMs };
}

async function pinned(stage: Stage, windowBytes: number): Promise<void> {
  let beforeBytes = 0;
  let heldBytes = 0;
  const { port } = await stage.server({});
  const healthy = await stage.healthy({ port });
  const { villain, port: hostilePort } = await stage.villain({ kind: "pinned" });
  await stage.beside(healthy, {
    press: async () => {
      ({ heldBytes: beforeBytes } = await healthy.client.call("memory"));
      await healthy.client.call("victim", { port: hostilePort, kind: "stuck", windowBytes });
      await villain.call("pinned");
    },
    isOver: true,
    during: async () => {
      const { heldBytes: afterBytes } = await healthy.client.call("memory");
      heldBytes = afterBytes - beforeBytes;
    },
    release: async () => {},
  });
  const { pinnedBytes } = await villain.call("seen");
  const note = `for ${(pinnedBytes / MiB).toFixed(1)} MiB of log`;
  stage.row({ what: "memory held", figure: heldBytes, bound: 2 * windowBytes, unit: "MiB", note });
  stage.row({
    what: "credit used up",
    figure: pinnedBytes,
    bound: windowBytes / 2,
    is: "at least",
    unit: "MiB",
    note: "of the window: the attack was in position",
  });
}

/** Nothing that the client says may reach whoever is not met in TLS; and the link does not end, it tries again. */
async function clearText(stage: Stage, kind: VictimKind): Promise<void> {
  const { healthy, villain } = await hostile(stage, { kind: "listen" }, kind);
  const { heard, connections } = await villain.call("seen");
  const note = `${connections} connections, ${heard.length} bytes heard`;
  const bytes = [...heard.matchAll(new RegExp(`RSPL|${SECRET}`, "gu"))].length;
  stage.row({ what: "heard in clear text", figure: bytes, bound: 0, unit: "", note });
  await stays(stage, healthy);
}

async function stays(stage: Stage, healthy: HealthyClient): Promise<void> {
  const { ended, state } = await healthy.client.call("victimState");
  const isOver = state === "closed";
  stage.row({
    what: "link ended",
    figure: isOver ? 1 : 0,
    bound: 0,
    unit: "",
    note: isOver ? ended : `it is ${state}`,
  });
}

async function hooks(stage: Stage): Promise<void> {
  const { port } = await stage.server({});
  for (const kind of HOOKS) {
    const healthy = await stage.healthy({ port });
    const relay = await stage.relay(port);
    await healthy.client.call("victim", { port: relay.port, kind });
    await healthy.client.call("victimConnected");
    const back = healthy.client.call("victimBack").catch((error: unknown) => ({ ms: NEVER_MS, ended: String(error) }));
    relay.cut("rst");
    const { ms, ended } = await back;
    stage.row({ what: `back after ${kind}`, figure: ms, bound: BACK_WITHIN_MS, unit: "ms", note: ended });
  }
}
