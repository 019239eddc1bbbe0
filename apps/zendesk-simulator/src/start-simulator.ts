import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SimulatorModule } from './simulator.module.js';
import type { SimulatorSettings } from './simulator.settings.js';

/** Room for the largest upload that Zendesk takes, and for one beyond it to be refused in Zendesk's words. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

/** A simulator that listens. */
export interface RunningSimulator {
  readonly url: string;
  /** Ends all connections, also those that wait for an answer. */
  stop(): Promise<void>;
}

/** Starts the HTTP face; resolves when it listens. Throws where the address is taken. */
export async function startSimulator(
  settings: Pick<SimulatorSettings, 'port' | 'host' | 'speed' | 'choices'>,
): Promise<RunningSimulator> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    keepAliveTimeout: 72_000,
  });
  const app = await NestFactory.create<NestFastifyApplication>(SimulatorModule.with(settings), adapter, {
    logger: ['error', 'warn'],
    bodyParser: false,
  });
  const server = adapter.getInstance();
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  await app.listen(settings.port, settings.host);
  const address = app.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : settings.port;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return { url: `http://${host}:${port}`, stop: () => app.close() };
}
