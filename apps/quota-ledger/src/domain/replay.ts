import type { AccountName } from '#contracts';
import {
  type AccountBooks,
  type AccountVersion,
  enterPast,
  findGrant,
  forgetPast,
  REMEMBERED_MS,
  timingOf,
} from './books.js';
import { applyClosing, type ClosedEntry } from './closing.js';
import { applyExpired } from './expire.js';
import { type Grant, settledAnswer } from './grant.js';
import { applyGranted } from './give-grant.js';
import { applyHeld, type HeldEntry } from './hold.js';
import {
  type ExpiredEntry,
  type GrantedEntry,
  grantOf,
  type RefusedEntry,
  type SettledEntry,
  type ToldForeign,
} from './journal-entries.js';
import { inOrder, type LedgerEvent } from './ledger-changes.js';
import { applyLicence, type LicenceEntry } from './licence.js';
import { applyRefused, applyToldForeign } from './observe.js';
import { applySettled } from './settle.js';
import { type AccountSnapshot, booksOf, type MinuteCharge, withVersion } from './snapshot.js';

/*
 * Books from the journal: a snapshot, and everything that was decided after it done again, without deciding anything. What
 * lies before the snapshot only reminds of grants that are no longer open, so that a repeated request finds its grant.
 */

export interface JournalTurn {
  readonly seq: number;
  /** When it was decided, epoch ms on the ledger's clock. */
  readonly atMs: number;
  readonly events: readonly LedgerEvent[];
}

export interface AppliedEntry {
  readonly version: number;
  readonly origin: 'file' | 'operator';
  readonly charges: readonly MinuteCharge[];
}

export interface StoredAccount {
  /** All that were in force within its longest window, oldest first. */
  readonly versions: readonly AccountVersion[];
  readonly snapshot: { readonly seq: number; readonly books: AccountSnapshot } | null;
}

export interface StoredPartition {
  readonly accounts: readonly StoredAccount[];
  /** In order; from the oldest snapshot on, and at least from `remindedMs` ago. */
  readonly turns: readonly JournalTurn[];
  /** Usage is stored up to this turn. Never before a snapshot's. */
  readonly usageSeq: number;
  readonly nowMs: number;
}

/** Grants are expired within this of their time. */
const EXPIRED_LATE_MS = 2_000;

/** How far back the journal tells of grants that are still remembered: those closed so long ago were made before. */
export function remindedMs(versions: Iterable<readonly AccountVersion[]>): number {
  let longestMs = 0;
  for (const { config } of [...versions].flat()) {
    const { longestSendInMs, validForMs, requestTimeoutMs, settleGraceMs } = timingOf(config);
    longestMs = Math.max(longestMs, longestSendInMs + validForMs + requestTimeoutMs + settleGraceMs);
  }
  return REMEMBERED_MS + Math.ceil(longestMs) + EXPIRED_LATE_MS;
}

/** The books of a partition's accounts as they were when its last turn was recorded. */
export function rebuild(stored: StoredPartition): AccountBooks[] {
  const rebuilt = new Map<AccountName, Rebuilding>();
  for (const account of stored.accounts) {
    const name = account.versions.at(-1)!.config.name;
    rebuilt.set(name, new Rebuilding(account, stored.usageSeq));
  }
  for (const turn of stored.turns)
    for (const event of inOrder(turn.events)) rebuilt.get(event.account)?.do(turn, event);
  return [...rebuilt.values()].flatMap((one) => one.done(stored.nowMs) ?? []);
}

class Rebuilding {
  /** Null before the journal tells that the account was taken over. */
  private books: AccountBooks | null;
  /** Grants made before the snapshot, as far as the turns before it tell of them. */
  private readonly before = new Map<string, { grant: Grant; closedAt: number }>();
  private readonly snapshotSeq: number;

  constructor(
    private readonly account: StoredAccount,
    private readonly usageSeq: number,
  ) {
    const { snapshot } = account;
    this.snapshotSeq = snapshot?.seq ?? 0;
    this.books = snapshot ? booksOf(this.versionsUpTo(snapshot.books.version), snapshot.books) : null;
  }

