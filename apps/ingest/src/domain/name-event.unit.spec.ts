import { describe, expect, it } from '@jest/globals';
import { nameEvent, nameRecord, type Signs } from './name-event.js';

const nothing: Signs = {
  customerStates: ['connected'],
  agentStates: [],
  virtualStates: [],
  state: 'connected',
  ended: false,
  disposed: false,
  agentKnown: false,
  routed: false,
};

describe('an event is named', () => {
  it.each<[string, Partial<Signs>, string]>([
    ['started while only the customer is connected', {}, 'started'],
    ['started for a chat that waits without a queue', { state: 'waiting' }, 'started'],
    ['routed once a queue is known', { routed: true }, 'routed'],
    ['routed while a virtual agent talks', { virtualStates: ['connected'] }, 'routed'],
    [
      'routed while an agent is only being rung',
      { agentStates: ['ringing'], state: 'ringing', routed: true },
      'routed',
    ],
    ['routed by the state of the session alone', { customerStates: [], state: 'queued' }, 'routed'],
    ['routed when the agent has left and the customer waits on', { agentStates: ['disconnected'] }, 'routed'],
    ['assigned once an agent has accepted', { agentStates: ['accepted'], routed: true }, 'assigned'],
    ['assigned where an agent is named without a state', { agentKnown: true }, 'assigned'],
    ['active once an agent is connected', { agentStates: ['connected'] }, 'active'],
    ['active while the customer is on hold', { customerStates: ['hold'], agentStates: ['hold'] }, 'active'],
    ['active during a transfer, by the agent who talks', { agentStates: ['disconnected', 'connected'] }, 'active'],
    ['assigned again by the agent who takes over', { agentStates: ['disconnected', 'accepted'] }, 'assigned'],
    ['ended once everyone has left', { customerStates: ['disconnected'], agentStates: ['disconnected'] }, 'ended'],
    ['ended once the agent wraps up', { customerStates: ['disconnected'], agentStates: ['wrapup'] }, 'ended'],
    ['ended when the only participant has left', { customerStates: ['disconnected'] }, 'ended'],
    ['ended by its time alone', { ended: true, agentStates: ['connected'] }, 'ended'],
    ['ended by the state of the session alone', { customerStates: [], state: 'finished' }, 'ended'],
    ['ended by a voicemail', { customerStates: ['disconnected'], state: 'voicemail' }, 'ended'],
    ['routed while the voicemail is being spoken', { state: 'voicemail', routed: true }, 'routed'],
    ['dispositioned by the agent’s state', { agentStates: ['dispositionsubmitted'] }, 'dispositioned'],
    ['dispositioned by its codes, before all else', { disposed: true, ended: true }, 'dispositioned'],
  ])('%s', (_, signs, name) => {
    expect(nameEvent({ ...nothing, ...signs })).toBe(name);
  });
});

describe('a metadata record is named', () => {
  it.each<[string, string | null, boolean, string]>([
    ['metadata when its session is over', 'finished', true, 'metadata'],
    ['metadata where it says nothing', null, false, 'metadata'],
    ['metadata for a state nobody has heard of', 'constructor', false, 'metadata'],
    ['metadata when it has failed without an end', 'failed', false, 'metadata'],
    ['routed while it is queued', 'queued', false, 'routed'],
    ['assigned while the agent connects', 'connecting', false, 'assigned'],
    ['active while it goes on', 'connected', false, 'active'],
    ['metadata when it has an end, whatever its status', 'connected', true, 'metadata'],
  ])('%s', (_, status, ended, name) => {
    expect(nameRecord(status, ended)).toBe(name);
  });
});
