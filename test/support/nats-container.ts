import { GenericContainer, Wait } from 'testcontainers';
import { freePort, type NatsConfigNeeds } from '#embedded';
import type { TestNats } from './servers.js';

const IMAGE = 'nats:2-alpine';
const PORT = 4222;
const MONITOR_PORT = 8222;
const STORE = '/data';
const CONFIG_FILE = '/etc/nats/sluice.conf';

/** A nats-server in a container, for TEST_INFRA=containers. Its ports stay the same over kill9 and restart. */
export async function startNatsContainer(
  config: (needs: NatsConfigNeeds) => string,
): Promise<Omit<TestNats, 'credentials'>> {
  const [port, monitorPort] = [await freePort(), await freePort()];
  const content = config({ port: PORT, monitorPort: MONITOR_PORT, storeDir: STORE, serverVersion: '2.10.0' });
  const container = await new GenericContainer(IMAGE)
    .withCommand(['-c', CONFIG_FILE])
    .withCopyContentToContainer([{ content, target: CONFIG_FILE }])
    .withExposedPorts({ container: PORT, host: port }, { container: MONITOR_PORT, host: monitorPort })
    .withWaitStrategy(Wait.forLogMessage(/Server is ready/))
    .start();
  const host = container.getHost();
  return {
    url: `nats://${host}:${port}`,
    monitorUrl: `http://${host}:${monitorPort}`,
    version: '2.10.0',
    storeDir: '',
    stop: async () => {
      await container.stop();
    },
    kill9: async () => {
      await container.stop({ remove: false, timeout: 0 });
    },
    restart: async () => {
      await container.restart();
    },
  };
}
