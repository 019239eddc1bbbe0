import type { Call } from './call.js';
import { idempotencyMismatch, invalidValue } from './errors.js';
import { type Answer, JSON_TYPE, TEXT_TYPE } from './exchange.js';
import type { JobFault } from './jobs.js';
import { writtenOut } from './json.js';
import { fingerprintOf } from './random.js';
import type { Route } from './routes.js';
import type { World } from './world.js';

const KEY_LIMIT_CHARACTERS = 255;

/** Runs the call itself, with Idempotency-Key on `POST /tickets` and nowhere else. */
export function perform(call: Call, route: Route, jobFault: JobFault | undefined): Answer {
  const key = route.kind === 'tickets.create' ? call.request.headers['idempotency-key'] : undefined;
  if (key === undefined) return route.handle(call, jobFault);
  if (key.length > KEY_LIMIT_CHARACTERS)
    return invalidValue(`Idempotency-Key cannot exceed ${KEY_LIMIT_CHARACTERS} characters`);
  const { world } = call;
  forgetOldAnswers(world);
  const scopedKey = `${call.actor?.id ?? 0}|${key}`;
  const fingerprint = fingerprintOf(call.request.body ?? '');
  const known = world.rememberedAnswers.get(scopedKey);
  if (known) {
    if (known.fingerprint !== fingerprint) return idempotencyMismatch();
    const headers = { ...known.headers, 'x-idempotency-lookup': 'hit' };
    return { status: known.status, body: null, text: known.body, headers };
  }
  const done = route.handle(call, jobFault);
  if (done.status < 300 || world.options.open.idempotencyKeeps !== 'success')
    remember(world, scopedKey, { fingerprint, done });
  return { ...done, headers: { ...done.headers, 'x-idempotency-lookup': 'miss' } };
}

function remember(world: World, key: string, of: { fingerprint: number; done: Answer }): void {
  world.rememberedAnswers.set(key, {
    fingerprint: of.fingerprint,
    expiresAtMs: world.nowMs + world.options.idempotencyLifeMs,
    status: of.done.status,
    body: of.done.text ?? writtenOut(of.done.body),
    headers: { ...of.done.headers, 'content-type': of.done.text === undefined ? JSON_TYPE : TEXT_TYPE },
  });
}

function forgetOldAnswers(world: World): void {
  for (const [key, { expiresAtMs }] of world.rememberedAnswers) {
    if (expiresAtMs > world.nowMs) return;
    world.rememberedAnswers.delete(key);
  }
}

/** Where keys keep everything, a refusal or failure is what they bring back from then on. */
export function rememberFailure(call: Call, failure: Answer): void {
  if (call.world.options.open.idempotencyKeeps !== 'everything') return;
  const key = call.kind === 'tickets.create' ? call.request.headers['idempotency-key'] : undefined;
  if (key === undefined) return;
  const scopedKey = `${call.actor?.id ?? 0}|${key}`;
  if (call.world.rememberedAnswers.has(scopedKey)) return;
  remember(call.world, scopedKey, { fingerprint: fingerprintOf(call.request.body ?? ''), done: failure });
}
