import type { CallKind } from '#contracts';

/**
 * When an account may be called at all: closed after failures that aren't one write's own (the CRM is down, the
 * credential is refused, the edge protection speaks), then opened for a single probe; and which kinds of call a limit
 * holds back. Instants are monotonic ms, handed in. Waiting here spends no attempts.
 */
export interface AccountGate {
  readonly closedUntilMs: number;
  /** Why it is closed, a stable code; null while open. */
  readonly reason: string | null;
  /** Failures in a row since the last answer that showed the CRM well. */
  readonly failures: number;
  readonly kinds: ReadonlyMap<CallKind, number>;
}

export const OPEN_GATE: AccountGate = { closedUntilMs: 0, reason: null, failures: 0, kinds: new Map() };

/** From this many failures in a row on, it is the CRM that fails, not the writes. */
export const FAILURES_THAT_CLOSE = 3;
/** How soon the credential is tried again after a refusal, the CRM's own time. */
export const CREDENTIAL_PROBE_MS = 60_000;
const FIRST_PROBE_MS = 1_000;
const LONGEST_PROBE_MS = 60_000;

/** The CRM answered as a working one does: everything may go. */
export function opened(gate: AccountGate): AccountGate {
  return { ...gate, closedUntilMs: 0, reason: null, failures: 0 };
}

/**
 * A call failed at the CRM's end. `toldWaitMs` is what it asked for. `timeScale` shortens our own waits; `random` in
 * [0, 1) takes up to a quarter off.
 */
export function failed(
  gate: AccountGate,
  input: {
    readonly nowMs: number;
    readonly toldWaitMs: number | null;
    readonly timeScale: number;
    readonly random: number;
  },
): AccountGate {
  const failures = gate.failures + 1;
  if (failures < FAILURES_THAT_CLOSE) return { ...gate, failures };
  const probeMs = Math.min(FIRST_PROBE_MS * 2 ** Math.min(failures - FAILURES_THAT_CLOSE, 30), LONGEST_PROBE_MS);
  const waitMs = input.toldWaitMs ?? (probeMs / input.timeScale) * (1 - input.random / 4);
  return closed({ ...gate, failures }, input.nowMs + waitMs, 'crm_failing');
}

/** Nothing may go until then. A closing never shortens an earlier one. */
export function closed(gate: AccountGate, untilMs: number, reason: string): AccountGate {
  const failures = Math.max(gate.failures, FAILURES_THAT_CLOSE);
  return { ...gate, failures, closedUntilMs: Math.max(gate.closedUntilMs, untilMs), reason };
}

/** Calls of these kinds may not go until then. */
export function closedKinds(gate: AccountGate, kinds: readonly CallKind[], untilMs: number): AccountGate {
  const next = new Map(gate.kinds);
  for (const kind of kinds) next.set(kind, Math.max(next.get(kind) ?? 0, untilMs));
  return { ...gate, kinds: next };
}

/** Is it the CRM that fails, so that failures aren't the writes' own? */
export function isFailing(gate: AccountGate): boolean {
  return gate.failures >= FAILURES_THAT_CLOSE;
}

/**
 * How many calls may be in flight at once: all after an answer that showed the CRM well, one (the probe) when the time
 * of a closed gate has passed, none before.
 */
export function mayBeInFlight(gate: AccountGate, nowMs: number, most: number): number {
  if (nowMs < gate.closedUntilMs) return 0;
  return isFailing(gate) ? 1 : most;
}

/** May a call of this kind go now? */
export function mayGo(gate: AccountGate, kind: CallKind, nowMs: number): boolean {
  return nowMs >= (gate.kinds.get(kind) ?? 0);
}

/** The nearest instant at which something that is closed now opens; null where nothing is closed. */
export function opensAt(gate: AccountGate, nowMs: number): number | null {
  const instants = [gate.closedUntilMs, ...gate.kinds.values()].filter((at) => at > nowMs);
  return instants.length === 0 ? null : Math.min(...instants);
}
