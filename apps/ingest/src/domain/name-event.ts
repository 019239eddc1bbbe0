import type { InteractionEventName } from '#contracts';

/** What an event shows of where its session stands. States are words in lower case without punctuation (`wordOf`). */
export interface Signs {
  /** States of the customer's side, of human agents, of virtual agents; one per participant listed. */
  readonly customerStates: readonly string[];
  readonly agentStates: readonly string[];
  readonly virtualStates: readonly string[];
  /** The session's own state. Says little: CCAI has `connected` from the first event to the end. */
  readonly state: string | null;
  readonly ended: boolean;
  readonly disposed: boolean;
  readonly agentKnown: boolean;
  readonly routed: boolean;
}

const SUBMITTED = 'dispositionsubmitted';
const GONE = new Set([
  'disconnected',
  SUBMITTED,
  'wrapup',
  'finished',
  'ended',
  'left',
  'failed',
  'missed',
  'declined',
  'rejected',
  'canceled',
  'cancelled',
]);
const TALKING = new Set(['connected', 'active', 'joined', 'talking', 'hold', 'onhold', 'held', 'muted']);
const TAKEN = new Set(['accepted', 'assigned', 'connecting', 'answered']);
/** Session states after which nothing more is said. */
const OVER = new Set([
  'finished',
  'ended',
  'failed',
  'disconnected',
  'completed',
  'recovered',
  'abandoned',
  'canceled',
  'cancelled',
  'timeout',
]);
/** Also over, unless the customer is still listed as connected (who may be recording the voicemail just now). */
const LEAVING = new Set(['voicemail', 'deflected', 'transferred', 'dismissed']);
const QUEUED = new Set(['queued', 'requeued', 'ringing', 'routing', 'vaassigned', 'vaconnected', 'selecting']);

/**
 * What happened, by what the event shows and not by where it came from: CCAI names no step, and what each step looks
 * like is its table of participants' states (docs/ccai.md). Of several signs the latest step wins.
 */
export function nameEvent(signs: Signs): InteractionEventName {
  if (signs.disposed || signs.agentStates.includes(SUBMITTED)) return 'dispositioned';
  if (isOver(signs)) return 'ended';
  if (signs.agentStates.some((state) => TALKING.has(state))) return 'active';
  if (signs.agentStates.some((state) => TAKEN.has(state))) return 'assigned';
  if (signs.agentStates.length === 0 && signs.agentKnown) return 'assigned';
  if (signs.agentStates.length > 0 || signs.virtualStates.length > 0 || signs.routed) return 'routed';
  return signs.state !== null && QUEUED.has(signs.state) ? 'routed' : 'started';
}

/** Statuses of a metadata record whose session still goes on: a list taken from CCAI's API holds such ones too. */
const UNDER_WAY: Readonly<Record<string, InteractionEventName>> = {
  scheduled: 'started',
  selecting: 'started',
  queued: 'routed',
  requeued: 'routed',
  vaassigned: 'routed',
  vaconnected: 'routed',
  previewpending: 'started',
  previewready: 'started',
  campaignconnecting: 'started',
  assigned: 'assigned',
  connecting: 'assigned',
  switching: 'active',
  connected: 'active',
  campaignconnected: 'active',
};

/** A session metadata record is `metadata` once its session is over, else the step that its status shows. */
export function nameRecord(status: string | null, ended: boolean): InteractionEventName {
  if (ended || status === null) return 'metadata';
  return Object.hasOwn(UNDER_WAY, status) ? UNDER_WAY[status]! : 'metadata';
}

function isOver({ customerStates, agentStates, virtualStates, state, ended }: Signs): boolean {
  if (ended) return true;
  const all = [...customerStates, ...agentStates, ...virtualStates];
  if (all.length > 0 && all.every((each) => GONE.has(each))) return true;
  if (state === null) return false;
  return OVER.has(state) || (LEAVING.has(state) && !customerStates.some((each) => TALKING.has(each)));
}
