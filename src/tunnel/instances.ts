/**
 * The near ends that a far end knows. What a near end left behind that is gone, is ended as soon as there is proof: a new
 * process of the same identity and name.
 */
import type { Link } from "../index.ts";
import type { Clock } from "../link/ports.ts";
import type { TunnelLog } from "./log.ts";
import { printable } from "../telemetry/printable.ts";
import { ABORTED, type Introduction } from "./terms.ts";

/** A near end that is asked whether it is still there has so long to answer. */
const ANSWER_MS = 6_000;

interface Instance {
  readonly key: string;
  /** Its identity and name; undefined: it has no name. */
  readonly name: string | undefined;
  readonly shownName: string;
  readonly links: Set<Link>;
  control: Link | undefined;
}

export class Instances {
  readonly #log: TunnelLog;
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Instance>();
  readonly #ofLink = new Map<Link, Instance>();
  /** Which instance has the name. */
  readonly #byName = new Map<string, Instance>();

  constructor(log: TunnelLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** A link has come. Of one that ends `left()` is to be told. */
  arrived(link: Link, { role, instance, name }: Introduction): void {
    const identity = JSON.stringify(link.identity ?? null);
    const key = `${identity} ${instance}`;
    const known = this.#byKey.get(key);
    const here: Instance = known ?? {
      key,
      name: name === undefined ? undefined : `${identity} ${name}`,
      shownName: printable(name ?? ""),
      links: new Set(),
      control: undefined,
    };
    if (known === undefined) this.#byKey.set(key, here);
    here.links.add(link);
    this.#ofLink.set(link, here);
    if (role !== "control") return;
    here.control = link;
    if (here.name !== undefined) void this.#claim(here, here.name);
  }

  left(link: Link): void {
    const here = this.#ofLink.get(link);
    if (here === undefined) return;
    this.#ofLink.delete(link);
    here.links.delete(link);
    if (here.control === link) here.control = undefined;
    if (here.links.size > 0) return;
    this.#byKey.delete(here.key);
    if (here.name !== undefined && this.#byName.get(here.name) === here) this.#byName.delete(here.name);
  }

  /** Whoever had the name before is gone, unless it answers: then both stay, as two near ends were given one name. */
  async #claim(here: Instance, name: string): Promise<void> {
    let gone: Instance | undefined;
    do {
      gone = this.#byName.get(name);
      if (gone === here) return;
      if (gone?.control !== undefined && (await isThere(gone.control, this.#clock))) {
        this.#log(
          "warn",
          "tunnel.name",
          `two near ends have the name ${JSON.stringify(here.shownName)}: what one leaves behind is not ended when it is started again`,
        );
        return;
      }
      // Meanwhile this one may have ended; or another has the name by now, and is asked too.
      if (here.links.size === 0) return;
    } while (gone !== this.#byName.get(name));
    this.#byName.set(name, here);
    if (gone === undefined) return;
    this.#log(
      "info",
      "tunnel.name",
      `the near end ${JSON.stringify(here.shownName)} was started again: ${gone.links.size} links of the process before are ended`,
    );
    for (const link of gone.links) link.abort(ABORTED.restarted);
  }
}

/** Whether the peer answers. */
function isThere(link: Link, clock: Clock): Promise<boolean> {
  if (link.state !== "connected") return Promise.resolve(false);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const onState = ({ to }: { to: string }): void => {
    if (to !== "connected") resolve(false);
  };
  link.on("state", onState);
  const deadline = clock.timer(() => resolve(true));
  deadline.set(clock.now() + ANSWER_MS);
  link.ping();
  return promise.finally(() => {
    deadline.clear();
    link.off("state", onState);
  });
}
