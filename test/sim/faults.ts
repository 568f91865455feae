/** Faults, drawn from a world's own random source: which kinds are on in a run is drawn first, then when and how. */
import type { Direction } from "../../src/testing/faults.ts";
import type { SimServer } from "./sim-server.ts";
import { answerOddly, pester, replay } from "./strangers.ts";
import type { World } from "./world.ts";

/** Those after which nothing may be lost, unless they last longer than a session waits. */
export const LOSSLESS = [
  "cut",
  "cut after bytes",
  "swallow",
  "swallow one way",
  "stall",
  "stall one way",
  "latency",
  "hanging dials",
  "refuse",
  "slow consumer",
  "stopped consumer",
  "blocked client",
  "blocked server",
  "replay",
  "stranger",
  "impostor",
] as const;
/** A server goes away, has all the time that it needs, and is back when its sessions are through: nothing may be in doubt. */
export const MOVING = ["move"] as const;
export const LOSING = ["restart", "drain", "route"] as const;
export const ENDING = ["reset", "close"] as const;
export const FAULT_KINDS = [...LOSSLESS, ...MOVING, ...LOSING, ...ENDING] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

const DIRECTIONS: readonly Direction[] = ["to-server", "to-client"];

/** Disturbs the world for a while. */
export function disturb(world: World, kinds: readonly FaultKind[], faults: number, meanPauseMs: number): void {
  for (let n = 0; n < faults; n++) {
    world.runFor(2 * meanPauseMs * world.random());
    const kind = kinds[Math.floor(world.random() * kinds.length)] as FaultKind;
    const server = world.servers[Math.floor(world.random() * world.servers.length)] as SimServer;
    world.note(`fault: ${kind} at ${server.name}`);
    world.count(`fault ${kind}`);
    apply(world, server, kind);
  }
}

function apply(world: World, server: SimServer, kind: FaultKind): void {
  const { random, network, clock, client } = world;
  const path = network.path(server.name);
  const wires = network.wires(server.name);
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
        network.resume(server.name);
      });
      break;
    case "latency":
      Object.assign(path, { latencyMs: 500 * random(), jitterMs: 100 * random(), dialDelayMs: 2_000 * random() });
      clock.schedule(forMs, () => world.restorePath(server.name));
      break;
    case "hanging dials":
      path.dialDelayMs = 20_000;
      if (random() < 0.5) for (const wire of wires) wire.cut(0);
      clock.schedule(forMs, () => {
        path.dialDelayMs = 5;
      });
      break;
    case "refuse":
      path.refuses = true;
      for (const wire of wires) if (random() < 0.5) wire.cut(0);
      clock.schedule(forMs, () => {
        path.refuses = false;
      });
      break;
    case "slow consumer":
    case "stopped consumer": {
      const ends = [client.end, ...server.ends.values()];
      const end = ends[Math.floor(random() * ends.length)];
      if (end === undefined) break;
      end.paused = true;
      // One that has stopped goes on when the faults are over.
      if (kind === "slow consumer") clock.schedule(forMs, () => world.wake(end));
      break;
    }
    case "blocked client":
      client.block(100 + 15_000 * random() ** 3);
      break;
    case "blocked server":
      server.block(100 + 15_000 * random() ** 3);
      break;
    case "replay":
      for (let n = 0; n < 3; n++) clock.schedule(2_000 * random() ** 2, () => replay(world, server.name));
      break;
    case "stranger":
      for (let n = 0; n < 3; n++) clock.schedule(2_000 * random() ** 2, () => pester(world, server.name));
      break;
    case "impostor":
      network.listen(server.name, (socket) => {
        world.beware(socket.wire);
        answerOddly(socket, random);
      });
      for (const wire of wires) if (random() < 0.5) wire.cut(0);
      clock.schedule(forMs, () => server.listen());
      break;
    case "move":
      // Byte streams do not move: their application would end them.
      if (world.options.mode === "messages") server.leave();
      break;
    case "restart":
    case "drain":
      if (!server.isUp) break;
      if (kind === "drain") server.drain(forMs);
      else server.kill();
      clock.schedule(forMs, () => {
        if (kind === "drain" && server.isUp) server.kill();
        if (!server.isUp) server.start();
      });
      break;
    case "route":
      client.route = Math.floor(random() * world.servers.length);
      client.rerouted = true;
      for (const wire of wires) wire.cut(100);
      break;
    case "reset":
    case "close": {
      const [link] = server.ends.keys();
      const core = random() < 0.5 || link === undefined ? client.core : link;
      const codes = ["aborted", "handler-failed", "close-timeout"] as const;
      const code = codes[Math.floor(random() * 3)] as (typeof codes)[number];
      if (kind === "reset") {
        core.reset(code, "enough", code, clock.nowMs);
      } else {
        core.end();
        core.stopReading();
        for (const end of [client.end, ...server.ends.values()]) if (end.core === core) end.reads = false;
      }
      client.pump();
      server.pump();
      break;
    }
  }
}
