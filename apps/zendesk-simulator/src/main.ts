import { startSimulator } from './start-simulator.js';
import { readSettings } from './simulator.settings.js';

const settings = readSettings(process.argv.slice(2));
const simulator = await startSimulator(settings).catch((error: unknown) => {
  process.stderr.write(
    `zendesk-simulator could not start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
const { url } = simulator;

let isStopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (isStopping) return;
    isStopping = true;
    simulator.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`zendesk-simulator did not stop cleanly: ${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}

// Last: whoever reads it may ask us to stop at once.
process.stdout.write(
  settings.json
    ? `${JSON.stringify({ ready: 'zendesk-simulator', http: url, control: `${url}/_control`, speed: settings.speed, licence: settings.choices.licence })}\n`
    : `zendesk-simulator listens on ${url} (licence ${settings.choices.licence}, speed ${settings.speed}), control door ${url}/_control\n`,
);
