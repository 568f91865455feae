/** The links of a server by the identity of their clients. */
import type { Link } from "../link/types.ts";

export class ByIdentity {
  readonly #links = new Map<string, Set<Link>>();

  /** A link without an identity is not kept. */
  add(link: Link): void {
    const { identity } = link;
    if (identity === undefined) return;
    const known = this.#links.get(identity);
    if (known === undefined) this.#links.set(identity, new Set([link]));
    else known.add(link);
  }

  delete(link: Link): void {
    const known = this.#links.get(link.identity ?? "");
    if (known?.delete(link) === true && known.size === 0) this.#links.delete(link.identity ?? "");
  }

  /** In the order in which they were opened. */
  get(identity: string): Link[] {
    return [...(this.#links.get(identity) ?? [])];
  }
}
