import { createHash, timingSafeEqual } from 'node:crypto';
import {
  Controller,
  ForbiddenException,
  Get,
  Inject,
  NotFoundException,
  Param,
  ConflictException,
  HttpCode,
  Post,
  Query,
  Req,
  UnauthorizedException,
} from '@nestjs/common';
import type { Clock } from '#clock';
import { isName, isoOf, isWritten, WRITE_STATES, type WrittenAccount } from '#contracts';
import type { AccountDirectory } from '#jetstream';
import { AccountWriters } from './account.writers.js';
import type { CrmWriterSettings } from './crm-writer.settings.js';
import { ACCOUNTS, CLOCK, SETTINGS, WRITE_STORE } from './crm-writer.tokens.js';
import type { ParkedWrite, ParkedWrites } from './parked.writes.js';
import type { Rehearsals } from './rehearsals.js';
import type { InteractionView, WriteStore } from './write.store.js';

/** The part of Fastify's request that is used here. */
interface Asked {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** How an account's writing stands; made for people, the demo and the dashboard. */
export interface AccountStatus {
  readonly account: string;
  /** Commands by state; every state is named. */
  readonly writes: Readonly<Record<(typeof WRITE_STATES)[number], number>>;
  /** How long the oldest waiting command's event is ago, ms; null where none waits. */
  readonly oldestWaitingAgeMs: number | null;
  /** How long ago the longest parked command was parked, ms; null where none is. */
  readonly longestParkedAgeMs: number | null;
  /** Calls made so far, by kind; those that only ask are counted as they are made. */
  readonly calls: Readonly<Record<string, number>>;
  readonly writeCalls: number;
  /** Commands done less the calls that wrote them: what merging and batching saved. */
  readonly callsSaved: number;
  readonly jobsRunning: number;
  /** Outcomes not yet published. */
  readonly outbox: number;
  /** Does the replica that answers own the account's writing? */
  readonly owned: boolean;
  /** Why no call goes at the moment, and for how long yet; null where calls may go. */
  readonly closed: { readonly reason: string; readonly forMs: number } | null;
  /** What dry runs would have written so far; null where there was none. */
  readonly dryRun: DryRunStatus | null;
}

export interface DryRunStatus {
  /** Is it on now? Then nothing is written. */
  readonly on: boolean;
  /** ISO instant of the first planned call; null = none was. */
  readonly since: string | null;
  /** Commands that are not written, because they were made in a dry run. */
  readonly commands: number;
  readonly ticketsMade: number;
  readonly ticketsChanged: number;
  /** Calls that it would have taken, by kind; at most, where the CRM would have had to be asked. */
  readonly calls: Readonly<Record<string, number>>;
}

/** An interaction as an agent needs it: its ticket, and how its commands stand. */
export interface AgentView extends InteractionView {
  readonly account: string;
  /** The ticket in the agent's browser; null while there is none. */
  readonly url: string | null;
  /** `waiting` while anything of it waits or is under way, `stuck` where something is parked, else `done`. */
  readonly state: 'waiting' | 'stuck' | 'done';
}

/** Most parked commands told at once. */
const MAX_PARKED_SHOWN = 500;
const LOOPBACK = ['127.0.0.1', '::1', '::ffff:127.0.0.1'];

/** Tells how things stand. Only to who has the token; without one, only to callers on this machine. */
@Controller('v1/accounts')
export class StatusController {
  constructor(
    @Inject(WRITE_STORE) private readonly store: WriteStore & ParkedWrites & Rehearsals,
    @Inject(ACCOUNTS) private readonly accounts: AccountDirectory,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(SETTINGS) private readonly settings: CrmWriterSettings,
    private readonly writers: AccountWriters,
  ) {}

  @Get(':account/status')
  async status(@Req() asked: Asked, @Param('account') account: string): Promise<AccountStatus> {
    this.#admit(asked);
    const config = this.#known(account);
    const counts = await this.store.counts(account);
    const longestParkedAgeMs = await this.store.longestParkedMs(account);
    const writes = Object.fromEntries(WRITE_STATES.map((state) => [state, counts.states[state] ?? 0]));
    const standing = this.writers.standing(account);
    const { oldestWaitingAt, writeCalls } = counts;
    return {
      account,
      writes: writes as AccountStatus['writes'],
      oldestWaitingAgeMs: oldestWaitingAt === null ? null : Math.max(0, this.clock.nowMs() - oldestWaitingAt),
      longestParkedAgeMs,
      calls: counts.callsByKind,
      writeCalls,
      callsSaved: (writes['done'] ?? 0) - writeCalls,
      jobsRunning: counts.jobsRunning,
      outbox: counts.outbox,
      owned: standing?.owned ?? false,
      closed: standing?.closed ?? null,
      dryRun: dryRunStatus(config.dryRun, counts.states['rehearsed'] ?? 0, await this.store.rehearsal(account)),
    };
  }

