/** What is looked at, as the query of the page's address has it, so that it can be kept and passed on. */
import { type Order, ORDERS, STATES } from "../src/monitor/live/messages.ts";

export interface Looked {
  filter: string;
  states: readonly string[];
  order: Order;
  from: number;
  rows: number;
}

export const ROWS = [10, 25, 50, 100] as const;
const BY_DEFAULT: Looked = { filter: "", states: [], order: "opened", from: 0, rows: 25 };

/** What makes no sense is left out. */
export function lookedAt(query: string): Looked {
  const given = new URLSearchParams(query);
  const states = (given.get("states") ?? "").split(",").filter((state) => (STATES as string[]).includes(state));
  const from = Number(given.get("from"));
  return {
    filter: (given.get("filter") ?? "").slice(0, 200),
    states,
    order: ORDERS.find((order) => order === given.get("order")) ?? BY_DEFAULT.order,
    from: Number.isSafeInteger(from) && from >= 0 ? from : 0,
    rows: ROWS.find((rows) => String(rows) === given.get("rows")) ?? BY_DEFAULT.rows,
  };
}

/** Only what is not the default. */
export function queryOf(looked: Looked): string {
  const query = new URLSearchParams();
  for (const name of ["filter", "states", "order", "from", "rows"] as const) {
    const text = String(looked[name]);
    if (text !== String(BY_DEFAULT[name])) query.set(name, text);
  }
  return query.toString();
}
