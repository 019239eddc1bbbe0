import type { TicketPolicy } from '#contracts';

const SUBJECT = `{% if interaction.channel == 'chat' %}Chat with{% else %}Call from{% endif %} {{ contact.name | default: contact.phone | default: 'an unknown contact' }}{% if queue %} to {{ queue }}{% endif %}`;

const BODY = `{% if interaction.channel == 'chat' %}Chat{% else %}Call{% endif %} {{ interaction.sessionId }}
{%- if contact.name or contact.phone or contact.email %}
Contact: {% if contact.name %}{{ contact.name }} {% endif %}{{ contact.phone }}{% if contact.email %} {{ contact.email }}{% endif %}
{%- endif %}
{%- if queue %}
Queue: {{ queue }}
{%- endif %}
{%- if agent.name or agent.email %}
Agent: {{ agent.name | default: agent.email }}
{%- endif %}
{%- if times.startedAt %}
Started: {{ times.startedAt }}
{%- endif %}`;

const ENDED = `{% if voicemail %}The caller left a voicemail{% elsif abandoned %}The customer left before an agent connected{% else %}Ended{% endif %}{% if times.endedAt %} at {{ times.endedAt }}{% endif %}
{%- if durations.waitSeconds %}
Waited: {{ durations.waitSeconds }} s
{%- endif %}
{%- if durations.callSeconds %}
Talked: {{ durations.callSeconds }} s
{%- endif %}
{%- if durations.holdSeconds %}
On hold: {{ durations.holdSeconds }} s
{%- endif %}
{%- if recordingUrl %}
Recording: {{ recordingUrl }}
{%- endif %}`;

const DISPOSITIONED = `Wrapped up{% if agent.name %} by {{ agent.name }}{% endif %}
{%- for disposition in dispositions %}
{{ disposition.code | default: disposition.customCodeId }}{% if disposition.note %}: {{ disposition.note }}{% endif %}
{%- endfor %}`;

const METADATA = `Session record
{%- if recordingUrl %}
Recording: {{ recordingUrl }}
{%- endif %}
{%- if transcriptUrl %}
Transcript: {{ transcriptUrl }}
{%- endif %}
{%- if rating %}
Rating: {{ rating }}
{%- endif %}
{%- if feedback %}
Feedback: {{ feedback }}
{%- endif %}`;

/** What holds for an account that says nothing of its own: a new ticket when an agent is assigned, comments internal. */
export const DEFAULT_POLICY: TicketPolicy = {
  ticketAt: 'assigned',
  chatAfterCustomerMessages: 0,
  mode: 'new',
  subject: SUBJECT,
  body: BODY,
  bodyPublic: false,
  comments: {
    ended: { body: ENDED, public: false },
    dispositioned: { body: DISPOSITIONED, public: false },
    metadata: { body: METADATA, public: false },
  },
  tags: ['ccai'],
  customFields: [],
  backlogAfterMs: 15 * 60_000,
};
