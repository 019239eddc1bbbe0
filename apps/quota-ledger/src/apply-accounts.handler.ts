import { isDeepStrictEqual } from 'node:util';
import { parseAccounts } from '#accounts';
import type { AccountConfig, ApplyAccountsAnswer, ApplyAccountsRequest, PublishedAccount } from '#contracts';
import type { Log } from '#telemetry';
import { type Origin, planVersions } from './domain/plan-versions.js';
import type { LedgerStore } from './ledger.store.js';
import type { QuotaHandler } from './quota.handler.js';

/** Where accounts are made known to the other services, after they are stored. */
export interface AccountAnnouncer {
  announce(accounts: readonly PublishedAccount[]): void;
}

/** The ledger's owner: has the tables, and takes over what was stored. */
export interface VersionKeeper {
  /** Null while the tables can't be reached. */
  current(): LedgerStore | null;
  /** Takes versions over that were stored since the last look. */
  readVersions(store: LedgerStore): Promise<boolean>;
}

/** Nothing can be stored at the moment. */
export class TablesAway extends Error {
  readonly code = 'unavailable';
  constructor() {
    super("the ledger's tables can't be reached");
    this.name = 'TablesAway';
  }
}

/** Takes over a file of accounts: checks all of it, stores new versions, has the books follow, announces. */
export class ApplyAccountsHandler {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly keeper: () => VersionKeeper,
    private readonly quota: Pick<QuotaHandler, 'nowMs'>,
    private readonly announcer: AccountAnnouncer,
    private readonly log: Log,
  ) {}

  /**
   * The whole file is taken over or, where anything in it is wrong, nothing. One file at a time.
   *
   * @throws TablesAway
   */
  async apply(request: ApplyAccountsRequest, origin: Origin): Promise<ApplyAccountsAnswer> {
    const parsed = parseAccounts(request.yaml);
    if (!parsed.ok) {
      const { problems } = parsed;
      const message = problems.map(({ line, path, message: text }) => `line ${line}: ${path} ${text}`).join('; ');
      return { answer: 'rejected', code: 'invalid_accounts', message, problems };
    }
    const done = this.turn.then(() => this.store(parsed.accounts, request.force, origin));
    this.turn = done.catch(() => undefined);
    return done;
  }

  private async store(
    accounts: readonly AccountConfig[],
    force: boolean,
    origin: Origin,
  ): Promise<ApplyAccountsAnswer> {
    const keeper = this.keeper();
    const store = keeper.current();
    if (!store) throw new TablesAway();
    const known = await store.versions(0);
    const plan = planVersions(known, accounts, { origin, force, equal: isDeepStrictEqual });
    if (plan.versions.length > 0) {
      await store.addVersions(plan.versions, this.quota.nowMs());
      // What is stored is in force: the others hear of it whatever fails from now on.
      this.announcer.announce(plan.versions.map(publishedOf));
      await keeper.readVersions(store);
    }
    // Also what this file changed before, where the answer was lost and the announcement with it.
    const unchanged = accounts.flatMap(({ name }) => known.get(name)?.at(-1) ?? []);
    const changed = new Set(plan.versions.map(({ config }) => config.name));
    this.announcer.announce(unchanged.filter(({ config }) => !changed.has(config.name)).map(publishedOf));
    this.log.info('accounts applied', { origin, accounts: plan.applied });
    return { answer: 'applied', accounts: plan.applied };
  }
}

function publishedOf({ config, version }: PublishedAccount): PublishedAccount {
  return { config, version };
}
