/** What is due, by the clock of this machine, which may have been wrong when something was remembered. Pure. */

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const proofLastsMs = 7 * dayMs;

/** Clocks of two machines differ by less, and one clock is set by less, without a person who notices. */
export function isFuture(iso: string, now: number): boolean {
  return !(Date.parse(iso) <= now + minuteMs);
}

/** Also when the proof is of a time that has not come yet: a clock was wrong. */
export function isProofDue(provedAt: string | undefined, now: number): boolean {
  return (
    provedAt === undefined || isFuture(provedAt, now) || now - Date.parse(provedAt) >= proofLastsMs
  );
}

/** The latest of these that is not of the future; undefined where all are. */
export function lastOf(times: readonly string[], now: number): string | undefined {
  return times
    .filter((iso) => !isFuture(iso, now))
    .sort((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1);
}

/** Once a day; a try that is dated in the future says nothing. */
export function isSendDue(triedAt: string | undefined, now: number): boolean {
  return triedAt === undefined || isFuture(triedAt, now) || now - Date.parse(triedAt) >= dayMs;
}
