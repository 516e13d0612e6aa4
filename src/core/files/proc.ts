import { readFileSync } from 'node:fs';

/** The text of a file below `/proc`; empty when its process has ended or belongs to another user. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
