const COUNTED = /^sluice_ledger_turn_seconds_count(?:\{[^}]*\})? (\d+)/m;

/** Turns that the ledger has recorded so far, by its own metrics; null where it doesn't tell. */
export async function turnsOf(ledgerUrl: string): Promise<number | null> {
  const response = await fetch(`${ledgerUrl}/metrics`);
  const found = COUNTED.exec(await response.text());
  return found === null ? null : Number(found[1]);
}
