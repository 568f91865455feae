/** What both ends of each link have said when it had ended, held against each other. */
import type { Account, Kind } from "./kinds.ts";

export class Ledger {
  links = 0;
  messages = 0;
  bytes = 0;
  reconnects = 0;
  readonly kinds = new Map<Kind, number>();
  readonly problems: string[] = [];
  /** Of one end only, so far. */
  readonly #waiting = new Map<number, { side: "client" | "server"; account: Account }>();

  add(side: "client" | "server", accounts: readonly Account[]): void {
    for (const account of accounts) {
      const other = this.#waiting.get(account.id);
      if (other === undefined) this.#waiting.set(account.id, { side, account });
      else {
        this.#waiting.delete(account.id);
        if (side === other.side) this.problems.push(`link ${account.id} has two ends on the ${side}`);
        else if (side === "client") this.#compare(account, other.account);
        else this.#compare(other.account, account);
      }
    }
  }

  #compare(client: Account, server: Account): void {
    const { id, kind } = client;
    this.links++;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.messages += client.received.messages + server.received.messages;
    this.bytes += client.received.bytes + server.received.bytes;
    this.reconnects += client.reconnects;
    const ways = {
      "to the server": [client.sent, server.received],
      "to the client": [server.sent, client.received],
    } as const;
    for (const [way, [sent, received]] of Object.entries(ways)) {
      // A stream is received in other pieces.
      const isWhole = sent.bytes === received.bytes && (kind === "duplex" || sent.messages === received.messages);
      if (!isWhole)
        this.problems.push(`link ${id} (${kind}), ${way}: sent ${words(sent)}, received ${words(received)}`);
    }
    for (const problem of client.problems) this.problems.push(`link ${id} (${kind}), client: ${problem}`);
    for (const problem of server.problems) this.problems.push(`link ${id} (${kind}), server: ${problem}`);
  }

  /** When all is over there are none. */
  get unmatched(): string[] {
    return [...this.#waiting.values()].map(
      ({ side, account }) => `link ${account.id} (${account.kind}) is known to the ${side} only`,
    );
  }
}

function words({ messages, bytes }: { messages: number; bytes: number }): string {
  return `${messages} messages, ${bytes} bytes`;
}
