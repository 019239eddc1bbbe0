import { inspect, types } from 'node:util';
import type { LoggerService } from '@nestjs/common';
import type { Log, LogFields } from './log.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Longest text kept of one field: errors of parsers quote what they couldn't read. */
const TEXT_LIMIT_CHARS = 2_000;

/** Nest's logger and our own `Log` in one. */
export type JsonLogger = LoggerService & Log;

interface Options {
  /** Least severe level that is written; default `info`. */
  readonly level?: LogLevel;
  /** Where a line goes (without its line break); default standard error. */
  readonly write?: (line: string) => void;
  readonly nowMs?: () => number;
}

/**
 * One JSON object per line and entry: `at` (ISO), `level`, `service`, `message`, `context` where Nest gives one, and
 * the entry's fields. Errors become `{name, message, code, stack}`. Callers keep customers' text out of it.
 */
export function jsonLogger(service: string, options: Options = {}): JsonLogger {
  const write = options.write ?? ((line: string) => process.stderr.write(`${line}\n`));
  const nowMs = options.nowMs ?? Date.now;
  const least = LOG_LEVELS.indexOf(options.level ?? 'info');
  const entry = (level: LogLevel) => {
    if (LOG_LEVELS.indexOf(level) < least) return () => undefined;
    return (message: unknown, ...rest: unknown[]): void => {
      const at = new Date(nowMs()).toISOString();
      write(lineOf({ at, level, service, ...bodyOf(message, rest) }));
    };
  };
  const info = entry('info');
  const debug = entry('debug');
  return { debug, verbose: debug, info, log: info, warn: entry('warn'), error: entry('error'), fatal: entry('error') };
}

/** Nest calls `error(message, stack, context)` and `log(message, context)`; we call `info(message, fields)`. */
function bodyOf(message: unknown, rest: readonly unknown[]): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  if (types.isNativeError(message)) Object.assign(body, { message: message.message, error: message });
  else if (typeof message === 'object' && message !== null) Object.assign(body, { message: '' }, message);
  else body['message'] = String(message);
  const texts: string[] = [];
  for (const more of rest) {
    if (typeof more === 'string') texts.push(more);
    else if (types.isNativeError(more)) body['error'] = more;
    else if (typeof more === 'object' && more !== null) Object.assign(body, more as LogFields);
  }
  const context = texts.pop();
  if (context !== undefined) body['context'] = context;
  const stack = texts.pop();
  if (stack !== undefined && body['error'] === undefined) body['stack'] = stack;
  return body;
}

function lineOf(entry: Record<string, unknown>): string {
  try {
    return JSON.stringify(entry, replacer);
  } catch {
    // Something in it refers to itself, or throws when read.
    const { at, level, service, message, ...fields } = entry;
    return JSON.stringify({ at, level, service, message, fields: inspect(fields).slice(0, TEXT_LIMIT_CHARS) });
  }
}

function replacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string' && value.length > TEXT_LIMIT_CHARS) return `${value.slice(0, TEXT_LIMIT_CHARS)}…`;
  if (!types.isNativeError(value)) return value;
  const { name, message, stack, cause } = value;
  const code = (value as { code?: unknown }).code;
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    ...(cause === undefined ? {} : { cause }),
    stack,
  };
}
