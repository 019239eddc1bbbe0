import { type DynamicModule, Module } from '@nestjs/common';
import { systemClock } from '#clock';
import { natsModule } from '#jetstream';
import type { ServiceTools } from '#telemetry';
import { Accounts } from './account.directory.js';
import { CcaiController } from './ccai.controller.js';
import { CcaiCredentials } from './ccai.credentials.js';
import { CcaiNatsDoor } from './ccai.nats-door.js';
import { HttpErrorAnswer } from './http.error-answer.js';
import { IngestHandler, type IngestLimits } from './ingest.handler.js';
import type { IngestSettings } from './ingest.settings.js';
import { CLOCK, INGEST_LIMITS, INTERACTION_BUS, LOG } from './ingest.tokens.js';
import { InteractionPublisher } from './interaction.publisher.js';

/** Events on their way to the stream at once, of all doors: some 50 MB of memory at worst. */
const MAX_EVENTS_IN_FLIGHT = 8_192;

/** The ingest service: doors, credentials, the handler, and the stream behind them. */
@Module({})
export class IngestModule {
  static register(settings: IngestSettings, { log, stopping }: ServiceTools): DynamicModule {
    const limits: IngestLimits = {
      maxEventsPerEnvelope: settings.maxEventsPerEnvelope,
      maxEventsInFlight: MAX_EVENTS_IN_FLIGHT,
    };
    return {
      module: IngestModule,
      imports: [
        natsModule({
          servers: settings.natsUrl,
          user: settings.natsUser,
          password: settings.natsPassword,
          name: 'ingest',
          inboxPrefix: '_SVC.ingest',
          log,
          signal: stopping,
          // The handler's own bound comes first; a body of the largest size may still follow it.
          publisher: { maxInFlight: MAX_EVENTS_IN_FLIGHT + settings.maxEventsPerEnvelope },
        }),
      ],
      controllers: [CcaiController, CcaiNatsDoor],
      providers: [
        Accounts,
        CcaiCredentials,
        HttpErrorAnswer,
        IngestHandler,
        { provide: INTERACTION_BUS, useClass: InteractionPublisher },
        { provide: CLOCK, useValue: systemClock },
        { provide: LOG, useValue: log },
        { provide: INGEST_LIMITS, useValue: limits },
      ],
    };
  }
}
