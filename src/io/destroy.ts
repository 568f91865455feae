/** How a stream is given up, which the application may have made. */
import type { Duplex } from "node:stream";

/** The property with the function of `whenDestroyed()`. */
const WHEN_DESTROYED: unique symbol = Symbol("whenDestroyed");

/** Destroys a stream, which the application may have made. */
export function destroy(stream: Duplex & { [WHEN_DESTROYED]?: (this: Duplex) => void }): void {
  try {
    stream.destroy();
  } catch {
    // The stream is given up, even if its destroy() throws.
  }
  stream[WHEN_DESTROYED]?.();
}

/** `run` is called when the stream is destroyed here: a stream that the application made may never emit 'close'. */
export function whenDestroyed(stream: Duplex, run: (this: Duplex) => void): void {
  Object.assign(stream, { [WHEN_DESTROYED]: run });
}
