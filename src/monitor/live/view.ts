/** What one viewer wants to see of the links: the query of its request, checked. */
import type { LinkState } from "../../core/states.ts";
import { type Order, ORDERS, STATES } from "./messages.ts";

export interface View {
  /** In lower case: a link has to have all of them. */
  words: readonly string[];
  /** Empty: any. */
  states: ReadonlySet<LinkState>;
  order: Order;
  /** The first row's place. */
  from: number;
  rows: number;
}

export const MOST_ROWS = 100;
const MOST_FILTER = 200;
const MOST_FROM = 10_000_000;

/** Undefined: it makes no sense. Names that are not known are left alone. */
export function viewOf(query: string): View | undefined {
  const given = new URLSearchParams(query);
  const filter = given.get("filter") ?? "";
  const states = (given.get("states") ?? "").split(",").filter((state) => state !== "");
  const order = ORDERS.find((each) => each === (given.get("order") ?? "opened"));
  const from = whole(given.get("from") ?? "0", 0, MOST_FROM);
  const rows = whole(given.get("rows") ?? "25", 1, MOST_ROWS);
  const areStates = states.every((state) => (STATES as readonly string[]).includes(state));
  if (filter.length > MOST_FILTER || !areStates || order === undefined || from === undefined || rows === undefined) {
    return undefined;
  }
  const words = filter
    .toLowerCase()
    .split(/\s+/u)
    .filter((word) => word !== "");
  return { words, states: new Set(states as LinkState[]), order, from, rows };
}

function whole(text: string, least: number, most: number): number | undefined {
  const number = /^\d{1,9}$/u.test(text) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : undefined;
}
