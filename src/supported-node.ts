/** Loaded before all else: on a Node that is too old the import fails, and says what it needs. */
import { RespliceError } from "./link/errors.ts";
import { nodeTooOld } from "./node-version.ts";

const reason = nodeTooOld();
if (reason !== undefined) throw new RespliceError("NOT_SUPPORTED", `resplice ${reason}`);
