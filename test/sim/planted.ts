/** A mistake to be found: once the peer has accepted anything, the log lets go of all that was written. */
import { Sender } from "../../src/core/log/sender.ts";

const { onAccepted } = Sender.prototype;

/** Takes the mistake out again. */
export function uproot(): void {
  Sender.prototype.onAccepted = onAccepted;
}

/** Importing this file has done so. */
export function plant(): void {
  Sender.prototype.onAccepted = function (accepted: number): void {
    onAccepted.call(
      this,
      accepted > this.acked ? Math.max(accepted, Math.min(this.highestSent, this.endAt)) : accepted,
    );
  };
}

plant();
