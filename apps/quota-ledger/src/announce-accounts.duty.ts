import type { NatsConnection } from '@nats-io/transport-node';
import { backoffMs, type Clock } from '#clock';
import type { AccountName, PublishedAccount } from '#contracts';
import { publishAccount } from '#jetstream';
import type { Log } from '#telemetry';
import type { AccountAnnouncer } from './apply-accounts.handler.js';

interface Pending {
  readonly account: PublishedAccount;
  readonly evenIfNewer: boolean;
}

const RETRY = { firstMs: 200, mostMs: 5_000 };

/**
 * Publishes accounts' newest configurations to the bucket that the other services watch, until it succeeds. What isn't
 * through when the process ends is announced again by the next owner, which announces everything.
 */
export class AnnounceAccountsDuty implements AccountAnnouncer {
  private readonly pending = new Map<AccountName, Pending>();
  private running: Promise<void> | null = null;

  constructor(
    private readonly nc: NatsConnection,
    private readonly replicas: number,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly stopping: AbortSignal,
  ) {}

  announce(accounts: readonly PublishedAccount[]): void {
    this.add(accounts, false);
  }

  /** What stands at the beginning of an ownership, whatever versions are published: the tables may be those of a backup. */
  announceTakeover(accounts: readonly PublishedAccount[]): void {
    this.add(accounts, true);
  }

  /** No longer the owner: what isn't through is the next one's to announce, which may know newer versions. */
  forget(): void {
    this.pending.clear();
  }

  private add(accounts: readonly PublishedAccount[], evenIfNewer: boolean): void {
    for (const account of accounts) {
      const before = this.pending.get(account.config.name);
      this.pending.set(account.config.name, { account, evenIfNewer: evenIfNewer || before?.evenIfNewer === true });
    }
    this.start();
  }

  private start(): void {
    this.running ??= this.run().finally(() => {
      this.running = null;
      // What was added after the run's last look.
      if (this.pending.size > 0 && !this.stopping.aborted) this.start();
    });
  }

  /** For `/health/ready`: null where everything is announced, else what isn't. */
  check(): string | null {
    return this.pending.size === 0 ? null : `${this.pending.size} accounts are not published yet`;
  }

  /** Resolves once nothing is pending, or the service stops. */
  async settled(): Promise<void> {
    while (this.running) await this.running;
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (this.pending.size > 0 && !this.stopping.aborted) {
      try {
        for (const [name, pending] of this.pending) {
          const { account, evenIfNewer } = pending;
          await publishAccount(this.nc, account, { replicas: this.replicas, evenIfNewer });
          if (this.pending.get(name) === pending) this.pending.delete(name);
        }
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) this.log.warn('accounts are not getting through to the other services', { error });
        await this.clock.sleep(backoffMs(failures, RETRY), this.stopping).catch(() => undefined);
      }
    }
  }
}
