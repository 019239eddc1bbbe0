import { Controller, Get, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { httpSettings, text } from '#settings';
import { type Log, startService } from '#telemetry';

/** A service as small as can be, run as a process by the spec of `startService`. */

@Controller()
class HelloController {
  constructor(@Inject('WORD') private readonly word: string) {}

  @Get('hello')
  hello(): { word: string } {
    return { word: this.word };
  }

  @Get('slow')
  async slow(): Promise<{ done: true }> {
    process.stderr.write('slow begun\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
    return { done: true };
  }

  @Get('crash')
  crash(): void {
    setImmediate(() => {
      throw new Error('out of the blue');
    });
  }
}

@Module({})
class HelloModule implements OnApplicationShutdown {
  constructor(@Inject('LOG') private readonly log: Log) {}

  onApplicationShutdown(): void {
    this.log.info('connections closed');
  }
}

let well = false;
await startService({
  name: 'hello',
  settings: { ...httpSettings, word: text({ doc: 'What to say.' }) },
  module: ({ word }, { log }) => ({
    module: HelloModule,
    controllers: [HelloController],
    providers: [
      { provide: 'WORD', useValue: word },
      { provide: 'LOG', useValue: log },
    ],
  }),
  checks: () => ({ wellness: () => (well ? null : 'not yet well') }),
  ready: (_app, { log }) => {
    log.info('getting ready');
    well = true;
    return Promise.resolve();
  },
});
