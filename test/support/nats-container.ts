import { freePort, type NatsConfigNeeds } from '#embedded';
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import type { TestNats } from './servers.js';

const IMAGE = 'nats:2-alpine';
const PORT = 4222;
const MONITOR_PORT = 8222;
const STORE = '/data';
const CONFIG_FILE = '/etc/nats/sluice.conf';
/** By this label the run's teardown (start-servers.mjs) finds what its spec files left. */
const RUN_LABEL = 'sluice.test-run';
const HEALTHY_WITHIN_MS = 20_000;
const POLL_MS = 50;

/** A nats-server in a container, for TEST_INFRA=containers. Its ports stay the same over kill9 and restart. */
export async function startNatsContainer(
  config: (needs: NatsConfigNeeds) => string,
): Promise<Omit<TestNats, 'credentials'>> {
  const [port, monitorPort] = [await freePort(), await freePort()];
  const content = config({ port: PORT, monitorPort: MONITOR_PORT, storeDir: STORE, serverVersion: '2.10.0' });
  const started = await new GenericContainer(IMAGE)
    .withCommand(['-c', CONFIG_FILE])
    .withCopyContentToContainer([{ content, target: CONFIG_FILE }])
    .withExposedPorts({ container: PORT, host: port }, { container: MONITOR_PORT, host: monitorPort })
    .withLabels({ [RUN_LABEL]: process.env['SLUICE_TEST_RUN'] ?? '' })
    .withWaitStrategy(Wait.forLogMessage(/Server is ready/))
    .start();
  const { container: runtime } = await getContainerRuntimeClient();
  const container = runtime.getById(started.getId());
  const monitorUrl = `http://${started.getHost()}:${monitorPort}`;
  return {
    url: `nats://${started.getHost()}:${port}`,
    monitorUrl,
    version: await healthyVersion(monitorUrl),
    storeDir: '',
    stop: () => container.remove({ force: true, v: true }),
    kill9: async () => {
      await container.kill({ signal: 'SIGKILL' });
      await container.wait();
    },
    restart: async () => {
      await container.start();
      await healthyVersion(monitorUrl);
    },
  };
}

/** Waits until the server and its JetStream are up; answers its version. */
async function healthyVersion(monitorUrl: string): Promise<string> {
  for (let waitedMs = 0; waitedMs < HEALTHY_WITHIN_MS; waitedMs += POLL_MS) {
    const healthy = await fetch(`${monitorUrl}/healthz`).catch(() => null);
    if (healthy?.ok) return ((await (await fetch(`${monitorUrl}/varz`)).json()) as { version: string }).version;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`nats-server in its container isn't healthy within ${HEALTHY_WITHIN_MS} ms.`);
}
