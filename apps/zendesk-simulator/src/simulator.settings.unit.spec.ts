import { describe, expect, it } from '@jest/globals';
import { readSettings } from './simulator.settings.js';

describe('the command line', () => {
  it('stands for a Professional account on a free port of this machine unless it says otherwise', () => {
    expect(readSettings([])).toMatchObject({
      port: 0,
      host: '127.0.0.1',
      speed: 1,
      json: false,
      choices: { licence: 'professional', limitPerDay: null, credentials: [], edgeLagMs: 1000, chaosShare: 0 },
    });
  });

  it('names licence, speed, a day’s limit in a time zone, and who may call', () => {
    const argv =
      '--port 8090 --licence team --speed 10 --day-limit 2500 --day-time-zone Europe/Berlin --json ' +
      '--credential agent@example.com/token:secret --credential bearer:abc --foreign-per-minute 30 --chaos 0.02';
    expect(readSettings(argv.split(' '))).toEqual({
      port: 8090,
      host: '127.0.0.1',
      speed: 10,
      json: true,
      choices: expect.objectContaining({
        licence: 'team',
        limitPerDay: 2500,
        dayTimeZone: 'Europe/Berlin',
        credentials: [
          { kind: 'basic', value: 'agent@example.com/token:secret' },
          { kind: 'bearer', value: 'abc' },
        ],
        foreign: [{ caller: '(foreign)', callsPerMinute: 30, kind: 'other' }],
        chaosShare: 0.02,
      }),
    });
  });
});