  @Get(':account/interactions/:interactionId')
  async interaction(
    @Req() asked: Asked,
    @Param('account') account: string,
    @Param('interactionId') interactionId: string,
  ): Promise<AgentView> {
    this.#admit(asked);
    const { crm } = this.#known(account);
    const view = await this.store.view(account, interactionId);
    if (!view)
      throw new NotFoundException({ error: { code: 'unknown_interaction', message: 'nothing is known of it' } });
    const states = view.commands.map(({ state }) => state);
    const state = states.includes('parked')
      ? 'stuck'
      : states.some((one) => ['waiting', 'claimed', 'sent', 'unknown'].includes(one))
        ? 'waiting'
        : 'done';
    const url = view.ticketId === null ? null : `${crm.baseUrl}/agent/tickets/${view.ticketId}`;
    return { account, ...view, url, state };
  }

  /** What is parked, the longest parked first, with the reason and the beginning of the CRM's answer. */
  @Get(':account/parked')
  async parked(
    @Req() asked: Asked,
    @Param('account') account: string,
    @Query('limit') limit?: string,
  ): Promise<{ readonly account: string; readonly parked: readonly ParkedWrite[] }> {
    this.#admit(asked);
    this.#known(account);
    const asMany = /^\d{1,4}$/.test(limit ?? '') ? Number(limit) : MAX_PARKED_SHOWN;
    return { account, parked: await this.store.parked(account, Math.min(Math.max(asMany, 1), MAX_PARKED_SHOWN)) };
  }

  /** Takes an interaction's parked commands up again; how many. */
  @Post(':account/interactions/:interactionId/redrive')
  @HttpCode(200)
  async redrive(
    @Req() asked: Asked,
    @Param('account') account: string,
    @Param('interactionId') interactionId: string,
  ): Promise<{ readonly account: string; readonly interactionId: string; readonly redriven: number }> {
    this.#admit(asked);
    this.#known(account);
    const redriven = await this.store.redrive(account, interactionId);
    if (redriven === 0)
      throw new ConflictException({ error: { code: 'nothing_parked', message: 'nothing of it is parked' } });
    this.writers.wake(account);
    return { account, interactionId, redriven };
  }

  #known(account: string): WrittenAccount {
    const found = isName(account) ? this.accounts.get(account)?.config : null;
    if (!found || !isWritten(found)) {
      const message = found ? 'nothing is written to its CRM' : 'no such account';
      throw new NotFoundException({ error: { code: 'unknown_account', message } });
    }
    return found;
  }

  #admit({ headers, socket }: Asked): void {
    const { statusToken } = this.settings;
    if (statusToken === '') {
      if (LOOPBACK.includes(socket.remoteAddress ?? '')) return;
      const message = 'only callers on this machine are answered; set STATUS_TOKEN to answer others';
      throw new ForbiddenException({ error: { code: 'not_local', message } });
    }
    const given = headers['authorization'];
    if (typeof given === 'string' && same(given, `Bearer ${statusToken}`)) return;
    throw new UnauthorizedException({
      error: { code: 'unauthorized', message: 'the bearer token is missing or wrong' },
    });
  }
}

function dryRunStatus(
  on: boolean,
  commands: number,
  rehearsal: Awaited<ReturnType<Rehearsals['rehearsal']>>,
): DryRunStatus | null {
  if (!on && commands === 0 && rehearsal === null) return null;
  const counted = rehearsal?.calls ?? [];
  const ticketsBy = (verb: string): number =>
    counted.reduce((sum, { kind, tickets }) => (kind.startsWith(`tickets.${verb}`) ? sum + tickets : sum), 0);
  return {
    on,
    since: rehearsal === null ? null : isoOf(rehearsal.since),
    commands,
    ticketsMade: ticketsBy('create'),
    ticketsChanged: ticketsBy('update'),
    calls: Object.fromEntries(counted.map(({ kind, calls }) => [kind, calls])),
  };
}

/** Compares without telling by the time taken how much was right; digests, so that lengths don't tell either. */
function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(left!, right!);
}
