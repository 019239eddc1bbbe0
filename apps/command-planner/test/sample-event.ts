import {
  type InteractionEvent,
  type InteractionEventData,
  type InteractionEventName,
  interactionIdOf,
} from '#contracts';

/** When sample events happen, epoch ms. */
export const NOW = Date.UTC(2026, 0, 5, 9);

/** An event of one interaction that tells nothing but its name, completed by `facts`. */
export function eventOf(
  name: InteractionEventName,
  facts: Partial<InteractionEventData> = {},
  { id = `event-${name}`, occurredAt = NOW }: { readonly id?: string; readonly occurredAt?: number } = {},
): InteractionEvent {
  const sessionId = facts.sessionId ?? '846802bf90d1';
  const channel = facts.channel ?? 'call';
  return {
    id,
    type: name,
    schemaVersion: 1,
    account: 'demo',
    occurredAt,
    recordedAt: occurredAt,
    causationId: id,
    traceparent: null,
    data: {
      interactionId: interactionIdOf(channel, sessionId),
      channel,
      sessionId,
      event: name,
      state: null,
      direction: null,
      sessionType: null,
      language: null,
      queuePath: null,
      contact: { phone: null, userId: null, email: null, name: null },
      agent: null,
      customerMessages: null,
      startedAt: null,
      connectedAt: null,
      endedAt: null,
      waitSeconds: null,
      callSeconds: null,
      holdSeconds: null,
      recordingUrl: null,
      transcriptUrl: null,
      rating: null,
      feedback: null,
      voicemail: false,
      abandoned: false,
      dispositions: [],
      ...facts,
    },
  };
}
