import { type DynamicModule, Module } from '@nestjs/common';
import { ControlController } from './control.controller.js';
import { Simulator } from './domain/simulator.js';
import { HttpFace } from './http-face.js';
import { ScaledClock } from './scaled-clock.js';
import type { SimulatorSettings } from './simulator.settings.js';
import { ZendeskController } from './zendesk.controller.js';

/** One simulated account behind HTTP. */
@Module({})
export class SimulatorModule {
  /** The account that the settings describe. */
  static with(settings: Pick<SimulatorSettings, 'speed' | 'choices'>): DynamicModule {
    const clock = new ScaledClock(settings.speed);
    const simulator = new Simulator(
      { ...settings.choices, shownClock: { speed: clock.speed, behindMs: clock.behindMs } },
      clock.nowMs(),
    );
    return {
      module: SimulatorModule,
      controllers: [ControlController, ZendeskController],
      providers: [HttpFace, { provide: Simulator, useValue: simulator }, { provide: ScaledClock, useValue: clock }],
    };
  }
}
