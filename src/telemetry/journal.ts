/** The one stream of telemetry records of a manager, of a supervisor, or of a process that ends. */
import type { TelemetryRecord } from "./record.ts";

/** Renders records, or counts them. It must not throw, nor change a record, which others read too. */
export type RecordReader = (record: TelemetryRecord) => void;

export class Journal {
  #readers: readonly RecordReader[] = [];

  /**
   * From now on the reader is called with each record, after those that subscribed before it, until the answer is called.
   */
  subscribe(reader: RecordReader): () => void {
    this.#readers = [...this.#readers, reader];
    return () => {
      this.#readers = this.#readers.filter((each) => each !== reader);
    };
  }

  /** Hands the record to all readers, at once. Fields that only a reader needs are made by the reader. */
  record(record: TelemetryRecord): void {
    for (const reader of this.#readers) reader(record);
  }
}
