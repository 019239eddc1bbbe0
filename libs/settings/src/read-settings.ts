import { readFileSync } from 'node:fs';
import type { Setting } from './setting.js';
import { SettingsError, type SettingsProblem } from './settings-error.js';

/** What a service can be told: property name (`natsUrl`) → setting. The environment variable is `NATS_URL`. */
export type SettingsSpec = Readonly<Record<string, Setting<unknown>>>;

/** The values that belong to a spec: same names, typed, frozen. */
export type SettingsOf<S extends SettingsSpec> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

type Env = Readonly<Record<string, string | undefined>>;

const specs = new WeakMap<object, SettingsSpec>();

/** `natsUrl` → `NATS_URL`, `streamMaxAgeDays` → `STREAM_MAX_AGE_DAYS`. */
export function envNameOf(property: string): string {
  return property.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

/**
 * Reads every setting of the spec once, from the environment (or from files named by `X_FILE`, for secrets).
 * The result is frozen. An empty variable counts as absent.
 *
 * @throws SettingsError listing everything that is missing or wrong
 */
export function readSettings<S extends SettingsSpec>(spec: S, env: Env = process.env): SettingsOf<S> {
  const problems: SettingsProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [property, setting] of Object.entries(spec)) {
    const name = envNameOf(property);
    const found = rawOf(name, setting, env);
    if (!found.ok) {
      problems.push({ name: found.name, message: found.message });
      continue;
    }
    if (found.raw === null) {
      if (setting.fallback) values[property] = setting.fallback.value;
      else problems.push({ name, message: `must be given (${setting.kind}): ${setting.doc}` });
      continue;
    }
    const parsed = setting.parse(found.raw);
    if (parsed.ok) values[property] = parsed.value;
    else problems.push({ name, message: parsed.message });
  }
  if (problems.length > 0) throw new SettingsError(problems);
  const settings = Object.freeze(values) as SettingsOf<S>;
  specs.set(settings, spec);
  return settings;
}

type Raw =
  | { readonly ok: true; readonly raw: string | null }
  | { readonly ok: false; readonly name: string; readonly message: string };

function rawOf(name: string, setting: Setting<unknown>, env: Env): Raw {
  const direct = env[name]?.trim();
  const given = direct === undefined || direct === '' ? null : direct;
  const fileName = `${name}_FILE`;
  const file = setting.secret ? env[fileName]?.trim() : undefined;
  if (file === undefined || file === '') return { ok: true, raw: given };
  if (given !== null) return { ok: false, name, message: `give either ${name} or ${fileName}, not both` };
  try {
    return { ok: true, raw: readFileSync(file, 'utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    return { ok: false, name: fileName, message: `can't read ${file}: ${(error as NodeJS.ErrnoException).code}` };
  }
}

/** The settings as they may be logged: secrets as `***`, passwords inside URLs hidden. Keys are the variables' names. */
export function summaryOf(settings: object): Readonly<Record<string, unknown>> {
  const spec = specs.get(settings);
  if (!spec) throw new TypeError('summaryOf wants what readSettings returned');
  const values = settings as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(spec).map(([property, setting]) => {
      const value = values[property];
      return [envNameOf(property), setting.secret ? (value === '' ? '' : '***') : withoutPassword(value)];
    }),
  );
}

function withoutPassword(value: unknown): unknown {
  if (typeof value !== 'string' || !value.includes('@') || !URL.canParse(value)) return value;
  const parsed = new URL(value);
  if (parsed.password === '') return value;
  parsed.password = '***';
  return parsed.toString();
}

/** One setting as docs/settings.md lists it. */
export interface CatalogueEntry {
  readonly name: string;
  readonly kind: string;
  /** The default as text; null where the setting must be given. */
  readonly default: string | null;
  readonly secret: boolean;
  readonly doc: string;
}

/** Everything a spec can be told, by variable name in alphabetical order: what docs/settings.md is checked against. */
export function settingsCatalogue(spec: SettingsSpec): readonly CatalogueEntry[] {
  return Object.entries(spec)
    .map(([property, { kind, fallback, secret, doc }]) => ({
      name: envNameOf(property),
      kind,
      default: fallback === null ? null : String(fallback.value),
      secret,
      doc,
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
