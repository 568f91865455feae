/** Faults, drawn from a world's own random source: which kinds are on in a run is drawn first, then when and how. */
import type { Direction } from "../../src/testing/faults.ts";
import type { SimServer, World } from "./world.ts";

export type FaultKind =
  | "cut"
  | "cut after bytes"
  | "swallow"
  | "swallow one way"
  | "stall"
  | "stall one way"
  | "latency"
  | "refuse"
  | "restart"
  | "route"
  | "slow consumer"
  | "abort"
  | "close";

/** Those after which nothing may be lost. */
export const LOSSLESS: readonly FaultKind[] = [
  "cut",
  "cut after bytes",
  "swallow",
  "swallow one way",
  "stall",
  "stall one way",
  "latency",
  "refuse",
  "slow consumer",
];
export const LOSING: readonly FaultKind[] = ["restart", "route"];
export const ENDING: readonly FaultKind[] = ["abort", "close"];

const DIRECTIONS: readonly Direction[] = ["to-server", "to-client"];

/** Disturbs the world for a while. */
export function disturb(world: World, kinds: readonly FaultKind[], faults: number, meanPauseMs: number): void {
  for (let n = 0; n < faults; n++) {
    world.runFor(2 * meanPauseMs * world.random());
    const kind = kinds[Math.floor(world.random() * kinds.length)] as FaultKind;
    const server = world.servers[Math.floor(world.random() * world.servers.length)] as SimServer;
    world.note(`fault: ${kind} at ${server.address}`);
    world.count(`fault ${kind}`);
    apply(world, server, kind);
  }
}

function apply(world: World, server: SimServer, kind: FaultKind): void {
  const { random, network, clock } = world;
  const path = network.path(server.address);
  const wires = network.wires(server.address);
  const direction = DIRECTIONS[Math.floor(random() * 2)] as Direction;
  const forMs = 50 + 4_000 * random() ** 3;
  switch (kind) {
    case "cut":
      for (const wire of wires) wire.cut(random() < 0.5 ? 0 : 200);
      break;
    case "cut after bytes":
      for (const wire of wires) wire.cutAfter(Math.floor(600 * random()));
      break;
    case "swallow":
      for (const wire of wires) for (const each of DIRECTIONS) wire.swallow(each);
      break;
    case "swallow one way":
      for (const wire of wires) wire.swallow(direction);
      break;
    case "stall":
    case "stall one way":
      for (const each of kind === "stall" ? DIRECTIONS : [direction]) path.stalled[each] = true;
      clock.schedule(forMs, () => {
        path.stalled = { "to-server": false, "to-client": false };
        network.resume(server.address);
      });
      break;
    case "latency":
      Object.assign(path, { latencyMs: 500 * random(), jitterMs: 100 * random(), dialDelayMs: 2_000 * random() });
      clock.schedule(forMs, () => Object.assign(path, { latencyMs: 1, jitterMs: 0, dialDelayMs: 5 }));
      break;
    case "refuse":
      path.refuses = true;
      for (const wire of wires) if (random() < 0.5) wire.cut(0);
      clock.schedule(forMs, () => {
        path.refuses = false;
      });
      break;
    case "restart":
      if (!server.isUp) break;
      server.kill();
      clock.schedule(forMs, () => {
        if (!server.isUp) server.start();
      });
      break;
    case "route":
      world.client.route = Math.floor(random() * world.servers.length);
      for (const wire of wires) wire.cut(100);
      break;
    case "slow consumer": {
      const ends = [world.client.end, ...server.ends.values()];
      const end = ends[Math.floor(random() * ends.length)];
      if (end === undefined) break;
      end.paused = true;
      clock.schedule(forMs, () => {
        end.paused = false;
        world.client.pump();
        server.pump();
      });
      break;
    }
    case "abort": {
      const [link] = server.ends.keys();
      if (random() < 0.5) world.client.core.reset("aborted", "enough", "aborted", clock.nowMs);
      else link?.reset("aborted", "enough", "aborted", clock.nowMs);
      world.client.pump();
      server.pump();
      break;
    }
    case "close": {
      const [link] = server.ends.keys();
      const core = random() < 0.5 ? world.client.core : link;
      core?.end();
      core?.stopReading();
      world.client.pump();
      server.pump();
      break;
    }
  }
}
