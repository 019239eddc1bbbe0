import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice, Module, UsePipes } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { IsInt, IsString, Min } from 'class-validator';
import { of } from 'rxjs';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { connectNats } from './connect-nats.js';
import { DoorRejection, doorValidation, NatsDoors, type NatsDoorsOptions } from './nats-doors.js';
import { RequestContext } from './request-doors.js';

class GreetBody {
  @IsString()
  name: string;

  @IsInt()
  @Min(1)
  times: number;
}

let release: () => void = () => undefined;
let held = 0;

@Controller()
class GreetController {
  @MessagePattern('greet.v1.*.hello')
  hello(@Payload() data: unknown, @Ctx() ctx: RequestContext) {
    return { data, subject: ctx.subject, account: ctx.tokens[2], trace: ctx.headers?.get('traceparent') ?? null };
  }

  @MessagePattern('greet.v1.*.checked')
  @UsePipes(doorValidation())
  checked(@Payload() body: GreetBody) {
    return Promise.resolve({ greeting: body.name.repeat(body.times), isClass: body instanceof GreetBody });
  }

  @MessagePattern('greet.v1.*.observable')
  observable() {
    return of({ answer: 'observed' });
  }

  @MessagePattern('greet.v1.*.raw')
  raw(@Payload() _data: unknown, @Ctx() ctx: RequestContext) {
    return { bytes: ctx.raw.length };
  }

  @MessagePattern('greet.v1.*.nothing')
  nothing() {
    return undefined;
  }

  @MessagePattern('greet.v1.*.fails')
  fails(@Payload() how: string) {
    if (how === 'door') throw new DoorRejection('not_today', 'come back tomorrow');
    if (how === 'rpc') throw new RpcException('plain words');
    return Promise.reject(new Error('the database password is hunter2'));
  }

  @MessagePattern('greet.v1.*.held')
  async held() {
    held += 1;
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { answer: 'released' };
  }
}

@Module({ controllers: [GreetController] })
class GreetModule {}

