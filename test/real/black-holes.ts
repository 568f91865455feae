/** Addresses that answer nothing, and one that does: at once, or after 400 ms. On a cable between two network namespaces. */
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Cable, type Host, kill, layCable } from "../cable/support/hosts.ts";
import type { Dialled, DialPlan, HolesProtocol } from "./black-holes-end.ts";
import { installed } from "./install.ts";
import type { RealScenario, RealStage } from "./stage.ts";

const PROGRAM = fileURLToPath(new URL("black-holes-end.ts", import.meta.url));
const HOLES = ["10.77.0.11", "10.77.0.12", "10.77.0.13"];
const LATE = "10.77.0.21";
const LATE_MS = 400;
const BOUND_MS = 1_500;
const TOOLS = { unshare: "util-linux", nsenter: "util-linux", setpriv: "util-linux", ip: "iproute2", nft: "nftables" };

export const BLACK_HOLES: readonly RealScenario[] = [
  {
    name: "black-holes",
    about: "a name has three addresses that answer nothing, and a live one, which answers at once or after 400 ms",
    run: async (stage) => {
      for (const [tool, debianPackage] of Object.entries(TOOLS)) installed(tool, debianPackage);
      for (const protocol of ["durable", "plain"] as const) await dials(stage, protocol);
    },
  },
];

async function dials(stage: RealStage, protocol: HolesProtocol): Promise<void> {
  const cable = await layCable();
  stage.onClose(() => cable[Symbol.asyncDispose]());
  const { server } = cable;
  for (const hole of HOLES) await server.run(`ip address add ${hole}/24 dev cable`);
  await server.filter({ in: `ip daddr { ${HOLES.join(", ")} } counter drop` });
  const listening = linesOf(begin(stage, server, "listen"));
  await listening();

  const live = await dialled(stage, cable, { protocol, addresses: [...HOLES, server.address] });
  stage.row({
    what: `${protocol}, connected past three black holes`,
    figure: live.address === server.address ? live.ms : Infinity,
    bound: BOUND_MS,
    unit: "ms",
    note: `${await server.struck()} SYNs swallowed`,
  });

  const late = await dialled(stage, cable, { protocol, addresses: [LATE, ...HOLES] }, () => appears(cable));
  // The first of all: Node itself gives it up after 250 ms, for addresses that never answer.
  stage.row({
    what: `${protocol}, connected to an address that takes ${LATE_MS} ms`,
    figure: late.address === LATE && late.ms >= LATE_MS ? late.ms : Infinity,
    bound: BOUND_MS,
    unit: "ms",
  });
}

/** The program's link, from the beginning of its dial until it is connected. */
async function dialled(
  stage: RealStage,
  { client }: Cable,
  plan: DialPlan,
  onBegun?: () => Promise<void>,
): Promise<Dialled> {
  const says = linesOf(begin(stage, client, JSON.stringify(plan)));
  await says();
  await onBegun?.();
  return JSON.parse(await says()) as Dialled;
}

/** The program, on this host, until the scenario is over. */
function begin(stage: RealStage, host: Host, argument: string): ChildProcessWithoutNullStreams {
  const child = host.spawn([process.execPath, PROGRAM, argument]);
  stage.onClose(() => kill(child));
  return child;
}

/** The program's lines, one after another. Rejects with its complaint when it has ended. */
function linesOf(child: ChildProcessWithoutNullStreams): () => Promise<string> {
  const complaint = text(child.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const { done, value } = await lines.next();
    if (done === true) throw new Error(`the program has ended: ${await complaint}`);
    return value;
  };
}

/** Nobody has had the address, so the client's kernel has kept its SYN; now it learns where to send it. */
async function appears({ client, server }: Cable): Promise<void> {
  await sleep(LATE_MS);
  const [, mac] = /([0-9a-f]{2}(?::[0-9a-f]{2}){5})/u.exec(await server.run("ip -br link show cable")) ?? [];
  await server.run(`ip address replace ${LATE}/24 dev cable`);
  await client.run(`ip neighbour replace ${LATE} lladdr ${mac} dev cable`);
}
