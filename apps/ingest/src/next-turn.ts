let turn: Promise<void> | null = null;

/**
 * The end of this turn of the event loop, the same one for all who ask in it. What several requests have to send then
 * leaves in one write to the socket: a write for each costs more than everything else that is done for an event.
 */
export function nextTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = null;
      resolve();
    });
  });
  return turn;
}
