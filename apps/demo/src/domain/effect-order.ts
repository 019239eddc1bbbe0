import type { Command } from '#contracts';

/**
 * Per interaction, commands that must take effect in this order: those that were both planned and caused in it. A
 * latecomer (caused earlier, planned later) may come after commands that were sent already, so it is left out.
 */
export function effectOrder(planned: readonly Command[]): Record<string, string[]> {
  const order = new Map<string, { readonly ids: string[]; latest: readonly number[] }>();
  const seen = new Set<string>();
  for (const { id, data } of planned) {
    if (seen.has(id)) continue;
    seen.add(id);
    const key = data.action.kind === 'ensureTicket' ? [0, 0, 0, 0] : [1, data.eventAt, data.eventRank, data.ordinal];
    const chain = order.get(data.interactionId);
    if (!chain) order.set(data.interactionId, { ids: [id], latest: key });
    else if (isAfter(key, chain.latest)) {
      chain.ids.push(id);
      chain.latest = key;
    }
  }
  return Object.fromEntries([...order].map(([interaction, { ids }]) => [interaction, ids]));
}

function isAfter(key: readonly number[], other: readonly number[]): boolean {
  const at = key.findIndex((part, index) => part !== other[index]);
  return at < 0 || key[at]! > other[at]!;
}
