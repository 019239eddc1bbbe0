import { type Answer, answer } from './exchange.js';
import { type Call, idAt } from './call.js';
import { recordNotFound } from './errors.js';

/** POST /channels/voice/agents/{agent}/tickets/{ticket}/display: opens the ticket in the agent's browser. */
export function postDisplay(call: Call): Answer {
  const agentId = idAt(call, 3);
  const ticketId = idAt(call, 5);
  const agent = call.world.users.get(agentId);
  const isAgent = agent ? agent.role !== 'end-user' : call.world.options.anyAgentId && agentId > 0;
  if (!call.world.tickets.has(ticketId) || !isAgent) return recordNotFound();
  call.world.books.screenPops.push({ agentId, ticketId, atMs: call.world.nowMs });
  return answer(200, '');
}
