/** Both ends of a link in mode "bytes" as streams. */
import { once } from "node:events";
import { type Duplex, Readable } from "node:stream";
import type { LinkOptions, OpenOptions } from "../../src/index.ts";
import { pair, type Pair } from "../support.ts";

export interface Streams extends Pair {
  near: Duplex;
  far: Duplex;
}

export async function streams(options: OpenOptions & LinkOptions = {}): Promise<Streams> {
  const both = await pair({ ...options, mode: "bytes" }, { ...options, mode: "bytes" } as LinkOptions);
  const [near, far] = [both.client.duplex(), both.server.duplex()];
  for (const stream of [near, far]) stream.on("error", () => {});
  return { ...both, near, far };
}

/** Everything that is read. (An async iterator, as in node:stream/consumers, would destroy the stream at its end.) */
export async function buffer(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

/** The names of these events as they come, and a promise of the first of each. */
export function told(stream: Duplex, ...names: string[]): string[] {
  const heard: string[] = [];
  for (const name of names) stream.on(name, () => heard.push(name));
  return heard;
}

/** So many bytes, in chunks. */
export function source(bytes: number): Readable {
  let left = bytes;
  return new Readable({
    read() {
      const size = Math.min(left, 65_536);
      left -= size;
      this.push(size === 0 ? null : Buffer.alloc(size, 7));
    },
  });
}
