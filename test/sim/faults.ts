/** What each kind of fault does. Answers whether it did it: what waits counts when it comes. */
import type { Wire } from "../../src/testing/network.ts";
import type { End } from "./end.ts";
import { type Fault, isOfStandbys } from "./fault-kinds.ts";
import { forge, trespass, usurp } from "./forgers.ts";
import { DIRECTIONS, type Whose } from "./parameters.ts";
import { seeded } from "../../src/testing/random.ts";
import type { Random } from "./random.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimServer } from "./sim-server.ts";
import { answerOddly, crowd, pester, refuseFalsely, replay } from "./strangers.ts";
import { ask, laySilence } from "./silences.ts";
import { layTrap } from "./traps.ts";
import type { World } from "./world.ts";

/** Lets the world run, and each fault happen when it is due. */
export function disturb(world: World, faults: readonly Fault[]): void {
  for (const fault of faults.toSorted((a, b) => a.atMs - b.atMs)) {
    world.runTo(Math.max(world.clock.nowMs, fault.atMs));
    world.note(`fault: ${JSON.stringify(fault)}`);
    if (apply(world, fault)) world.count(`fault ${fault.kind}`);
    world.checkAll();
  }
}

function apply(world: World, fault: Fault): boolean {
  const random = seeded(fault.seed);
  if ("server" in fault) return applyToServer(world, fault, pickServer(world, fault.server), random);
  if (fault.kind === "clock jump") {
    const process = fault.who === "client" ? pickClient(world, fault.which) : pickServer(world, fault.which);
    process.jump(fault.byMs);
    return true;
  }
  if (fault.kind === "no verdicts") {
    const clients = fault.client === "everybody" ? world.clients : [pickClient(world, fault.client)];
    for (const client of clients) judge(world, client, "unavailable", fault.forMs);
    return true;
  }
  return applyToLink(world, fault, pickClient(world, fault.client), random);
}

function pickClient({ clients }: World, number: number): SimClient {
  return clients[number % clients.length] as SimClient;
}

function pickServer({ servers }: World, number: number): SimServer {
  return servers[number % servers.length] as SimServer;
}

/** Of clients to the server, whether they have dialled it, or another has forwarded them. */
function wiresOf(world: World, server: SimServer, whose: Whose): Wire[] {
  const from = whose === "everybody" ? undefined : pickClient(world, whose).name;
  return [server.name, server.forwarding.address].flatMap((address) => world.network.wires(address, from));
}

function judge(world: World, client: SimClient, verdict: "refused" | "another" | "unavailable", forMs: number): void {
  world.verdicts.set(client.number, verdict);
  world.clock.schedule(forMs, () => {
    if (world.verdicts.get(client.number) === verdict) world.verdicts.delete(client.number);
  });
}

// ── a path, or the server at its end ────────────────────────────────────────────────────────────────────────────────

