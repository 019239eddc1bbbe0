import type { AccountName, Command, TicketPolicy } from '#contracts';

/** Where commands become durable. */
export interface CommandBus {
  /** Resolves once the command is stored for good; the same command again is stored once. */
  store(command: Command): Promise<void>;
}

/** The command may or may not be stored: store it again, it is the same one, after `retryInMs`. */
export class BusUnavailable extends Error {
  constructor(
    readonly retryInMs: number,
    options: { readonly cause: unknown },
  ) {
    super('commands cannot be stored now', options);
    this.name = 'BusUnavailable';
  }
}

/** An account's policy and its version's number; null where the account isn't known, a null policy where nothing is written for it. */
export type FindPolicy = (account: AccountName) => AccountPolicy | null;

export interface AccountPolicy {
  readonly version: number;
  readonly policy: TicketPolicy | null;
  /** Commands are planned, but nothing of them is to be written. */
  readonly dryRun: boolean;
}
