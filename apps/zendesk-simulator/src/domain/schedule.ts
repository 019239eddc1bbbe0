interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: (atMs: number) => void;
}

/** What is still to happen in the simulated world, earliest first; what falls on one instant keeps its order of entry. */
export interface Schedule {
  /** Has `run` called when the world's time reaches `atMs`. */
  at(atMs: number, run: (atMs: number) => void): void;
  /** The instant of the next thing to happen, or Infinity. */
  nextAtMs(): number;
  /** Takes out and runs the next thing; false when nothing is left. */
  runNext(): boolean;
}

/** An empty schedule (a binary heap). */
export function emptySchedule(): Schedule {
  const heap: Entry[] = [];
  let entered = 0;
  return {
    at(atMs, run) {
      heap.push({ atMs, order: entered++, run });
      siftUp(heap, heap.length - 1);
    },
    nextAtMs: () => heap[0]?.atMs ?? Number.POSITIVE_INFINITY,
    runNext() {
      const first = heap[0];
      const last = heap.pop();
      if (!first || !last) return false;
      if (heap.length > 0) {
        heap[0] = last;
        siftDown(heap);
      }
      first.run(first.atMs);
      return true;
    },
  };
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

function siftUp(heap: Entry[], from: number): void {
  let at = from;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const child = heap[at];
    const above = heap[parent];
    if (!child || !above || !isBefore(child, above)) return;
    heap[at] = above;
    heap[parent] = child;
    at = parent;
  }
}

function siftDown(heap: Entry[]): void {
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const leftEntry = heap[left];
    if (!leftEntry) return;
    const rightEntry = heap[left + 1];
    const least = rightEntry && isBefore(rightEntry, leftEntry) ? left + 1 : left;
    const child = heap[least];
    const above = heap[at];
    if (!child || !above || !isBefore(child, above)) return;
    heap[at] = child;
    heap[least] = above;
    at = least;
  }
}
