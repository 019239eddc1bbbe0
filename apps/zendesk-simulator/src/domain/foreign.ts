/* Somebody else's calls on the same licence: they draw on the limits and stand in the books, and do nothing else. */
import { countInWindow, writeCall } from './books.js';
import { drawForeign, rulesFor, windowAt } from './limits.js';
import type { ForeignTraffic } from './options.js';
import type { World } from './world.js';

const CALLS_PER_MINUTE_LIMIT = 200_000;

/** Starts the traffic that the options name, and lets all earlier traffic run out. */
export function startForeign(world: World): void {
  const traffic = world.options.foreign;
  for (const stream of traffic) scheduleNext(world, stream, () => world.options.foreign === traffic);
}

function scheduleNext(world: World, stream: ForeignTraffic, isOn: () => boolean): void {
  const perMinute = Math.min(stream.callsPerMinute, CALLS_PER_MINUTE_LIMIT);
  if (perMinute <= 0) return;
  const gapMs = (60_000 / perMinute) * (0.5 + world.random.next());
  world.schedule.at(world.nowMs + gapMs, () => {
    if (!isOn()) return;
    callOnce(world, stream);
    scheduleNext(world, stream, isOn);
  });
}

/** One foreign call: agents who edit by hand draw on the limit of ticket updates only. */
function callOnce(world: World, { caller, kind }: ForeignTraffic): void {
  const isByHand = kind === 'ui.update';
  const rules = rulesFor(world.limits, isByHand ? 'tickets.update' : kind).filter(
    ({ name, scope }) => scope === 'account' && (!isByHand || name === 'tickets-update'),
  );
  let refusedBy: string | undefined;
  for (const rule of rules) {
    if (refusedBy !== undefined) break;
    const refused = drawForeign(world.limits, world.options, { rule, nowMs: world.nowMs });
    const { startMs, endMs } = windowAt(rule, world.options, world.nowMs);
    countInWindow(world.books, rule, { startMs, endMs, caller, units: 1, refused });
    if (refused) refusedBy = rule.name;
  }
  const entry = {
    id: world.nextExchangeId++,
    atMs: world.nowMs,
    caller,
    method: '',
    url: '',
    kind,
    status: refusedBy === undefined ? 200 : 429,
    fate: 'answer',
    refusedBy,
    faults: [],
    bodyBytes: 0,
    counted: !isByHand,
  } as const;
  writeCall(world.books, { ...entry }, refusedBy === undefined ? undefined : 'limit');
}
