/**
 * The Toxiproxy of a soak. It can lock itself up for good when it changes the toxics of a connection that is closed by its peer
 * at that moment, and in hours of faults it does: then another one takes its place, and to the links that is one more fault.
 */
import { type RunningToxiproxy, startToxiproxy } from "../../src/cli/toxiproxy/toxiproxy.ts";

export class ToxiproxyHost {
  #running: RunningToxiproxy;
  #renewal: Promise<void> | undefined;
  /** Rises with each that takes another's place. */
  generation = 0;

  private constructor(running: RunningToxiproxy) {
    this.#running = running;
  }

  static async start(say: (line: string) => void): Promise<ToxiproxyHost> {
    return new ToxiproxyHost(await startToxiproxy({ onProgress: say }));
  }

  /** Of its HTTP interface. */
  get url(): string {
    return this.#running.url;
  }

  /** `generation`: of the one that does not answer. One that somebody else runs stays: there is no other. */
  async renew(generation: number): Promise<void> {
    if (generation !== this.generation) return;
    this.#renewal ??= this.#renew();
    await this.#renewal;
  }

  async #renew(): Promise<void> {
    const { url } = this.#running;
    try {
      await this.#running.stop();
      this.#running = await startToxiproxy();
      if (this.#running.url !== url) this.generation++;
    } finally {
      this.#renewal = undefined;
    }
  }

  async stop(): Promise<void> {
    await this.#renewal?.catch(() => {});
    await this.#running.stop();
  }
}
