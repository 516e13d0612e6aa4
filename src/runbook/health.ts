/** Asks an application over HTTP how it is. Only where the person or a trusted workspace has set an address. */

const patienceMs = 5000;
const mostShown = 200;

/** True for an address of this machine: others are asked only after the person agreed. */
export function isLoopback(url: string): boolean {
  const hostname = URL.parse(url)?.hostname ?? '';
  return /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/** The answer as one line; never throws, and follows no redirection to elsewhere. */
export async function requestHealth(url: string): Promise<{ ok: boolean; text: string }> {
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(patienceMs),
    });
    const body = (await response.text()).slice(0, mostShown).replace(/\s+/g, ' ').trim();
    return { ok: response.ok, text: `${url}: ${response.status} ${body}`.trim() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { ok: false, text: `${url}: ${reason}` };
  }
}
