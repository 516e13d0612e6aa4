import { statSync } from 'node:fs';

/** The live databases without data: deleting what was kept of one deletes the last copy beside it. */
export function withoutData(lives: readonly string[]): string[] {
  return lives.filter((path) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0);
}