function applyToServer(
  world: World,
  fault: Extract<Fault, { server: number }>,
  server: SimServer,
  random: Random,
): boolean {
  const { network, clock } = world;
  const path = network.path(server.name);
  const wires = wiresOf(world, server, "whose" in fault ? fault.whose : "everybody");
  if ("cuts" in fault && fault.cuts) for (const wire of wires) wire.cut(0);
  switch (fault.kind) {
    case "cut":
      for (const wire of wires) wire.cut(fault.withinMs);
      return wires.length > 0;
    case "cut after bytes":
      for (const wire of wires) wire.cutAfter(Math.floor(fault.bytes));
      return wires.length > 0;
    case "cut at one end":
      for (const wire of wires) wire.cutAt(fault.end);
      return wires.length > 0;
    case "swallow":
    case "swallow one way":
      for (const each of fault.kind === "swallow" ? DIRECTIONS : [fault.direction]) {
        for (const wire of wires) wire.swallow(each);
      }
      return wires.length > 0;
    case "stall":
    case "stall one way":
      for (const each of fault.kind === "stall" ? DIRECTIONS : [fault.direction]) path.stalled[each] = true;
      clock.schedule(fault.forMs, () => {
        path.stalled = { "to-server": false, "to-client": false };
        network.resume(server.name);
      });
      return true;
    case "hold":
      for (const wire of wires) wire.hold(fault.direction, fault.forMs);
      return wires.length > 0;
    case "latency": {
      const { latencyMs, jitterMs, dialDelayMs } = fault;
      Object.assign(path, { latencyMs, jitterMs, dialDelayMs });
      clock.schedule(fault.forMs, () => world.restorePath(server.name));
      return true;
    }
    case "hanging dials":
      path.dialDelayMs = 20_000;
      clock.schedule(fault.forMs, () => {
        path.dialDelayMs = 5;
      });
      return true;
    case "refuse":
    case "absence":
      path.refuses = true;
      if (fault.kind === "absence") for (const wire of wires) wire.cut(0);
      clock.schedule(fault.forMs, () => {
        path.refuses = false;
      });
      return true;
    case "blocked server":
      server.block(fault.forMs);
      return true;
    case "overload":
      server.overload(fault.forMs, fault.retryAfterMs);
      return true;
    case "protection":
      return server.relief.protect(fault.what, fault.forMs);
    case "dropped handshakes":
      return server.relief.dropHandshakes(fault.most) > 0;
    case "replay":
    case "stranger":
      for (let n = 0; n < fault.times; n++) {
        const visit = fault.kind === "replay" ? replay : pester;
        clock.schedule(fault.withinMs * random(), () => visit(world, server.name, random));
      }
      return true;
    case "crowd":
      for (let n = 0; n < fault.times; n++) {
        clock.schedule(fault.withinMs * random(), () => crowd(world, server.name, fault.what, random));
      }
      return true;
    case "impostor":
    case "false refusal":
      network.listen(server.name, (socket) => {
        world.beware(socket.wire);
        if (fault.kind === "impostor") answerOddly(socket, random);
        else refuseFalsely(socket, fault.code, fault.retryAfterMs);
      });
      clock.schedule(fault.forMs, () => server.listen());
      return true;
    case "move":
      // Byte streams do not move: their application would end them.
      return world.options.mode === "messages" && server.leave(fault.spreadMs);
    case "restart":
      if (fault.when === "now") return restart(server, fault.forMs);
      server.onceDone(() => {
        if (!world.healed && restart(server, fault.forMs)) world.count("fault restart");
      });
      return false;
    case "drain":
      if (!server.isUp) return false;
      drain(server, fault);
      return true;
  }
}

function drain(server: SimServer, { readyForMs, forMs, spreadMs }: Extract<Fault, { kind: "drain" }>): void {
  const { clock } = server.stage;
  clock.schedule(readyForMs, () => {
    if (!server.isUp || server.stage.healed) return;
    server.drain(forMs, spreadMs);
    clock.schedule(forMs, () => {
      if (server.isUp) server.kill();
      server.start();
    });
  });
}

function restart(server: SimServer, forMs: number): boolean {
  if (!server.isUp) return false;
  server.kill();
  server.stage.clock.schedule(forMs, () => {
    if (!server.isUp) server.start();
  });
  return true;
}

// ── a client, or its link ───────────────────────────────────────────────────────────────────────────────────────────

type LinkFault = Exclude<Extract<Fault, { client: unknown }>, { kind: "no verdicts" }>;

