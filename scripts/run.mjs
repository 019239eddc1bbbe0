/*
 * Runs one of Sluice's programs, after making everything ready for it:
 *   node scripts/run.mjs demo [options]          the whole of Sluice on this machine
 *   node scripts/run.mjs start [app [options]]   one service, with the settings of the environment; without a name: lists them
 *   node scripts/run.mjs simulator [--port N …] the simulated Zendesk alone
 *   node scripts/run.mjs bench <name> [options]
 *   node scripts/run.mjs audit [options]         compares the ledger's usage with its journal
 *   node scripts/run.mjs sim --scenario <name> [options]   a day in virtual time
 * The program runs in this very process, so signals and exit codes are its own. Standard output is the program's too.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root, say } from './prepare.mjs';

const WRONG_USE = 64;
/** Not services: they have commands of their own. */
const NO_SERVICES = ['demo'];

const [command, ...args] = process.argv.slice(2);

switch (command) {
  case 'demo':
    await run('apps/demo/src/main.js', args);
    break;
  case 'simulator':
    await run('apps/zendesk-simulator/src/main.js', args);
    break;
  case 'bench':
    await run('test/bench/main.js', args);
    break;
  case 'audit':
    await run('apps/quota-ledger/src/audit.js', args);
    break;
  case 'sim':
    await run('test/simulation/main.js', args);
    break;
  case 'start':
    await start(args);
    break;
  default:
    say('Usage: node scripts/run.mjs demo|simulator|bench|audit|sim|start [options]');
    process.exitCode = WRONG_USE;
}

async function start([app, ...rest]) {
  const known = apps();
  if (app !== undefined && known.includes(app)) return run(`apps/${app}/src/main.js`, rest);
  say(app === undefined ? 'Which service?' : `There is no service ${app}.`);
  say(`  npm start -- <${known.join(' | ')}>`);
  say('Each reads its settings from the environment (docs/settings.md) and names every one that is missing or wrong.');
  say('To see all of Sluice at work, without any settings: npm run demo');
  process.exitCode = app === undefined ? 0 : WRONG_USE;
}

function apps() {
  return readdirSync(path.join(root, 'apps'))
    .filter((name) => !NO_SERVICES.includes(name) && existsSync(path.join(root, 'apps', name, 'src/main.ts')))
    .sort();
}

async function run(program, options) {
  prepare({ build: true });
  const file = path.join(root, 'dist', program);
  if (!existsSync(file)) {
    say(`${program} isn't part of this build.`);
    process.exit(WRONG_USE);
  }
  process.setSourceMapsEnabled(true);
  process.argv = [process.execPath, file, ...options];
  await import(pathToFileURL(file).href);
}
