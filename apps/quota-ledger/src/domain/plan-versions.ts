import type { AccountConfig, AccountName, AppliedAccount } from '#contracts';

export type Origin = 'file' | 'operator';

export interface KnownVersion {
  readonly version: number;
  readonly origin: Origin;
  readonly config: AccountConfig;
}

export interface VersionPlan {
  readonly versions: readonly KnownVersion[];
  readonly applied: readonly AppliedAccount[];
}

export interface Applying {
  readonly origin: Origin;
  /** Also overwrite what was changed at run time. */
  readonly force: boolean;
  readonly equal: (a: AccountConfig, b: AccountConfig) => boolean;
}

/**
 * Which new versions a file of accounts makes. A file that says what it said the last time changes nothing, however often
 * it is applied; the file read at start doesn't overwrite what an operator applied since, unless forced. Accounts that the
 * file doesn't name stay as they are.
 */
export function planVersions(
  known: ReadonlyMap<AccountName, readonly KnownVersion[]>,
  configs: readonly AccountConfig[],
  applying: Applying,
): VersionPlan {
  const plans = configs.map((config) => planOne(known.get(config.name) ?? [], config, applying));
  return {
    versions: plans.flatMap(({ version }) => version ?? []),
    applied: plans.map(({ applied }) => applied),
  };
}

function planOne(
  versions: readonly KnownVersion[],
  config: AccountConfig,
  { origin, force, equal }: Applying,
): { readonly version: KnownVersion | null; readonly applied: AppliedAccount } {
  const account = config.name;
  const current = versions.at(-1);
  const next = { version: (current?.version ?? 0) + 1, origin, config };
  if (!current) return { version: next, applied: { account, did: 'created', version: next.version } };
  if (equal(current.config, config))
    return { version: null, applied: { account, did: 'unchanged', version: current.version } };
  if (origin === 'file' && current.origin === 'operator' && !force) {
    const lastOfFile = versions.findLast((version) => version.origin === 'file');
    const did = lastOfFile && equal(lastOfFile.config, config) ? 'unchanged' : 'kept';
    return { version: null, applied: { account, did, version: current.version } };
  }
  return { version: next, applied: { account, did: 'changed', version: next.version } };
}
