/** What each process holds of the memory that all share, against what was borrowed: looked at after each step. */
import { type Stage, type Touched, violated } from "./stage.ts";

/** Above what sessions are sure of. */
interface Held {
  windows: number;
  logs: number;
}

export class Ledger {
  readonly #stage: Stage;
  readonly #held = new Map<Touched, Held>();
  #windows = 0;
  #logs = 0;
  /** What all logs may hold now. */
  #mostLogs: number;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#mostLogs = stage.logBudget.most;
  }

  /** Something has happened to the process. Where that was not said `check()` fails, as what is borrowed has changed. */
  count(process: Touched): void {
    let windows = 0;
    let logs = 0;
    for (const { session } of process.links()) {
      const { windowAllowance, receiver, sender, keys } = session;
      const { account, memoryBytes } = sender.log;
      const above = windowAllowance.size - windowAllowance.floor;
      if (above > 0) {
        if (session.phase === "provisional") violated(`${keys.id} is not confirmed, and has borrowed`);
        if (receiver.stopped) violated(`${keys.id} is read by nobody, and has borrowed`);
      }
      if (account.heldBytes !== memoryBytes) violated(`${keys.id} is charged ${account.heldBytes} of ${memoryBytes}`);
      windows += above;
      logs += Math.max(0, memoryBytes - account.minimum);
    }
    let held = this.#held.get(process);
    if (held === undefined) this.#held.set(process, (held = { windows: 0, logs: 0 }));
    this.#windows += windows - held.windows;
    this.#logs += logs - held.logs;
    held.windows = windows;
    held.logs = logs;
  }

  /** What was borrowed is what is held, and no more than there is. */
  check(): void {
    const { windowBudget, logBudget, hasCarried } = this.#stage;
    const windows = this.#windows;
    const logs = this.#logs;
    if (windows !== windowBudget.taken) violated(`${windowBudget.taken} bytes borrowed for windows of ${windows}`);
    if (logs !== logBudget.taken) violated(`${logBudget.taken} bytes borrowed for logs of ${logs}`);
    if (windows > windowBudget.most) violated(`windows of ${windows} bytes`);
    // What was in a log before is in another now, and nobody was asked. Until that is given back nobody takes more.
    if (hasCarried) this.#mostLogs = Math.max(this.#mostLogs, logs);
    this.#stage.hasCarried = false;
    if (logs > this.#mostLogs) violated(`logs of ${logs} bytes`);
    this.#mostLogs = Math.max(logBudget.most, Math.min(this.#mostLogs, logs));
  }
}
