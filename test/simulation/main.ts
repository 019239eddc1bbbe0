/*
 * Simulates one day:   npm run sim -- --scenario <name> [--json] [--seed N] [--licence NAME] [--interactions-per-day N]
 *                                     [--calls-per-day N|none] [--other-usage 0..1] [--new-callers 0..1]
 * Progress goes to standard error. With --json the last line of standard output is one JSON object; without it the same facts are
 * printed as a list. Exit codes: 0 simulated and nothing wrong, 1 a promise was broken, 64 wrong use.
 */
import { parseArgs } from 'node:util';
import { licenceNames } from '../../apps/zendesk-simulator/src/domain/options.js';
import { type Measures, measure } from './measures.js';
import { type Scenario, SCENARIOS } from './scenarios.js';
import { World } from './world.js';

const WRONG_USE = 64;

/** Bad options, in words for whoever typed them. */
class WrongUse extends Error {}

await main();

async function main(): Promise<void> {
  try {
    const { name, scenario, json } = chosen();
    const startedAtMs = performance.now();
    say(`${name}: ${scenario.arrivals.interactions} interactions, seed ${scenario.seed}`);
    const world = new World(scenario);
    await world.run();
    await world.end();
    const measures = measure(world);
    const tookMs = Math.round(performance.now() - startedAtMs);
    say(`${world.time.happened} things happened in ${(tookMs / 1_000).toFixed(1)} s`);
    const result = { scenario: name, seed: scenario.seed, ...measures };
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : listOf(result));
    const broken = brokenPromises(measures);
    for (const promise of broken) say(`BROKEN: ${promise}`);
    process.exitCode = broken.length > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof WrongUse)) throw error;
    say(error.message);
    say(`  npm run sim -- --scenario <${Object.keys(SCENARIOS).join(' | ')}> [--json] [--seed N]`);
    say(
      '    [--licence NAME] [--interactions-per-day N] [--calls-per-day N|none] [--other-usage 0..1] [--new-callers 0..1]',
    );
    process.exitCode = WRONG_USE;
  }
}

/** What must hold on any day, however scarce the calls. */
function brokenPromises({
  doubled,
  outOfOrder,
  limitsExceeded,
  refused429Own,
  notOneTicket,
  unfinished,
}: Measures): string[] {
  return [
    ...(doubled > 0 ? [`${doubled} things were done twice`] : []),
    ...(outOfOrder > 0 ? [`${outOfOrder} commands took effect out of order`] : []),
    ...(limitsExceeded > 0 ? [`${limitsExceeded} limits were exceeded`] : []),
    ...(refused429Own > 0 ? [`${refused429Own} calls were refused in windows that our own calls had filled`] : []),
    ...(notOneTicket > unfinished.tickets ? [`${notOneTicket} interactions don't have exactly one ticket`] : []),
  ];
}

function chosen(): { readonly name: string; readonly scenario: Scenario; readonly json: boolean } {
  const values = given();
  const { scenario: name = '' } = values;
  const base = SCENARIOS[name];
  if (!base || !Object.hasOwn(SCENARIOS, name))
    throw new WrongUse(name === '' ? 'Which scenario?' : `There is no scenario ${name}.`);
  const licence = values.licence ?? base.licence;
  if (!licenceNames().includes(licence)) throw new WrongUse(`licence must be one of ${licenceNames().join(', ')}`);
  const perDay = values['calls-per-day'];
  const scenario: Scenario = {
    ...base,
    licence,
    seed: wholeNumber('seed', values.seed) ?? base.seed,
    arrivals: {
      ...base.arrivals,
      interactions: wholeNumber('interactions-per-day', values['interactions-per-day']) ?? base.arrivals.interactions,
    },
    callsPerDay: perDay === 'none' ? null : (wholeNumber('calls-per-day', perDay) ?? base.callsPerDay),
    otherUsage: part('other-usage', values['other-usage']) ?? base.otherUsage,
    newCallers: part('new-callers', values['new-callers']) ?? base.newCallers,
  };
  return { name, scenario, json: values.json };
}

function given() {
  try {
    return parseArgs({
      options: {
        scenario: { type: 'string' },
        json: { type: 'boolean', default: false },
        seed: { type: 'string' },
        licence: { type: 'string' },
        'interactions-per-day': { type: 'string' },
        'calls-per-day': { type: 'string' },
        'other-usage': { type: 'string' },
        'new-callers': { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new WrongUse((error as Error).message);
  }
}

function wholeNumber(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,7}$/.test(text) || Number(text) < 1) throw new WrongUse(`--${name} must be a whole number from 1 on`);
  return Number(text);
}

function part(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new WrongUse(`--${name} must be a number from 0 to 1`);
  return value;
}

function listOf(result: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(result).map((key) => key.length));
  return Object.entries(result)
    .map(([key, value]) => `${key.padEnd(width)}  ${JSON.stringify(value)}\n`)
    .join('');
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
