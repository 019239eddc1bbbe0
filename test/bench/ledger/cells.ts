import { median } from '../bench.js';
import { cpuSpentMs } from './cpu-spent.js';
import type { Field } from './field.js';
import { booksBetween, type PostgresBooks, postgresBooks } from './postgres-books.js';
import { turnsOf } from './ledger-turns.js';
import type { Answerer } from './quota-sender.js';
import type { Requests } from './request-lanes.js';
import { profiled } from './sender-profile.js';

/** So many requests on their way at once, spread over so many accounts. */
export interface Cell {
  readonly inFlight: number;
  readonly accounts: number;
  /** How the sender asks; default `client`. */
  readonly requests?: Requests;
}

/** Who used how much CPU for one pair, µs. */
export type CpuMicros = Readonly<Record<'sender' | 'nats' | 'ledger' | 'postgres' | 'echo', number>>;

export interface Round {
  readonly pairs: number;
  readonly pairsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpu: CpuMicros | null;
  readonly postgres: PostgresBooks;
  /** Turns of the ledger, each one commit for all that was decided in it; null where it doesn't tell. */
  readonly turns: number | null;
}

/** All rounds of a cell, in turns. */
export interface CellRounds extends Cell {
  readonly echo: Round[];
  readonly ledger: Round[];
}

export interface CellResult extends Omit<Cell, 'requests'> {
  readonly pairsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly echoPairsPerSecond: number;
  readonly ratioToEcho: number;
}

export interface RoundOptions {
  readonly forMs: number;
  readonly signal: AbortSignal;
  readonly profileFolder: string | null;
}

/** One round of a cell. Before one of the echo, the echo is given the ledger's newest answers to repeat. */
export async function measureRound(
  field: Field,
  cell: Cell,
  answerer: Answerer,
  { forMs, signal, profileFolder }: RoundOptions,
): Promise<Round> {
  const { sender, echo } = field;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  const { samples } = sender;
  if (answerer === 'echo0') await echo.ask({ acquire: text(samples.acquire), settle: text(samples.settle) });
  const accounts = field.accounts.slice(0, cell.accounts);
  const before = await postgresBooks(field.client);
  const turnsBefore = await turnsOf(field.ledger.url);
  const cpuBefore = cpuOf(field);
  const name = `sender-${answerer}-${cell.inFlight}-${cell.accounts}`;
  const { inFlight, requests } = cell;
  const { pairs, tookMs, latenciesMs } = await profiled(profileFolder, name, () =>
    sender.pairs({ answerer, accounts, inFlight, requests, forMs, signal }),
  );
  const cpuAfter = cpuOf(field);
  const postgres = booksBetween(before, await postgresBooks(field.client));
  const turnsAfter = await turnsOf(field.ledger.url);
  const turns = turnsBefore === null || turnsAfter === null ? null : turnsAfter - turnsBefore;
  const sorted = Float64Array.from(latenciesMs).sort();
  const at = (portion: number): number => sorted[Math.ceil(sorted.length * portion) - 1] ?? Number.NaN;
  const pairsPerSecond = (pairs * 1_000) / tookMs;
  const cpu = perPair(cpuBefore, cpuAfter, pairs);
  return { pairs, pairsPerSecond, p50Ms: at(0.5), p99Ms: at(0.99), cpu, postgres, turns };
}

/** Medians over a cell's rounds; the ratio is that of the two medians. */
export function resultOf({ inFlight, accounts, echo, ledger }: CellRounds): CellResult {
  const of = (rounds: readonly Round[], what: 'pairsPerSecond' | 'p50Ms' | 'p99Ms'): number =>
    median(rounds.map((round) => round[what]));
  const [pairsPerSecond, echoPairsPerSecond] = [of(ledger, 'pairsPerSecond'), of(echo, 'pairsPerSecond')];
  return {
    inFlight,
    accounts,
    pairsPerSecond: Math.round(pairsPerSecond),
    p50Ms: rounded(of(ledger, 'p50Ms')),
    p99Ms: rounded(of(ledger, 'p99Ms')),
    echoPairsPerSecond: Math.round(echoPairsPerSecond),
    ratioToEcho: rounded(pairsPerSecond / echoPairsPerSecond),
  };
}

/** Three digits after the point. */
export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/** Microseconds of CPU for one pair, by process: the median round. */
export function cpuLine(rounds: readonly Round[]): string {
  const names = ['sender', 'nats', 'ledger', 'postgres', 'echo'] as const;
  const spent = rounds.flatMap(({ cpu }) => (cpu === null ? [] : [cpu]));
  if (spent.length === 0) return 'not told by this system';
  return names.map((name) => `${name} ${median(spent.map((cpu) => cpu[name]))}`).join(', ');
}

type CpuMs = Readonly<Record<keyof CpuMicros, number | null>>;

function cpuOf({ nats, ledger, postgres, echo }: Field): CpuMs {
  const { user, system } = process.cpuUsage();
  return {
    sender: (user + system) / 1_000,
    nats: cpuSpentMs(nats.pid),
    ledger: cpuSpentMs(ledger.pid),
    postgres: cpuSpentMs(postgres.pid),
    echo: cpuSpentMs(echo.pid),
  };
}

function perPair(before: CpuMs, after: CpuMs, pairs: number): CpuMicros | null {
  if (before.nats === null || pairs === 0) return null;
  const of = (name: keyof CpuMs): number => Math.round((((after[name] ?? 0) - (before[name] ?? 0)) * 1_000) / pairs);
  return { sender: of('sender'), nats: of('nats'), ledger: of('ledger'), postgres: of('postgres'), echo: of('echo') };
}
