import { Command, InvalidArgumentError, Option } from 'commander';
import { isTimeZone } from './domain/calendar.js';
import { type Credential, licenceNames } from './domain/options.js';
import type { SimulatorChoices } from './domain/simulator.js';

/** How the simulator is to run. */
export interface SimulatorSettings {
  readonly port: number;
  readonly host: string;
  /** How many times as fast as the real clock time passes. */
  readonly speed: number;
  /** Whether the line said when listening is JSON. */
  readonly json: boolean;
  readonly choices: SimulatorChoices;
}

interface Flags {
  port: number;
  host: string;
  speed: number;
  json?: boolean;
  licence: string;
  limitPerMinute?: number;
  dayLimit?: number;
  dayTimeZone: string;
  sandbox?: boolean;
  credential: Credential[];
  edgeLag: number;
  latency: number;
  searchLag: number;
  seed: number;
  foreignPerMinute?: number;
  chaos: number;
}

/** Reads the command line; wrong values end in a message and exit code 1 (commander's own way). */
export function readSettings(argv: readonly string[]): SimulatorSettings {
  const flags = commandLine().parse(argv, { from: 'user' }).opts<Flags>();
  return {
    port: flags.port,
    host: flags.host,
    speed: flags.speed,
    json: flags.json === true,
    choices: {
      seed: flags.seed,
      licence: flags.licence,
      limitPerMinute: flags.limitPerMinute ?? null,
      limitPerDay: flags.dayLimit ?? null,
      dayTimeZone: flags.dayTimeZone,
      sandbox: flags.sandbox === true,
      credentials: flags.credential,
      edgeLagMs: flags.edgeLag,
      latencyScale: flags.latency,
      searchLagMs: flags.searchLag,
      chaosShare: flags.chaos,
      foreign:
        flags.foreignPerMinute === undefined
          ? []
          : [{ caller: '(foreign)', callsPerMinute: flags.foreignPerMinute, kind: 'other' }],
    },
  };
}

function commandLine(): Command {
  return new Command('simulator')
    .description('A simulated Zendesk account that real clients can use, with a control door at /_control.')
    .option('--port <number>', 'port to listen on; 0 takes a free one', port, 0)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addOption(new Option('--licence <name>', 'licence of the account').choices(licenceNames()).default('professional'))
    .option('--limit-per-minute <calls>', "other than the licence's", count)
    .option('--day-limit <calls>', 'limit of a day; Zendesk has none', count)
    .option('--day-time-zone <zone>', 'in whose midnight days begin', timeZone, 'UTC')
    .option('--sandbox', 'lower limit of ticket updates, as trials and sandboxes have')
    .option('--speed <factor>', 'how many times as fast time passes', speed, 1)
    .option(
      '--credential <credential>',
      'email/token:secret, user:password or bearer:token; repeatable',
      credential,
      [],
    )
    .option('--edge-lag <ms>', 'how long counters may lag at the turn of a window', count, 1000)
    .option('--latency <factor>', 'scales the time calls take; 0 answers at once', factor, 1)
    .option('--search-lag <ms>', 'how long the search index trails', count, 120_000)
    .option('--foreign-per-minute <calls>', 'calls of others on the same licence', count)
    .option('--chaos <share>', 'share of calls that each kind of fault befalls, 0 to 1', share, 0)
    .option('--seed <number>', 'seed of everything random', count, 1)
    .option('--json', 'say one JSON line when listening');
}

function port(text: string): number {
  const value = count(text);
  if (value > 65_535) throw new InvalidArgumentError('a port is at most 65535');
  return value;
}

function count(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('must be a whole number, not negative');
  return Number(text);
}

function factor(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('must be a number, not negative');
  return value;
}

function share(text: string): number {
  const value = factor(text);
  if (value > 1) throw new InvalidArgumentError('must be between 0 and 1');
  return value;
}

function speed(text: string): number {
  const value = factor(text);
  if (value < 0.1 || value > 10_000) throw new InvalidArgumentError('must be between 0.1 and 10000');
  return value;
}

function timeZone(text: string): string {
  if (!isTimeZone(text)) throw new InvalidArgumentError('is no time zone that is known here');
  return text;
}

function credential(text: string, before: Credential[]): Credential[] {
  const bearer = /^bearer:(.+)$/.exec(text)?.[1];
  if (bearer === undefined && !/^[^:]+:.+$/.test(text))
    throw new InvalidArgumentError('must be user:secret or bearer:token');
  return [...before, bearer === undefined ? { kind: 'basic', value: text } : { kind: 'bearer', value: bearer }];
}
