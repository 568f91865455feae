/** The calls of Toxiproxy's HTTP interface that the demo needs, for one proxy. */
import { reason } from "./binary.ts";

/** `upstream` is what the client sends, `downstream` what the server sends. */
export type ToxicStream = "upstream" | "downstream";

export type ToxicType = "latency" | "bandwidth" | "timeout" | "reset_peer" | "limit_data";

/** Toxiproxy itself may wait for ever to change the toxics of a connection whose receiver has stalled. */
const ANSWER_MS_MAX = 10_000;

export class ToxiproxyProxy {
  readonly #url: string;
  readonly #fields: { readonly name: string; readonly listen: string; readonly upstream: string };

  private constructor(url: string, fields: { name: string; listen: string; upstream: string }) {
    this.#url = url;
    this.#fields = fields;
  }

  /**
   * Creates the proxy disabled: a toxic that is added later does not apply in full to a connection that is open
   * already.
   */
  static async create(
    url: string,
    fields: { name: string; listen: string; upstream: string },
  ): Promise<ToxiproxyProxy> {
    await call(`${url}/proxies`, "POST", { ...fields, enabled: false });
    return new ToxiproxyProxy(`${url}/proxies/${fields.name}`, fields);
  }

  /** Disabling closes all connections and refuses new ones. */
  async enable(enabled: boolean): Promise<void> {
    await call(this.#url, "POST", { ...this.#fields, enabled });
  }

  /** `toxicity` 0 is an idle toxic. */
  async addToxic(
    name: string,
    type: ToxicType,
    stream: ToxicStream,
    attributes: Record<string, number>,
    toxicity = 1,
  ): Promise<void> {
    await call(`${this.#url}/toxics`, "POST", { name, type, stream, toxicity, attributes });
  }

  async updateToxic(name: string, attributes: Record<string, number>): Promise<void> {
    await call(`${this.#url}/toxics/${name}`, "POST", { attributes });
  }

  async removeToxic(name: string): Promise<void> {
    await call(`${this.#url}/toxics/${name}`, "DELETE");
  }

  async remove(): Promise<void> {
    await call(this.#url, "DELETE");
  }
}

async function call(url: string, method: "POST" | "DELETE", body?: object): Promise<void> {
  let fault: string;
  try {
    const response = await fetch(url, {
      method,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const answer = await response.text();
    if (response.ok) return;
    fault = `status ${response.status}: ${answer.trim()}`;
  } catch (error) {
    fault = reason(error);
  }
  throw new Error(`Toxiproxy: ${method} ${url}: ${fault}`);
}
