import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSockstat, parseTcpMem, TcpMemory } from "../../../src/io/resources/tcp-memory.ts";
import { systemOf } from "./fixture.ts";

const sockstat = (pages: number): string =>
  `sockets: used 17\nTCP: inuse 1 orphan 0 tw 6 alloc 1 mem ${pages}\nUDP: inuse 0 mem 7\nFRAG: inuse 0 memory 0\n`;

test("TCP's pages through the second of its limits", () => {
  const system = systemOf({
    "proc/net/sockstat": sockstat(114),
    "proc/sys/net/ipv4/tcp_mem": "287901\t383869\t575802\n",
  });
  const reader = new TcpMemory(system);
  expect(reader.read(0)).toEqual({ observed: 114, limit: 383_869 });
  system.write("proc/net/sockstat", sockstat(200));
  system.write("proc/sys/net/ipv4/tcp_mem", "100\t200\t300\n");
  expect(reader.read(59_000)).toEqual({ observed: 200, limit: 383_869 });
  expect(reader.read(60_000)).toEqual({ observed: 200, limit: 200 });
  system.write("proc/net/sockstat", "");
  expect(reader.read(60_250)).toBeUndefined();
  reader.close();
});

test("in a network namespace, which has no limits of its own, it is not watched", () => {
  expect(() => new TcpMemory(systemOf({ "proc/net/sockstat": sockstat(114) }))).toThrow("tcp_mem");
});

test("limits that say nothing are none", () => {
  expect(parseTcpMem("0\t0\t0\n")).toBeUndefined();
  expect(parseTcpMem("1 2\n")).toBeUndefined();
});

test("of any text the numbers are found or unknown", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, pages) => {
      for (const number of [parseSockstat(text), parseTcpMem(text)]) {
        expect(number === undefined || number >= 0).toBe(true);
      }
      expect(parseSockstat(`${text}\n${sockstat(pages)}`)).toBe(pages);
      expect(parseTcpMem(`${pages} ${pages + 1} ${pages + 2}\n`)).toBe(pages + 1);
    }),
  );
});
