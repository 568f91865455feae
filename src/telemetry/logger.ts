/** What is used of a logger: pino and console have it. */
export type Logger = Record<Level, (fields: object, message: string) => void>;

export const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];

/** What the logger throws is thrown where nobody is in the middle of anything. */
export function containedLogger(logger: Logger): Logger {
  const contained =
    (level: Level) =>
    (fields: object, message: string): void => {
      try {
        logger[level](fields, message);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    };
  return { debug: contained("debug"), info: contained("info"), warn: contained("warn"), error: contained("error") };
}
