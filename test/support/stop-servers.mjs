/** Ends what start-servers.mjs started; jest runs both in the same process. */
export default async function stopServers() {
  await globalThis.stopTestServers?.();
}
