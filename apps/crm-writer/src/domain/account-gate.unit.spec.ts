import { describe, expect, it } from '@jest/globals';
import {
  type AccountGate,
  closed,
  closedKinds,
  failed,
  isFailing,
  mayBeInFlight,
  mayGo,
  OPEN_GATE,
  opened,
  opensAt,
} from './account-gate.js';

const fail = (gate: AccountGate, nowMs: number, toldWaitMs: number | null = null) =>
  failed(gate, { nowMs, toldWaitMs, timeScale: 1, random: 0 });

describe('the gate of an account', () => {
  it('bears single failures', () => {
    const gate = fail(fail(OPEN_GATE, 0), 0);
    expect(isFailing(gate)).toBe(false);
    expect(mayBeInFlight(gate, 0, 16)).toBe(16);
  });

  it('closes when calls fail one after the other, then lets a single probe pass', () => {
    const gate = fail(fail(fail(OPEN_GATE, 0), 0), 0);
    expect(gate).toMatchObject({ closedUntilMs: 1_000, reason: 'crm_failing' });
    expect(mayBeInFlight(gate, 999, 16)).toBe(0);
    expect(mayBeInFlight(gate, 1_000, 16)).toBe(1);
  });

  it('probes ever more rarely, within a bound, and not before the CRM asked for it', () => {
    let gate = OPEN_GATE;
    for (let failures = 0; failures < 40; failures += 1) gate = fail(gate, 0);
    expect(gate.closedUntilMs).toBe(60_000);
    expect(fail(fail(fail(OPEN_GATE, 0), 0), 0, 90_000).closedUntilMs).toBe(90_000);
  });

  it('opens with the first answer that shows the CRM well', () => {
    const gate = opened(fail(fail(fail(OPEN_GATE, 0), 0), 0));
    expect(mayBeInFlight(gate, 0, 16)).toBe(16);
  });

  it('stays closed as long as the longest reason says', () => {
    expect(closed(closed(OPEN_GATE, 500, 'a'), 100, 'b').closedUntilMs).toBe(500);
  });

  it('holds back the kinds of call that a limit names, and no others', () => {
    const gate = closedKinds(OPEN_GATE, ['tickets.update'], 50);
    expect(mayGo(gate, 'tickets.update', 49)).toBe(false);
    expect(mayGo(gate, 'tickets.update', 50)).toBe(true);
    expect(mayGo(gate, 'tickets.create', 0)).toBe(true);
  });

  it('tells when something opens next', () => {
    expect(opensAt(OPEN_GATE, 0)).toBeNull();
    expect(opensAt(closedKinds(closed(OPEN_GATE, 80, 'a'), ['jobs.show'], 50), 10)).toBe(50);
    expect(opensAt(closedKinds(closed(OPEN_GATE, 80, 'a'), ['jobs.show'], 50), 60)).toBe(80);
  });
});
