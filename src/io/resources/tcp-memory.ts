/** The memory that the kernel uses for TCP, in pages, and where it begins to save. It is that of the whole machine. */
import { type HeldFile, holdAll } from "./held-file.ts";
import { KeptLimit } from "./kept-limit.ts";
import type { Observed, Reader, System } from "./reader.ts";

/** In pages. */
export function parseSockstat(sockstat: string): number | undefined {
  const pages = /^TCP: .*\bmem (\d+)$/m.exec(sockstat)?.[1];
  return pages === undefined ? undefined : Number(pages);
}

/** The second of three numbers, in pages: above it the kernel shrinks the buffers of sockets. */
export function parseTcpMem(tcpMem: string): number | undefined {
  const pages = Number(/^\s*\d+\s+(\d+)\s+\d+\s*$/.exec(tcpMem)?.[1]);
  return pages > 0 ? pages : undefined;
}

export class TcpMemory implements Reader {
  readonly name = "tcpMemory";
  readonly #files: Record<"sockstat" | "tcpMem", HeldFile>;
  readonly #limit: KeptLimit = new KeptLimit(() => parseTcpMem(this.#files.tcpMem.read() ?? ""));

  /** Throws where one of the files cannot be read: in a network namespace the second one is missing. */
  constructor(system: System) {
    this.#files = holdAll(system, { sockstat: "/proc/net/sockstat", tcpMem: "/proc/sys/net/ipv4/tcp_mem" });
  }

  read(nowMs: number): Observed | undefined {
    const observed = parseSockstat(this.#files.sockstat.read() ?? "");
    const limit = this.#limit.at(nowMs);
    return observed === undefined || limit === undefined ? undefined : { observed, limit };
  }

  close(): void {
    for (const file of Object.values(this.#files)) file.close();
  }
}
