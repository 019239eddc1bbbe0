import { isDeepStrictEqual } from 'node:util';
import { parseAccounts } from '#accounts';
import type { AccountConfig, ApplyAccountsAnswer, ApplyAccountsRequest, PublishedAccount } from '#contracts';
import type { Log } from '#telemetry';
import { LedgerChanges, WHOLE_ACCOUNT } from './domain/ledger-changes.js';
import { type Origin, planVersions } from './domain/plan-versions.js';
import type { LedgerStore, VersionChanges } from './ledger.store.js';
import type { QuotaHandler } from './quota.handler.js';

/** Where accounts are made known to the other services, after they are stored. */
export interface AccountAnnouncer {
  announce(accounts: readonly PublishedAccount[]): void;
}

/** Takes over a file of accounts: checks all of it, stores new versions, rebuilds the books concerned, announces. */
export class ApplyAccountsHandler {
  constructor(
    private readonly quota: QuotaHandler,
    private readonly announcer: AccountAnnouncer,
    private readonly log: Log,
  ) {}

  /** The whole file is taken over or, where anything in it is wrong, nothing. */
  async apply({ yaml, force }: ApplyAccountsRequest, origin: Origin): Promise<ApplyAccountsAnswer> {
    const parsed = parseAccounts(yaml);
    if (!parsed.ok) {
      const { problems } = parsed;
      const message = problems.map(({ line, path, message: text }) => `line ${line}: ${path} ${text}`).join('; ');
      return { answer: 'rejected', code: 'invalid_accounts', message, problems };
    }
    return this.quota.between(async (store) => {
      const known = await store.versions();
      const plan = planVersions(known, parsed.accounts, { origin, force, equal: sameConfig });
      const changes = new LedgerChanges();
      for (const { config, version } of plan.versions)
        changes.event(config.name, WHOLE_ACCOUNT, 'applied', { version, origin });
      if (plan.versions.length > 0) await this.store(store, { versions: plan.versions, changes });
      // Also what this file changed before, where the answer was lost and the announcement with it.
      const unchanged = parsed.accounts.flatMap(({ name }) => known.get(name)?.at(-1) ?? []);
      const changed = new Set(plan.versions.map(({ config }) => config.name));
      this.announcer.announce(unchanged.filter(({ config }) => !changed.has(config.name)).map(publishedOf));
      this.log.info('accounts applied', { origin, accounts: plan.applied });
      return { answer: 'applied', accounts: plan.applied };
    });
  }

  /** What is stored is in force: whatever fails from then on, no books of before go on, and the others hear of it. */
  private async store(store: LedgerStore, applied: VersionChanges): Promise<void> {
    try {
      await store.apply(applied, this.quota.decidedMs());
      this.announcer.announce(applied.versions.map(publishedOf));
      for (const { config } of applied.versions) await this.quota.reload(config.name);
    } catch (error) {
      this.log.warn('applying accounts failed; all books are rebuilt', { error });
      await this.quota.rebuildAll();
      throw error;
    }
  }
}

function publishedOf({ config, version }: PublishedAccount): PublishedAccount {
  return { config, version };
}

function sameConfig(a: AccountConfig, b: AccountConfig): boolean {
  return isDeepStrictEqual(a, b);
}