  do({ seq, atMs }: JournalTurn, event: LedgerEvent): void {
    if (seq <= this.snapshotSeq) this.remind(event, atMs);
    else if (event.event === 'applied') for (const entry of event.entries) this.apply(entry as AppliedEntry, atMs);
    else if (this.books) redo(this.books, event, atMs);
    // Stored already: counted again only because the rest is.
    if (seq <= this.usageSeq) this.books?.usage.take();
  }

  done(nowMs: number): AccountBooks | null {
    const { books } = this;
    if (!books) return null;
    for (const { grant, closedAt } of this.before.values()) {
      const open = grant.calls.some(({ state }) => state === 'open');
      if (!open && !findGrant(books, grant.id) && closedAt + REMEMBERED_MS > nowMs) enterPast(books, grant, closedAt);
    }
    const inOrder = [...books.past].toSorted(([, a], [, b]) => a.closedAt - b.closedAt);
    books.past.clear();
    for (const [id, past] of inOrder) books.past.set(id, past);
    return books;
  }

  private versionsUpTo(version: number): AccountVersion[] {
    return this.account.versions.filter((one) => one.version <= version);
  }

  private apply({ version, charges }: AppliedEntry, atMs: number): void {
    // Windows long over would be taken into those of a limit that was changed.
    if (this.books) forgetPast(this.books, atMs);
    const versions = this.versionsUpTo(version);
    this.books = this.books ? withVersion(this.books, versions, charges) : booksOf(versions, null);
  }

  private remind({ integration, event, entries }: LedgerEvent, atMs: number): void {
    const { books } = this;
    if (!books) return;
    for (const entry of entries) {
      if (event === 'granted') {
        const grant = grantOf(entry as GrantedEntry, integration, books);
        this.before.set(grant.id, { grant, closedAt: atMs });
        continue;
      }
      if (event !== 'settled' && event !== 'expired') continue;
      const known = this.before.get((entry as ExpiredEntry).grantId);
      if (!known) continue;
      known.closedAt = atMs;
      if (event === 'settled') remindOfSettle(known.grant, entry as SettledEntry);
      else for (const call of known.grant.calls) if (call.state === 'open') call.state = 'expired';
    }
  }
}

/** Does again what an event tells, without deciding anything. */
function redo(books: AccountBooks, { integration, event, entries }: LedgerEvent, atMs: number): void {
  for (const entry of entries)
    switch (event) {
      case 'granted':
        applyGranted(books, grantOf(entry as GrantedEntry, integration, books));
        break;
      case 'settled':
        withGrant(books, entry, (grant) => applySettled(books, grant, entry as SettledEntry, atMs));
        break;
      case 'expired':
        withGrant(books, entry, (grant) => applyExpired(books, grant, atMs));
        break;
      case 'held':
        applyHeld(books, integration, entry as HeldEntry);
        break;
      case 'released':
        for (const { taken } of books.holds) taken.delete((entry as { holdId: string }).holdId);
        break;
      case 'closed':
        applyClosing(books, entry as ClosedEntry);
        break;
      case 'foreign':
        applyToldForeign(books, entry as ToldForeign);
        break;
      case 'refused':
        applyRefused(books, integration, entry as RefusedEntry);
        break;
      case 'licence':
        applyLicence(books, entry as LicenceEntry);
        break;
      case 'applied':
        throw new Error('a version is applied to an account, not to its books');
      default:
        throw new Error(`the journal has an event that isn't known: ${String(event satisfies never)}`);
    }
}

function withGrant(books: AccountBooks, entry: object, redo: (grant: Grant) => void): void {
  const grant = findGrant(books, (entry as ExpiredEntry).grantId);
  if (grant) redo(grant);
}

function remindOfSettle(grant: Grant, { requestId, used, returned }: SettledEntry): void {
  for (const [index, from, to] of used) Object.assign(grant.calls[index] ?? {}, { state: 'used', span: { from, to } });
  for (const index of returned) Object.assign(grant.calls[index] ?? {}, { state: 'returned' });
  grant.settles.push({ requestId, answer: settledAnswer(grant, false) });
}
