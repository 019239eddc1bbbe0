import { request } from 'undici';
import type { CrmBooks } from './domain/compare-books.js';

/** One true window of one limit, as the simulated CRM counted it. */
export interface BookedWindow {
  readonly startMs: number;
  readonly highestMax: number;
  readonly callers: Readonly<Record<string, { readonly calls: number; readonly refused: number }>>;
}

/** What the demo reads of `GET /_control/books` (docs/simulator.md). */
export interface SimulatorBooks {
  readonly callers: Readonly<Record<string, { readonly calls: number; readonly refusedByLimit: number }>>;
  readonly kinds: Readonly<Record<string, number>>;
  readonly windows: Readonly<Record<string, readonly BookedWindow[]>>;
  readonly refusals: { readonly ours: number; readonly foreign: number; readonly injected: number };
  readonly tickets: number;
  readonly ticketsPerExternalId: Readonly<Record<string, number>>;
  readonly contactsPerPhone: Readonly<Record<string, number>>;
  readonly marks: Readonly<Record<string, number>>;
}

/** The verdict of `GET /_control/audit`. */
export interface SimulatorAudit {
  readonly ok: boolean;
  readonly exceeded: { readonly count: number };
  readonly doubled: { readonly count: number };
  readonly order: { readonly count: number };
  readonly missing: { readonly count: number };
}

/** The control door of the simulated Zendesk. Its requests are no calls. */
export class SimulatorControl {
  constructor(private readonly url: string) {}

  books(): Promise<SimulatorBooks> {
    return this.ask<SimulatorBooks>('GET', 'books');
  }

  audit(): Promise<SimulatorAudit> {
    return this.ask<SimulatorAudit>('GET', 'audit');
  }

  /** Says in which order marks must take effect, per interaction; judged by `audit`. */
  async expect(order: Readonly<Record<string, readonly string[]>>): Promise<void> {
    await this.ask('PUT', 'expect', { order });
  }

  /** Every call is answered 503 from now on, until `outageEnds`. */
  async outageBegins(): Promise<void> {
    await this.ask('PUT', 'outage', { as: 'status', status: 503 });
  }

  async outageEnds(): Promise<void> {
    await this.ask('DELETE', 'outage');
  }

  private async ask<T>(method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const { statusCode, body: answer } = await request(`${this.url}/_control/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    if (statusCode !== 200)
      throw new Error(`the simulator's control door answered ${statusCode}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }
}

/** The books in the form in which they are compared. */
export function comparable(books: SimulatorBooks): CrmBooks {
  return {
    ticketsPerExternalId: books.ticketsPerExternalId,
    marks: books.marks,
    usersPerContact: books.contactsPerPhone,
  };
}

/** In how many of its windows the account's minute was used to its last call (or within 1 % of it). */
export function minutesAtLimit(books: SimulatorBooks): number {
  const NEARLY = 0.99;
  return (books.windows['account-minute'] ?? []).filter(({ callers, highestMax }) => {
    const calls = Object.values(callers).reduce((sum, caller) => sum + caller.calls, 0);
    return calls >= highestMax * NEARLY;
  }).length;
}
