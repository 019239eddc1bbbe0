/** One setting: how its text is read, and what is said about it. Made by `text`, `integer`, `flag` and so on. */
export interface Setting<T> {
  readonly doc: string;
  /** What kind of value an operator writes (`text`, `integer 0..65535`, …). */
  readonly kind: string;
  /** True where the value must never be shown. */
  readonly secret: boolean;
  /** The default's text, or null where the setting must be given. */
  readonly fallback: { readonly value: T } | null;
  /** Text to value; the problem in plain words where it isn't one. */
  parse(raw: string): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };
}

interface Options<T> {
  /** Used when the variable is absent or empty; without one the setting must be given. */
  readonly default?: T;
  /** One sentence for docs/settings.md. */
  readonly doc: string;
}

const ok = <T>(value: T) => ({ ok: true, value }) as const;
const bad = (message: string) => ({ ok: false, message }) as const;
const fallbackOf = <T>(options: Options<T>): { readonly value: T } | null =>
  options.default === undefined ? null : { value: options.default };

/** Any text, surrounding white space removed. */
export function text(options: Options<string>): Setting<string> {
  return { doc: options.doc, kind: 'text', secret: false, fallback: fallbackOf(options), parse: (raw) => ok(raw) };
}

/** A whole number within bounds (both included). */
export function integer(options: Options<number> & { readonly min: number; readonly max: number }): Setting<number> {
  const { min, max } = options;
  const kind = `integer ${min}..${max}`;
  return {
    doc: options.doc,
    kind,
    secret: false,
    fallback: fallbackOf(options),
    parse: (raw) => {
      const value = /^[+-]?\d+$/.test(raw) ? Number(raw) : Number.NaN;
      return Number.isSafeInteger(value) && value >= min && value <= max
        ? ok(value)
        : bad(`must be a whole number from ${min} to ${max}, is "${raw}"`);
    },
  };
}

const FLAG_WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
};

/** `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`, in any case. */
export function flag(options: Options<boolean>): Setting<boolean> {
  return {
    doc: options.doc,
    kind: 'true|false',
    secret: false,
    fallback: fallbackOf(options),
    parse: (raw) => {
      const value = FLAG_WORDS[raw.toLowerCase()];
      return value === undefined ? bad(`must be true or false, is "${raw}"`) : ok(value);
    },
  };
}

/** One of the given words, spelled exactly. */
export function choice<const C extends string>(options: Options<C> & { readonly of: readonly C[] }): Setting<C> {
  const kind = options.of.join('|');
  return {
    doc: options.doc,
    kind,
    secret: false,
    fallback: fallbackOf(options),
    parse: (raw) => {
      const value = options.of.find((word) => word === raw);
      return value === undefined ? bad(`must be one of ${options.of.join(', ')}, is "${raw}"`) : ok(value);
    },
  };
}

/** An absolute URL with one of the given protocols (`['http', 'https']`). A password in it is hidden in summaries. */
export function url(options: Options<string> & { readonly protocols: readonly string[] }): Setting<string> {
  const { protocols } = options;
  return {
    doc: options.doc,
    kind: `URL ${protocols.map((protocol) => `${protocol}:`).join('|')}`,
    secret: false,
    fallback: fallbackOf(options),
    parse: (raw) => {
      if (!URL.canParse(raw)) return bad('must be an absolute URL');
      return protocols.includes(new URL(raw).protocol.replace(/:$/, ''))
        ? ok(raw)
        : bad(`must be a URL beginning with ${protocols.map((protocol) => `${protocol}:`).join(' or ')}`);
    },
  };
}

/** A secret: from `X`, or from the file named by `X_FILE` (trailing line break removed). Never shown. */
export function secretText(options: Options<string>): Setting<string> {
  return { doc: options.doc, kind: 'secret', secret: true, fallback: fallbackOf(options), parse: (raw) => ok(raw) };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `10s`, `2m`, `1h`, `30d`, or a bare number of milliseconds, as whole ms; null where it is none of these. */
export function parseDuration(raw: string): number | null {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(raw.trim());
  if (!found) return null;
  const valueMs = Number(found[1]) * (UNIT_MS[found[2] ?? 'ms'] ?? Number.NaN);
  return Number.isSafeInteger(valueMs) ? valueMs : null;
}

/** A length of time in ms, written `500ms`, `10s`, `2m`, `1h`, `30d` or as a bare number of ms; bounds in ms. */
export function duration(
  options: Options<number> & { readonly minMs?: number; readonly maxMs?: number },
): Setting<number> {
  const minMs = options.minMs ?? 0;
  const maxMs = options.maxMs ?? Number.MAX_SAFE_INTEGER;
  return {
    doc: options.doc,
    kind: 'duration (500ms, 10s, 2m, 1h, 30d)',
    secret: false,
    fallback: fallbackOf(options),
    parse: (raw) => {
      const value = parseDuration(raw);
      if (value === null) return bad(`must be a duration such as 500ms, 10s, 2m, 1h or 30d, is "${raw}"`);
      if (value < minMs || value > maxMs) return bad(`must be from ${minMs} to ${maxMs} ms, is ${value} ms`);
      return ok(value);
    },
  };
}
