import type { Pool } from 'pg';
import type { Clock } from '#clock';
import type { AccountName, CallKind, Command, InteractionId } from '#contracts';
import { inTransaction, type Tx } from '#postgres';
import { contactKeyOf, contactKeysOf, type RememberedContact } from './domain/contact.js';
import { MAX_COMMANDS_PER_ITEM } from './domain/merge-commands.js';
import { outcomeOf } from './domain/outcome-of.js';
import type { RehearsedCalls, Rehearsal, ToRehearse } from './domain/rehearse-calls.js';
import { priorityOfRank, type WaitingInteraction } from './domain/write.js';
import { PARKED_IN_DOUBT, type ParkedWrite, type ParkedWrites } from './parked.writes.js';
import type { Rehearsals } from './rehearsals.js';
import { abandonSent } from './sql/abandon-sent.js';
import { addRead } from './sql/add-read.js';
import { addRehearsedCalls } from './sql/add-rehearsed-calls.js';
import { answerCall } from './sql/answer-call.js';
import { askForPlace } from './sql/ask-for-place.js';
import { askItemAgain } from './sql/ask-item-again.js';
import { claimPlace } from './sql/claim-place.js';
import { closeItems } from './sql/close-items.js';
import { closeTickets } from './sql/close-tickets.js';
import { countContactAttempts } from './sql/count-contact-attempts.js';
import { countWaiting } from './sql/count-waiting.js';
import { endJob } from './sql/end-job.js';
import { endRehearsed } from './sql/end-rehearsed.js';
import { forgetRefusals } from './sql/forget-refusals.js';
import { forgetPlace } from './sql/forget-place.js';
import { freeContacts } from './sql/free-contacts.js';
import { freeInteractions } from './sql/free-interactions.js';
import { insertCall } from './sql/insert-call.js';
import { insertItems } from './sql/insert-items.js';
import { insertJob } from './sql/insert-job.js';
import { insertOutcomes } from './sql/insert-outcomes.js';
import { insertWrites } from './sql/insert-writes.js';
import { type EndedWrite, lapseWrites, selectLapsing } from './sql/lapse-writes.js';
import { lockCall } from './sql/lock-call.js';
import { lockInteractions } from './sql/lock-interactions.js';
import { longestParked } from './sql/longest-parked.js';
import { markHoldsReleased } from './sql/mark-holds-released.js';
import { nextDue } from './sql/next-due.js';
import { occupyContacts } from './sql/occupy-contacts.js';
import { occupyInteractions } from './sql/occupy-interactions.js';
import { parkTicketCommand } from './sql/park-ticket-command.js';
import { redriveParked } from './sql/redrive-parked.js';
import { refreshInteractions } from './sql/refresh-interactions.js';
import { rememberContacts } from './sql/remember-contacts.js';
import { reopenParked } from './sql/reopen-parked.js';
import { rescheduleJobs } from './sql/reschedule-jobs.js';
import { resendCall } from './sql/resend-call.js';
import { saveContact } from './sql/save-contact.js';
import { selectBulksToList } from './sql/select-bulks-to-list.js';
import { selectCallsAgain } from './sql/select-calls-again.js';
import { type ContactRow, selectContacts } from './sql/select-contacts.js';
import { selectCounts } from './sql/select-counts.js';
import { selectHolds } from './sql/select-holds.js';
import { selectInteraction } from './sql/select-interaction.js';
import { selectItems } from './sql/select-items.js';
import { selectItemsToAsk } from './sql/select-items-to-ask.js';
import { selectJobs } from './sql/select-jobs.js';
import { selectNext } from './sql/select-next.js';
import { selectParked } from './sql/select-parked.js';
import { selectRehearsedCalls } from './sql/select-rehearsed-calls.js';
import { selectToRehearse } from './sql/select-to-rehearse.js';
import { selectWaitingWrites, type WaitingRow } from './sql/select-waiting-writes.js';
import { selectWritesToPlan } from './sql/select-writes-to-plan.js';
import { sendWrites } from './sql/send-writes.js';
import { settleJobLists } from './sql/settle-job-lists.js';
import { settleWrites, type SettledWrite } from './sql/settle-writes.js';
import { takeUpRehearsed } from './sql/take-up-rehearsed.js';
import { takePlacesLeft } from './sql/take-places-left.js';
import { upsertInteractions } from './sql/upsert-interactions.js';
import type {
  AccountCounts,
  AskedNext,
  AskedPlace,
  CallRecord,
  CallToSendAgain,
  Claim,
  ClaimAgain,
  ContactClaim,
  ContactRecord,
  InteractionView,
  ItemToAsk,
  ListedJobs,
  NextDue,
  NextQuery,
  NextUp,
  PolledJob,
  RunningJob,
  StoredItem,
  UnlistedBulk,
  WaitingCounts,
  WriteStore,
} from './write.store.js';