describe('a door over NATS', () => {
  let server: TestNats;
  let nc: NatsConnection;
  let client: NatsConnection;
  let apps: INestMicroservice[] = [];

  beforeAll(async () => {
    server = await testNats();
    nc = await connectNats({ servers: server.url, name: 'service' });
    client = await connectNats({ servers: server.url, name: 'client' });
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    apps = [];
  });
  afterAll(async () => {
    await client?.close();
    await nc?.close();
    await server?.stop();
  });

  const open = async (options: Partial<NatsDoorsOptions> = {}): Promise<NatsDoors> => {
    const strategy = new NatsDoors({ nc, queue: 'greeter', ...options });
    const app = await NestFactory.createMicroservice(GreetModule, { strategy, logger: false });
    await app.listen();
    apps.push(app);
    await nc.flush();
    return strategy;
  };
  const ask = async (subject: string, body: string, more?: { traceparent: string }): Promise<unknown> => {
    const all = headers();
    if (more) all.set('traceparent', more.traceparent);
    return (await client.request(subject, body, { timeout: 5_000, headers: all })).json();
  };

  it('hands the data, the parts of the subject and the headers to its handler', async () => {
    await open();

    const answer = await ask('greet.v1.demo.hello', '{"a":1}', { traceparent: '00-1-2-01' });

    expect(answer).toEqual({
      data: { a: 1 },
      subject: 'greet.v1.demo.hello',
      account: 'demo',
      trace: '00-1-2-01',
    });
  });

  it('answers what an observable gives, and null for nothing', async () => {
    await open();

    expect(await ask('greet.v1.demo.observable', '{}')).toEqual({ answer: 'observed' });
    expect(await ask('greet.v1.demo.nothing', '')).toBeNull();
  });

  it('rejects what is not JSON', async () => {
    await open();

    expect(await ask('greet.v1.demo.hello', '{"a":')).toMatchObject({ answer: 'rejected', code: 'malformed_json' });
  });

  it('rejects a body larger than it may be', async () => {
    await open({ maxRequestBytes: 100 });

    const answer = await ask('greet.v1.demo.hello', JSON.stringify('x'.repeat(200)));

    expect(answer).toMatchObject({ answer: 'rejected', code: 'body_too_large' });
  });

  it('answers to inboxes only, whatever the request names', async () => {
    held = 0;
    const doors = await open();
    const heard: string[] = [];
    const spy = client.subscribe('>', { callback: (_error, msg) => void heard.push(msg.subject) });
    for (const reply of ['$KV.accounts.other', 'interactions.v1.demo.x', '_INBOXES.x', '_svc.x'])
      client.publish('greet.v1.demo.held', '{}', { reply });
    client.publish('greet.v1.demo.hello', '{}', { reply: '_SVC.crm-writer.1' });

    await until('the last is answered', () => heard.includes('_SVC.crm-writer.1'));
    spy.unsubscribe();

    expect(heard.filter((subject) => !subject.startsWith('greet.'))).toEqual(['_SVC.crm-writer.1']);
    expect(held).toBe(0);
    expect(doors.dropped).toBe(4);
  });

  it('validates a body by its class, naming what is wrong without repeating it', async () => {
    await open();

    const good = await ask('greet.v1.demo.checked', '{"name":"ab","times":2,"unknown":true}');
    const bad = await ask('greet.v1.demo.checked', '{"name":"Jane Private","times":0}');

    expect(good).toEqual({ greeting: 'abab', isClass: true });
    expect(bad).toEqual({ answer: 'rejected', code: 'invalid_request', message: 'times must not be less than 1' });
  });

  it('answers a rejection that its handler throws', async () => {
    await open();

    expect(await ask('greet.v1.demo.fails', '"door"')).toEqual({
      answer: 'rejected',
      code: 'not_today',
      message: 'come back tomorrow',
    });
  });

  it('tells nothing of what went wrong inside', async () => {
    await open();

    for (const how of ['"rpc"', '"error"']) {
      const answer = await ask('greet.v1.demo.fails', how);
      expect(answer).toMatchObject({ answer: 'unavailable', code: 'internal_error', retryInMs: 1_000 });
      expect(JSON.stringify(answer)).not.toContain('hunter2');
    }
  });

  it('tells what exceeds its bound of requests at once to ask again', async () => {
    held = 0;
    await open({ maxInFlight: 1 });
    const first = ask('greet.v1.demo.held', '{}');
    await until('the first is being answered', () => held === 1);

    const second = await ask('greet.v1.demo.hello', '{}');
    release();

    expect(second).toMatchObject({ answer: 'unavailable', code: 'overloaded', retryInMs: 1_000 });
    expect(await first).toEqual({ answer: 'released' });
  });

  it('answers on close what arrived before, and nothing after', async () => {
    held = 0;
    const doors = await open();
    const first = ask('greet.v1.demo.held', '{}');
    await until('it is being answered', () => held === 1);

    const closed = doors.close();
    await until('nobody listens any more', () =>
      ask('greet.v1.demo.hello', '{}').then(
        () => false,
        () => true,
      ),
    );
    release();
    await closed;

    expect(await first).toEqual({ answer: 'released' });
    expect(doors.inFlight).toBe(0);
  });

  it('opens and closes single subjects at run time', async () => {
    const doors = await open({ opens: 'byHand' });
    const isOpen = (subject: string) =>
      ask(subject, '{}').then(
        () => true,
        () => false,
      );
    expect(await isOpen('greet.v1.demo.hello')).toBe(false);

    doors.open('greet.v1.demo.hello');
    await nc.flush();
    expect(await isOpen('greet.v1.demo.hello')).toBe(true);
    expect(await isOpen('greet.v1.other.hello')).toBe(false);

    await doors.close('greet.v1.demo.hello');
    expect(await isOpen('greet.v1.demo.hello')).toBe(false);
    expect(() => doors.open('elsewhere')).toThrow('no handler for elsewhere');
  });

  it('lets one replica answer each request', async () => {
    await open();
    await open();

    const answers = await client.requestMany('greet.v1.demo.raw', '{}', { strategy: 'timer', maxWait: 200 });

    let count = 0;
    for await (const answer of answers) {
      expect(answer.json()).toEqual({ bytes: 2 });
      count += 1;
    }
    expect(count).toBe(1);
  });
});
