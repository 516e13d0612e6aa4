import type { Finding } from '../manifest/manifest.ts';

const longestMessage = 500;

/** Messages of SQLite may quote names of any length. */
export function finding(code: string, message: string): Finding {
  return { code, message: message.slice(0, longestMessage) };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
