/** The control links at a far end. */
import type { Link } from "../index.ts";

/** Of one identity: each near end has one. */
export const MOST_CONTROLS = 1_024;

export class Controls {
  readonly #byIdentity = new Map<string | undefined, Set<Link>>();

  /** false: its identity has too many. */
  add(link: Link): boolean {
    const links = this.#byIdentity.get(link.identity) ?? new Set();
    if (links.size >= MOST_CONTROLS) return false;
    this.#byIdentity.set(link.identity, links);
    links.add(link);
    void link.closed.then(() => {
      links.delete(link);
      if (links.size === 0 && this.#byIdentity.get(link.identity) === links) this.#byIdentity.delete(link.identity);
    });
    return true;
  }

  /** Ends them all. */
  abort(code: string): void {
    for (const links of this.#byIdentity.values()) for (const link of links) link.abort(code);
  }
}
