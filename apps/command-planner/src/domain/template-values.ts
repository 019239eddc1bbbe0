import { type InteractionEvent, type InteractionEventData, isoOf } from '#contracts';

/** What a template may name, for one event. The same names as `TEMPLATE_VARIABLES` of #accounts, which checks templates. */
export interface TemplateValues {
  readonly interaction: { readonly id: string; readonly channel: string; readonly sessionId: string };
  readonly contact: InteractionEventData['contact'];
  readonly agent: { readonly name: string | null; readonly email: string | null };
  readonly queue: string | null;
  /** ISO instants. */
  readonly times: Readonly<Record<'startedAt' | 'connectedAt' | 'endedAt', string | null>>;
  readonly durations: Pick<InteractionEventData, 'waitSeconds' | 'callSeconds' | 'holdSeconds'>;
  readonly recordingUrl: string | null;
  readonly transcriptUrl: string | null;
  readonly rating: number | null;
  readonly feedback: string | null;
  readonly voicemail: boolean;
  readonly abandoned: boolean;
  readonly dispositions: InteractionEventData['dispositions'];
  readonly event: string;
}

/** Everything that an event tells, by the names that templates use. */
export function valuesOf({ type, data }: InteractionEvent): TemplateValues {
  const { waitSeconds, callSeconds, holdSeconds } = data;
  const agent = data.agent;
  return {
    interaction: { id: data.interactionId, channel: data.channel, sessionId: data.sessionId },
    contact: data.contact,
    agent: { name: agent?.name ?? (agent?.id ? `agent ${agent.id}` : null), email: agent?.email ?? null },
    queue: data.queuePath,
    times: { startedAt: iso(data.startedAt), connectedAt: iso(data.connectedAt), endedAt: iso(data.endedAt) },
    durations: { waitSeconds, callSeconds, holdSeconds },
    recordingUrl: data.recordingUrl,
    transcriptUrl: data.transcriptUrl,
    rating: data.rating,
    feedback: data.feedback,
    voicemail: data.voicemail,
    abandoned: data.abandoned,
    dispositions: data.dispositions,
    event: type,
  };
}

/**
 * The same with only what is known of an interaction from its first steps on: who, by which channel, to which queue.
 * What renders the same from these as from an event's own values was in the ticket from its making, or isn't news.
 */
export function basicsOf(values: TemplateValues): TemplateValues {
  return {
    ...values,
    agent: { name: null, email: null },
    times: { startedAt: values.times.startedAt, connectedAt: null, endedAt: null },
    durations: { waitSeconds: null, callSeconds: null, holdSeconds: null },
    recordingUrl: null,
    transcriptUrl: null,
    rating: null,
    feedback: null,
    voicemail: false,
    abandoned: false,
    dispositions: [],
  };
}

function iso(instant: number | null): string | null {
  return instant === null ? null : isoOf(instant);
}
