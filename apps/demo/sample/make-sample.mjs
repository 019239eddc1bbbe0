// Makes sample-day.jsonl: the same file for the same seed. Run it again only to change the sample:
//   node apps/demo/sample/make-sample.mjs
// Each line is one webhook delivery: {"atMs": when it arrives, "feed": which door, "body": what is posted}.
// Bodies have the forms that CCAI documents (docs/ccai.md). Telephone numbers are from the range kept for fiction.
import { writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';

const SEED = 20260105;
const BASE_MS = Date.UTC(2026, 0, 5, 9, 0, 0);
const MINUTE_MS = 60_000;
const INTERACTIONS = 240;
const CONTACTS = 150;
const QUEUES = ['support/orders/status', 'support/returns', 'sales/new', 'billing/invoices'];
const LANGUAGES = ['en', 'es', 'de'];
const DISPOSITIONS = ['resolved', 'follow_up', 'wrong_number', 'refund'];

/** At each step: the customer's state, the agent's, the session's. */
const STATES = {
  started: ['connected', null, 'waiting'],
  routed: ['connected', null, 'waiting'],
  assigned: ['connected', 'accepted', 'ringing'],
  active: ['connected', 'connected', 'connected'],
  ended: ['disconnected', 'disconnected', 'finished'],
  dispositioned: ['disconnected', 'dispositionSubmitted', 'finished'],
};

let state = SEED;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const between = (from, to) => Math.floor(from + random() * (to - from));
const pick = (list) => list[between(0, list.length)];
const chance = (share) => random() < share;
const uuid = (text) => {
  const hex = createHash('sha256').update(`${SEED}/${text}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};
const iso = (ms) => new Date(ms).toISOString();
/** +1 202 555 0100 … 0199 and +1 303 555 0100 … 0199. */
const phone = (n) => `+1${n < 100 ? '202' : '303'}555${String(100 + (n % 100)).padStart(4, '0')}`;

/** When the interactions begin: a quiet start, a burst in minute 8, a steady flow up to minute 20. */
function startsAt(index) {
  if (index < 70) return BASE_MS + 8 * MINUTE_MS + between(0, MINUTE_MS);
  return BASE_MS + between(0, 20 * MINUTE_MS);
}

const deliveries = [];
const deliver = (atMs, feed, events) => {
  deliveries.push({ atMs, feed, body: { count: events.length, events } });
};

for (let index = 0; index < INTERACTIONS; index += 1) {
  const channel = chance(0.3) ? 'chat' : 'call';
  const spelling = channel === 'call' && chance(0.4) ? 'pascal' : 'snake';
  const fate = channel === 'call' ? pickFate() : chance(0.06) ? 'abandoned' : 'served';
  const session = {
    index,
    channel,
    spelling,
    id: spelling === 'pascal' ? createHash('sha256').update(`call ${index}`).digest('hex').slice(0, 12) : 1000 + index,
    dn: channel === 'chat' ? `end_user_${between(1, CONTACTS)}` : phone(between(0, CONTACTS)),
    queue: pick(QUEUES),
    language: pick(LANGUAGES),
    agent: between(1, 13),
  };
  const begin = startsAt(index);
  const steps = stepsOf(session, fate, begin);
  for (const step of steps) schedule(session, step);
  const end = steps.find((step) => step.name === 'ended');
  if (end && spelling === 'snake') deliver(end.at + 15 * MINUTE_MS, 'metadata', [metadataOf(session, steps, fate)]);
}

function pickFate() {
  const roll = random();
  if (roll < 0.08) return 'abandoned';
  if (roll < 0.13) return 'voicemail';
  return 'served';
}

function stepsOf(session, fate, begin) {
  const assigned = begin + between(5_000, 40_000);
  const active = assigned + between(5_000, 10_000);
  const ended = fate === 'served' ? active + between(45_000, 5 * MINUTE_MS) : begin + between(20_000, 60_000);
  const steps = [
    { name: 'started', at: begin },
    { name: 'routed', at: begin + between(1_000, 4_000) },
  ];
  if (fate === 'served') steps.push({ name: 'assigned', at: assigned }, { name: 'active', at: active });
  steps.push({ name: 'ended', at: ended });
  if (fate === 'served' && chance(0.9)) steps.push({ name: 'dispositioned', at: ended + between(5_000, 60_000) });
  const times = Object.fromEntries(steps.map((step) => [step.name, step.at]));
  return steps.map((step) => ({ ...step, times, fate }));
}

/** Most deliveries carry one event at once; some come twice, some late, a few not at all: CCAI promises neither order nor retries. */
function schedule(session, step) {
  if (step.name === 'assigned' && chance(0.02)) return;
  const event = eventOf(session, step);
  const feed = `${session.channel}s`;
  const late = chance(0.05) ? between(20_000, 90_000) : 0;
  deliver(step.at + between(50, 400) + late, feed, [event]);
  if (chance(0.05)) deliver(step.at + between(1_000, 120_000), feed, [event]);
}

function eventOf(session, step) {
  const { name, at, times } = step;
  const event = {
    event_id: uuid(`${session.index}/${name}`),
    timestamp: at,
    connected_at: times.active !== undefined && at >= times.active ? iso(times.active) : null,
    ends_at: times.ended !== undefined && at >= times.ended ? iso(times.ended) : null,
    initiator: initiatorOf(session, name),
    item: session.spelling === 'pascal' ? pascalItem(session, step) : snakeItem(session, step),
  };
  if (name === 'dispositioned')
    event.dispositions = [
      { code: pick(DISPOSITIONS), custom_code_id: null, note: 'Noted by the agent after the session.' },
    ];
  return event;
}

function initiatorOf(session, name) {
  if (name === 'started') return session.dn;
  if (name === 'routed') return 'virtual_agent_15';
  return name === 'ended' ? session.dn : `agent_${session.agent}`;
}

function agentOf(session) {
  return { id: session.agent, name: `Agent ${session.agent}`, email: `agent-${session.agent}@example.com` };
}

function snakeItem(session, step) {
  const [external, agent, sessionState] = STATES[step.name];
  const hadAgent = step.times.assigned !== undefined && step.at >= step.times.assigned;
  const participants = [{ type: 'external', state: external, dn: session.dn }];
  if (hadAgent && agent) participants.push({ type: 'agent', state: agent, ...agentOf(session) });
  const item = {
    [session.channel === 'chat' ? 'chat_id' : 'call_id']: session.id,
    state: step.fate === 'voicemail' && step.name === 'ended' ? 'voicemail' : sessionState,
    direction: 'incoming',
    session_type_v2: session.channel === 'chat' ? 'In-web' : 'IVR',
    language: session.language,
    initiator: session.dn,
    support_number: null,
    participants,
  };
  if (step.name !== 'started') {
    item.queue_path_ids = '1/2/3';
    item.queue_path_names = session.queue;
  }
  return item;
}

function pascalItem(session, step) {
  const [external, agent, sessionState] = STATES[step.name];
  const hadAgent = step.times.assigned !== undefined && step.at >= step.times.assigned;
  const Participants = [{ ParticipantID: session.dn, Type: 'external', State: external }];
  if (hadAgent && agent)
    Participants.push({
      ParticipantID: String(session.agent),
      Type: 'agent',
      State: agent,
      Name: `Agent ${session.agent}`,
    });
  const item = {
    CallID: session.id,
    State: step.fate === 'voicemail' && step.name === 'ended' ? 'voicemail' : sessionState,
    Direction: 'incoming',
    Initiator: session.dn,
    Language: session.language,
    Recording_permitted: true,
    Participants,
  };
  if (step.name !== 'started') {
    item.Queue_path_ids = '1/2/3';
    item.Queue_path_names = session.queue;
    item.Queue_uuid = 3;
  }
  return item;
}

function metadataOf(session, steps, fate) {
  const { times } = steps[0];
  const served = fate === 'served';
  const seconds = (from, to) => (from === undefined || to === undefined ? null : Math.round((to - from) / 1000));
  return {
    id: session.id,
    lang: session.language,
    [`${session.channel}_type`]: session.channel === 'chat' ? 'web' : 'voice inbound',
    session_type: session.channel === 'chat' ? 'Messaging (Web)' : 'Voice Inbound (IVR)',
    status: served ? 'finished' : 'failed',
    created_at: iso(times.started),
    queued_at: iso(times.routed),
    assigned_at: times.assigned === undefined ? null : iso(times.assigned),
    connected_at: times.active === undefined ? null : iso(times.active),
    ends_at: iso(times.ended),
    wait_duration: seconds(times.started, times.assigned ?? times.ended),
    [`${session.channel}_duration`]: seconds(times.active, times.ended),
    hold_duration: 0,
    rating: served && chance(0.4) ? between(1, 6) : null,
    feedback: null,
    agent_info: served ? [agentOf(session)] : [],
    participants: [{ type: 'end_user', [session.channel === 'chat' ? 'user_id' : 'phone_number']: session.dn }],
    transfers: [],
    handle_durations: [],
    queue_durations: [],
    recording_permitted: session.channel === 'call',
    recording_url:
      served && session.channel === 'call' ? `https://recordings.example.com/${session.channel}/${session.id}` : null,
    selected_menu: session.queue,
    disposition_code: null,
    disposition_notes: null,
    deflection: null,
  };
}

deliveries.sort((a, b) => a.atMs - b.atMs);
const lines = deliveries.map(({ atMs, feed, body }) => JSON.stringify({ atMs: atMs - BASE_MS, feed, body }));
writeFileSync(new URL('sample-day.jsonl', import.meta.url), `${lines.join('\n')}\n`);
