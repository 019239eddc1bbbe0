import { isDeepStrictEqual } from 'node:util';
import { parseAccounts } from '#accounts';
import type { AccountConfig, ApplyAccountsAnswer, ApplyAccountsRequest, PublishedAccount } from '#contracts';
import type { Log } from '#telemetry';
import { LedgerChanges, WHOLE_ACCOUNT } from './domain/ledger-changes.js';
import { type Origin, planVersions } from './domain/plan-versions.js';
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
      if (plan.versions.length > 0) await store.apply({ versions: plan.versions, changes });
      for (const { config } of plan.versions) await this.quota.reload(config.name);
      this.announcer.announce(plan.versions.map(({ config, version }) => ({ config, version })));
      this.log.info('accounts applied', { origin, accounts: plan.applied });
      return { answer: 'applied', accounts: plan.applied };
    });
  }
}

function sameConfig(a: AccountConfig, b: AccountConfig): boolean {
  return isDeepStrictEqual(a, b);
}
