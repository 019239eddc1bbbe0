import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { backoffMs, type Clock, randomId } from '#clock';
import { type AccountName, isWritten, type PublishedAccount, type WrittenAccount } from '#contracts';
import { limitsOf } from '#limits';
import type { Log } from '#telemetry';
import { AccountWriter } from './account.writer.js';
import { CallMaker } from './call.maker.js';
import type { CrmWriterSettings } from './crm-writer.settings.js';
import { CLOCK, CRM_FACTORY, LOG, OWNERSHIP, QUOTA_CLIENT, SETTINGS, WRITE_STORE } from './crm-writer.tokens.js';
import { PlaceReturner } from './place.returner.js';
import type { QuotaClient } from './quota.client.js';
import { Rehearser } from './rehearser.js';
import type { Rehearsals } from './rehearsals.js';
import type { WriteStore } from './write.store.js';
import type { Crm } from './zendesk/crm.js';

/** Makes an account's door to its CRM. */
export type CrmFactory = (config: WrittenAccount) => Crm;

/** Waits until this process owns the account's writing. */
export type TakeOwnership = (account: AccountName, signal: AbortSignal) => Promise<AccountOwnership>;

export interface AccountOwnership {
  /** Aborted when it is lost or released. */
  readonly ended: AbortSignal;
  release(): Promise<void>;
}

interface Running {
  readonly version: number;
  readonly stopping: AbortController;
  writer: AccountWriter | null;
  rehearser: Rehearser | null;
  owned: boolean;
  done: Promise<void>;
}

const SPARE_LISTENERS = 10;
const RETRY: { readonly firstMs: number; readonly mostMs: number } = { firstMs: 500, mostMs: 10_000 };

/**
 * Keeps a writer running for every account that this process owns: one owner per account, however many replicas there
 * are. A changed configuration restarts the account's writer; a lost ownership ends it at once and competes again.
 */
@Injectable()
export class AccountWriters {
  readonly #running = new Map<AccountName, Running>();
  /** Writers of removed accounts that still wait for calls under way. */
  readonly #ending = new Set<Promise<void>>();
  #stopped = false;

  constructor(
    @Inject(WRITE_STORE) private readonly store: WriteStore & Rehearsals,
    @Inject(QUOTA_CLIENT) private readonly quota: QuotaClient,
    @Inject(CRM_FACTORY) private readonly crmOf: CrmFactory,
    @Inject(OWNERSHIP) private readonly own: TakeOwnership,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) private readonly log: Log,
    @Inject(SETTINGS) private readonly settings: CrmWriterSettings,
  ) {}

  /** An account is new, or its configuration changed. */
  put({ version, config }: PublishedAccount): void {
    if (this.#stopped) return;
    const before = this.#running.get(config.name);
    if (before && before.version >= version) return;
    if (!isWritten(config)) {
      this.log.info('an account is for quota only: nothing is written', { account: config.name, crm: config.crm.type });
      this.remove(config.name);
      return;
    }
    before?.stopping.abort();
    const stopping = new AbortController();
    const running: Running = {
      version,
      stopping,
      writer: null,
      rehearser: null,
      owned: false,
      done: Promise.resolve(),
    };
    this.#running.set(config.name, running);
    running.done = (before?.done ?? Promise.resolve()).then(() => this.#keep(config, running));
  }

  remove(account: AccountName): void {
    const running = this.#running.get(account);
    if (!running) return;
    running.stopping.abort();
    this.#running.delete(account);
    this.#ending.add(running.done);
    void running.done.then(() => this.#ending.delete(running.done));
  }

  /** Commands came in, or something else may be due. */
  wake(account: AccountName): void {
    const running = this.#running.get(account);
    running?.writer?.wake();
    running?.rehearser?.wake();
  }

  /** How this process stands to an account; null where it isn't known here. */
  standing(account: AccountName): { readonly owned: boolean; readonly closed: AccountWriter['closedFor'] } | null {
    const running = this.#running.get(account);
    return running ? { owned: running.owned, closed: running.writer?.closedFor ?? null } : null;
  }

  /** Ends all of them: calls under way are waited for, nothing new is begun. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { stopping } of this.#running.values()) stopping.abort();
    await Promise.all([...[...this.#running.values()].map(({ done }) => done), ...this.#ending]);
  }

  async #keep(config: WrittenAccount, running: Running): Promise<void> {
    const stopping = running.stopping.signal;
    for (let failures = 0; !stopping.aborted;) {
      try {
        const ownership = await this.own(config.name, stopping);
        failures = 0;
        running.owned = true;
        await this.#runOwned(config, running, ownership);
      } catch (error) {
        if (stopping.aborted) return;
        failures += 1;
        this.log.error('an account can’t be written', { account: config.name, error });
        await this.clock.sleep(backoffMs(failures, RETRY), stopping).catch(() => undefined);
      } finally {
        running.owned = false;
        running.writer = null;
        running.rehearser = null;
      }
    }
  }

  async #runOwned(config: WrittenAccount, running: Running, ownership: AccountOwnership): Promise<void> {
    // A dry run has no door to the CRM at all.
    const crm = config.dryRun ? null : this.crmOf(config);
    try {
      const { clock, log, quota, store, settings } = this;
      const ended = AbortSignal.any([running.stopping.signal, ownership.ended]);
      // Every call in flight may wait on it.
      setMaxListeners(settings.maxCallsInFlight + SPARE_LISTENERS, ended);
      running.rehearser = new Rehearser({ config, store, clock, log, ended });
      running.writer = crm && this.#writerTo(crm, config, ended);
      const { version, rehearser, writer } = running;
      const about = { account: config.name, version, batching: config.batching };
      log.info(writer ? 'writing an account' : 'an account is on a dry run: calls are planned, none is made', about);
      const places = new PlaceReturner({ account: config.name, store, quota, clock, log, ended });
      await Promise.all([writer?.run(), rehearser.run(), places.run()]);
    } finally {
      await crm?.close();
      await ownership.release();
    }
  }

  #writerTo(crm: Crm, config: WrittenAccount, ended: AbortSignal): AccountWriter {
    const { clock, log, quota, store, settings } = this;
    const shared = { clock, log, quota, newId: randomId, random: Math.random, ended };
    const maker = new CallMaker({
      ...shared,
      crm,
      account: config.name,
      limits: limitsOf(config),
      timeScale: config.crm.timeScale,
      requestTimeoutMs: config.crm.requestTimeoutMs,
    });
    const { maxCallsInFlight, maxSubmissionsInFlight } = settings;
    const bounds = { maxCallsInFlight, maxSubmissionsInFlight };
    return new AccountWriter({ ...shared, config, store, maker, bounds });
  }
}
