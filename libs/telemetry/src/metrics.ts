import { Registry } from 'prom-client';

/**
 * The service's metrics: make counters and gauges of prom-client with `registers: [metrics]`. Labels are account,
 * integration and the like, never interactions or anything of a customer.
 */
export const metrics = new Registry();
