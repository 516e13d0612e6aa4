/** Asks an application over HTTP how it is. Only where the person or a trusted workspace has set an address. */

const patienceMs = 5000;
const mostShown = 200;
const mostReadBytes = 4096;

/** True for an address of this machine: others are asked only after the person agreed. */
export function isLoopback(url: string): boolean {
  const hostname = URL.parse(url)?.hostname ?? '';
  return /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/** The answer as one line; never throws, follows no redirection, and reads no more of it than it shows. */
export async function requestHealth(
  url: string,
  timeoutMs = patienceMs,
): Promise<{ ok: boolean; text: string }> {
  try {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) throw new Error('no http address');
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = inertText(await beginningOf(response)).slice(0, mostShown);
    return { ok: response.ok, text: `${url}: ${response.status} ${body}`.trim() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { ok: false, text: `${url}: ${reason}` };
  }
}

/** What has come until there is enough; an answer that never ends was one all the same. */
async function beginningOf({ body }: Response): Promise<string> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  let bytes = 0;
  try {
    while (bytes < mostReadBytes) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
      text += decoder.decode(value.subarray(0, mostReadBytes), { stream: true });
    }
  } catch (error) {
    if (text === '') throw error;
  }
  reader.cancel().catch(() => undefined);
  return text;
}

function inertText(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\ufffd')
    .trim();
}
