/* Is the service in this container ready? Asked by Docker; says why not. */
const url = process.env.HEALTH_URL ?? `http://127.0.0.1:${process.env.HTTP_PORT}/health/ready`;
const ANSWER_WITHIN_MS = 3_000;

try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
