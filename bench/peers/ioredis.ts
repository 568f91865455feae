import { Redis } from "ioredis";
import { HOST } from "./peer.ts";

/** With its defaults: it writes each command as it is called, and does not wait for the answer of the one before. */
export function ioredis(port: number): {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
} {
  return new Redis({ port, host: HOST });
}