function applyToLink(world: World, fault: LinkFault, client: SimClient, random: Random): boolean {
  switch (fault.kind) {
    case "blocked client":
      client.block(fault.forMs);
      return true;
    case "flapping":
      for (let n = 0; n < fault.times; n++) {
        world.clock.schedule(n * fault.everyMs, () => {
          for (const { name } of world.servers) for (const wire of world.network.wires(name, client.name)) wire.cut(0);
        });
      }
      return true;
    case "shed":
      if (fault.when === "now") return shed(world, client, fault.retryAfterMs);
      client.end.life.on(fault.when, () => {
        if (!world.healed && shed(world, client, fault.retryAfterMs)) world.count("fault shed");
      });
      return false;
    case "forget":
    case "evict":
      if (fault.when === "now") return giveUp(world, client, fault.kind);
      client.end.life.on(fault.when, () => {
        // When the server has noticed, too.
        world.clock.schedule(50, () => {
          if (!world.healed && giveUp(world, client, fault.kind)) world.count(`fault ${fault.kind}`);
        });
      });
      return false;
    case "hopeless":
      return giveUp(world, client, fault.kind);
    case "extra dial":
      client.dialAlso(fault.role, fault.afterMs);
      return true;
    case "route":
      client.route = fault.to % world.servers.length;
      client.rerouted = true;
      for (const { name } of world.servers) for (const wire of world.network.wires(name, client.name)) wire.cut(100);
      return true;
    case "credentials":
      judge(world, client, fault.verdict, fault.forMs);
      // They are looked at with each connection.
      for (const { name } of world.servers) for (const wire of world.network.wires(name, client.name)) wire.cut(50);
      return true;
    case "trap":
      layTrap(world, client, fault);
      if (isOfStandbys(fault.frame)) goSilent(world, client);
      // It counts when it is sprung.
      return false;
    case "silence after speech":
      laySilence(world, client, fault);
      return false;
    case "ping":
      return ask(world, client, fault);
    case "usurper":
      return usurp(world, client, fault.later, random);
    case "trespasser":
      return trespass(world, client, fault.how, random);
    case "forgery":
      forge(world, client, fault, random);
      return true;
    case "give up":
      client.core.endUnreachable();
      client.pump();
      return true;
    case "slow consumer":
    case "stopped consumer":
    case "half-close":
    case "reset":
    case "close":
    case "abandon":
    case "throwing consumer": {
      const end = world.endOf(client, fault.end);
      if (end === undefined || end.outcome !== undefined) return false;
      if (!("when" in fault) || fault.when === "now") return applyToEnd(world, fault, client, end);
      end.life.on(fault.when, () => {
        if (end.outcome !== undefined || world.healed) return;
        world.count(`fault ${fault.kind}`);
        applyToEnd(world, fault, client, end);
      });
      return false;
    }
  }
}

function shed(world: World, client: SimClient, retryAfterMs: number): boolean {
  return world.servers.some((server) =>
    [...server.ends].some(([link, end]) => end.client === client.number && server.relief.shed(link, retryAfterMs)),
  );
}

/** Its server lacks memory. */
function giveUp(world: World, client: SimClient, what: "forget" | "evict" | "hopeless"): boolean {
  return world.servers.some((server) =>
    [...server.ends].some(([link, end]) => end.client === client.number && server.relief.giveUp(link, what)),
  );
}

/** Its connections bring it nothing any more. */
function goSilent(world: World, client: SimClient): void {
  for (const { name } of world.servers) {
    for (const wire of world.network.wires(name, client.name)) wire.swallow("to-client");
  }
}

function applyToEnd(world: World, fault: Extract<LinkFault, { end: unknown }>, client: SimClient, end: End): boolean {
  const { core } = end;
  switch (fault.kind) {
    case "slow consumer":
    case "stopped consumer":
      end.paused = true;
      if (fault.kind === "slow consumer") {
        world.clock.schedule(fault.forMs, () => {
          end.paused = false;
          world.pump();
        });
      }
      break;
    case "half-close":
      end.halfClose();
      break;
    case "throwing consumer":
      end.throwsNext = true;
      break;
    case "reset":
      core.reset(fault.code, "enough", fault.code, end.nowMs);
      break;
    case "abandon":
      core.abandon("close-timeout");
      break;
    case "close":
      if (fault.end === "client") {
        client.close();
      } else {
        end.life.to("drain");
        core.end();
        core.stopReading();
        end.reads = false;
      }
      break;
  }
  world.pump();
  return true;
}
