import type { CommandAction, Contact, InteractionId, Priority, WriteState } from '#contracts';

/**
 * A write is a command on its way to the CRM:
 *
 *     waiting ─(a grant, one transaction)─▶ sent ─▶ done | parked
 *        ▲  │                                │
 *        │  └─▶ lapsed | superseded          └─▶ unknown ─(asked the CRM)─▶ done | waiting | sent again | parked
 *        └── the CRM certainly did nothing with it (limit, refusal that passes) ──┘
 *
 *     parked ─(the operator)─▶ waiting, or unknown where the CRM may have done it
 *     rehearsed ─(the same command, meant now)─▶ waiting
 *
 * `rehearsed` is how a command of a dry run is stored from the first: it never waits, so no call can carry it.
 *
 * `claimed` stands between `waiting` and `sent` for a writer that stores the claim apart from the request; this one
 * stores both at once, so a row is never seen in it.
 */
const NEXT: Readonly<Record<WriteState, readonly WriteState[]>> = {
  waiting: ['claimed', 'sent', 'parked', 'superseded', 'lapsed'],
  claimed: ['sent', 'waiting', 'unknown'],
  sent: ['done', 'waiting', 'unknown', 'parked'],
  unknown: ['done', 'waiting', 'sent', 'parked'],
  done: [],
  parked: ['waiting', 'unknown'],
  superseded: [],
  lapsed: [],
  rehearsed: ['waiting'],
};

/** States that only a grant leads to: the schema refuses them without a grant id. */
export const UNDER_A_GRANT = ['claimed', 'sent', 'unknown', 'done'] as const satisfies readonly WriteState[];

/** May a write go from one state to another? */
export function mayGo(from: WriteState, to: WriteState): boolean {
  return NEXT[from].includes(to);
}

/** A command that hasn't been sent yet. */
export interface WaitingCommand {
  readonly commandId: string;
  readonly action: CommandAction;
  readonly eventAt: number;
  readonly eventRank: number;
  readonly ordinal: number;
  readonly priority: Priority;
  /** Failures so far that were its own, not the CRM's or a limit's. */
  readonly attempts: number;
}

/** An interaction that has commands waiting, and no call in flight for itself, its ticket or its contact. */
export interface WaitingInteraction {
  readonly interactionId: InteractionId;
  /** Its ticket at the CRM; null = not made yet, or closed for good (then `followUpOf` names it). */
  readonly ticketId: number | null;
  /** The closed ticket that its next ticket continues; null mostly. */
  readonly followUpOf: number | null;
  readonly priority: Priority;
  /** Event time of its oldest waiting command, epoch ms. */
  readonly since: number;
  /** True after a merged write of it was refused: one command a call, so that only the refused one is parked. */
  readonly solo: boolean;
  /** After jobs that failed as a whole: the most items that a job with it may have; 1 = it goes singly. Absent = any. */
  readonly mostInJob?: number;
  /** What makes its ticket, whether still waiting or done already (a follow-up ticket needs it); null = not arrived. */
  readonly ensure: { readonly subject: string; readonly mode: 'new' | 'append'; readonly contact: Contact } | null;
  readonly queuePath: string | null;
  /** `mode: append`: the latest open ticket of the same contact and queue, as far as we remember. */
  readonly appendTo: number | null;
  /** In any order. */
  readonly commands: readonly WaitingCommand[];
}

const RANKS: Readonly<Record<Priority, number>> = { live: 0, normal: 1, backlog: 2 };

/** 0 = first. */
export function rankOfPriority(priority: Priority): number {
  return RANKS[priority];
}

/** The priority of that rank. */
export function priorityOfRank(rank: number): Priority {
  return rank <= 0 ? 'live' : rank === 1 ? 'normal' : 'backlog';
}

/** The more urgent of some priorities; `backlog` of none. */
export function mostUrgent(priorities: Iterable<Priority>): Priority {
  let best = 2;
  for (const priority of priorities) best = Math.min(best, RANKS[priority]);
  return priorityOfRank(best);
}

/** Commands in the order in which they take effect: `ensureTicket`, then (event time, event rank, ordinal), then id. */
export function inOrder(commands: readonly WaitingCommand[]): WaitingCommand[] {
  return [...commands].sort(
    (a, b) =>
      Number(b.action.kind === 'ensureTicket') - Number(a.action.kind === 'ensureTicket') ||
      a.eventAt - b.eventAt ||
      a.eventRank - b.eventRank ||
      a.ordinal - b.ordinal ||
      (a.commandId < b.commandId ? -1 : a.commandId > b.commandId ? 1 : 0),
  );
}
