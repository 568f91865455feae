/** Very many links that lose their connections at the same moment. */
import type { Crew } from "./crew.ts";
import { descriptorsFor } from "./descriptors.ts";
import type { MassCommands, MassLimits } from "./mass-worker.ts";
import type { RowName } from "./rows.ts";
import type { Scenario } from "./scenario.ts";

const LINKS = 10_000;
const LIFTED = 1_000_000;
/** With default limits a manager dials 200 times a second: 50 s to open 10,000, and as long to resume them. */
const WITHIN_MS = 150_000;

export const mass: readonly Scenario[] = [
  cutAtOnce("dial limits lifted", {
    manager: { maxDialsInFlight: LIFTED, maxDialsPerSecond: LIFTED },
    server: {
      connections: 3 * LINKS,
      handshakes: LIFTED,
      opensPerSecond: LIFTED,
      resumesPerSecond: LIFTED,
      standbysPerSecond: LIFTED,
    },
  }),
  cutAtOnce("default limits", { manager: {}, server: {} }),
];

function cutAtOnce(name: "dial limits lifted" | "default limits", limits: MassLimits): Scenario {
  const resumed: RowName = `10,000 links cut at once, ${name}, all resumed after`;
  const p99: RowName = `10,000 links cut at once, ${name}, server's loop delay, p99`;
  return {
    name: `10,000 links cut at once, ${name}`,
    rows: [resumed, p99],
    sides: ["ours"],
    roundsMax: 1,
    async measure(_side, crew) {
      const { resumedMs, p99Ms } = await cutAll(crew, limits);
      return { [resumed]: resumedMs / 1_000, [p99]: p99Ms };
    },
  };
}

async function cutAll(crew: Crew, limits: MassLimits): Promise<{ resumedMs: number; p99Ms: number }> {
  const links = descriptorsFor(LINKS, 1);
  const server = crew.start<MassCommands>("mass-worker.ts", "server", limits);
  const client = crew.start<MassCommands>("mass-worker.ts", "client", limits);
  const port = await server.call("listen");
  await client.callWithin(WITHIN_MS, "open", { port, links });
  await client.call("send");
  await server.call("received", { links, messages: 1 });
  await server.call("look");
  const cutMs = await client.call("cut");
  await client.call("send");
  const [resumedMs] = await Promise.all([
    client.callWithin(WITHIN_MS, "resumed"),
    server.callWithin(WITHIN_MS, "received", { links, messages: 2 }),
  ]);
  const { p99Ms } = await server.call("look");
  return { resumedMs: resumedMs - cutMs, p99Ms };
}
