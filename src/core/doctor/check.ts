/** One thing that Doctor has looked at. */
export interface Check {
  /** `problem`: backups or restores do not work, or are not worth what they seem. `unknown`: it could not be looked at. */
  status: 'ok' | 'note' | 'problem' | 'unknown';
  /** A whole sentence. */
  text: string;
  /** What to do, where there is something to do. */
  advice?: string;
}

export const ok = (text: string): Check => ({ status: 'ok', text });
export const note = (text: string, advice?: string): Check => withAdvice('note', text, advice);
export const problem = (text: string, advice?: string): Check =>
  withAdvice('problem', text, advice);

function withAdvice(status: Check['status'], text: string, advice: string | undefined): Check {
  return advice === undefined ? { status, text } : { status, text, advice };
}

/** The checks of `look`; what it throws says only that it could not be looked at. */
export async function looked(
  what: string,
  look: () => Check[] | Promise<Check[]>,
): Promise<Check[]> {
  try {
    return await look();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [{ status: 'unknown', text: `${what} could not be checked: ${reason}` }];
  }
}