/** Postgres ends one of two transactions that wait for each other; trying again is what it asks for. */
const DEADLOCK = '40P01';
const MAX_TRIES = 4;

/** Kinds of call that write tickets, for counting what merging and batching saved. */
const TICKET_WRITES = ['tickets.create', 'tickets.create_many', 'tickets.update', 'tickets.update_many'];

/** Ends a claim without effect. */
class Changed extends Error {}

/** The writer's memory in Postgres. `wrote` is called after each commit that put outcomes into the outbox. */
export class PostgresWriteStore implements WriteStore, ParkedWrites, Rehearsals {
  constructor(
    private readonly pool: Pool,
    private readonly clock: Pick<Clock, 'nowMs'>,
    private readonly wrote: () => void = () => undefined,
  ) {}

  async takeIn(commands: readonly Command[]): Promise<number> {
    if (commands.length === 0) return 0;
    const byAccount = new Map<AccountName, Set<InteractionId>>();
    const seen = commands.map(({ account, data }) => {
      byAccount.set(account, (byAccount.get(account) ?? new Set()).add(data.interactionId));
      const ticket = data.action.kind === 'ensureTicket' ? data.action : null;
      const contactKey = ticket ? contactKeyOf(ticket.contact) : null;
      return { account, interactionId: data.interactionId, contactKey, queuePath: ticket?.queuePath ?? null };
    });
    return this.#tx(async (tx) => {
      await upsertInteractions(
        tx,
        seen.map((one) => ({ ...one, contactKey: null, queuePath: null })),
      );
      const inserted = await insertWrites(tx, commands);
      const takenUp = await takeUpRehearsed(tx, commands);
      // Only the ticket command that counts tells of contact and queue: an interaction has one, and a second one is dropped.
      const known = new Set(inserted);
      const told = seen.filter(
        ({ queuePath, contactKey }, i) => (queuePath ?? contactKey) !== null && known.has(commands[i]!.id),
      );
      if (told.length > 0) await upsertInteractions(tx, told);
      if (inserted.length + takenUp > 0)
        for (const account of [...byAccount.keys()].sort())
          await refreshInteractions(tx, account, [...byAccount.get(account)!]);
      return inserted.length + takenUp;
    });
  }

  abandonSent(account: AccountName, except: readonly string[]): Promise<number> {
    return this.#tx((tx) => abandonSent(tx, account, except));
  }

  countWaiting(account: AccountName): Promise<WaitingCounts> {
    return this.#read((tx) => countWaiting(tx, account));
  }

  next(account: AccountName, query: NextQuery): Promise<NextUp> {
    return this.#read(async (tx) => {
      const rows = await selectNext(tx, account, query);
      if (rows.length === 0) return { interactions: [], contacts: new Map() };
      const ids = rows.map(({ interaction_id: id }) => id);
      const writes = await selectWaitingWrites(tx, account, ids, MAX_COMMANDS_PER_ITEM);
      const keys = [...new Set(rows.flatMap(({ contact }) => (contact ? contactKeysOf(contact) : [])))];
      const contacts = keys.length === 0 ? [] : await selectContacts(tx, account, keys);
      const commands = new Map<InteractionId, WaitingRow[]>(ids.map((id) => [id, []]));
      for (const write of writes) commands.get(write.interaction_id)?.push(write);
      return {
        interactions: rows.map((row): WaitingInteraction => ({
          interactionId: row.interaction_id,
          ticketId: row.ticket_id,
          followUpOf: row.follow_up_of,
          priority: priorityOfRank(row.priority),
          since: row.since,
          solo: row.solo,
          ...(row.most_in_job === null ? {} : { mostInJob: row.most_in_job }),
          ensure: row.contact && row.mode ? { subject: row.subject ?? '', mode: row.mode, contact: row.contact } : null,
          queuePath: row.queue_path,
          appendTo: row.append_to,
          commands: (commands.get(row.interaction_id) ?? []).map(commandOf),
        })),
        contacts: rememberedOf(contacts),
      };
    });
  }

  askForPlace(account: AccountName, place: AskedPlace): Promise<boolean> {
    return this.#tx((tx) => askForPlace(tx, account, place));
  }

  takePlacesLeft(account: AccountName, olderThanMs: number, limit: number): Promise<AskedPlace[]> {
    return this.#tx((tx) => takePlacesLeft(tx, account, olderThanMs, limit));
  }

  async forgetPlace(requestId: string): Promise<void> {
    await this.#tx((tx) => forgetPlace(tx, requestId));
  }

  claim(claim: Claim): Promise<boolean> {
    const { account, callId, items, requestId } = claim;
    const commandIds = items.flatMap((item) => item.commandIds);
    const ids = items.map(({ interactionId }) => interactionId);
    return this.#claiming(async (tx) => {
      await lockInteractions(tx, account, ids);
      if (requestId !== null && !(await claimPlace(tx, requestId))) throw new Changed();
      await insertCall(tx, { ...claim, contactKeys: [] });
      if ((await occupyInteractions(tx, account, callId, items)) !== items.length) throw new Changed();
      await rememberContacts(tx, account, items);
      if ((await sendWrites(tx, claim, commandIds)) !== commandIds.length) throw new Changed();
      await insertItems(tx, account, callId, items);
      await refreshInteractions(tx, account, ids);
    });
  }

  claimAgain(claim: ClaimAgain): Promise<boolean> {
    return this.#tx((tx) => resendCall(tx, claim));
  }

  claimContact(claim: ContactClaim): Promise<boolean> {
    return this.#claiming(async (tx) => {
      await insertCall(tx, { ...claim, writer: 'contact', holdIds: [], contactKeys: claim.keys });
      const taken = await occupyContacts(tx, claim.account, claim.callId, claim.keys, claim.step);
      if (taken !== claim.keys.length) throw new Changed();
    });
  }

  async record(record: CallRecord): Promise<boolean> {
    const { account, callId } = record;
    const recorded = await this.#tx(async (tx) => {
      await lockInteractions(
        tx,
        account,
        record.effects.map(({ interactionId }) => interactionId),
      );
      const call = await lockCall(tx, callId, record.sends);
      if (!call) return false;
      const closed = new Set(await closeItems(tx, callId, record.effects));
      const effects = record.effects.filter(({ index }) => closed.has(index));
      if (record.next.to === 'job')
        await insertJob(tx, {
          account,
          callId,
          jobId: record.next.jobId,
          total: record.next.total,
          pollInMs: record.next.pollInMs,
        });
      else if (call.writer === 'batch' && record.next.to === 'settled' && !record.next.mayRunOn)
        await endJob(tx, callId);
      if (effects.length > 0) {
        const settled = await settleWrites(tx, callId, effects);
        await freeInteractions(tx, account, callId, effects);
        const closedTickets = effects.filter(({ effect }) => effect.effect === 'followUp').map(({ index }) => index);
        if (closedTickets.length > 0) await closeTickets(tx, account, callId, closedTickets);
        await this.#announce(tx, account, call.writer === 'batch' ? 'batch' : 'single', settled);
        await refreshInteractions(
          tx,
          account,
          effects.map(({ interactionId }) => interactionId),
        );
      }
      const { answer, next } = record;
      if (next.to === 'stuck')
        await rescheduleJobs(tx, account, [{ jobId: next.jobId, inMs: next.pollInMs, missed: false }]);
      await answerCall(tx, { callId, answer, next });
      return true;
    });
    this.wrote();
    return recorded;
  }

  async recordContact({ account, call, keys, step, expiresInMs, becomes }: ContactRecord): Promise<void> {
    await this.#tx(async (tx) => {
      if (call) {
        const locked = await lockCall(tx, call.callId, call.sends);
        if (!locked) return;
        const next =
          becomes.is === 'unknown'
            ? ({ to: 'jobsUnknown', askInMs: becomes.askInMs } as const)
            : ({ to: 'settled' } as const);
        await answerCall(tx, { callId: call.callId, answer: call.answer, next });
      }
      if (becomes.is === 'unknown') await countContactAttempts(tx, account, keys, becomes.attempts);
      else await saveContact(tx, account, { callId: call?.callId ?? null, keys, step, expiresInMs, becomes });
    });
  }

  async askedItem(callId: string, index: number, next: AskedNext): Promise<void> {
    await this.#tx((tx) => askItemAgain(tx, callId, index, next));
  }

  async askedJobs(callIds: readonly string[], listed: ListedJobs): Promise<void> {
    if (callIds.length > 0) await this.#tx((tx) => settleJobLists(tx, callIds, listed));
  }

  async polled(account: AccountName, jobs: readonly PolledJob[]): Promise<void> {
    await this.#tx((tx) => rescheduleJobs(tx, account, jobs));
  }

  nextDue(account: AccountName): Promise<NextDue> {
    return this.#read((tx) => nextDue(tx, account));
  }

  async runningJobs(account: AccountName, limit: number): Promise<RunningJob[]> {
    const rows = await this.#read((tx) => selectJobs(tx, account, limit));
    return rows.map((row) => ({
      jobId: row.job_id,
      callId: row.call_id,
      sends: row.sends,
      kind: row.kind,
      grantId: row.grant_id,
      priority: priorityOfRank(row.priority),
      total: row.total,
      polls: row.polls,
      misses: row.misses,
      ageMs: row.age_ms,
      due: row.due,
    }));
  }

  itemsOf(callId: string): Promise<StoredItem[]> {
    return this.#read((tx) => selectItems(tx, callId));
  }

  itemsToAsk(account: AccountName, limit: number, exclude: readonly InteractionId[]): Promise<ItemToAsk[]> {
    return this.#read((tx) => selectItemsToAsk(tx, account, limit, exclude));
  }

  bulksToList(account: AccountName, limit: number): Promise<UnlistedBulk[]> {
    return this.#read((tx) => selectBulksToList(tx, account, limit));
  }

  async callsToSendAgain(account: AccountName, limit: number, exclude: readonly string[]): Promise<CallToSendAgain[]> {
    const rows = await this.#read((tx) => selectCallsAgain(tx, account, limit, exclude));
    return rows.map((row) => ({
      callId: row.callId,
      sends: row.sends,
      kind: row.kind,
      priority: priorityOfRank(row.priority),
      request: { method: row.method, path: row.path, body: row.body, idempotencyKey: row.idempotencyKey },
      item: {
        index: row.index,
        interactionId: row.interactionId,
        commands: row.commands,
        attempts: row.attempts,
        ticketId: row.ticketId,
        externalId: row.externalId,
      },
    }));
  }

  freeContacts(account: AccountName): Promise<number> {
    return this.#tx((tx) => freeContacts(tx, account));
  }

  holdsToRelease(
    account: AccountName,
    limit: number,
  ): Promise<{ readonly callId: string; readonly holdIds: string[] }[]> {
    return this.#read((tx) => selectHolds(tx, account, limit));
  }

  async holdsReleased(callIds: readonly string[]): Promise<void> {
    await this.#tx((tx) => markHoldsReleased(tx, callIds));
  }

  async lapse(account: AccountName): Promise<number> {
    const lapsed = await this.#tx(async (tx) => {
      const ids = await selectLapsing(tx, account);
      if (ids.length === 0) return 0;
      await lockInteractions(tx, account, ids);
      const ended = await lapseWrites(tx, account, ids);
      if (ended.length > 0) await this.#endUnsent(tx, account, 'lapsed', ended);
      return ended.length;
    });
    if (lapsed > 0) this.wrote();
    return lapsed;
  }

  async parkForContact(account: AccountName, interactionId: InteractionId, code: string): Promise<void> {
    await this.#tx(async (tx) => {
      await lockInteractions(tx, account, [interactionId]);
      const reason = { code, text: 'the CRM refuses to make this contact' };
      const ended = await parkTicketCommand(tx, account, interactionId, reason);
      if (ended.length > 0) await this.#endUnsent(tx, account, 'parked', ended);
    });
    this.wrote();
  }

  async parked(account: AccountName, limit: number): Promise<ParkedWrite[]> {
    const rows = await this.#read((tx) => selectParked(tx, account, limit));
    return rows.map(({ code, text, status, answer, ...row }) => ({
      ...row,
      reason: { code, text: text ?? '' },
      answer: status === null ? null : { status, text: answer?.toString('utf8') ?? '' },
    }));
  }

  longestParkedMs(account: AccountName): Promise<number | null> {
    return this.#read((tx) => longestParked(tx, account));
  }

  redrive(account: AccountName, interactionId: InteractionId): Promise<number> {
    return this.#tx(async (tx) => {
      await lockInteractions(tx, account, [interactionId]);
      const reopened = await reopenParked(tx, account, interactionId, PARKED_IN_DOUBT);
      const waiting = await redriveParked(tx, account, interactionId, PARKED_IN_DOUBT);
      const keys = waiting.flatMap(({ action }) => ('contact' in action ? contactKeysOf(action.contact) : []));
      if (keys.length > 0) await forgetRefusals(tx, account, keys);
      await refreshInteractions(tx, account, [interactionId]);
      return reopened + waiting.length;
    });
  }

  toRehearse(
    account: AccountName,
    limit: number,
  ): Promise<{ readonly interactions: readonly ToRehearse[]; readonly contacts: NextUp['contacts'] }> {
    return this.#read(async (tx) => {
      const rows = await selectToRehearse(tx, account, limit);
      const ids = rows.map(({ interaction_id: id }) => id);
      const writes = ids.length === 0 ? [] : await selectWritesToPlan(tx, account, ids, MAX_COMMANDS_PER_ITEM);
      const keys = [...new Set(rows.flatMap(({ contact }) => (contact ? contactKeysOf(contact) : [])))];
      const contacts = keys.length === 0 ? [] : await selectContacts(tx, account, keys);
      const interactions = rows.map((row): ToRehearse => ({
        interactionId: row.interaction_id,
        ticketId: row.ticket_id,
        ticketPromised: row.ticket_promised,
        followUpOf: row.follow_up_of,
        priority: priorityOfRank(row.priority),
        since: row.since,
        solo: false,
        ensure: row.contact && row.mode ? { subject: row.subject ?? '', mode: row.mode, contact: row.contact } : null,
        queuePath: row.queue_path,
        appendTo: null,
        commands: writes.filter(({ interaction_id: id }) => id === row.interaction_id).map(commandOf),
      }));
      return { interactions, contacts: rememberedOf(contacts) };
    });
  }

  async rehearsed(account: AccountName, { commands, calls }: Rehearsal): Promise<boolean> {
    const planned = new Map(commands.map((one) => [one.commandId, one]));
    const counted = await this.#claiming(async (tx) => {
      const ended = await endRehearsed(tx, [...planned.keys()]);
      if (ended.length !== planned.size) throw new Changed();
      await addRehearsedCalls(tx, account, calls);
      const nowMs = this.clock.nowMs();
      const outcomes = ended.map((write) =>
        outcomeOf(
          {
            commandId: write.command_id,
            account,
            interactionId: write.interaction_id,
            kind: write.kind,
            eventAt: write.event_at,
            traceparent: write.traceparent,
            state: 'rehearsed',
            ticketId: null,
            grantId: null,
            writer: planned.get(write.command_id)!.writer,
            mergedWith: planned.get(write.command_id)!.mergedWith,
            reason: null,
            redriven: write.redriven,
          },
          nowMs,
        ),
      );
      await insertOutcomes(tx, outcomes);
    });
    if (counted) this.wrote();
    return counted;
  }

  async rehearsal(
    account: AccountName,
  ): Promise<{ readonly since: number; readonly calls: readonly RehearsedCalls[] } | null> {
    const rows = await this.#read((tx) => selectRehearsedCalls(tx, account));
    if (rows.length === 0) return null;
    const calls = rows.map(({ kind, calls: made, tickets }) => ({ kind, calls: made, tickets }));
    return { since: Math.min(...rows.map(({ since }) => since)), calls };
  }

  async countRead(account: AccountName, kind: CallKind): Promise<void> {
    await this.#tx((tx) => addRead(tx, account, kind));
  }

  async counts(account: AccountName): Promise<AccountCounts> {
    const row = await this.#read((tx) => selectCounts(tx, account));
    const writeCalls = TICKET_WRITES.reduce((sum, kind) => sum + (row.calls[kind] ?? 0), 0);
    return {
      states: row.states,
      oldestWaitingAt: row.oldest_waiting_at,
      callsByKind: row.calls,
      writeCalls,
      jobsRunning: row.jobs_running,
      outbox: row.outbox,
    };
  }

  async view(account: AccountName, interactionId: InteractionId): Promise<InteractionView | null> {
    const row = await this.#read((tx) => selectInteraction(tx, account, interactionId));
    if (!row) return null;
    return {
      interactionId,
      ticketId: row.ticket_id,
      followUpOf: row.follow_up_of,
      commands: row.commands.map((command) => ({ ...command, priority: priorityOfRank(command.priority) })),
    };
  }

  async #endUnsent(
    tx: Tx,
    account: AccountName,
    state: 'lapsed' | 'parked',
    ended: readonly EndedWrite[],
  ): Promise<void> {
    const nowMs = this.clock.nowMs();
    const outcomes = ended.map((write) =>
      outcomeOf(
        {
          commandId: write.command_id,
          account,
          interactionId: write.interaction_id,
          kind: write.kind,
          eventAt: write.event_at,
          traceparent: write.traceparent,
          state,
          ticketId: null,
          grantId: null,
          writer: null,
          mergedWith: 0,
          reason: { code: write.reason_code, text: write.reason_text },
          redriven: write.redriven,
        },
        nowMs,
      ),
    );
    await insertOutcomes(tx, outcomes);
    await refreshInteractions(tx, account, [...new Set(ended.map(({ interaction_id: id }) => id))].sort());
  }

  async #announce(
    tx: Tx,
    account: AccountName,
    writer: 'single' | 'batch',
    settled: readonly SettledWrite[],
  ): Promise<void> {
    const nowMs = this.clock.nowMs();
    const outcomes = settled.flatMap((write) => {
      if (write.state !== 'done' && write.state !== 'parked') return [];
      const reason = write.reason_code === null ? null : { code: write.reason_code, text: write.reason_text ?? '' };
      return [
        outcomeOf(
          {
            commandId: write.command_id,
            account,
            interactionId: write.interaction_id,
            kind: write.kind,
            eventAt: write.event_at,
            traceparent: write.traceparent,
            state: write.state,
            ticketId: write.ticket_id,
            grantId: write.grant_id,
            writer,
            mergedWith: write.merged_with,
            reason,
            redriven: write.redriven,
          },
          nowMs,
        ),
      ];
    });
    if (outcomes.length > 0) await insertOutcomes(tx, outcomes);
  }

  async #claiming(work: (tx: Tx) => Promise<void>): Promise<boolean> {
    try {
      await this.#tx(work);
      return true;
    } catch (error) {
      if (error instanceof Changed) return false;
      throw error;
    }
  }

  async #tx<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await inTransaction(this.pool, work);
      } catch (error) {
        if ((error as { code?: unknown }).code !== DEADLOCK || tries >= MAX_TRIES) throw error;
      }
    }
  }

  #read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return inTransaction(this.pool, work, { isolation: 'repeatable read' });
  }
}

function commandOf(row: WaitingRow): WaitingInteraction['commands'][number] {
  return {
    commandId: row.command_id,
    action: row.action,
    eventAt: row.event_at,
    eventRank: row.event_rank,
    ordinal: row.ordinal,
    priority: priorityOfRank(row.priority),
    attempts: row.attempts,
  };
}

function rememberedOf(rows: readonly ContactRow[]): Map<string, RememberedContact> {
  return new Map(
    rows.map(({ key, user_id: userId, step, refused_for: refusedFor, busy, attempts }) => [
      key,
      { userId, step, refusedFor, busy, attempts },
    ]),
  );
}
