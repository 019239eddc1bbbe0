import type { InteractionId } from './words.js';

export type Channel = 'call' | 'chat';

/** Longest session id accepted from the outside, in characters before escaping. */
export const MAX_SESSION_ID_LENGTH = 128;

const SAFE = /^[A-Za-z0-9_-]+$/;
const encoder = new TextEncoder();

/**
 * The interaction's id: `call-<id>` or `chat-<id>`, with every byte that could mean something in a NATS subject,
 * a URL or a file name written as `~XX` (upper-case hex). A call and a chat may both be 138; they stay apart.
 * Never empty; injective, so two sessions never share an interaction.
 */
export function interactionIdOf(channel: Channel, sessionId: string | number): InteractionId {
  return `${channel}-${escapeToken(String(sessionId))}`;
}

/** Which channel an interaction id belongs to. */
export function channelOf(interactionId: InteractionId): Channel {
  return interactionId.startsWith('chat-') ? 'chat' : 'call';
}

/** One subject token from any text: letters, digits, `_` and `-` stay, every other byte becomes `~XX`. */
export function escapeToken(text: string): string {
  if (SAFE.test(text)) return text;
  let out = '';
  for (const byte of encoder.encode(text)) {
    const char = String.fromCharCode(byte);
    out += SAFE.test(char) ? char : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}
