import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { HealthChecks } from './health.js';
import { jsonLogger } from './json-logger.js';

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const logged = (write: (log: ReturnType<typeof jsonLogger>) => void, level: 'debug' | 'info' | 'warn' = 'info') => {
  const lines: string[] = [];
  write(jsonLogger('ingest', { level, write: (line) => lines.push(line), nowMs: () => AT }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
};

describe('the log', () => {
  it('writes one JSON object with time, level, service, message and fields', () => {
    expect(logged((log) => log.info('stored', { account: 'demo', events: 3 }))).toEqual([
      {
        at: '2026-01-02T03:04:05.678Z',
        level: 'info',
        service: 'ingest',
        message: 'stored',
        account: 'demo',
        events: 3,
      },
    ]);
  });

  it('writes nothing below its level', () => {
    const entries = logged((log) => {
      log.debug('a');
      log.info('b');
      log.warn('c');
      log.error('d');
    }, 'warn');

    expect(entries.map(({ message }) => message)).toEqual(['c', 'd']);
  });

  it('tells name, message, code and cause of an error', () => {
    const cause = new Error('socket closed');
    const error = Object.assign(new RangeError('no', { cause }), { code: 'E_NO' });

    const [entry] = logged((log) => log.error('failed', { error }));

    expect(entry?.['error']).toMatchObject({ name: 'RangeError', message: 'no', code: 'E_NO' });
    expect(entry?.['error']).toHaveProperty('cause.message', 'socket closed');
    expect(entry?.['error']).toHaveProperty('stack');
  });

  it("takes Nest's own entries: a context, a stack, an error as message", () => {
    const [first, second, third] = logged((log) => {
      log.log('Nest started', 'NestFactory');
      log.error('it broke', 'Error: it broke\n at x', 'ExceptionsHandler');
      log.error(new TypeError('oh'), 'Handler');
    });

    expect(first).toMatchObject({ level: 'info', message: 'Nest started', context: 'NestFactory' });
    expect(second).toMatchObject({
      message: 'it broke',
      stack: 'Error: it broke\n at x',
      context: 'ExceptionsHandler',
    });
    expect(third).toMatchObject({ message: 'oh', context: 'Handler', error: { name: 'TypeError' } });
  });

  it('bears big integers, and cuts texts that are too long', () => {
    const [entry] = logged((log) => log.info('x', { big: 10n, long: 'y'.repeat(10_000) }));

    expect(entry?.['big']).toBe('10');
    expect(String(entry?.['long'])).toHaveLength(2_001);
  });

  it('bears a field that refers to itself', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;

    const [entry] = logged((log) => log.info('round and round', { loop }));

    expect(entry).toMatchObject({ level: 'info', message: 'round and round' });
  });
});

describe('health', () => {
  it('is well when all checks are', async () => {
    const health = new HealthChecks({ a: () => null, b: () => Promise.resolve(null) });

    expect(await health.report()).toEqual({ ok: true, checks: { a: 'ok', b: 'ok' } });
  });

  it('names the failing check and why, whether it says so, throws or rejects', async () => {
    const health = new HealthChecks({ well: () => null, says: () => 'away' });
    health.add('throws', () => {
      throw new Error('broken');
    });
    health.add('rejects', () => Promise.reject(new Error('refused')));

    expect(await health.report()).toEqual({
      ok: false,
      checks: { well: 'ok', says: 'away', throws: 'broken', rejects: 'refused' },
    });
  });

  it('does not wait for ever for a check', async () => {
    const health = new HealthChecks({ hangs: () => new Promise<string>(() => undefined) });

    expect(await health.report()).toEqual({ ok: false, checks: { hangs: 'no answer within 2000 ms' } });
  });
});
