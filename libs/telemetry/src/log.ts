/** Facts of an entry beside its sentence. Never customers' text, numbers or names, and never secrets. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What libs and handlers write to; `jsonLogger` is the real one. A sentence, then its facts. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Writes nothing: for code that is used without a log, and for tests. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
